//! The writer of a table: batches in, a log that lasts, segments for readers.

use crate::Result;
use crate::error::Error;
use crate::keeper::{House, retry};
use crate::ledger::Marks;
use crate::recovery::publish;
use crate::table::Table;
use crate::wal::{self, Log};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use jiff::civil::Date;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long it is held at most.
const SEGMENT_AGE: Duration = Duration::from_secs(300);
/// How many segments' worth is held at most when they cannot be written.
const HELD_SEGMENTS: usize = 2;
/// How long to wait after that before it is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// The one writer of a table.
pub struct Writer {
    house: Arc<House>,
    table: &'static Table,
    directory: PathBuf,
    next_log: u64,
    log: Option<Log>,
    /// Of the last batch.
    schema: Option<SchemaRef>,
    /// In the log, but not committed.
    open: Vec<RecordBatch>,
    /// Committed: what the next segment is made of.
    held: Vec<RecordBatch>,
    held_bytes: usize,
    /// What could not be made into segments yet; comes before what is held.
    sealed: Option<Sealed>,
    since: Instant,
    not_before: Instant,
    /// Committed since the store was opened.
    rows: u64,
    /// Who is told where logs begin, and says when they may go.
    marks: Option<Marks>,
}

/// A log to which nothing is added any more. One that went on while some of its days are in segments would have records
/// that its number says are there.
struct Sealed {
    number: u64,
    batches: Vec<RecordBatch>,
    bytes: usize,
    /// Committed up to its end.
    rows: u64,
    /// The days that are in segments.
    there: BTreeSet<Date>,
}

impl Writer {
    pub(crate) fn new(house: Arc<House>, table: &'static Table, next_log: u64) -> Self {
        let directory = house.directory.join(table.name);
        let now = Instant::now();
        Self {
            house,
            table,
            directory,
            next_log,
            log: None,
            schema: None,
            open: Vec::new(),
            held: Vec::new(),
            held_bytes: 0,
            sealed: None,
            since: now,
            not_before: now,
            rows: 0,
            marks: None,
        }
    }

    /// From now on logs stay until it is said that they may go; and the store's directory.
    pub(crate) fn mark(&mut self) -> (PathBuf, Marks) {
        let marks = Marks::new(&self.directory);
        self.marks = Some(marks.clone());
        (self.house.directory.clone(), marks)
    }

    /// Takes a batch. It lasts once [`commit`](Self::commit) has said so.
    ///
    /// # Errors
    /// The log cannot be begun, or memory is full of what could not be written.
    pub fn append(&mut self, batch: RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        if self.held_bytes + self.sealed.as_ref().map_or(0, |sealed| sealed.bytes)
            >= HELD_SEGMENTS * self.table.memory
        {
            return Err(Error::Full { path: self.directory.clone() });
        }
        let batch = self.alike(batch)?;
        self.log()?.add(&batch)?;
        self.open.push(batch);
        Ok(())
    }

    /// With the schema of the batch before where that is the same: there may be hundreds, and each is as large as a small
    /// batch.
    fn alike(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        match &self.schema {
            Some(schema) if schema == batch.schema_ref() => Ok(batch.with_schema(Arc::clone(schema))?),
            _ => {
                self.schema = Some(batch.schema());
                Ok(batch)
            }
        }
    }

    fn log(&mut self) -> Result<&mut Log> {
        let log = match self.log.take() {
            Some(log) => log,
            None => {
                let begun = retry(&self.house, || Log::begin(&self.directory, self.next_log))?;
                if let Some(marks) = &self.marks {
                    marks.begin(self.next_log, self.rows);
                }
                self.next_log += 1;
                self.since = Instant::now();
                begun
            }
        };
        Ok(self.log.insert(log))
    }

    /// Makes everything last that was appended: after `Ok` it is there once, whatever happens. Writes a segment when
    /// one is due; call it now and then even if nothing was appended.
    ///
    /// # Errors
    /// What was appended since the last call is lost; what was committed is not.
    pub fn commit(&mut self) -> Result<()> {
        self.commit_log()?;
        let now = Instant::now();
        let is_full = self.held_bytes >= self.table.memory || now - self.since >= SEGMENT_AGE;
        let is_due = self.sealed.is_some() || (is_full && !self.held.is_empty());
        if is_due && now >= self.not_before && self.write_segment().is_err() {
            // The log has it all. If it stays so, memory fills, and that is said.
            self.not_before = now + RETRY;
        }
        Ok(())
    }

    fn commit_log(&mut self) -> Result<()> {
        let open = std::mem::take(&mut self.open);
        if !open.is_empty()
            && let Some(log) = &mut self.log
        {
            log.commit(&self.house)?;
            self.rows += open.iter().map(|batch| batch.num_rows() as u64).sum::<u64>();
            self.held_bytes += open.iter().map(RecordBatch::get_array_memory_size).sum::<usize>();
            self.held.extend(open);
        }
        Ok(())
    }

    /// Makes everything last that was appended, makes segments of what is held, and takes the log away.
    ///
    /// # Errors
    /// It could not be written. What was committed is in the log, and the next agent makes a segment of it.
    pub fn write_segment(&mut self) -> Result<()> {
        self.commit_log()?;
        self.write_sealed()?;
        let Some(log) = self.log.take() else { return Ok(()) };
        let batches = std::mem::take(&mut self.held);
        let bytes = std::mem::take(&mut self.held_bytes);
        let (number, rows, there) = (log.number(), self.rows, BTreeSet::new());
        self.sealed = Some(Sealed { number, batches, bytes, rows, there });
        self.write_sealed()
    }

    fn write_sealed(&mut self) -> Result<()> {
        let Some(sealed) = &mut self.sealed else { return Ok(()) };
        let (number, rows) = (sealed.number, sealed.rows);
        retry(&self.house, || {
            publish(self.table, &self.directory, number, &sealed.batches, &mut sealed.there).map(drop)
        })?;
        (sealed.batches, sealed.bytes) = (Vec::new(), 0);
        match &self.marks {
            Some(marks) => marks.leave(number, rows)?,
            None => wal::remove(&self.directory, number)?,
        }
        self.sealed = None;
        Ok(())
    }
}
