//! Where in its logs a writer is.

use crate::{Result, wal};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Logs that wait at most. A disk that takes no books does not fill with logs, too.
const WAITING: usize = 16;

/// A place in a table's logs: what comes after it, in this log and in later ones, came later.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The log's number; smaller than that of every log where none had begun.
    pub log: u64,
    /// Rows of it that are before this place.
    pub rows: u64,
}

/// What a writer says of its logs, and what it is told.
#[derive(Clone)]
pub(crate) struct Marks {
    table: PathBuf,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    /// Logs with how many rows there were before each: the last that is known to be in the books, and those after it.
    begun: VecDeque<(u64, u64)>,
    /// Logs that segments stand for, with how many rows there were at the end of each.
    waiting: VecDeque<(u64, u64)>,
}

impl Marks {
    /// Of the table in this directory.
    pub fn new(table: &Path) -> Self {
        Self { table: table.to_owned(), known: Arc::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A log begins after so many rows.
    pub fn begin(&self, log: u64, rows: u64) {
        self.known().begun.push_back((log, rows));
    }

    /// All of a log is in segments, which made so many rows up to its end. It goes when these are in the books.
    pub fn leave(&self, log: u64, rows: u64) -> Result<()> {
        let mut known = self.known();
        known.waiting.push_back((log, rows));
        let too_many = known.waiting.len().saturating_sub(WAITING);
        let doomed: Vec<_> = known.waiting.drain(..too_many).collect();
        drop(known);
        self.remove(doomed)
    }

    /// Where so many rows end.
    pub fn place(&self, rows: u64) -> Place {
        let known = self.known();
        let begun = known.begun.iter().rev().find(|(_, before)| *before <= rows);
        begun.map_or_else(Place::default, |(log, before)| Place { log: *log, rows: rows - before })
    }

    /// So many rows are in books that last: logs that hold no others may go.
    pub fn noted(&self, rows: u64) -> Result<()> {
        let mut known = self.known();
        while known.begun.get(1).is_some_and(|(_, before)| *before <= rows) {
            known.begun.pop_front();
        }
        let done = known.waiting.iter().take_while(|(_, end)| *end <= rows).count();
        let doomed: Vec<_> = known.waiting.drain(..done).collect();
        drop(known);
        self.remove(doomed)
    }

    fn remove(&self, logs: Vec<(u64, u64)>) -> Result<()> {
        logs.into_iter().try_for_each(|(log, _)| wal::remove(&self.table, log))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_tests::folder::Folder;

    #[test]
    fn a_place_is_where_so_many_rows_end() {
        let marks = Marks::new(Path::new("nowhere"));
        assert_eq!(marks.place(0), Place { log: 0, rows: 0 });
        marks.begin(7, 0);
        marks.begin(8, 100);
        marks.begin(9, 250);
        for (rows, log, within) in [(0, 7, 0), (99, 7, 99), (100, 8, 0), (249, 8, 149), (300, 9, 50)] {
            assert_eq!(marks.place(rows), Place { log, rows: within }, "{rows}");
        }
        marks.noted(120).expect("nothing is to be removed");
        assert_eq!(marks.place(130), Place { log: 8, rows: 30 });
    }

    #[test]
    fn a_log_stays_until_its_rows_are_in_the_books() {
        let folder = Folder::new("marks");
        let logs = folder.place().join(wal::DIRECTORY);
        std::fs::create_dir(&logs).expect("a directory");
        let there =
            || (1..=40).filter(|log| wal::path_of(folder.place(), *log).exists()).collect::<Vec<u64>>();
        let marks = Marks::new(folder.place());
        let leave = |log: u64| {
            std::fs::write(wal::path_of(folder.place(), log), "").expect("a log");
            marks.leave(log, 100 * log).expect("it may wait");
        };
        (1..=3).for_each(leave);
        marks.noted(199).expect("a log goes");
        assert_eq!(there(), [2, 3]);
        (4..=40).for_each(leave);
        assert_eq!(there().len(), WAITING);
        marks.noted(u64::MAX).expect("all go");
        assert_eq!(there(), [0_u64; 0]);
    }
}
