//! What a table's directory is found to hold when an agent opens it.

use crate::error::On;
use crate::segment::{Draft, Segment, by_day};
use crate::store::{all_segments, entries, segments};
use crate::table::Table;
use crate::{Error, Name, Result, ledger, quarantine, wal};
use arrow_array::RecordBatch;
use jiff::civil::Date;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A table's directory in order.
pub(crate) struct Recovered {
    /// The number of the next log.
    pub next_log: u64,
    /// What a person should know.
    pub remarks: Vec<String>,
}

/// Brings a table's directory in order: what was begun goes, what was superseded goes, what is damaged is set aside,
/// and what the logs hold becomes segments.
pub(crate) fn recover(store: &Path, table: &'static Table) -> Result<Recovered> {
    let directory = store.join(table.name);
    wal::move_in(&directory)?;
    let mut recovery = Recovery { store, table, directory, remarks: Vec::new() };
    recovery.check_segments()?;
    recovery.tidy()?;
    let next_log = recovery.replay()?;
    Ok(Recovered { next_log, remarks: recovery.remarks })
}

/// The same of a table that is made of another and has no log; what a person should know.
pub(crate) fn recover_sums(store: &Path, table: &'static Table) -> Result<Vec<String>> {
    let directory = store.join(table.name);
    fs::create_dir_all(&directory).on("create", &directory)?;
    let mut recovery = Recovery { store, table, directory, remarks: Vec::new() };
    recovery.check_segments()?;
    recovery.tidy()?;
    Ok(recovery.remarks)
}

struct Recovery<'a> {
    store: &'a Path,
    table: &'static Table,
    directory: PathBuf,
    remarks: Vec<String>,
}

impl Recovery<'_> {
    /// Removes drafts, and sets aside what is not ours: other tools would read it with the rest.
    fn tidy(&mut self) -> Result<()> {
        for path in entries(&self.directory)? {
            let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
            if name.starts_with('.') && name.ends_with(".tmp") {
                fs::remove_file(&path).on("remove", &path)?;
            } else if name.parse::<Date>().is_ok() {
                let strange = entries(&path)?.into_iter().filter(|path| Name::parse(path).is_none());
                strange.for_each(|path| self.is_strange(&path));
            } else if name != wal::DIRECTORY
                && !(name == ledger::NAME && self.table.name == Table::ledger().name)
            {
                self.is_strange(&path);
            }
        }
        Ok(())
    }

    fn is_strange(&mut self, path: &Path) {
        let shown = path.display();
        self.remarks.push(match quarantine::set_aside(self.store, path) {
            Ok(place) => format!("{shown} is not the store's: set aside as {}", place.display()),
            Err(error) => format!("{shown} is not the store's, and cannot be set aside: {error}"),
        });
    }

    /// Sets segments aside that are no Parquet files, and removes those that others stand for. What is from a later weir
    /// can neither be merged nor summed up: the directory is left to that one.
    fn check_segments(&mut self) -> Result<()> {
        for segment in all_segments(&self.directory)? {
            match segment.metadata(self.table) {
                Err(error @ Error::Damaged { .. }) => {
                    self.remarks.push(aside(self.store, &segment.path, &error)?);
                }
                Err(error @ Error::Later { .. }) => return Err(error),
                _ => {}
            }
        }
        let valid = segments(&self.directory)?;
        for segment in all_segments(&self.directory)? {
            if !valid.contains(&segment) {
                fs::remove_file(&segment.path).on("remove", &segment.path)?;
            }
        }
        Ok(())
    }

    /// Makes segments of what the logs hold; the number of the next log.
    fn replay(&mut self) -> Result<u64> {
        let files = entries(&self.directory.join(wal::DIRECTORY))?;
        files.iter().filter(|path| wal::number_of(path).is_none()).for_each(|path| self.is_strange(path));
        let logs = wal::open_all(&self.directory)?;
        let segments = all_segments(&self.directory)?;
        // A number that has sums is taken, even if the records have gone.
        let sums = self.segments_of_sums()?;
        let last = last_of(&logs, segments.iter().chain(&sums));
        for log in logs {
            self.replay_log(&log, &segments)?;
        }
        Ok(last + 1)
    }

    fn segments_of_sums(&self) -> Result<Vec<Segment>> {
        let mut all = Vec::new();
        if self.table.name == Table::flows().name {
            for table in Table::roll_ups() {
                all.extend(all_segments(&self.store.join(table.name))?);
            }
        }
        Ok(all)
    }

    fn replay_log(&mut self, log: &wal::Opened, segments: &[Segment]) -> Result<()> {
        let (number, path) = (log.number, &log.path);
        let found = match log.read(self.table) {
            Ok(found) => found,
            Err(error @ Error::Damaged { .. }) => {
                self.remarks.push(aside(self.store, path, &error)?);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mut there = days_of(number, segments);
        let rows = publish(self.table, &self.directory, number, &found.batches, &mut there)?;
        if found.unreadable > 0 {
            let what = format!(
                "{} bytes in it are unreadable, {rows} records around them were read",
                found.unreadable
            );
            let error = Error::Damaged { path: path.to_owned(), what };
            self.remarks.push(aside(self.store, path, &error)?);
            return Ok(());
        }
        if rows > 0 || found.unfinished > 0 {
            let cut = match found.unfinished {
                0 => String::new(),
                bytes => format!("; {bytes} bytes that it had not finished are gone"),
            };
            self.remarks.push(format!(
                "{}: the last agent did not stop in order: {rows} records recovered from its log{cut}",
                self.directory.display()
            ));
        }
        wal::remove(&self.directory, number)
    }
}

/// The largest number of a log of this table, be it one or in segments; 0 where there is none.
pub(crate) fn last_number(directory: &Path) -> Result<u64> {
    Ok(last_of(&wal::open_all(directory)?, &all_segments(directory)?))
}

fn last_of<'s>(logs: &[wal::Opened], segments: impl IntoIterator<Item = &'s Segment>) -> u64 {
    let numbers = segments.into_iter().map(|segment| *segment.name.logs().end());
    numbers.chain(logs.iter().map(|log| log.number)).max().unwrap_or(0)
}

/// Sets a damaged file aside; what to say of it.
pub(crate) fn aside(store: &Path, path: &Path, error: &Error) -> Result<String> {
    let place = quarantine::set_aside(store, path)?;
    Ok(format!("{error}: set aside as {}, everything else is served", place.display()))
}

/// The days whose records of this log are in segments: it is made into one for each, and so may be any part of the way.
pub(crate) fn days_of(log: u64, segments: &[Segment]) -> BTreeSet<Date> {
    let names = segments.iter().map(|segment| &segment.name);
    names.filter(|name| name.logs().contains(&log)).map(|name| name.day).collect()
}

/// Makes segments of what a log holds, one for each day that is not there yet; from then on it is. How many rows they
/// have.
pub(crate) fn publish(
    table: &'static Table,
    directory: &Path,
    log: u64,
    batches: &[RecordBatch],
    there: &mut BTreeSet<Date>,
) -> Result<usize> {
    let mut rows = 0;
    let mut days: BTreeMap<Date, Vec<RecordBatch>> = BTreeMap::new();
    for batch in batches {
        for (day, part) in by_day(table, batch)? {
            if !there.contains(&day) {
                days.entry(day).or_default().push(part);
            }
        }
    }
    for (day, batches) in days {
        let count: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let mut draft = Draft::begin(table, directory, log..=log)?;
        match batches.into_iter().try_for_each(|batch| draft.push(batch)) {
            Ok(()) => {
                draft.publish()?;
                there.insert(day);
                rows += count;
            }
            Err(error) => {
                draft.discard();
                return Err(error);
            }
        }
    }
    Ok(rows)
}
