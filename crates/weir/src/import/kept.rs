//! The history that is imported into.

use crate::run::{WORD, say};
use anyhow::{Result, anyhow};
use std::io;
use std::path::Path;
use weir_record::FlowRecord;
use weir_store::{Error, Keeper, Opened, Retention, Table, WhenFull, Writer, flow_batch};

/// Records that become a batch of columns.
const BATCH: usize = 16_384;

/// The directory, in the hands of its one writer. It deletes nothing: neither what is old, which imports mostly are, nor
/// to make room.
pub struct Kept {
    writer: Writer,
    waiting: Vec<FlowRecord>,
    // Dropped last: the directory is free then.
    _keeper: Keeper,
}

impl Kept {
    /// Takes the directory.
    ///
    /// # Errors
    /// An agent writes there, or it cannot be used.
    pub fn open(directory: &Path) -> Result<Self> {
        let retention = Retention { when_full: WhenFull::Stop, ..Retention::default() };
        let tell = Box::new(|line: String| say(&line));
        let opened = Keeper::open_after(directory, vec![Table::flows()], retention, tell, WORD);
        let Opened { mut writers, remarks, keeper } = opened.map_err(refused)?;
        remarks.iter().for_each(|remark| say(remark));
        let writer = writers.pop().ok_or_else(|| anyhow!("the history has no table of flows"))?;
        Ok(Self { writer, waiting: Vec::new(), _keeper: keeper })
    }

    /// Takes a record.
    pub fn add(&mut self, record: FlowRecord) -> io::Result<()> {
        self.waiting.push(record);
        if self.waiting.len() >= BATCH { self.write() } else { Ok(()) }
    }

    /// Makes what was taken last.
    pub fn write(&mut self) -> io::Result<()> {
        let batch = flow_batch(&self.waiting).map_err(io::Error::other)?;
        self.waiting.clear();
        self.writer.append(batch).and_then(|()| self.writer.commit()).map_err(io::Error::other)
    }

    /// Makes files of it that any tool can read.
    pub fn finish(mut self) -> io::Result<()> {
        self.write()?;
        self.writer.write_segment().map_err(io::Error::other)
    }
}

fn refused(error: Error) -> anyhow::Error {
    match error {
        Error::Taken { path, holder } => anyhow!(
            "another process writes in {shown}{holder}: import into a directory of its own, and ask there with `weir flows --data-dir`",
            shown = path.display()
        ),
        other => other.into(),
    }
}
