//! Reading the probes' rings, and how often.

use super::Agent;
use crate::Result;
use std::time::{Duration, Instant};

/// How long the loop sleeps at most before it looks whether it shall stop.
const LONGEST: Duration = Duration::from_millis(100);
/// However much comes.
const SHORTEST: Duration = Duration::from_millis(5);
/// How full the fullest ring should be found: what comes may come four times as fast before it is noticed.
const WANTED: f64 = 0.25;
/// As good as empty.
const LEAST: f64 = 0.001;

/// How long the loop sleeps: shorter where rings fill faster.
pub(super) struct Pace {
    sleep: Duration,
    read: Instant,
}

impl Pace {
    /// Nothing has come until `now`.
    pub fn new(now: Instant) -> Self {
        Self { sleep: LONGEST, read: now }
    }

    /// Until rings are to be read again.
    pub fn sleep(&self) -> Duration {
        self.sleep
    }

    /// So full was the fullest of them `now`, since the last time.
    pub fn found(&mut self, fill: f64, now: Instant) {
        let since = now - std::mem::replace(&mut self.read, now);
        self.sleep = since.mul_f64(WANTED / fill.max(LEAST)).clamp(SHORTEST, LONGEST);
    }
}

impl Agent {
    /// Takes in what the probes have told of the ends of packets.
    pub(super) fn hear(&mut self) -> Result<()> {
        self.hear_of_ends()?;
        self.health.hear(&self.flows)
    }

    /// How full the fullest of their rings was found since this was last asked for.
    pub(super) fn take_fill(&self) -> f64 {
        self.identity.take_fill().max(self.health.take_fill(&self.flows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_that_fill_are_read_more_often_and_idle_ones_less_so_again() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        let mut found = |after: Duration, fill| {
            now += after;
            pace.found(fill, now);
            pace.sleep()
        };
        let per_second = 5.0;
        // However long it took to come back, it is the rate that counts.
        assert_eq!(found(Duration::from_secs(1), per_second), Duration::from_millis(50));
        assert_eq!(found(Duration::from_millis(2), per_second * 0.002), Duration::from_millis(50));
        assert_eq!(found(Duration::from_millis(50), 40.0), SHORTEST);
        assert_eq!(found(SHORTEST, 0.0), LONGEST);
    }
}
