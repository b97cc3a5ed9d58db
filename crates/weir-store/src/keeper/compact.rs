//! Small segments become larger ones.
//!
//! The larger one gets its name while readers are locked out, and then those go that it was made of. What comes in
//! between, a loss of power for instance, leaves both; the names say which one stands for the others. Sums are added up
//! when they are merged.

use super::{House, Tell};
use crate::compact::narrow;
use crate::error::On;
use crate::rollup::Sums;
use crate::segment::{Draft, Logs, Segment, day_of, sync_directory};
use crate::store::segments;
use crate::table::Table;
use crate::{Error, Result};
use jiff::civil::Date;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// So many small ones become one.
const FAN: usize = 12;
/// What is larger is not small.
const SMALL: u64 = 32 << 20;

impl House {
    /// Merges what is due. What is damaged is set aside; other trouble is told, and tried again in the next round.
    pub(super) fn compact(&self, table: &'static Table, tell: &Tell) {
        let directory = self.directory.join(table.name);
        while let Ok(all) = segments(&directory)
            && let Ok(is_summed_up) = self.is_summed_up(table)
            // One that was left out in between would be taken for merged.
            && let ready = all.iter().take_while(|one| is_summed_up(one)).count()
            && let Some(run) = due(&all[..ready])
        {
            let inputs = &all[run];
            match self.merge(table, &directory, inputs) {
                Ok(true) => {}
                Ok(false) => return,
                Err(Error::Damaged { path, what }) => {
                    let error = Error::Damaged { path: path.clone(), what };
                    self.deal_with(Err(error), &path, tell);
                    // Sums have to be made again before anything else; what cannot be set aside would be due again at once.
                    if !path.starts_with(&directory) || path.exists() {
                        return;
                    }
                }
                Err(error) => return tell(format!("{error}: small segments stay as they are")),
            }
        }
    }

    /// Whether readers let it come to that.
    fn merge(&self, table: &'static Table, directory: &Path, inputs: &[Segment]) -> Result<bool> {
        let Some(day) = inputs.first().map(|one| one.name.day) else { return Ok(false) };
        let logs = inputs.iter().map(|one| *one.name.logs().start()).min().unwrap_or(0)
            ..=inputs.iter().map(|one| *one.name.logs().end()).max().unwrap_or(0);
        let may_be = match table.span {
            Some(_) => self.is_complete(table, day, &logs)?,
            None => self.merge_sums(table, day, &logs)?,
        };
        if !may_be {
            return Ok(false);
        }
        let draft = merged(table, directory, logs, inputs)?;
        let Some(_alone) = self.alone()? else {
            draft.discard();
            return Ok(false);
        };
        draft.publish()?;
        for input in inputs {
            fs::remove_file(&input.path).on("remove", &input.path)?;
        }
        if let Some(day) = inputs.first().and_then(|input| input.path.parent()) {
            sync_directory(day)?;
        }
        Ok(true)
    }

    /// Sees to it that all sums of what is to be merged are in one segment. If that is damaged one day, nothing of these
    /// records is summed up, and all are again.
    fn merge_sums(&self, table: &Table, day: Date, logs: &Logs) -> Result<bool> {
        if table.name != Table::flows().name {
            return Ok(true);
        }
        for sums in self.roll_ups() {
            let mut parts = self.segments_of(sums)?;
            parts.retain(|part| part.name.has_of(day, logs));
            if parts.len() > 1 && !self.merge(sums, &self.directory.join(sums.name), &parts)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn merged(table: &'static Table, directory: &Path, logs: Logs, inputs: &[Segment]) -> Result<Draft> {
    if table.span.is_some() {
        return added_up(table, directory, logs, inputs);
    }
    let mut draft = Draft::begin(table, directory, logs)?;
    let mut fill = || -> Result<()> {
        for input in inputs {
            for batch in input.batches(table)? {
                draft.push(narrow(&batch?)?)?;
            }
        }
        draft.settle()
    };
    match fill() {
        Ok(()) => Ok(draft),
        Err(error) => {
            draft.discard();
            Err(error)
        }
    }
}

/// Sums of the same minute, or hour, and key become one.
fn added_up(table: &'static Table, directory: &Path, logs: Logs, inputs: &[Segment]) -> Result<Draft> {
    let mut sums = Sums::begin(table, table, directory, logs)?;
    let mut fill = || -> Result<()> {
        for input in inputs {
            for batch in input.batches(table)? {
                sums.push(&batch?)?;
            }
        }
        Ok(())
    };
    match fill() {
        Ok(()) => {
            let mut draft = sums.finish()?;
            draft.settle()?;
            Ok(draft)
        }
        Err(error) => {
            sums.discard();
            Err(error)
        }
    }
}

/// Which segments are to be merged: neighbours of one day that are small together, twelve of them, or any two once
/// the day is over.
fn due(all: &[Segment]) -> Option<std::ops::Range<usize>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    due_on(day_of(now.as_nanos() as u64), all)
}

fn due_on(today: jiff::civil::Date, all: &[Segment]) -> Option<std::ops::Range<usize>> {
    let mut start = 0;
    for at in 0..=all.len() {
        let run = &all[start..at];
        let bytes: u64 = run.iter().map(|one| one.bytes).sum();
        let enough = if run.first().is_some_and(|one| one.name.day < today) { 2 } else { FAN };
        let goes_on = all.get(at).is_some_and(|next| {
            run.first().is_none_or(|first| first.name.day == next.name.day) && bytes + next.bytes <= SMALL
        });
        if run.len() >= FAN || (!goes_on && run.len() >= enough) {
            return Some(start..at);
        }
        if !goes_on {
            // One that is large by itself is passed over.
            start = if run.is_empty() { at + 1 } else { at };
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::Name;
    use std::ops::Range;

    const NOON: u64 = 1_795_780_800_000_000_000;
    const DAY: u64 = 86_400_000_000_000;

    /// Segments of these sizes in MiB, one after the other on one day.
    fn sized(day: u64, sizes: &[u64]) -> Vec<Segment> {
        let one = |(number, size): (usize, &u64)| {
            let (number, noon) = (number as u64, NOON + day * DAY);
            let name = Name::new(&(number..=number), &(noon + number..=noon + number), 0);
            Segment { path: name.path(), name, bytes: size << 20 }
        };
        sizes.iter().enumerate().map(one).collect()
    }

    fn due_today(all: &[Segment]) -> Option<Range<usize>> {
        due_on(day_of(NOON + DAY), all)
    }

    #[test]
    fn today_twelve_small_neighbours_are_due() {
        assert_eq!(due_today(&sized(1, &[1; 11])), None);
        assert_eq!(due_today(&sized(1, &[1; 14])), Some(0..12));
        let interrupted = [&[1; 5][..], &[40], &[2; 13]].concat();
        assert_eq!(due_today(&sized(1, &interrupted)), Some(6..18));
    }

    #[test]
    fn of_a_day_that_is_over_two_are_enough() {
        assert_eq!(due_today(&sized(0, &[1])), None);
        assert_eq!(due_today(&sized(0, &[1, 1, 1])), Some(0..3));
        assert_eq!(due_today(&sized(0, &[40, 1, 40, 1, 1])), Some(3..5));
        let two_days = [sized(0, &[1]), sized(1, &[1])].concat();
        assert_eq!(due_today(&two_days), None);
    }

    #[test]
    fn together_they_stay_small() {
        assert_eq!(due_today(&sized(0, &[20, 20, 20])), None);
        assert_eq!(due_today(&sized(0, &[20, 20, 10, 1, 2])), Some(1..4));
    }
}
