//! Periods: what people write for one, and two that can be compared.

use crate::history::{day_and_time, moment_at};
use jiff::civil::Date;
use jiff::{Span, ToSpan, Zoned};
use std::ops::RangeInclusive;

/// How long `now` is.
const NOW: &str = "1h";

/// A stretch of time that is past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// As it was written.
    pub word: String,
    /// From its first nanosecond since the epoch to its last.
    pub times: RangeInclusive<u64>,
}

impl Period {
    /// For people. Its last second and not the first after it, which may be another day's.
    pub fn shown(&self, now: &Zoned) -> String {
        let clock = |nanos| day_and_time(nanos, now);
        format!("{} to {}", clock(*self.times.start()), clock(*self.times.end()))
    }
}

/// `yesterday`, `today`, `2026-11-26` (a day, here), `now` (the last hour), `2h` (so long, until now), `FROM/TO`.
///
/// # Errors
/// It is none of these, or none that has begun.
pub fn written(text: &str) -> Result<Written, String> {
    period_at(text, &Zoned::now()).map(|period| Written(period.word))
}

/// A period as it was written: which one it is follows from what is now.
#[derive(Debug, Clone)]
pub struct Written(String);

/// Both, by one moment, if they can be compared.
///
/// # Errors
/// They overlap, or the first is the later one.
pub fn both(before: &Written, after: &Written) -> Result<(Period, Period), String> {
    let now = Zoned::now();
    apart(period_at(&before.0, &now)?, period_at(&after.0, &now)?)
}

fn period_at(text: &str, now: &Zoned) -> Result<Period, String> {
    let word = text.trim();
    let last = |span: Span| now.checked_sub(span).ok().and_then(|from| nanos(&from));
    let ends = if let Some((from, to)) = word.split_once('/') {
        let (from, to) = (moment_at(from, now)?, moment_at(to, now)?);
        if from >= to {
            return Err("it ends before it begins: write FROM/TO".into());
        }
        Some((from, to))
    } else if word == "now" {
        NOW.parse().ok().and_then(last).zip(nanos(now))
    } else if let Some(day) = day(word, now) {
        midnight(day, now).zip(day.checked_add(1.day()).ok().and_then(|next| midnight(next, now)))
    } else {
        let span = word.parse::<Span>().ok().filter(|span| span.is_positive());
        span.and_then(last).zip(nanos(now))
    };
    let (from, to) = ends.ok_or(
        "not a period: write it like yesterday, today, 2026-11-26, now (the last hour), 2h, or FROM/TO with times like those of --since",
    )?;
    // What has not come yet cannot have been seen.
    let to = to.min(nanos(now).unwrap_or(u64::MAX));
    if from >= to {
        return Err("it has not begun yet".into());
    }
    Ok(Period { word: word.into(), times: from..=to - 1 })
}

fn day(word: &str, now: &Zoned) -> Option<Date> {
    match word {
        "today" => Some(now.date()),
        "yesterday" => now.date().checked_sub(1.day()).ok(),
        // A time of a day is not the day.
        word => word.parse().ok().filter(|_| !word.contains([' ', 'T', ':'])),
    }
}

fn midnight(day: Date, now: &Zoned) -> Option<u64> {
    day.to_zoned(now.time_zone().clone()).ok().as_ref().and_then(nanos)
}

fn nanos(time: &Zoned) -> Option<u64> {
    u64::try_from(time.timestamp().as_nanosecond()).ok()
}

fn apart(mut before: Period, after: Period) -> Result<(Period, Period), String> {
    let begins = *after.times.start();
    // In the first hour of a day the last hour reaches into yesterday: that ends where the hour begins.
    if before.word == "yesterday" && after.word == "now" && *before.times.start() < begins {
        before.times = *before.times.start()..=(*before.times.end()).min(begins - 1);
    }
    let (one, other) = (&before.word, &after.word);
    if before.times.start() > after.times.end() {
        return Err(format!("--before {one} is later than --after {other}: exchange them"));
    }
    if *before.times.end() >= begins {
        return Err(format!(
            "--before {one} and --after {other} overlap: what is in both can be neither new nor gone"
        ));
    }
    Ok((before, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn at(time: &str) -> Zoned {
        time.parse().expect("a time")
    }

    /// A Friday in winter, two minutes past noon.
    fn noon() -> Zoned {
        at("2026-11-27T12:02:00+01:00[Europe/Berlin]")
    }

    /// From, and the first moment after it.
    fn ends(text: &str, now: &Zoned) -> Result<(String, String), String> {
        let period = period_at(text, now)?;
        let shown = |nanos: u64| Timestamp::from_nanosecond(nanos.into()).expect("a time").to_string();
        Ok((shown(*period.times.start()), shown(period.times.end() + 1)))
    }

    #[track_caller]
    fn is(text: &str, from: &str, to: &str) {
        assert_eq!(ends(text, &noon()), Ok((from.into(), to.into())), "{text}");
    }

    #[test]
    fn what_people_write() {
        is("yesterday", "2026-11-25T23:00:00Z", "2026-11-26T23:00:00Z");
        is("today", "2026-11-26T23:00:00Z", "2026-11-27T11:02:00Z");
        is("2026-11-20", "2026-11-19T23:00:00Z", "2026-11-20T23:00:00Z");
        is("now", "2026-11-27T10:02:00Z", "2026-11-27T11:02:00Z");
        is("2h", "2026-11-27T09:02:00Z", "2026-11-27T11:02:00Z");
        is(" 2d ", "2026-11-25T11:02:00Z", "2026-11-27T11:02:00Z");
        is("2026-11-26T08:00:00Z/2026-11-26T09:00:00Z", "2026-11-26T08:00:00Z", "2026-11-26T09:00:00Z");
        is("yesterday 09:00/yesterday 10:00", "2026-11-26T08:00:00Z", "2026-11-26T09:00:00Z");
        is("3h/1h", "2026-11-27T08:02:00Z", "2026-11-27T10:02:00Z");
        is("09:00/23:00", "2026-11-27T08:00:00Z", "2026-11-27T11:02:00Z");
    }

    #[test]
    fn a_day_is_one_of_the_calendar() {
        let spring = at("2026-03-30T12:00:00+02:00[Europe/Berlin]");
        let day = Ok(("2026-03-28T23:00:00Z".into(), "2026-03-29T22:00:00Z".into()));
        assert_eq!(ends("yesterday", &spring), day, "23 hours");
    }

    #[test]
    fn what_is_none() {
        for text in [
            "",
            "soon",
            "yesterday 09:00",
            "2026-11-26 09:00",
            "09:00",
            "1h ago",
            "-1h",
            "0s",
            "/",
            "1h/",
            "5",
        ] {
            assert!(ends(text, &noon()).is_err(), "{text}");
        }
        assert_eq!(ends("1h/2h", &noon()), Err("it ends before it begins: write FROM/TO".into()));
        assert_eq!(ends("2026-11-28", &noon()), Err("it has not begun yet".into()));
    }

    #[test]
    fn two_that_can_be_compared() {
        let pair = |before: &str, after: &str, now: &Zoned| {
            apart(period_at(before, now).expect(before), period_at(after, now).expect(after))
        };
        let noon = noon();
        assert!(pair("yesterday", "now", &noon).is_ok());
        assert!(pair("yesterday", "today", &noon).is_ok(), "one ends where the other begins");
        assert!(pair("2h/1h", "1h", &noon).is_ok());
        assert!(pair("today", "now", &noon).is_err_and(|said| said.contains("overlap")));
        assert!(pair("yesterday", "2d", &noon).is_err_and(|said| said.contains("overlap")));
        assert!(pair("now", "yesterday", &noon).is_err_and(|said| said.contains("later than")));
        // Half an hour after midnight.
        let night = at("2026-11-27T00:30:00+01:00[Europe/Berlin]");
        let (before, after) = pair("yesterday", "now", &night).expect("both");
        assert_eq!(before.times.end() + 1, *after.times.start());
        assert!(pair("yesterday", "1h", &night).is_err());
    }
}
