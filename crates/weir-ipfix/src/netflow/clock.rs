//! The clock that times are told by: milliseconds of uptime, in 32 bits, which begin anew after 49.7 days.

/// As many whole seconds as 32 bits of milliseconds can tell.
const MOST: u32 = u32::MAX / 1000;
const MILLISECOND: u64 = 1_000_000;

/// When the host was booted is of no interest to anybody, but what came before it could not be told: a record may have
/// waited on disk for long. So this one began when half of what it can tell was still to come, and it is moved on before
/// collectors would see it begin anew; it never goes back. At a whole second, since NetFlow 9 says no less of when a
/// message was sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    /// When it began, in seconds since the epoch.
    boot: u32,
}

impl Clock {
    /// Moves it on if it has come far. Not while a message is open, which says once when it began.
    pub fn keep_up(&mut self, now: u32) {
        if now.saturating_sub(self.boot) > MOST / 4 * 3 {
            self.boot = now - MOST / 2;
        }
    }

    /// A time of so many nanoseconds since the epoch; what is out of its reach is as near as can be told.
    pub fn uptime(self, nanos: u64) -> u32 {
        let since = (nanos / MILLISECOND).saturating_sub(u64::from(self.boot) * 1000);
        since.min(u64::from(MOST) * 1000) as u32
    }

    /// What a header says: uptime, and seconds since the epoch. Not before the latest of what is told by it: to readers that
    /// reckon with a clock that begins anew, an uptime beyond the message's own is one of before that.
    pub fn header(self, now: u32, latest: u32) -> [u32; 2] {
        let seconds = now.saturating_sub(self.boot).min(MOST).max(latest.div_ceil(1000));
        [seconds * 1000, self.boot + seconds]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: u64 = 86_400;

    proptest! {
        /// However time goes, it tells what is less than 24 days old and has not come by the millisecond, and does not go back.
        #[test]
        fn times_are_told(steps in prop::collection::vec((0..40 * DAY, 0..24 * DAY * 1000), 1..60)) {
            let (mut clock, mut now, mut boot) = (Clock::default(), 1_700_000_000, 0);
            for (step, age) in steps {
                now += step;
                clock.keep_up(now as u32);
                let nanos = (now * 1000 - age) * MILLISECOND + 999_999;
                let first = clock.uptime(nanos);
                let [uptime, seconds] = clock.header(now as u32, first);
                // As a collector has it.
                let began = u64::from(seconds) * 1000 - u64::from(uptime);
                prop_assert_eq!(began + u64::from(first), now * 1000 - age);
                prop_assert!(first <= uptime && began >= boot && u64::from(seconds) == now);
                boot = began;
            }
        }
    }

    #[test]
    fn what_it_cannot_tell() {
        let mut clock = Clock::default();
        clock.keep_up(1_700_000_000);
        assert_eq!(clock.uptime(0), 0);
        assert_eq!(clock.uptime(u64::MAX), MOST * 1000);
        // The message is not sent before what it tells of has been.
        let latest = clock.uptime(1_700_000_000_400_000_000);
        let [uptime, seconds] = clock.header(1_700_000_000, latest);
        assert_eq!((seconds, uptime - latest), (1_700_000_001, 600));
        // A clock that was set back.
        assert_eq!(clock.header(0, 0), [0, 1_700_000_000 - MOST / 2]);
    }
}
