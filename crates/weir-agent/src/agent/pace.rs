//! Reading the probes' rings, and how often.

use super::Agent;
use crate::Result;
use std::time::Duration;

/// How long the loop sleeps at most before it looks whether it shall stop.
const LONGEST: Duration = Duration::from_millis(100);
/// However much comes.
const SHORTEST: Duration = Duration::from_millis(5);
/// How full the fullest ring should be found: what comes may come four times as fast before it is noticed.
const WANTED: f64 = 0.25;

/// How long the loop sleeps: shorter where rings fill faster.
pub(super) struct Pace(Duration);

impl Pace {
    /// Nothing has come yet.
    pub fn new() -> Self {
        Self(LONGEST)
    }

    /// Until rings are to be read again.
    pub fn sleep(&self) -> Duration {
        self.0
    }

    /// So full was the fullest of them after the last sleep.
    pub fn found(&mut self, fill: f64) {
        let wanted = self.0.mul_f64(WANTED / fill.max(WANTED / 2.0));
        self.0 = wanted.clamp(SHORTEST, LONGEST);
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
        let mut pace = Pace::new();
        let per_second = 5.0;
        for _ in 0..10 {
            pace.found(per_second * pace.sleep().as_secs_f64());
        }
        assert_eq!(pace.sleep(), Duration::from_millis(50));
        pace.found(40.0);
        assert_eq!(pace.sleep(), SHORTEST);
        (0..10).for_each(|_| pace.found(0.0));
        assert_eq!(pace.sleep(), LONGEST);
    }
}
