//! The write-ahead log: what was acknowledged and is in no segment yet.
//!
//! A log is a file, `TABLE/_log/17.log`. Frames are only ever added to it; once its records are in segments it goes.

mod frame;

pub(crate) use frame::{Framer, Next, read as read_frame};

use crate::error::On;
use crate::keeper::{House, retry};
use crate::segment::sync_directory;
use crate::store::entries;
use crate::table::Table;
use crate::version::SchemaVersion;
use crate::{Error, Result};
use arrow_array::RecordBatch;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Where logs lie in a table's directory. Who reads all that lies there, as pandas does, passes such names over.
pub(crate) const DIRECTORY: &str = "_log";
/// Where they lay once.
const BEFORE: &str = "log";
const MAGIC: &[u8; 8] = b"WEIRLOG3";
/// What logs of the first version of the schema begin with: those whose batches were not compact yet, and the others.
const FIRST: [&[u8; 8]; 2] = [b"WEIRLOG1", b"WEIRLOG2"];

/// A log that is written.
pub(crate) struct Log {
    number: u64,
    path: PathBuf,
    file: File,
    /// What of it lasts.
    length: u64,
    framer: Framer,
    waiting: Vec<u8>,
}

impl Log {
    /// Begins a log.
    pub fn begin(table: &Path, number: u64) -> Result<Self> {
        let directory = table.join(DIRECTORY);
        let path = path_of(table, number);
        let file = OpenOptions::new().write(true).create_new(true).open(&path).on("create", &path)?;
        let mut log = Self { number, path, file, length: 0, framer: Framer::default(), waiting: Vec::new() };
        log.waiting.extend_from_slice(MAGIC);
        let begun = log.write().and_then(|()| sync_directory(&directory));
        if let Err(error) = begun {
            // Its number is wanted again.
            let _ = fs::remove_file(&log.path);
            return Err(error);
        }
        Ok(log)
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Adds a batch, which lasts once it is committed.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        self.framer.add(self.number, batch, &mut self.waiting)
    }

    /// Makes everything last that was added. Where that fails, nothing of it was ever there.
    pub fn commit(&mut self, house: &House) -> Result<()> {
        let done = retry(house, || self.write());
        self.waiting.clear();
        done
    }

    fn write(&mut self) -> Result<()> {
        let done = self.file.write_all(&self.waiting).and_then(|()| self.file.sync_data());
        if let Err(error) = done {
            let back =
                self.file.set_len(self.length).and_then(|()| self.file.seek(SeekFrom::Start(self.length)));
            // If not even that works, the next commit fails, too.
            let _ = back.and_then(|_| self.file.sync_data());
            return Err(error).on("write", &self.path);
        }
        self.length += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }
}

/// Where the log of this number lies.
pub(crate) fn path_of(table: &Path, number: u64) -> PathBuf {
    table.join(DIRECTORY).join(format!("{number}.log"))
}

/// The number of a log; none where it is no log's name.
pub(crate) fn number_of(path: &Path) -> Option<u64> {
    let text = path.file_name()?.to_str()?.strip_suffix(".log")?;
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

/// Takes a log away whose records are in segments; one that has gone may have to be made to stay so.
pub(crate) fn remove(table: &Path, number: u64) -> Result<()> {
    let path = path_of(table, number);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).on("remove", &path)?,
        _ => sync_directory(&table.join(DIRECTORY)),
    }
}

/// The version of a log, and what comes after its first bytes.
fn begun<'b>(bytes: &'b [u8], path: &Path) -> Result<(SchemaVersion, &'b [u8])> {
    if let Some(rest) = bytes.strip_prefix(MAGIC) {
        return Ok((SchemaVersion::TODAY, rest));
    }
    if let Some(rest) = FIRST.iter().find_map(|magic| bytes.strip_prefix(*magic)) {
        return Ok((SchemaVersion::FIRST, rest));
    }
    match bytes.strip_prefix(b"WEIRLOG").and_then(<[u8]>::first) {
        Some(number @ b'4'..=b'9') => Err(Error::Later {
            path: path.to_owned(),
            what: format!("version {} of logs", char::from(*number)),
        }),
        _ => Err(Error::Damaged { path: path.to_owned(), what: "it does not begin as a log does".into() }),
    }
}

/// A log that is read. What is added to it later is read, too, and it stays there for its reader when it goes.
#[derive(Debug)]
pub(crate) struct Opened {
    pub number: u64,
    pub path: PathBuf,
    file: File,
}

/// Makes the directory of logs, and brings those there that lie where they lay once.
pub(crate) fn move_in(table: &Path) -> Result<()> {
    let (directory, before) = (table.join(DIRECTORY), table.join(BEFORE));
    fs::create_dir_all(&directory).on("create", &directory)?;
    if !before.is_dir() {
        return Ok(());
    }
    for path in entries(&before)? {
        if let Some(number) = number_of(&path) {
            fs::rename(&path, path_of(table, number)).on("move", &path)?;
        }
    }
    sync_directory(&directory)?;
    // Something else may be in it: that is told of with all that is strange.
    let _ = fs::remove_dir(before);
    Ok(())
}

/// Opens the logs of a table, the oldest first. What one held that went meanwhile is in segments.
pub(crate) fn open_all(table: &Path) -> Result<Vec<Opened>> {
    let mut opened: Vec<Opened> = Vec::new();
    // In this order: what moves in meanwhile is found there, and is not opened twice.
    for path in [entries(&table.join(BEFORE))?, entries(&table.join(DIRECTORY))?].concat() {
        let Some(number) = number_of(&path) else { continue };
        if opened.iter().any(|log| log.number == number) {
            continue;
        }
        match File::open(&path) {
            Ok(file) => opened.push(Opened { number, path, file }),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(Error::File { what: "open", path, source }),
        }
    }
    opened.sort_by_key(|log| log.number);
    Ok(opened)
}

/// What was read back of a log.
pub(crate) struct Found {
    /// As they would be written today.
    pub batches: Vec<RecordBatch>,
    /// Bytes at its end that were never finished: nobody was told that they last.
    pub unfinished: usize,
    /// Bytes before intact frames that are not readable.
    pub unreadable: usize,
}

impl Opened {
    /// Reads it, once. It is of this table.
    pub fn read(&self, table: &Table) -> Result<Found> {
        let (mut bytes, mut file) = (Vec::new(), &self.file);
        file.read_to_end(&mut bytes).on("read", &self.path)?;
        let mut found = Found { batches: Vec::new(), unfinished: 0, unreadable: 0 };
        // One that was being begun.
        if bytes.len() < MAGIC.len() {
            return Ok(found);
        }
        let (version, mut rest) = begun(&bytes, &self.path)?;
        loop {
            let read = match read_frame(self.number, rest) {
                Next::Batch(batch, length) => {
                    found.batches.push(version.update(table, batch)?);
                    length
                }
                Next::Damaged(length) => {
                    found.unreadable += length;
                    length
                }
                Next::End => break,
            };
            rest = &rest[read..];
        }
        found.unfinished = rest.len();
        Ok(found)
    }
}
