//! From the kernel's ticks to time since the Unix epoch.

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use weir_kernel::{Error, Loaded, Result, clock};

/// One moment, read on the kernel's tick counter and on the wall clock.
///
/// The probe stamps packets with jiffies: one load, where `bpf_ktime_get_coarse_ns()` is a
/// call, for the same resolution (both move with the tick, 1 to 10 ms).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticks {
    jiffies: u64,
    /// When that tick came, in nanoseconds since the Unix epoch.
    unix: u64,
    /// Nanoseconds a tick.
    length: u64,
}

impl Ticks {
    pub(super) fn read(loaded: &Loaded) -> Result<Self> {
        let length = clock::tick()?;
        // The coarse clock stands still between ticks: the same before and after means that
        // the jiffies were read within that tick.
        for _ in 0..100 {
            let before = clock::monotonic_coarse()?;
            loaded.run("weir_clock")?;
            if clock::monotonic_coarse()? != before {
                continue;
            }
            let now = clock::monotonic()?;
            let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let tick = unix.saturating_sub(now.saturating_sub(before));
            return Ok(Self {
                jiffies: loaded.global_value("jiffies_now")?,
                unix: nanos(tick),
                length: nanos(length),
            });
        }
        Err(Error::Unexpected(
            "the kernel's clock does not stand still for a tick: this host is overloaded".into(),
        ))
    }

    /// A reading of tick 0 at a given moment, for tests of what stands on it.
    pub fn at(unix: u64) -> Self {
        Self { jiffies: 0, unix, length: 4_000_000 }
    }

    /// The moment of this reading, in nanoseconds since the Unix epoch.
    pub fn unix(&self) -> u64 {
        self.unix
    }

    /// When the tick came whose counter's low half is `low`, in nanoseconds since the Unix
    /// epoch. Good for 2^31 ticks (24 days at 1000 Hz) before the reading, and as many after.
    pub fn unix_of(&self, low: u32) -> u64 {
        let ago = (self.jiffies as u32).wrapping_sub(low).cast_signed();
        let nanos = i64::from(ago) * self.length.cast_signed();
        self.unix.saturating_add_signed(-nanos)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_before_and_after_the_reading() {
        let ticks = Ticks { jiffies: (7 << 32) + 5, unix: 1_000_000_000_000, length: 4_000_000 };
        assert_eq!(ticks.unix_of(5), 1_000_000_000_000);
        assert_eq!(ticks.unix_of(4), 999_996_000_000);
        assert_eq!(ticks.unix_of(u32::MAX), 1_000_000_000_000 - 6 * 4_000_000);
        assert_eq!(ticks.unix_of(6), 1_000_004_000_000);
    }
}
