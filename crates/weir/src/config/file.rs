//! The configuration file: which one, and what stands in it.

use super::definition::{Definition, Key, Kind};
use super::merge::{Origin, Setting, Settings};
use super::tuned;
use super::yaml::{self, Document, Scalar, ScalarKind, Value};
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// Read without being named, where it exists.
pub const DEFAULT_PATH: &str = "/etc/weir/weir.yaml";

/// Names the file where no flag does.
pub const VARIABLE: &str = "WEIR_CONFIG";

/// No configuration is longer. A device may be.
const LONGEST: u64 = 1 << 20;

/// The file that an agent reads, once or again.
pub struct File {
    path: PathBuf,
    /// It was named, or it was there once.
    must_exist: bool,
    read_before: bool,
}

impl File {
    /// The one that a flag names, else the variable, else the default one.
    pub fn choose(named: Option<PathBuf>) -> Self {
        let variable = || std::env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        let named = named.or_else(variable);
        let must_exist = named.is_some();
        Self { path: named.unwrap_or_else(|| DEFAULT_PATH.into()), must_exist, read_before: false }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// None where there need not be one and there is none.
    pub fn read(&mut self) -> Result<Option<String>, String> {
        match fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.must_exist => return Ok(None),
            // What came through a pipe is gone: reading on would find nothing, or wait for ever.
            Ok(metadata) if self.read_before && metadata.file_type().is_fifo() => {
                return Err(format!("{}: a pipe: it cannot be read a second time", self.path.display()));
            }
            _ => {}
        }
        let text = read(&self.path)?;
        (self.must_exist, self.read_before) = (true, true);
        Ok(Some(text))
    }
}

/// The text of a file, or one line on why there is none.
pub fn read(path: &Path) -> Result<String, String> {
    let name = path.display();
    let bytes = read_bytes(path).map_err(|error| format!("{name}: cannot be read: {}", reason(&error)))?;
    if bytes.len() as u64 > LONGEST {
        return Err(format!("{name}: longer than 1 MiB: this is not a configuration"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
        format!("{name}:{line}: not UTF-8 text")
    })
}

fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(LONGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The operating system's words, without its number.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_string()
}

/// What a file says, and everything that is wrong with it, a line each.
pub fn settings(definition: &Definition, path: &Path, text: &str) -> (Settings, Vec<String>) {
    let origin = |line| Origin::File { path: path.to_owned(), line };
    let (settings, wrong) = entries(definition, yaml::read(text), origin);
    (settings, lines(path, wrong))
}

/// Mistakes, each with its line.
pub type Wrong = Vec<(usize, String)>;

/// What a document sets, and what is wrong with it.
pub fn entries(
    definition: &Definition,
    document: Document,
    origin: impl Fn(usize) -> Origin,
) -> (Settings, Wrong) {
    let mut settings = Settings::new();
    let mut mistakes: Wrong =
        document.mistakes.into_iter().map(|mistake| (mistake.line, mistake.what)).collect();
    for entry in document.entries {
        let Some(key) = definition.key(&entry.key) else {
            mistakes.push((entry.line, unknown(definition, &entry.key)));
            continue;
        };
        let (values, wrong) = values(definition, key, entry.line, &entry.value);
        mistakes.extend(wrong.into_iter().map(|(line, what)| (line, format!("{}: {what}", key.name))));
        settings.insert(key.name.clone(), Setting { values, origin: origin(entry.line) });
    }
    (settings, mistakes)
}

/// Mistakes as users see them, in the order of the file.
pub fn lines(path: &Path, mut wrong: Wrong) -> Vec<String> {
    wrong.sort_by_key(|(line, _)| *line);
    wrong.into_iter().map(|(line, what)| format!("{}:{line}: {what}", path.display())).collect()
}

/// A key that is none, and the one that was probably meant.
pub fn unknown(definition: &Definition, name: &str) -> String {
    if let Some(hint) = tuned::hint(name) {
        return hint;
    }
    match definition.nearest(name) {
        Some(key) => format!("{name}: unknown key; the nearest is {}", key.name),
        None => format!("{name}: unknown key: `weir config show` lists all"),
    }
}

fn values(definition: &Definition, key: &Key, line: usize, value: &Value) -> (Vec<OsString>, Wrong) {
    let scalars = match value {
        Value::One(scalar) => std::slice::from_ref(scalar),
        Value::Many(_) if !key.repeatable => {
            return (vec![], vec![(line, "a list, and this takes one value".into())]);
        }
        Value::Many(scalars) => scalars,
    };
    let mut wrong = Vec::new();
    for scalar in scalars {
        let judged = suits(&key.kind, scalar).and_then(|()| match key.kind {
            Kind::Switch => Ok(()),
            _ => definition.judge(key, &scalar.text),
        });
        wrong.extend(judged.err().map(|what| (scalar.line, what)));
    }
    let text = |scalar: &Scalar| match key.kind {
        Kind::Switch => scalar.text.to_lowercase().into(),
        _ => scalar.text.clone().into(),
    };
    (scalars.iter().map(text).collect(), wrong)
}

/// Whether YAML's type is that of the option, so that the file means to other programs what it means to us.
fn suits(kind: &Kind, scalar: &Scalar) -> Result<(), String> {
    let text = &scalar.text;
    match (kind, scalar.kind) {
        (_, ScalarKind::Null) => Err("no value: remove the line to have the default".into()),
        (Kind::Switch, ScalarKind::Boolean) => Ok(()),
        (Kind::Switch, _) => Err(format!("'{text}' is not true or false")),
        (Kind::Number(_), ScalarKind::Text) if text.parse::<i128>().is_ok() => {
            Err(format!("'{text}' is text: write the number without quotes"))
        }
        (Kind::Text(_), ScalarKind::Boolean) => Err(format!("'{text}' is a truth value: put it in quotes")),
        _ => Ok(()),
    }
}
