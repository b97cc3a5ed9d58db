//! How much of a period the history can tell of.

use super::period::Period;
use crate::history::day_and_time;
use jiff::Zoned;

/// A hole at an end that is shorter is a pause between two records, in nanoseconds.
const PAUSE: u64 = 60_000_000_000;

/// What the history has of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coverage {
    /// The part that it can have records of: rates are of this.
    pub from: u64,
    pub to: u64,
    /// Whether that is all of it.
    pub is_whole: bool,
}

impl Coverage {
    /// Of a history from its first record to its last, which goes on if an agent writes it now.
    pub fn of(period: &Period, (first, last): (u64, u64), is_live: bool) -> Self {
        let (begin, end) = (*period.times.start(), *period.times.end());
        let last = if is_live { u64::MAX } else { last };
        let (from, to) = (begin.max(first).min(end), end.min(last).max(begin));
        Self { from, to: to.max(from), is_whole: from - begin <= PAUSE && end - to <= PAUSE }
    }

    /// At least one.
    pub fn seconds(&self) -> f64 {
        ((self.to - self.from) as f64 / 1e9).max(1.0)
    }

    /// What a person has to know before they believe what is new or gone; nothing where all is covered.
    pub fn remark(&self, period: &Period, now: &Zoned) -> Option<String> {
        (!self.is_whole).then(|| {
            let (word, times) = (&period.word, period.shown(now));
            let (from, to) = (day_and_time(self.from, now), day_and_time(self.to, now));
            format!("of {word} ({times}) the history has {from} to {to} only: what was there at other times is not known")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = PAUSE;

    fn of(history: (u64, u64), is_live: bool) -> (u64, u64, bool) {
        let period = Period { word: "then".into(), times: 100 * MINUTE..=200 * MINUTE };
        let coverage = Coverage::of(&period, (history.0 * MINUTE, history.1 * MINUTE), is_live);
        (coverage.from / MINUTE, coverage.to / MINUTE, coverage.is_whole)
    }

    #[test]
    fn a_history_may_begin_late_and_end_early() {
        assert_eq!(of((0, 300), false), (100, 200, true));
        assert_eq!(of((101, 199), false), (101, 199, true), "a minute is a pause");
        assert_eq!(of((150, 300), false), (150, 200, false));
        assert_eq!(of((0, 150), false), (100, 150, false));
        assert_eq!(of((0, 150), true), (100, 200, true), "nothing has ended since, but it goes on");
        assert!(!of((300, 400), false).2 && !of((0, 50), false).2);
    }
}
