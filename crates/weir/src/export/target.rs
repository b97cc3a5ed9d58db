//! Where records are written to: a file that is there whole or not at all, or standard output.

use crate::records::Format;
use anyhow::{Context, Result, anyhow, bail};
use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

/// What is handed on at once.
const BUFFER: usize = 256 * 1024;

/// The place, and the name that a file has until it is whole.
pub enum Target {
    Output,
    File(Unfinished),
}

/// A file that is not whole yet. It goes with this, unless it was kept.
pub struct Unfinished {
    path: PathBuf,
    temporary: PathBuf,
    is_kept: Cell<bool>,
}

impl Target {
    /// # Errors
    /// It is no place for a file, or for what is written.
    pub fn of(file: Option<&Path>, format: Format) -> Result<Self> {
        match file.filter(|file| *file != Path::new("-")) {
            Some(path) => Unfinished::of(path).map(Self::File),
            None if format.is_binary() && io::stdout().is_terminal() => {
                bail!("this format is not for a terminal: name a file, weir export FILE, or write to a pipe")
            }
            None => Ok(Self::Output),
        }
    }

    /// What is written to.
    pub fn out(&self) -> Result<Box<dyn Write + Send>> {
        match self {
            Self::Output => Ok(Box::new(io::stdout())),
            Self::File(unfinished) => unfinished.create(),
        }
    }

    /// All was written.
    pub fn keep(&self) -> Result<()> {
        match self {
            Self::Output => Ok(()),
            Self::File(unfinished) => unfinished.keep(),
        }
    }

    pub fn name(&self) -> String {
        match self {
            Self::Output => "standard output".into(),
            Self::File(unfinished) => unfinished.path.display().to_string(),
        }
    }

    /// What there is where not all was written.
    pub fn not_written(&self) -> String {
        match self {
            Self::Output => "not all is written to standard output".into(),
            Self::File(unfinished) => format!("{} is not written", unfinished.path.display()),
        }
    }
}

impl Unfinished {
    fn of(path: &Path) -> Result<Self> {
        // What a link leads to is replaced, not the link; and a device would be no device any more.
        let path = match fs::canonicalize(path) {
            Ok(there) if !there.is_file() => {
                bail!(
                    "{} is no file that could be replaced: leave FILE out and redirect, weir export -o … > {0}",
                    path.display()
                )
            }
            Ok(there) => there,
            Err(_) => path.to_path_buf(),
        };
        let name = path.file_name().ok_or_else(|| anyhow!("{} is no name of a file", path.display()))?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.part", std::process::id()));
        let temporary = path.with_file_name(hidden);
        Ok(Self { path, temporary, is_kept: Cell::new(false) })
    }

    fn create(&self) -> Result<Box<dyn Write + Send>> {
        // One with the number of this process is left of another that had it, and was killed.
        let _ = fs::remove_file(&self.temporary);
        let file = OpenOptions::new().write(true).create_new(true).open(&self.temporary);
        let file = file.with_context(|| format!("cannot write {}", self.path.display()))?;
        // Who may read a file that is there may read the one that takes its place, and nobody else.
        if let Ok(there) = fs::metadata(&self.path) {
            let _ = chown(&self.temporary, Some(there.uid()), Some(there.gid()));
            file.set_permissions(there.permissions())
                .with_context(|| format!("cannot write {}", self.path.display()))?;
        }
        Ok(Box::new(BufWriter::with_capacity(BUFFER, file)))
    }

    /// Gives it its name, once it is on disk.
    fn keep(&self) -> Result<()> {
        let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all());
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        sync(&self.temporary)
            .and_then(|()| fs::rename(&self.temporary, &self.path))
            .and_then(|()| sync(folder.unwrap_or(Path::new("."))))
            .with_context(|| format!("cannot write {}", self.path.display()))?;
        self.is_kept.set(true);
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_kept.get() {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}
