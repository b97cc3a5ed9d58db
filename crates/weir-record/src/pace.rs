//! How soon something is tried again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(30);

/// Waits twice as long each time, up to half a minute; each up to half more or less, so that not all agents of a
/// cluster come back in the same moment.
#[derive(Debug)]
pub struct Pace {
    next: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Pace {
    /// How long to wait now.
    pub fn wait(&mut self) -> Duration {
        let wait = around(self.next);
        self.next = (2 * self.next).min(LONGEST);
        wait
    }
}

/// From half to one and a half of it.
pub fn around(time: Duration) -> Duration {
    // Every new state of the standard library's hasher is another random one.
    let random = RandomState::new().hash_one(0) as u32;
    time.mul_f64(0.5 + f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_an_end() {
        let mut pace = Pace::default();
        let waits: Vec<_> = (0..12).map(|_| pace.wait()).collect();
        assert!(waits[0] <= FIRST * 3 / 2 && waits[0] >= FIRST / 2, "{waits:?}");
        assert!(waits[11] <= LONGEST * 3 / 2 && waits[11] >= LONGEST / 2, "{waits:?}");
    }
}
