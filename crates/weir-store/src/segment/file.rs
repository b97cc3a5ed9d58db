//! A segment's file: what is read of it is compared with its checksums before anybody sees it.

use super::checksum::{Sums, sum};
use super::read::Segment;
use crate::error::On;
use crate::table::Table;
use crate::version::SchemaVersion;
use crate::{Error, Result};
use arrow_schema::Schema;
use bytes::{Buf, Bytes};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// The end of every Parquet file: how long the footer is, and that it is one.
const END: u64 = 8;
/// What is read ahead by those who do not say how much they need: headers of pages, which are short.
const AHEAD: u64 = 8 << 10;

/// A segment that was opened. Its parts are compared with their checksums when they are first read; a segment of a schema
/// before version 3 has none of its parts.
#[derive(Debug, Clone)]
pub struct SegmentFile(Arc<Opened>);

/// What an opened segment is known to be, for those who open it again: they need not compare it once more.
#[derive(Debug, Clone)]
pub struct Known(pub(super) Option<Arc<Sums>>);

#[derive(Debug)]
struct Opened {
    file: File,
    path: PathBuf,
    length: u64,
    /// What the name says that the tail adds up to.
    checksum: u32,
    sums: Option<Arc<Sums>>,
    /// What comes after the blocks, once it was read.
    tail: OnceLock<Bytes>,
}

impl SegmentFile {
    /// Opens it, and compares what it says of itself with its name.
    pub(super) fn open(segment: &Segment) -> Result<Self> {
        let mut opened = Opened::open(segment)?;
        opened.sums = Sums::find(&opened.footer()?).map(Arc::new);
        if let Some(sums) = &opened.sums {
            opened.tail(sums)?;
        }
        Ok(Self(Arc::new(opened)))
    }

    /// Opens one that is open already.
    pub(super) fn again(segment: &Segment, known: &Known) -> Result<Self> {
        Ok(Self(Arc::new(Opened { sums: known.0.clone(), ..Opened::open(segment)? })))
    }

    /// What of it has been compared, from now on, too.
    pub fn known(&self) -> Known {
        Known(self.0.sums.clone())
    }

    /// Whether its parts have checksums.
    pub(super) fn has_sums(&self) -> bool {
        self.0.sums.is_some()
    }

    /// The version of it as a segment of this table, by its schema.
    ///
    /// # Errors
    /// It is of another table, from a later weir, or damaged.
    pub fn version(&self, schema: &Schema, table: &Table) -> Result<SchemaVersion> {
        let version = SchemaVersion::known(schema, table, &self.0.path)?;
        if version >= SchemaVersion::SUMMED && !self.has_sums() {
            return Err(self.0.damaged("the checksums of its parts are gone"));
        }
        Ok(version)
    }

    /// These bytes, as they were written.
    ///
    /// # Errors
    /// They cannot be read, or are others.
    pub fn read(&self, range: Range<u64>) -> Result<Bytes> {
        self.0.read(range)
    }

    /// Reads all of it.
    pub(super) fn check(&self) -> Result<()> {
        const STEP: u64 = 1 << 20;
        let end = self.0.sums.as_ref().map_or(0, |sums| sums.covered);
        let mut starts = (0..end).step_by(STEP as usize);
        starts.try_for_each(|start| self.read(start..end.min(start + STEP)).map(drop))
    }

    /// That something of it that was read is damaged, whatever became of that.
    pub(super) fn damage(&self) -> Option<Error> {
        let at = self.0.sums.as_ref()?.damaged.get()?;
        Some(self.0.damaged_at(*at))
    }

    /// What goes wrong with reading it: the damage, where some was found.
    pub(super) fn wrong(&self, what: &impl ToString) -> Error {
        self.damage().unwrap_or_else(|| self.0.damaged(what.to_string()))
    }
}

impl Opened {
    fn open(segment: &Segment) -> Result<Self> {
        let path = segment.path.clone();
        let file = File::open(&path).on("open", &path)?;
        let length = file.metadata().on("look at", &path)?.len();
        Ok(Self { file, path, length, checksum: segment.name.checksum(), sums: None, tail: OnceLock::new() })
    }

    fn damaged(&self, what: impl Into<String>) -> Error {
        Error::Damaged { path: self.path.clone(), what: what.into() }
    }

    fn damaged_at(&self, at: u64) -> Error {
        self.damaged(format!("the bytes at {at} are not those that were written"))
    }

    /// What is there, right or wrong.
    fn bytes(&self, range: Range<u64>) -> Result<Bytes> {
        // What a damaged footer asks for may be more than any memory.
        if range.start > range.end || range.end > self.length {
            return Err(self.damaged(format!("it ends before {}", range.end)));
        }
        let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut bytes, range.start).on("read", &self.path)?;
        Ok(bytes.into())
    }

    /// Nothing vouches for it.
    fn footer(&self) -> Result<Bytes> {
        let too_short = || self.damaged("it is too short");
        let end = self.length.checked_sub(END).ok_or_else(too_short)?;
        let last = self.bytes(end..self.length)?;
        let Some((length, b"PAR1")) = last.split_first_chunk() else {
            return Err(self.damaged("it does not end as Parquet does"));
        };
        let begin = end.checked_sub(u32::from_le_bytes(*length).into()).ok_or_else(too_short)?;
        self.bytes(begin..end)
    }

    fn tail(&self, sums: &Sums) -> Result<&Bytes> {
        if let Some(tail) = self.tail.get() {
            return Ok(tail);
        }
        let tail = self.bytes(sums.covered..self.length)?;
        if sum(&tail) != self.checksum {
            return Err(self.damaged("its checksum is another"));
        }
        Ok(self.tail.get_or_init(|| tail))
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let Some(sums) = &self.sums else { return self.bytes(range) };
        if range.start > range.end || range.end > self.length {
            return Err(self.damaged(format!("it ends before {}", range.end)));
        }
        // Some readers do without what cannot be read, as a Bloom filter: the whole file is damaged.
        if let Some(at) = sums.damaged.get() {
            return Err(self.damaged_at(*at));
        }
        let split = sums.covered.clamp(range.start, range.end);
        let (blocks, tail) = (range.start..split, split..range.end);
        if tail.is_empty() {
            return self.covered(sums, blocks);
        }
        let tail = part(self.tail(sums)?, &tail, sums.covered);
        if blocks.is_empty() {
            return Ok(tail);
        }
        Ok([self.covered(sums, blocks)?, tail].concat().into())
    }

    fn covered(&self, sums: &Sums, range: Range<u64>) -> Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let widened = sums.widened(&range);
        let bytes = self.bytes(widened.clone())?;
        sums.compare(widened.start, &bytes).map_err(|at| self.damaged_at(at))?;
        Ok(part(&bytes, &range, widened.start))
    }
}

/// A range of a file, of bytes that begin there in it.
fn part(bytes: &Bytes, range: &Range<u64>, begin: u64) -> Bytes {
    let place = |at: u64| usize::try_from(at - begin).unwrap_or(usize::MAX);
    bytes.slice(place(range.start)..place(range.end))
}

fn told(error: Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

impl Length for SegmentFile {
    fn len(&self) -> u64 {
        self.0.length
    }
}

impl ChunkReader for SegmentFile {
    type T = Rest;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Rest> {
        Ok(Rest { file: self.clone(), at: start, ahead: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        self.read(start..start.saturating_add(length as u64)).map_err(told)
    }
}

/// A segment from some place on.
pub struct Rest {
    file: SegmentFile,
    at: u64,
    ahead: Bytes,
}

impl Read for Rest {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.ahead.is_empty() {
            let end = (self.at + AHEAD).min(self.file.0.length).max(self.at);
            self.ahead = self.file.read(self.at..end).map_err(io::Error::other)?;
            self.at = end;
        }
        let count = into.len().min(self.ahead.len());
        self.ahead.copy_to_slice(&mut into[..count]);
        Ok(count)
    }
}
