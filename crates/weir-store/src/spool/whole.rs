//! Whole files of a spool, for who takes much at once: what is in one is the same each time, so that whoever names it by
//! that has it once, however often it is taken there.

use super::{Spool, path_of, records_of};
use crate::Result;
use crate::error::On;
use crate::wal::{Next, read_frame};
use std::fs;
use std::io::ErrorKind;
use std::time::Duration;
use weir_record::FlowRecord;

impl Spool {
    /// With files of this length, for who takes [whole ones](Self::first_file); or of half the room that there is, where that
    /// is less, so that one can be taken before there is none.
    #[must_use]
    pub fn of_files(self, long: u64) -> Self {
        Self { long: long.min(self.capacity / 2), ..self }
    }

    /// Whether there is a first file that is to be taken whole: it gets no more records, or has got them for so long.
    pub fn is_ripe(&self, age: Duration) -> bool {
        match (&self.tail, self.files.front()) {
            _ if self.is_empty() => false,
            (Some(_), Some(part)) if self.files.len() == 1 => {
                part.length >= self.long || self.begun.elapsed() >= age
            }
            _ => true,
        }
    }

    /// All records of the first file, which gets no more: until it is [taken](Self::take_file) they are the same each
    /// time, also after a restart.
    ///
    /// # Errors
    /// It cannot be read now.
    pub fn first_file(&mut self) -> Result<Option<Vec<FlowRecord>>> {
        while !self.files.is_empty() {
            // Also the last one, where those before it were of no use.
            self.close_first()?;
            let Some(part) = self.files.front() else { break };
            let path = path_of(&self.directory, part.number);
            let bytes = match fs::read(&path) {
                // Somebody has taken it away.
                Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
                read => read.on("read", &path)?,
            };
            let records = records_in(part.number, bytes.get(part.taken as usize..).unwrap_or_default())?;
            self.read = records.len() as u64;
            if !records.is_empty() {
                return Ok(Some(records));
            }
            self.take_file()?;
        }
        Ok(None)
    }

    /// The [first file](Self::first_file)'s are where they should be.
    ///
    /// # Errors
    /// It cannot be removed: after a restart they come once more.
    pub fn take_file(&mut self) -> Result<()> {
        let read = std::mem::take(&mut self.read);
        let Some(part) = self.files.front() else { return Ok(()) };
        let held: u64 = part.frames.iter().map(|records| u64::from(*records)).sum();
        self.damaged += held.saturating_sub(read);
        self.remove_first()
    }
}

/// What can be read of these frames.
fn records_in(number: u64, mut bytes: &[u8]) -> Result<Vec<FlowRecord>> {
    let mut records = Vec::new();
    loop {
        match read_frame(number, bytes) {
            Next::Batch(batch, length) => {
                records.extend(records_of(&batch)?);
                bytes = &bytes[length..];
            }
            Next::Damaged(length) => bytes = &bytes[length..],
            Next::End => return Ok(records),
        }
    }
}
