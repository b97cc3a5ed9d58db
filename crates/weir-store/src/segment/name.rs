//! What a segment is called, and what that says.
//!
//! `TABLE/2026-11-27/081500-082000.17-24.5f0c93a1.parquet` holds records whose times are from 08:15:00 to 08:20:00 UTC
//! of that day, of the logs 17 to 24. The numbers say which segment stands for which: one whose numbers lie within
//! another's is what that one was made of. The last word is the checksum of what the file says of itself
//! (`checksum.rs`).

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

const EXTENSION: &str = "parquet";
const SECOND: u64 = 1_000_000_000;

/// Logs, by number.
pub type Logs = RangeInclusive<u64>;

/// The name of a segment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// The day its records are of, in UTC.
    pub day: Date,
    /// The number of the first log it is made of; then the last one's.
    first: u64,
    last: u64,
    /// Seconds of the day between which its records' times are, both included.
    seconds: (u32, u32),
    checksum: u32,
}

impl Name {
    /// Of records between these times, both of the same day, in nanoseconds since the epoch.
    pub(crate) fn new(logs: &Logs, times: &RangeInclusive<u64>, checksum: u32) -> Self {
        let second = |nanos: u64| (nanos / SECOND % 86_400) as u32;
        Self {
            day: day_of(*times.start()),
            first: *logs.start(),
            last: *logs.end(),
            seconds: (second(*times.start()), second(*times.end())),
            checksum,
        }
    }

    /// From the name of a file and that of its directory; none where it is no segment's.
    pub fn parse(path: &Path) -> Option<Self> {
        let day = path.parent()?.file_name()?.to_str()?.parse().ok()?;
        let name = path.file_name()?.to_str()?.strip_suffix(EXTENSION)?.strip_suffix('.')?;
        let (seconds, rest) = name.split_once('.')?;
        let (logs, checksum) = rest.split_once('.')?;
        let ((from, until), (first, last)) = (seconds.split_once('-')?, logs.split_once('-')?);
        let seconds = (second_of_day(from)?, second_of_day(until)?);
        let checksum = u32::from_str_radix(checksum, 16).ok()?;
        let parsed = Self { day, first: first.parse().ok()?, last: last.parse().ok()?, seconds, checksum };
        // One name for one segment: no leading zeros, no signs.
        (parsed.file_name() == path.file_name()?.to_str()?).then_some(parsed)
    }

    fn file_name(&self) -> String {
        let (from, until) = self.seconds;
        let clock = |second: u32| format!("{:02}{:02}{:02}", second / 3600, second / 60 % 60, second % 60);
        let (first, last, checksum) = (self.first, self.last, self.checksum);
        format!("{}-{}.{first}-{last}.{checksum:08x}.{EXTENSION}", clock(from), clock(until))
    }

    /// Where it lies in its table's directory.
    pub fn path(&self) -> PathBuf {
        Path::new(&self.day.to_string()).join(self.file_name())
    }

    /// The logs it is made of.
    pub fn logs(&self) -> Logs {
        self.first..=self.last
    }

    /// Between which its records' times are, in nanoseconds since the epoch, to the second.
    pub fn times(&self) -> RangeInclusive<u64> {
        let midnight = self.day.to_zoned(TimeZone::UTC).map(|day| day.timestamp().as_second());
        let midnight = midnight.ok().and_then(|second| u64::try_from(second).ok()).unwrap_or(0);
        let at = |second: u32| (midnight + u64::from(second)) * SECOND;
        at(self.seconds.0)..=at(self.seconds.1) + (SECOND - 1)
    }

    /// What the end of the file adds up to; of versions before 3 of the schema, all of it.
    pub(crate) fn checksum(&self) -> u32 {
        self.checksum
    }

    /// Whether it is of this day and of some of these logs.
    pub fn has_of(&self, day: Date, logs: &Logs) -> bool {
        self.day == day && self.first <= *logs.end() && *logs.start() <= self.last
    }

    /// Whether it stands for all that `other` holds. Of two that hold the same, one does.
    pub fn covers(&self, other: &Self) -> bool {
        let is_within = self.day == other.day && self.first <= other.first && other.last <= self.last;
        is_within && (self.logs() != other.logs() || self > other)
    }
}

/// The day of a time, in UTC.
pub(crate) fn day_of(nanos: u64) -> Date {
    let time = Timestamp::UNIX_EPOCH + SignedDuration::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX));
    time.to_zoned(TimeZone::UTC).date()
}

fn second_of_day(text: &str) -> Option<u32> {
    let number: u32 = (text.len() == 6).then(|| text.parse().ok())??;
    let (hour, minute, second) = (number / 10_000, number / 100 % 100, number % 100);
    (hour < 24 && minute < 60 && second < 60).then_some(hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 1_795_780_800 * SECOND;

    #[test]
    fn a_name_says_what_is_inside() {
        let name = Name::new(&(17..=24), &(NOON + 5..=NOON + 61 * SECOND), 0xa1);
        assert_eq!(name.path(), Path::new("2026-11-27/120000-120101.17-24.000000a1.parquet"));
        assert_eq!(Name::parse(&name.path()), Some(name.clone()));
        assert_eq!(name.times(), NOON..=NOON + 62 * SECOND - 1);
        assert_eq!(name.logs(), 17..=24);
    }

    #[test]
    fn what_is_no_segment_has_no_name() {
        for path in [
            "2026-11-27/120000-120101.17-24.000000a1.parquet.tmp",
            "2026-11-27/120000-120101.017-24.000000a1.parquet",
            "2026-11-27/126000-120101.17-24.000000a1.parquet",
            "2026-11-27/120000-120101.+17-24.000000a1.parquet",
            "2026-11-27/120000-120101.17-24.a1.parquet",
            "2026-11-27/flows.parquet",
            "yesterday/120000-120101.17-24.000000a1.parquet",
            "120000-120101.17-24.000000a1.parquet",
        ] {
            assert_eq!(Name::parse(Path::new(path)), None, "{path}");
        }
    }

    #[test]
    fn one_covers_what_it_was_made_of() {
        let of = |logs: Logs| Name::new(&logs, &(NOON..=NOON), 0);
        let has = |logs: Logs| of(3..=5).has_of(day_of(NOON), &logs);
        assert!(has(1..=3) && has(4..=4) && has(5..=9) && has(1..=9) && !has(1..=2) && !has(6..=6));
        assert!(!of(3..=5).has_of(day_of(NOON + 86_400 * SECOND), &(3..=5)));
        assert!(of(1..=4).covers(&of(2..=3)));
        assert!(!of(1..=4).covers(&of(1..=4)));
        assert!(!of(1..=4).covers(&of(4..=5)));
        let again = Name { checksum: 1, ..of(1..=4) };
        assert!(again.covers(&of(1..=4)) && !of(1..=4).covers(&again));
        assert!(!of(1..=4).covers(&Name::new(
            &(2..=2),
            &(NOON + 86_400 * SECOND..=NOON + 86_400 * SECOND),
            0
        )));
    }
}
