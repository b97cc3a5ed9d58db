//! The write-ahead log: what was acknowledged and is in no segment yet.
//!
//! A log is a file, `TABLE/log/17.log`. Frames are only ever added to it; once its records are in segments it goes.

mod frame;

use crate::error::On;
use crate::keeper::{House, retry};
use crate::segment::sync_directory;
use crate::{Error, Result};
use arrow_array::RecordBatch;
use frame::{Framer, Next};
use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Where logs lie in a table's directory.
pub(crate) const DIRECTORY: &str = "log";
const MAGIC: &[u8; 8] = b"WEIRLOG1";

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

/// Takes a log away whose records are in segments.
pub(crate) fn remove(table: &Path, number: u64) -> Result<()> {
    let path = path_of(table, number);
    fs::remove_file(&path).on("remove", &path)?;
    sync_directory(&table.join(DIRECTORY))
}

/// What was read back of a log.
pub(crate) struct Found {
    pub batches: Vec<RecordBatch>,
    /// Bytes at its end that were never finished: nobody was told that they last.
    pub unfinished: usize,
    /// Bytes before intact frames that are not readable.
    pub unreadable: usize,
}

/// Reads a log back.
pub(crate) fn read(path: &Path, number: u64) -> Result<Found> {
    let bytes = fs::read(path).on("read", path)?;
    let mut found = Found { batches: Vec::new(), unfinished: 0, unreadable: 0 };
    // One that was being begun.
    if bytes.len() < MAGIC.len() {
        return Ok(found);
    }
    let Some(mut rest) = bytes.strip_prefix(MAGIC.as_slice()) else {
        return Err(Error::Damaged { path: path.to_owned(), what: "it does not begin as a log does".into() });
    };
    loop {
        let read = match frame::read(number, rest) {
            Next::Batch(batch, length) => {
                found.batches.push(batch);
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
