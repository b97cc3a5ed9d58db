//! How long and how much is kept.

use super::{House, WhenFull};
use crate::Result;
use crate::error::On;
use crate::segment::{Segment, day_of, sync_directory};
use crate::store::{entries, segments};
use jiff::civil::Date;
use std::fs;
use std::sync::PoisonError;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is made free at once when the disk is full.
const ROOM: u64 = 64 << 20;

impl House {
    /// Removes segments that are too old, then the oldest until the rest is small enough.
    pub(super) fn retain(&self) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let oldest_first = self.oldest_first()?;
        let limit = self.retention.age.map(|age| now.saturating_sub(age).as_nanos() as u64);
        let is_old = |segment: &Segment| limit.is_some_and(|limit| *segment.name.times().end() < limit);
        let (mut doomed, rest): (Vec<_>, Vec<_>) = oldest_first.into_iter().partition(is_old);
        let gone: u64 = doomed.iter().map(|segment| segment.bytes).sum();
        if let Some(most) = self.retention.bytes {
            let excess = self.bytes()?.saturating_sub(gone).saturating_sub(most);
            doomed.extend(first_of(rest, excess));
        }
        self.remove(&doomed)?;
        self.remove_empty_days(day_of(now.as_nanos() as u64))
    }

    /// Makes room on a full disk, if that is wanted. Whether it did.
    pub(crate) fn make_room(&self) -> bool {
        if self.retention.when_full == WhenFull::Stop {
            return false;
        }
        let _upkeep = self.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(oldest_first) = self.oldest_first() else { return false };
        let doomed = first_of(oldest_first, ROOM);
        !doomed.is_empty() && self.remove(&doomed).is_ok_and(|is_done| is_done)
    }

    fn oldest_first(&self) -> Result<Vec<Segment>> {
        let mut all = Vec::new();
        for table in &self.tables {
            all.extend(segments(&self.directory.join(table.name))?);
        }
        all.sort_by_key(|segment| *segment.name.times().end());
        Ok(all)
    }

    /// Removes segments once no reader relies on them; whether it came to that.
    fn remove(&self, doomed: &[Segment]) -> Result<bool> {
        if doomed.is_empty() {
            return Ok(false);
        }
        let Some(_alone) = self.alone()? else { return Ok(false) };
        for segment in doomed {
            fs::remove_file(&segment.path).on("remove", &segment.path)?;
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

/// As many, from the first on, as have at least so many bytes together.
fn first_of(segments: Vec<Segment>, bytes: u64) -> Vec<Segment> {
    let mut left = bytes;
    let mut wanted = |segment: &Segment| {
        let is_wanted = left > 0;
        left = left.saturating_sub(segment.bytes);
        is_wanted
    };
    segments.into_iter().take_while(|segment| wanted(segment)).collect()
}
