//! The minute of the ledger that is not over: after each interval it is written down, so that an agent that is killed
//! leaves word of what it had seen, and of what it held. The next one closes these windows.
//!
//! `ledger/_open` is one file, replaced as a whole. It says how many flow records had been acknowledged when the books were
//! so. Logs that are in segments stay until it says that of all their records: what was acknowledged after the books were
//! written down is found in logs, whatever the moment of the kill. docs/decisions/0021-open-ledger.md

mod close;
mod file;
mod marks;

pub(crate) use close::close;
pub(crate) use file::NAME;
pub(crate) use marks::Marks;

use crate::table::Table;
use crate::{Result, Rows, Writer};
use file::Written;
use std::io;
use std::path::{Path, PathBuf};
use weir_record::{Account, LedgerWindow};

/// The ledger in the middle of a minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenWindows {
    /// When the windows began that are open, and when this was so.
    pub times: (u64, u64),
    /// The windows that are open; and those that have just ended, until it is known that they last.
    pub windows: Vec<LedgerWindow>,
    /// How many flow records had been acknowledged then, of all since the store was opened.
    pub records: u64,
    /// What the agent has to know to say what was seen after this; see [`Word`].
    pub mark: String,
}

/// Knows what was seen after an agent that was killed wrote its books down, by what it wrote with them and by the directory
/// that it wrote to.
#[derive(Clone, Copy)]
pub struct Word {
    /// What each account had more; none where nobody knows, an error where another may.
    pub seen_since: fn(&Path, &str) -> io::Result<Option<Vec<Account>>>,
    /// It is in books that last.
    pub forget: fn(&Path, &str),
}

impl Word {
    /// Nobody knows.
    pub const NONE: Self = Self { seen_since: |_, _| Ok(None), forget: |_, _| {} };
}

impl OpenWindows {
    /// Whether it is what another says, later.
    fn says(&self, other: &Self) -> bool {
        let of = |one: &Self| (one.times.0, one.records, one.windows.len());
        let mut pairs = self.windows.iter().zip(&other.windows);
        of(self) == of(other) && self.mark == other.mark && pairs.all(|(one, other)| one.added == other.added)
    }
}

/// Where they are written down.
pub struct OpenLedger {
    directory: PathBuf,
    marks: Marks,
    rows: Rows,
    /// What was last written.
    last: Option<OpenWindows>,
}

impl OpenLedger {
    /// Beside the writer of flow records, which leaves its logs where they are from now on until they are in the books.
    pub fn beside(flows: &mut Writer) -> Self {
        let (directory, marks) = flows.mark();
        let (directory, rows) = (directory.join(Table::ledger().name), Rows::new(Table::ledger()));
        Self { directory, marks, rows, last: None }
    }

    /// Writes them down: they last once this has said so. Where nothing has happened since, what was written still holds.
    ///
    /// # Errors
    /// The file could not be written. What it said before is still there.
    pub fn write(&mut self, open: OpenWindows) -> Result<()> {
        if self.last.as_ref().is_some_and(|last| last.says(&open)) {
            return Ok(());
        }
        for window in &open.windows {
            self.rows.push(LedgerWindow::columns().map(|column| (column.read)(window)));
        }
        let (times, place, mark) = (open.times, self.marks.place(open.records), open.mark.clone());
        file::write(&self.directory, Written { rows: self.rows.batch()?, times, place, mark })?;
        self.marks.noted(open.records)?;
        self.last = Some(open);
        Ok(())
    }

    /// Nothing is open any more: all windows are rows of the ledger.
    ///
    /// # Errors
    /// A file could not be removed.
    pub fn finish(self) -> Result<()> {
        file::remove(&self.directory)?;
        self.marks.noted(u64::MAX)
    }
}
