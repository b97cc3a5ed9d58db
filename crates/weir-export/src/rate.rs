//! How many records a second a peer is given.

use std::str::FromStr;
use std::time::Instant;

/// Records a second, on average: what goes at once goes as a whole, and what it was too many for waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(u32);

impl FromStr for Rate {
    type Err = String;

    /// `1000` or `1000/s`.
    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix("/s").unwrap_or(text).parse().ok().filter(|number| *number > 0);
        number
            .map(Self)
            .ok_or_else(|| format!("rate: '{text}' is not a number of records a second, like 1000/s"))
    }
}

/// What may go at the moment (a token bucket that holds one second's, and lends).
#[derive(Debug)]
pub struct Allowance {
    rate: Rate,
    left: f64,
    since: Instant,
}

impl Allowance {
    /// A second's, for a start.
    pub fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, left: f64::from(rate.0), since: now }
    }

    /// Whether anything may go now.
    pub fn is_left(&self, now: Instant) -> bool {
        self.at(now) >= 1.0
    }

    /// So many went.
    pub fn spend(&mut self, records: usize, now: Instant) {
        self.left = self.at(now) - records as f64;
        self.since = now;
    }

    /// How many are left by then.
    fn at(&self, now: Instant) -> f64 {
        let rate = f64::from(self.rate.0);
        let grown = now.saturating_duration_since(self.since).as_secs_f64() * rate;
        (self.left + grown).min(rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn a_rate_is_a_number_of_records_a_second() {
        assert_eq!("1000/s".parse(), Ok(Rate(1000)));
        assert_eq!("7".parse(), Ok(Rate(7)));
        for wrong in ["", "0", "-1", "1.5", "10/m", "/s", "99999999999"] {
            assert!(wrong.parse::<Rate>().is_err_and(|why| why.contains("like 1000/s")), "{wrong}");
        }
    }

    proptest! {
        /// Over any time no more goes than the rate has room for, one second's and the last batch; and whoever has waited for
        /// a second after what was too much may go on.
        #[test]
        fn no_more_goes_than_there_is_room_for(rate in 1_u32..5000, steps in prop::collection::vec((1_usize..3000, 0_u64..3000), 1..60)) {
            let start = Instant::now();
            let (mut now, mut went, mut largest) = (start, 0, 0);
            let mut allowance = Allowance::new(Rate(rate), start);
            for (records, pause) in steps {
                now += Duration::from_millis(pause);
                if allowance.is_left(now) {
                    allowance.spend(records, now);
                    (went, largest) = (went + records, largest.max(records));
                }
                let room = (now - start).as_secs_f64() * f64::from(rate) + f64::from(rate);
                prop_assert!(went as f64 <= room + largest as f64 + 0.001);
                let debt = largest as f64 / f64::from(rate) + 1.001;
                prop_assert!(allowance.is_left(now + Duration::from_secs_f64(debt)));
            }
        }
    }
}
