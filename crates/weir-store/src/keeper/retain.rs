//! How long and how much is kept.

use super::{House, WhenFull};
use crate::Result;
use crate::error::On;
use crate::segment::{Segment, day_of, sync_directory};
use crate::store::entries;
use crate::table::Table;
use jiff::civil::Date;
use std::fs;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What is made free at once when the disk is full.
const ROOM: u64 = 64 << 20;
/// Sums have at most so much of what may be kept, one part of so many, while there are records to go instead.
const SHARE: u64 = 2;

/// A segment and whose it is.
struct Held {
    table: &'static Table,
    segment: Segment,
    /// Of records: whether they are summed up. Of sums: whether their records are gone, once that was looked at.
    is_free: bool,
}

impl House {
    /// Removes segments that are too old, then others until the rest is small enough: the oldest records first, then the
    /// oldest sums by the minute, and then those by the hour. Records that are not summed up stay until they are, unless
    /// the disk is too full for that.
    pub(super) fn retain(&self, is_full: bool) -> Result<()> {
        let may_go = |one: &Held| one.is_free || is_full || one.table.span.is_some();
        let all = self.first_to_go()?.into_iter();
        let (mut doomed, mut rest): (Vec<_>, Vec<_>) = all.partition(|one| may_go(one) && self.is_old(one));
        free_sums(&mut rest);
        rest.retain(may_go);
        let gone = bytes(&doomed);
        if let Some(most) = self.retention.bytes {
            let excess = self.bytes()?.saturating_sub(gone).saturating_sub(most);
            doomed.extend(too_much(rest, most, excess));
        }
        self.remove(&doomed)?;
        self.remove_empty_days(day_of(now().as_nanos() as u64))
    }

    /// Makes room on a full disk, if that is wanted. Whether it did.
    pub(crate) fn make_room(&self) -> bool {
        if self.retention.when_full == WhenFull::Stop {
            return false;
        }
        let _upkeep = self.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(mut held) = self.first_to_go() else { return false };
        // A year of sums is no price for a minute of records, as long as there are older records.
        if held.iter().any(|one| one.table.span.is_none()) {
            held.retain(|one| one.table.span.is_none());
        }
        let doomed = first_of(held, ROOM).0;
        !doomed.is_empty() && self.remove(&doomed).is_ok_and(|is_done| is_done)
    }

    /// What is older than this is not kept in this table.
    pub(super) fn limit(&self, table: &Table) -> Option<u64> {
        let [by_minute, _] = Table::roll_ups();
        let age = match table.span {
            None => self.retention.age,
            span if span == by_minute.span => self.retention.age_1m,
            Some(_) => self.retention.age_1h,
        };
        age.map(|age| now().saturating_sub(age).as_nanos() as u64)
    }

    /// A row of sums is as old as the last moment that it stands for.
    fn is_old(&self, held: &Held) -> bool {
        let end = held.segment.name.times().end().saturating_add(held.table.span.unwrap_or(0));
        self.limit(held.table).is_some_and(|limit| end < limit)
    }

    /// All segments, in the order in which they go.
    fn first_to_go(&self) -> Result<Vec<Held>> {
        let mut all = Vec::new();
        for table in &self.tables {
            let is_summed_up = self.is_summed_up(table)?;
            let is_free = |segment: &Segment| table.span.is_none() && is_summed_up(segment);
            let held = |segment| Held { table, is_free: is_free(&segment), segment };
            all.extend(self.segments_of(table)?.into_iter().map(held));
        }
        all.sort_by_key(|one| (one.table.span, *one.segment.name.times().end()));
        Ok(all)
    }

    /// Removes segments once no reader relies on them; whether it came to that.
    fn remove(&self, doomed: &[Held]) -> Result<bool> {
        if doomed.is_empty() {
            return Ok(false);
        }
        let Some(_alone) = self.alone()? else { return Ok(false) };
        for Held { table, segment, is_free } in doomed {
            fs::remove_file(&segment.path).on("remove", &segment.path)?;
            if table.span.is_none() && !is_free {
                self.unsummed.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(true)
    }

    /// Not of today or yesterday: a segment may be on its way there.
    fn remove_empty_days(&self, today: Date) -> Result<()> {
        for table in &self.tables {
            let directory = self.directory.join(table.name);
            for path in entries(&directory)? {
                let day = path.file_name().and_then(|name| name.to_str()?.parse::<Date>().ok());
                let is_past = day.is_some_and(|day| day.tomorrow().is_ok_and(|next| next < today));
                // What is in use is not removed.
                if is_past && fs::remove_dir(&path).is_ok() {
                    sync_directory(&directory)?;
                }
            }
        }
        Ok(())
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Says of sums whose records are not among these that they stand alone.
fn free_sums(held: &mut [Held]) {
    let records = held.iter().filter(|one| one.table.name == Table::flows().name);
    let records: Vec<_> = records.map(|one| one.segment.name.clone()).collect();
    for Held { segment, is_free, .. } in held.iter_mut().filter(|one| one.table.span.is_some()) {
        let logs = segment.name.logs();
        *is_free = !records.iter().any(|one| one.has_of(segment.name.day, &logs));
    }
}

fn bytes(held: &[Held]) -> u64 {
    held.iter().map(|one| one.segment.bytes).sum()
}

/// Which of them go for there to be so many bytes less: first the finest sums whose records are gone, if sums have more
/// than their share of what is kept, then one after the other.
fn too_much(held: Vec<Held>, most: u64, excess: u64) -> Vec<Held> {
    let (sums, records): (Vec<_>, Vec<_>) = held.into_iter().partition(|one| one.table.span.is_some());
    let beyond_share = bytes(&sums).saturating_sub(most / SHARE).min(excess);
    let (free, bound) = sums.into_iter().partition(|one| one.is_free);
    let (mut doomed, free) = first_of(free, beyond_share);
    let left = excess.saturating_sub(bytes(&doomed));
    let mut rest: Vec<_> = records.into_iter().chain(free).chain(bound).collect();
    rest.sort_by_key(|one| (one.table.span, *one.segment.name.times().end()));
    doomed.extend(first_of(rest, left).0);
    doomed
}

/// As many, from the first on, as have at least so many bytes together; and the others.
fn first_of(mut held: Vec<Held>, bytes: u64) -> (Vec<Held>, Vec<Held>) {
    let mut left = bytes;
    let enough = held.iter().position(|one| {
        let is_enough = left == 0;
        left = left.saturating_sub(one.segment.bytes);
        is_enough
    });
    let rest = held.split_off(enough.unwrap_or(held.len()));
    (held, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::Name;

    const NOON: u64 = 1_795_780_800_000_000_000;

    /// Segments of these tables and sizes, the first the oldest; sums of them whose records are gone.
    fn held(all: &[(&'static Table, u64)]) -> Vec<Held> {
        let one = |(number, (table, bytes)): (usize, &(&'static Table, u64))| {
            let (number, time) = (number as u64, NOON + number as u64);
            let name = Name::new(&(number..=number), &(time..=time), 0);
            let segment = Segment { path: name.path(), name, bytes: *bytes };
            Held { table, segment, is_free: true }
        };
        let mut held: Vec<_> = all.iter().enumerate().map(one).collect();
        held.sort_by_key(|one| (one.table.span, *one.segment.name.times().end()));
        held
    }

    fn gone(all: &[(&'static Table, u64)], most: u64, excess: u64) -> Vec<(&'static str, u64)> {
        let doomed = too_much(held(all), most, excess);
        doomed.iter().map(|one| (one.table.name, one.segment.bytes)).collect()
    }

    #[test]
    fn old_sums_do_not_push_out_records() {
        let ([minutes, hours], records) = (Table::roll_ups(), Table::flows());
        // Hours alone have more than half: they go, the oldest first, whatever minutes there are.
        let all = [(hours, 300), (hours, 310), (hours, 90), (minutes, 10), (records, 200), (records, 210)];
        assert_eq!(gone(&all, 1000, 120), [("flows_1m", 10), ("flows_1h", 300)]);
        // Below their share records go.
        let all = [(hours, 300), (minutes, 10), (records, 400), (records, 410)];
        assert_eq!(gone(&all, 1000, 120), [("flows", 400)]);
        // As much as sums have too much of, and then records.
        let all = [(hours, 510), (records, 300), (records, 310)];
        assert_eq!(gone(&all, 1000, 600), [("flows_1h", 510), ("flows", 300)]);
    }
}
