//! What is in logs and in no segment yet, as readers see it.

use crate::recovery::days_of;
use crate::segment::{Question, Segment, by_day, times, within};
use crate::table::Table;
use crate::wal::Opened;
use crate::{Error, Result, predicate};
use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use std::path::{Path, PathBuf};

/// Records of logs that no segment stands for, as the logs have them: whole they take three times the memory.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    parts: Vec<std::result::Result<RecordBatch, Trouble>>,
}

/// What is wrong with a log, told as often as somebody asks.
#[derive(Debug)]
struct Trouble {
    path: PathBuf,
    what: String,
    is_later: bool,
}

impl Recent {
    /// Reads these logs. The segments have to be listed after the logs were opened: of a day for which there is one of
    /// the log's number they have all.
    pub fn read(table: &Table, logs: &[Opened], segments: &[Segment]) -> Self {
        let mut recent = Self::default();
        for log in logs {
            let trouble = recent.take(table, log, segments);
            recent.parts.extend(trouble.err().map(|error| Err(Trouble::of(&log.path, error))));
        }
        recent
    }

    fn take(&mut self, table: &Table, log: &Opened, segments: &[Segment]) -> Result<()> {
        let found = log.read(table)?;
        let there = days_of(log.number, segments);
        for batch in &found.batches {
            for (_, part) in by_day(table, batch)?.into_iter().filter(|(day, _)| !there.contains(day)) {
                self.parts.push(Ok(part));
            }
        }
        if found.unreadable > 0 {
            let what = format!("{} bytes in it are unreadable", found.unreadable);
            return Err(Error::Damaged { path: log.path.clone(), what });
        }
        Ok(())
    }

    /// Batches, and what is wrong, in order.
    pub fn parts(&self) -> impl Iterator<Item = Result<&RecordBatch>> {
        self.parts.iter().map(|part| part.as_ref().map_err(Trouble::told))
    }
}

impl Trouble {
    fn of(log: &Path, error: Error) -> Self {
        let is_later = matches!(error, Error::Later { .. });
        let what = match error {
            Error::Damaged { what, .. } | Error::Later { what, .. } => what,
            other => other.to_string(),
        };
        Self { path: log.to_owned(), what, is_later }
    }

    fn told(&self) -> Error {
        let (path, what) = (self.path.clone(), self.what.clone());
        if self.is_later { Error::Later { path, what } } else { Error::Damaged { path, what } }
    }
}

/// The rows of `wanted` that are asked for; they are those of `whole`, with columns of their own.
pub(crate) fn matching(
    table: &Table,
    question: &Question,
    whole: &RecordBatch,
    wanted: &RecordBatch,
) -> Result<RecordBatch> {
    let mut mask = within(times(table, whole)?, &question.times);
    if let Some(filter) = &question.filter {
        mask = &mask & predicate::mask(filter, whole).values();
    }
    Ok(filter_record_batch(wanted, &BooleanArray::new(mask, None))?)
}
