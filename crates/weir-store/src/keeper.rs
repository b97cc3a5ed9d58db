//! The directory as a whole: one writer, how long and how much is kept, and small segments made into larger ones.

mod compact;
mod retain;
mod rollup;

use crate::error::On;
use crate::recovery::{aside, recover, recover_sums};
use crate::store::{READERS, entries, segments};
use crate::table::Table;
use crate::{Error, Result, Word, Writer, ledger};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle, sleep};
use std::time::Duration;

/// How often the directory is looked after.
const ROUND: Duration = Duration::from_secs(30);
/// How long readers are waited for before a change is put off to the next round.
const PATIENCE: Duration = Duration::from_secs(5);
const LOCK: &str = "lock";

/// What becomes of new records when the disk is full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// The oldest segments make room.
    #[default]
    DropOldest,
    /// They are lost, and counted.
    Stop,
}

/// What is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// Records older than this go.
    pub age: Option<Duration>,
    /// Their sums by the minute go when these are older than this.
    pub age_1m: Option<Duration>,
    /// And those by the hour.
    pub age_1h: Option<Duration>,
    /// When all tables together are larger than this the oldest records go, and then the oldest sums.
    pub bytes: Option<u64>,
    /// What happens when there is no room on the disk before that.
    pub when_full: WhenFull,
}

/// Where the store says what a person should know.
pub type Tell = Box<dyn Fn(String) + Send>;

/// A store that has been opened for writing.
pub struct Opened {
    /// A writer for each table that is written, in the order of the tables; roll-ups are made by the keeper.
    pub writers: Vec<Writer>,
    /// What a person should know: what was recovered, what is damaged, what is not the store's.
    pub remarks: Vec<String>,
    /// Holds the directory; the last to be dropped.
    pub keeper: Keeper,
}

/// A store's directory in the hands of its one writer. Dropping it lets go of the directory.
pub struct Keeper {
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
    _lock: File,
}

/// What the keeper's thread and the writers share.
pub(crate) struct House {
    pub directory: PathBuf,
    tables: Vec<&'static Table>,
    retention: Retention,
    /// Whoever removes segments holds this.
    upkeep: Mutex<()>,
    /// Segments that went before they were summed up, since the disk was full.
    unsummed: AtomicUsize,
}

impl Keeper {
    /// Takes the directory, which is made if it is not there; brings these tables in order, and looks after them in the
    /// background from then on. Roll-ups that are there are looked after with their records.
    ///
    /// # Errors
    /// Another agent has it, or it cannot be read or written.
    pub fn open(
        directory: &Path,
        tables: Vec<&'static Table>,
        retention: Retention,
        tell: Tell,
    ) -> Result<Opened> {
        Self::open_after(directory, tables, retention, tell, Word::NONE)
    }

    /// The same by somebody who understands the word that an agent leaves which is killed.
    ///
    /// # Errors
    /// As those of `open`.
    pub fn open_after(
        directory: &Path,
        tables: Vec<&'static Table>,
        retention: Retention,
        tell: Tell,
        word: Word,
    ) -> Result<Opened> {
        // Command lines and names are nobody else's business; a directory that is there stays as it is.
        DirBuilder::new().recursive(true).mode(0o700).create(directory).on("create", directory)?;
        let lock = take(directory)?;
        let readers = directory.join(READERS);
        OpenOptions::new().create(true).append(true).open(&readers).on("create", &readers)?;
        let tables = with_roll_ups(directory, tables);
        let (upkeep, unsummed) = (Mutex::new(()), AtomicUsize::new(0));
        let house = Arc::new(House { directory: directory.to_owned(), tables, retention, upkeep, unsummed });
        let (mut writers, mut remarks) = (Vec::new(), ledger::close(directory, word)?);
        for table in &house.tables {
            if table.span.is_some() {
                remarks.extend(recover_sums(directory, table)?);
                continue;
            }
            let found = recover(directory, table)?;
            remarks.extend(found.remarks);
            writers.push(Writer::new(Arc::clone(&house), table, found.next_log));
        }
        let (stop, stopped) = channel();
        let thread = Builder::new().name("weir-keeper".into()).spawn(move || {
            house.check(&tell);
            while stopped.recv_timeout(ROUND) == Err(RecvTimeoutError::Timeout) {
                house.round(&tell);
            }
            // What was written at last: whoever looks now finds sums of all records.
            house.sum_up_or_tell(&tell);
        });
        let keeper = Self { stop, thread: Some(thread.map_err(Error::Thread)?), _lock: lock };
        Ok(Opened { writers, remarks, keeper })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Records are summed up before they are merged, whoever does it: sums would lack some of them otherwise.
fn with_roll_ups(directory: &Path, mut tables: Vec<&'static Table>) -> Vec<&'static Table> {
    let has = |tables: &[&Table], name: &str| tables.iter().any(|table| table.name == name);
    for table in Table::roll_ups() {
        let is_there = has(&tables, Table::flows().name) && directory.join(table.name).is_dir();
        if is_there && !has(&tables, table.name) {
            tables.push(table);
        }
    }
    tables
}

/// Locks the directory against a second writer.
fn take(directory: &Path) -> Result<File> {
    let path = directory.join(LOCK);
    let opened = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
    let mut file = opened.on("open", &path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            let number = holder.trim().parse::<u32>();
            let holder = number.map_or_else(|_| String::new(), |number| format!(" (process {number})"));
            return Err(Error::Taken { path: directory.to_owned(), holder });
        }
        Err(TryLockError::Error(source)) => return Err(Error::File { what: "lock", path, source }),
    }
    let written =
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    written.on("write", &path)?;
    Ok(file)
}

/// Does it, and once more where the disk was full and there is room now.
pub(crate) fn retry<T>(house: &House, mut what: impl FnMut() -> Result<T>) -> Result<T> {
    match what() {
        Err(error) if error.is_no_space() && house.make_room() => what(),
        done => done,
    }
}

impl House {
    /// Compares every segment with its checksum; those that differ are set aside.
    fn check(&self, tell: &Tell) {
        for table in &self.tables {
            let Ok(segments) = segments(&self.directory.join(table.name)) else { continue };
            for segment in segments {
                let checked = segment.check();
                self.deal_with(checked, &segment.path, tell);
            }
        }
        self.round(tell);
    }

    /// Sets a file aside that turns out to be damaged; says what else goes wrong, unless it is gone by now.
    fn deal_with(&self, outcome: Result<()>, path: &Path, tell: &Tell) {
        match outcome {
            Err(error @ Error::Damaged { .. }) if path.exists() => {
                let said = aside(&self.directory, path, &error);
                tell(said.unwrap_or_else(|error| error.to_string()));
            }
            Err(error) if path.exists() => tell(error.to_string()),
            _ => {}
        }
    }

    fn round(&self, tell: &Tell) {
        let is_full = self.sum_up_or_tell(tell);
        let _upkeep = self.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.retain(is_full) {
            tell(format!("{error}: what is older than it should be stays"));
        }
        for table in &self.tables {
            self.compact(table, tell);
        }
    }

    /// Whether the disk is too full for it.
    fn sum_up_or_tell(&self, tell: &Tell) -> bool {
        let done = self.sum_up(tell);
        if let Err(error) = &done {
            tell(format!("{error}: what is not summed up yet stays so for now"));
        }
        match self.unsummed.swap(0, Ordering::Relaxed) {
            0 => {}
            count => tell(format!(
                "{}: the disk is full: {count} files of records went before they were summed up, the sums lack them",
                self.directory.display()
            )),
        }
        done.is_err_and(|error| error.is_no_space())
    }

    /// Waits until no reader relies on what is there, and keeps readers out until the lock is let go. None where they
    /// take too long.
    fn alone(&self) -> Result<Option<File>> {
        let path = self.directory.join(READERS);
        let file = File::open(&path).on("open", &path)?;
        const STEP: Duration = Duration::from_millis(20);
        for _ in 0..PATIENCE.as_millis() / STEP.as_millis() {
            match file.try_lock() {
                Ok(()) => return Ok(Some(file)),
                Err(TryLockError::WouldBlock) => sleep(STEP),
                Err(TryLockError::Error(source)) => return Err(Error::File { what: "lock", path, source }),
            }
        }
        Ok(None)
    }

    /// What all tables take on disk.
    fn bytes(&self) -> Result<u64> {
        let mut sum = 0;
        for table in &self.tables {
            let parts = entries(&self.directory.join(table.name))?;
            for part in parts.into_iter().filter(|part| part.is_dir()) {
                let files = entries(&part)?.into_iter().filter_map(|path| fs::metadata(path).ok());
                sum += files.filter(fs::Metadata::is_file).map(|about| about.len()).sum::<u64>();
            }
        }
        Ok(sum)
    }
}
