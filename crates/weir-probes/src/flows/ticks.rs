//! From the kernel's ticks to time since the Unix epoch.

use super::CLOCK;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use weir_kernel::{Error, FINE_TICK_BITS, Loaded, Result, clock};

/// What the probe stamps packets with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Clock {
    /// Jiffies: one load, where `bpf_ktime_get_coarse_ns()` is a call, for the same resolution (both move with the
    /// tick, 1 to 10 ms).
    #[default]
    Tick,
    /// `bpf_ktime_get_ns()`, in ticks of 65.536 µs: a call, and what the machine's clock source costs.
    Fine,
}

impl Clock {
    /// Every one, the cheapest first.
    pub const ALL: [Self; 2] = [Self::Tick, Self::Fine];

    /// As users know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tick => "tick",
            Self::Fine => "fine",
        }
    }

    /// How long one of its ticks is: times are no more precise than that.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn tick(self) -> Result<Duration> {
        match self {
            Self::Tick => clock::tick(),
            Self::Fine => Ok(FINE_TICK),
        }
    }
}

const FINE_TICK: Duration = Duration::from_nanos(1 << FINE_TICK_BITS);

/// One moment, read on the clock that stamps packets and on the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticks {
    count: u64,
    /// When that tick came, in nanoseconds since the Unix epoch.
    unix: u64,
    /// Nanoseconds a tick.
    length: u64,
}

impl Ticks {
    pub(super) fn read(loaded: &Loaded, clock: Clock) -> Result<Self> {
        match clock {
            Clock::Tick => Self::read_jiffies(loaded),
            Clock::Fine => Self::read_fine(loaded),
        }
    }

    fn read_jiffies(loaded: &Loaded) -> Result<Self> {
        let length = clock::tick()?;
        // The coarse clock stands still between ticks: the same before and after means that
        // the jiffies were read within that tick.
        for _ in 0..100 {
            let before = clock::monotonic_coarse()?;
            loaded.run(CLOCK)?;
            if clock::monotonic_coarse()? != before {
                continue;
            }
            let now = clock::monotonic()?;
            let tick = since_epoch().saturating_sub(now.saturating_sub(before));
            return Ok(Self {
                count: loaded.global_value("jiffies_now")?,
                unix: nanos(tick),
                length: nanos(length),
            });
        }
        Err(Error::Unexpected(
            "the kernel's clock does not stand still for a tick: this host is overloaded".into(),
        ))
    }

    fn read_fine(loaded: &Loaded) -> Result<Self> {
        let mut closest = Self::look(loaded)?;
        for _ in 0..9 {
            if closest.0 <= FINE_TICK / 2 {
                break;
            }
            // Something came between: the next look is less in doubt, with luck.
            let again = Self::look(loaded)?;
            if again.0 < closest.0 {
                closest = again;
            }
        }
        Ok(closest.1)
    }

    /// The fine clock between two looks at the wall clock, and how far those are apart.
    fn look(loaded: &Loaded) -> Result<(Duration, Self)> {
        let before = since_epoch();
        loaded.run(CLOCK)?;
        let apart = since_epoch().saturating_sub(before);
        let reading = loaded.global_value("nanoseconds_now")?;
        Ok((apart, Self::fine(reading, nanos(before + apart / 2))))
    }

    /// The fine clock read `nanoseconds` at `unix`.
    fn fine(nanoseconds: u64, unix: u64) -> Self {
        let length = nanos(FINE_TICK);
        Self { count: nanoseconds / length, unix: unix.saturating_sub(nanoseconds % length), length }
    }

    /// A reading of tick 0 at a given moment, for tests of what stands on it.
    pub fn at(unix: u64) -> Self {
        Self { count: 0, unix, length: 4_000_000 }
    }

    /// The moment of this reading, in nanoseconds since the Unix epoch.
    pub fn unix(&self) -> u64 {
        self.unix
    }

    /// When the tick came whose counter's low half is `low`, in nanoseconds since the Unix
    /// epoch. Good for 2^31 ticks before the reading, and as many after: 24 days at 1000 Hz,
    /// 39 hours of the fine clock. A packet is read within an interval, a minute at most.
    pub fn unix_of(&self, low: u32) -> u64 {
        let ago = (self.count as u32).wrapping_sub(low).cast_signed();
        let nanos = i64::from(ago) * self.length.cast_signed();
        self.unix.saturating_add_signed(-nanos)
    }
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_before_and_after_the_reading() {
        let ticks = Ticks { count: (7 << 32) + 5, unix: 1_000_000_000_000, length: 4_000_000 };
        assert_eq!(ticks.unix_of(5), 1_000_000_000_000);
        assert_eq!(ticks.unix_of(4), 999_996_000_000);
        assert_eq!(ticks.unix_of(u32::MAX), 1_000_000_000_000 - 6 * 4_000_000);
        assert_eq!(ticks.unix_of(6), 1_000_004_000_000);
    }

    /// As the probe stamps: the nanoseconds without their low sixteen bits, and of the rest 32.
    fn stamp(nanoseconds: u64) -> u32 {
        (nanoseconds >> 16) as u32
    }

    #[test]
    fn the_fine_clock_is_right_to_its_tick_wherever_it_comes_round() {
        const ROUND: u64 = 1 << 48; // nanoseconds in which a stamp comes round: 78 hours
        const HOUR: u64 = 3_600_000_000_000;
        let unix = 1_700_000_000_123_456_789;
        for reading in [ROUND - 1, ROUND, ROUND + 12_345, 5 * ROUND + 65_535, 40 * HOUR] {
            let ticks = Ticks::fine(reading, unix);
            for ago in [0, 1, 65_535, 65_536, 1_000_000, 60_000_000_000, 39 * HOUR] {
                let (packet, told) = (unix - ago, ticks.unix_of(stamp(reading - ago)));
                assert!(told <= packet && packet - told < 65_536, "{reading} {ago}: {told} for {packet}");
            }
            let later = ticks.unix_of(stamp(reading + 1_000_000));
            assert!(unix + 1_000_000 - later < 65_536);
        }
        // A round too old: taken for one that is yet to come.
        let ticks = Ticks::fine(3 * ROUND, unix);
        assert!(ticks.unix_of(stamp(3 * ROUND - 40 * HOUR)) > unix);
    }
}
