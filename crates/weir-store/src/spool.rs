//! What waits for somebody who does not take it now: records in files, in the order in which they came.
//!
//! ```text
//! DIR/17.spool: "WEIRSPL1" | how far it was taken, u64 little-endian | frames as in logs
//! ```
//! Frames are only ever added. What was taken is only noted, in place: after a loss of power that may be an older note, and
//! what was taken since comes once more.

#[cfg(test)]
mod tests;
mod whole;

use crate::compact::{Nulls, project};
use crate::error::On;
use crate::rows::flow_records;
use crate::segment::sync_directory;
use crate::store::entries;
use crate::table::Table;
use crate::wal::{Framer, Next, read_frame};
use crate::{Result, flow_batch};
use arrow_array::RecordBatch;
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;
use weir_record::FlowRecord;

const MAGIC: &[u8; 8] = b"WEIRSPL1";
/// That, and how far it was taken.
const HEADER: u64 = 16;
/// The number that the first file has; those before are for what has to come before others.
const FIRST: u64 = 1 << 32;
/// A file that is longer gets no more frames, where nothing else was asked for: it goes once all of it was taken.
const LONG: u64 = 4 << 20;

/// A queue of records on disk.
#[derive(Debug)]
pub struct Spool {
    directory: PathBuf,
    /// What all files may be long together.
    capacity: u64,
    /// A file that is longer gets no more frames.
    long: u64,
    files: VecDeque<Part>,
    /// The last one, while it grows.
    tail: Option<File>,
    /// When that was begun.
    begun: Instant,
    /// The first one, while it is taken.
    head: Option<Vec<u8>>,
    /// How long the frame is that was read last.
    first: usize,
    /// Records of the file that was read last.
    read: u64,
    framer: Framer,
    /// Whether something was added since the last [`sync`](Self::sync).
    is_dirty: bool,
    damaged: u64,
}

/// One file.
#[derive(Debug)]
struct Part {
    number: u64,
    length: u64,
    taken: u64,
    /// Records of each frame that was not taken.
    frames: VecDeque<u32>,
}

impl Spool {
    /// Opens it, or begins one. What a former owner has left comes first.
    ///
    /// # Errors
    /// The directory cannot be made, or a file not be read.
    pub fn open(directory: &Path, capacity: u64) -> Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).on("create", directory)?;
        directory.parent().map_or(Ok(()), sync_directory)?;
        let mut spool = Self {
            directory: directory.to_owned(),
            capacity,
            long: LONG,
            files: VecDeque::new(),
            tail: None,
            begun: Instant::now(),
            head: None,
            first: 0,
            read: 0,
            framer: Framer::default(),
            is_dirty: false,
            damaged: 0,
        };
        let mut numbers: Vec<_> = entries(directory)?.iter().filter_map(|path| number_of(path)).collect();
        numbers.sort_unstable();
        for number in numbers {
            spool.find(number)?;
        }
        Ok(spool)
    }

    /// Looks what is in a file that is there already.
    fn find(&mut self, number: u64) -> Result<()> {
        let path = path_of(&self.directory, number);
        let bytes = fs::read(&path).on("read", &path)?;
        let (wanted, length) = (taken(&bytes).unwrap_or(HEADER), bytes.len() as u64);
        let mut part = Part { number, length, taken: HEADER, frames: VecDeque::new() };
        let mut at = HEADER;
        loop {
            // A note that leads to the middle of a frame is none.
            if at == wanted {
                (part.taken, part.frames) = (at, VecDeque::new());
            }
            match read_frame(number, bytes.get(at as usize..).unwrap_or_default()) {
                Next::Batch(batch, length) => {
                    part.frames.push_back(batch.num_rows() as u32);
                    at += length as u64;
                }
                // How many records it had it does not say: one at least.
                Next::Damaged(length) => (self.damaged, at) = (self.damaged + 1, at + length as u64),
                // The rest was never finished: whoever gave it was not told that it is here.
                Next::End => break,
            }
        }
        if part.frames.is_empty() {
            return fs::remove_file(&path).on("remove", &path);
        }
        self.files.push_back(part);
        Ok(())
    }

    /// Records that wait.
    pub fn records(&self) -> u64 {
        self.files.iter().flat_map(|part| &part.frames).map(|records| u64::from(*records)).sum()
    }

    /// What all files are long together.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|part| part.length).sum()
    }

    /// What they may be long.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Records that could not be read back, and so are gone.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.files.iter().all(|part| part.frames.is_empty())
    }

    /// Adds records, all or none: false where there is no room for them.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn add(&mut self, records: &[FlowRecord]) -> Result<bool> {
        if records.is_empty() {
            return Ok(true);
        }
        if self.files.back().is_none_or(|part| part.length >= self.long) {
            self.sync()?;
            self.tail = None;
        }
        let number = match (&self.tail, self.files.back()) {
            (Some(_), Some(part)) => part.number,
            (_, last) => last.map_or(FIRST, |part| part.number + 1),
        };
        let mut frame = Vec::new();
        self.framer.add(number, &flow_batch(records)?, &mut frame)?;
        if self.bytes() + frame.len() as u64 > self.capacity {
            return Ok(false);
        }
        self.append(number, &frame)?;
        if let Some(part) = self.files.back_mut() {
            part.length += frame.len() as u64;
            part.frames.push_back(records.len() as u32);
        }
        self.is_dirty = true;
        Ok(true)
    }

    /// Adds records before all others, however much there is. They last.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn add_first(&mut self, records: &[FlowRecord]) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let number = self.files.front().map_or(FIRST, |part| part.number) - 1;
        let mut frame = Vec::new();
        self.framer.add(number, &flow_batch(records)?, &mut frame)?;
        let file = self.begin(number)?;
        let written = file.write_all_at(&frame, HEADER).and_then(|()| file.sync_data());
        written.on("write", &path_of(&self.directory, number))?;
        let (length, frames) = (HEADER + frame.len() as u64, VecDeque::from([records.len() as u32]));
        self.files.push_front(Part { number, length, taken: HEADER, frames });
        (self.head, self.first) = (None, 0);
        Ok(())
    }

    /// Writes a frame to the file of this number, which may have to be begun.
    fn append(&mut self, number: u64, frame: &[u8]) -> Result<()> {
        if self.tail.is_none() {
            let file = self.begin(number)?;
            self.files.push_back(Part { number, length: HEADER, taken: HEADER, frames: VecDeque::new() });
            (self.tail, self.begun) = (Some(file), Instant::now());
        }
        let length = self.files.back().map_or(HEADER, |part| part.length);
        let Some(file) = &self.tail else { return Ok(()) };
        // Where it fails, the next one is written over what there is of this one.
        file.write_all_at(frame, length).on("write", &path_of(&self.directory, number))
    }

    /// A file of this number, with nothing in it.
    fn begin(&self, number: u64) -> Result<File> {
        let path = path_of(&self.directory, number);
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        let file = file.on("create", &path)?;
        file.write_all_at(&[&MAGIC[..], &HEADER.to_le_bytes()].concat(), 0).on("write", &path)?;
        sync_directory(&self.directory)?;
        Ok(file)
    }

    /// Makes last what was added.
    ///
    /// # Errors
    /// It cannot be.
    pub fn sync(&mut self) -> Result<()> {
        if let (true, Some(file), Some(part)) = (self.is_dirty, &self.tail, self.files.back()) {
            file.sync_data().on("write", &path_of(&self.directory, part.number))?;
        }
        self.is_dirty = false;
        Ok(())
    }

    /// The records that were added first of those that wait. They stay until they are [taken](Self::take).
    ///
    /// # Errors
    /// They cannot be read now.
    pub fn first(&mut self) -> Result<Option<Vec<FlowRecord>>> {
        loop {
            let Some(part) = self.files.front() else { return Ok(None) };
            if part.frames.is_empty() {
                self.remove_first()?;
                continue;
            }
            let path = path_of(&self.directory, part.number);
            self.close_first()?;
            let (number, taken) = match self.files.front() {
                Some(part) => (part.number, part.taken),
                None => return Ok(None),
            };
            if self.head.is_none() {
                match fs::read(&path) {
                    // Somebody has taken it away.
                    Err(error) if error.kind() == ErrorKind::NotFound => self.lose_first(),
                    read => self.head = Some(read.on("read", &path)?),
                }
            }
            let bytes = self.head.as_deref().and_then(|bytes| bytes.get(taken as usize..));
            match read_frame(number, bytes.unwrap_or_default()) {
                Next::Batch(batch, length) => {
                    self.first = length;
                    let records = records_of(&batch)?;
                    self.damaged += (batch.num_rows() - records.len()) as u64;
                    return Ok(Some(records));
                }
                Next::Damaged(length) => self.skip(length as u64),
                Next::End => self.lose_first(),
            }
        }
    }

    /// What is taken does not grow any more.
    fn close_first(&mut self) -> Result<()> {
        if self.files.len() == 1 && self.tail.is_some() {
            self.sync()?;
            self.tail = None;
        }
        Ok(())
    }

    /// What lies there cannot be read; the frames after it can.
    fn skip(&mut self, length: u64) {
        let Some(part) = self.files.front_mut() else { return };
        let after = self.head.as_deref().and_then(|bytes| bytes.get((part.taken + length) as usize..));
        let left = frames_in(part.number, after.unwrap_or_default());
        while part.frames.len() > left {
            self.damaged += u64::from(part.frames.pop_front().unwrap_or(0));
        }
        part.taken += length;
    }

    /// Nothing of what is left of the first file can be read.
    fn lose_first(&mut self) {
        if let Some(part) = self.files.front_mut() {
            self.damaged += part.frames.drain(..).map(u64::from).sum::<u64>();
        }
    }

    /// The [first](Self::first) ones are where they should be.
    ///
    /// # Errors
    /// That cannot be noted: after a restart they come once more.
    pub fn take(&mut self) -> Result<()> {
        let length = std::mem::take(&mut self.first);
        let Some(part) = self.files.front_mut().filter(|_| length > 0) else { return Ok(()) };
        part.taken += length as u64;
        part.frames.pop_front();
        if part.frames.is_empty() {
            return self.remove_first();
        }
        let path = path_of(&self.directory, part.number);
        let file = OpenOptions::new().write(true).open(&path).on("open", &path)?;
        file.write_all_at(&part.taken.to_le_bytes(), MAGIC.len() as u64).on("write", &path)
    }

    fn remove_first(&mut self) -> Result<()> {
        self.head = None;
        let Some(part) = self.files.pop_front() else { return Ok(()) };
        if self.files.is_empty() {
            self.tail = None;
        }
        let path = path_of(&self.directory, part.number);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error).on("remove", &path),
            _ => Ok(()),
        }
    }
}

fn records_of(batch: &RecordBatch) -> Result<Vec<FlowRecord>> {
    let whole = project(Table::flows().schema(), batch, &mut Nulls::default())?;
    Ok(flow_records(&whole).flatten().collect())
}

fn frames_in(number: u64, mut bytes: &[u8]) -> usize {
    let mut frames = 0;
    loop {
        match read_frame(number, bytes) {
            Next::Batch(_, length) => (frames, bytes) = (frames + 1, &bytes[length..]),
            Next::Damaged(length) => bytes = &bytes[length..],
            Next::End => return frames,
        }
    }
}

fn path_of(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number}.spool"))
}

fn number_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_suffix(".spool")?.parse().ok()
}

/// How far a file was taken.
fn taken(bytes: &[u8]) -> Option<u64> {
    let header = bytes.strip_prefix(MAGIC)?.get(..8)?;
    Some(u64::from_le_bytes(header.try_into().ok()?))
}
