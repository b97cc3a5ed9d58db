//! What people write for a time.

use jiff::civil::{Date, DateTime, Time};
use jiff::{Span, Timestamp, ToSpan, Zoned};

/// `5m` and `2 days ago` (before now), `yesterday`, `today 09:00`, `09:00`, `2026-11-26`, `2026-11-26 09:00`,
/// RFC 3339, `now`: in nanoseconds since the epoch. A day by itself is its beginning, here.
///
/// # Errors
/// It is none of these.
pub fn moment(text: &str) -> Result<u64, String> {
    moment_at(text, &Zoned::now())
}

/// The same, where this is now.
///
/// # Errors
/// It is none of these.
pub fn moment_at(text: &str, now: &Zoned) -> Result<u64, String> {
    let text = text.trim();
    let read = absolute(text).or_else(|| local(text, now)).or_else(|| before(text, now));
    read.and_then(|time| u64::try_from(time.as_nanosecond()).ok()).ok_or_else(|| {
        "not a time: write it like 5m, 2h, yesterday, 'today 09:00', 2026-11-26, '2026-11-26 09:00' or 2026-11-26T09:00:00Z"
            .into()
    })
}

/// With its offset from UTC.
fn absolute(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// So long ago. Days are those of the calendar here: of 23 hours where the clocks go forward.
fn before(text: &str, now: &Zoned) -> Option<Timestamp> {
    if text == "now" {
        return Some(now.timestamp());
    }
    // `-5m` and `5m ago` are the same to those who ask what was.
    let span: Span = text.strip_prefix('-').unwrap_or(text).parse().ok()?;
    now.checked_sub(span.abs()).ok().map(|then| then.timestamp())
}

/// By the calendar and the clock here.
fn local(text: &str, now: &Zoned) -> Option<Timestamp> {
    let (day, rest) = match text.split_once([' ', 'T']) {
        Some((day, rest)) => (day, Some(rest.trim())),
        None => (text, None),
    };
    let today = now.date();
    let written = match (date(day, today), rest) {
        (Some(date), None) => date.to_datetime(Time::midnight()),
        (Some(date), Some(rest)) => date.to_datetime(clock(rest)?),
        (None, None) => today.to_datetime(clock(day)?),
        (None, Some(_)) => return None,
    };
    // An hour that is there twice is the first of them, one that is not there the one after it.
    written.to_zoned(now.time_zone().clone()).ok().map(|zoned| zoned.timestamp())
}

fn date(word: &str, today: Date) -> Option<Date> {
    match word {
        "today" => Some(today),
        "yesterday" => today.checked_sub(1.day()).ok(),
        word => word.parse().ok(),
    }
}

/// Hours and minutes at least: `9` alone could be anything.
fn clock(text: &str) -> Option<Time> {
    let is_clock =
        text.contains(':') && text.bytes().all(|byte| byte.is_ascii_digit() || b":.".contains(&byte));
    if is_clock { text.parse().ok() } else { None }
}

/// For people: the time of the day, with the day where that is not today.
pub fn day_and_time(nanos: u64, now: &Zoned) -> String {
    let Ok(time) = Timestamp::from_nanosecond(i128::from(nanos)) else { return "-".into() };
    let local: DateTime = now.time_zone().to_datetime(time);
    let form = if local.date() == now.date() {
        "%H:%M:%S"
    } else if local.year() == now.year() {
        "%m-%d %H:%M:%S"
    } else {
        "%Y-%m-%d %H:%M:%S"
    };
    local.strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Friday in winter, two minutes past noon.
    fn now() -> Zoned {
        "2026-11-27T12:02:00.5+01:00[Europe/Berlin]".parse().expect("a time")
    }

    fn read(text: &str) -> String {
        read_at(text, &now())
    }

    fn read_at(text: &str, now: &Zoned) -> String {
        let nanos = moment_at(text, now).unwrap_or_else(|error| panic!("{text}: {error}"));
        Timestamp::from_nanosecond(nanos.into()).expect("a time").to_string()
    }

    #[test]
    fn before_now() {
        assert_eq!(read("now"), "2026-11-27T11:02:00.5Z");
        for text in ["5m", "5m ago", "-5m", "5 minutes ago", " 300s ", "PT5M"] {
            assert_eq!(read(text), "2026-11-27T10:57:00.5Z", "{text}");
        }
        assert_eq!(read("2h30m"), "2026-11-27T08:32:00.5Z");
        assert_eq!(read("1 week"), "2026-11-20T11:02:00.5Z");
        assert_eq!(read("1mo"), "2026-10-27T11:02:00.5Z");
    }

    #[test]
    fn by_the_calendar_here() {
        assert_eq!(read("today"), "2026-11-26T23:00:00Z");
        assert_eq!(read("yesterday"), "2026-11-25T23:00:00Z");
        assert_eq!(read("yesterday 23:59"), "2026-11-26T22:59:00Z");
        assert_eq!(
            (read("today 09:00"), read("09:00")),
            (read("2026-11-27 09:00"), read("2026-11-27T09:00:00"))
        );
        assert_eq!(read("09:00:01.25"), "2026-11-27T08:00:01.25Z");
        assert_eq!(read("2026-07-01"), "2026-06-30T22:00:00Z");
    }

    #[test]
    fn with_its_offset() {
        assert_eq!(read("2026-11-27T09:00:00Z"), "2026-11-27T09:00:00Z");
        assert_eq!(read("2026-11-27 09:00:00+05:30"), "2026-11-27T03:30:00Z");
    }

    #[test]
    fn where_clocks_change() {
        let spring: Zoned = "2026-03-29T12:00:00+02:00[Europe/Berlin]".parse().expect("a time");
        assert_eq!(read_at("today", &spring), "2026-03-28T23:00:00Z");
        assert_eq!(read_at("1d", &spring), "2026-03-28T11:00:00Z", "23 hours");
        assert_eq!(read_at("02:30", &spring), "2026-03-29T01:30:00Z", "there is no such time");
        let autumn: Zoned = "2026-10-25T12:00:00+01:00[Europe/Berlin]".parse().expect("a time");
        assert_eq!(read_at("02:30", &autumn), "2026-10-25T00:30:00Z", "the first of two");
    }

    #[test]
    fn what_is_none() {
        for text in
            ["", "soon", "9", "5", "25:00", "yesterday at nine", "2026-13-01", "1900-01-01", "tomorrow 09:00"]
        {
            assert!(moment_at(text, &now()).is_err(), "{text}");
        }
    }

    #[test]
    fn shown_as_short_as_it_can_be() {
        let shown = |text: &str| day_and_time(moment_at(text, &now()).expect(text), &now());
        assert_eq!(shown("09:00"), "09:00:00");
        assert_eq!(shown("yesterday 09:00"), "11-26 09:00:00");
        assert_eq!(shown("2025-11-27"), "2025-11-27 00:00:00");
    }
}
