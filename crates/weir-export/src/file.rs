//! JSON lines in a file that begins anew when it is long.

use crate::json::Fields;
use crate::peer::{Peer, Sent, Silence};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use weir_record::FlowRecord;

/// When it begins anew, and how many of those before stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// A longer one gets no more records.
    pub bytes: u64,
    /// FILE.1 is the last one before.
    pub keep: u32,
}

/// The file.
pub struct Rotating {
    path: PathBuf,
    rotation: Rotation,
    fields: Fields,
    open: Option<File>,
    buffer: Vec<u8>,
}

impl Rotating {
    /// There, of these fields, or all.
    pub fn new(path: PathBuf, rotation: Rotation, fields: Fields) -> Self {
        Self { path, rotation, fields, open: None, buffer: Vec::new() }
    }

    fn on(&self, what: &str, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("cannot {what} {}: {error}", self.path.display()))
    }

    /// Another program may have moved it away, as logrotate does.
    fn is_there(&self, open: &File) -> bool {
        let same =
            |one: &fs::Metadata, other: &fs::Metadata| (one.dev(), one.ino()) == (other.dev(), other.ino());
        matches!((open.metadata(), fs::metadata(&self.path)), (Ok(one), Ok(other)) if same(&one, &other))
    }

    /// Begins anew; where that fails nothing has moved.
    fn rotate(&self) -> io::Result<()> {
        if self.rotation.keep == 0 {
            return fs::remove_file(&self.path);
        }
        let mut aside = self.path.as_os_str().to_owned();
        aside.push(".rotated");
        fs::rename(&self.path, &aside)?;
        for number in (1..self.rotation.keep).rev() {
            move_away(&numbered(&self.path, number), &numbered(&self.path, number + 1))?;
        }
        move_away(Path::new(&aside), &numbered(&self.path, 1))
    }
}

/// Takes away the half of a line that a kill has left.
fn mend(file: &File) -> io::Result<()> {
    const LONGEST_LINE: u64 = 1 << 20;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(LONGEST_LINE);
    let mut tail = vec![0; (length - from) as usize];
    file.read_exact_at(&mut tail, from)?;
    let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    // A file without any line is nobody's of ours.
    if whole < tail.len() && (whole > 0 || from == 0) {
        file.set_len(from + whole as u64)?;
    }
    Ok(())
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn move_away(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

impl Peer for Rotating {
    fn connect(&mut self) -> io::Result<()> {
        if fs::metadata(&self.path).is_ok_and(|there| !there.is_file()) {
            let what = io::Error::new(io::ErrorKind::InvalidInput, "it is no file");
            return Err(self.on("open", &what));
        }
        let mut options = OpenOptions::new();
        // Who talks to whom is not for everybody.
        let opened = options.read(true).append(true).create(true).mode(0o640).open(&self.path);
        let file = opened.and_then(|file| mend(&file).map(|()| file));
        self.open = Some(file.map_err(|error| self.on("open", &error))?);
        Ok(())
    }

    fn send(&mut self, records: &[FlowRecord]) -> io::Result<Sent> {
        self.look()?;
        let mut sent = Sent::default();
        let is_long = |open: &File| open.metadata().is_ok_and(|about| about.len() >= self.rotation.bytes);
        if self.open.as_ref().is_some_and(is_long) {
            // One that cannot begin anew goes on: nothing is lost by that.
            sent.why = self.rotate().err().map(|error| self.on("rotate", &error).to_string());
            self.look()?;
        }
        self.buffer.clear();
        for record in records {
            self.fields.put(&mut self.buffer, record)?;
            self.buffer.push(b'\n');
        }
        let Some(file) = &mut self.open else { return Err(io::ErrorKind::NotConnected.into()) };
        let length = file.metadata().map(|metadata| metadata.len());
        let written = length.and_then(|length| match file.write_all(&self.buffer) {
            // Half a line would stay between those that are whole.
            Err(error) => file.set_len(length).and(Err(error)),
            Ok(()) => file.sync_data(),
        });
        written.map_err(|error| self.on("write", &error))?;
        sent.bytes = self.buffer.len();
        Ok(sent)
    }

    fn look(&mut self) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|open| !self.is_there(open)) {
            self.connect()?;
        }
        Ok(())
    }

    fn disconnect(&mut self) {
        self.open = None;
    }

    fn silence(&self) -> Silence {
        Silence::None
    }
}
