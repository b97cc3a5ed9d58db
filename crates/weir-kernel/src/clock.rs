//! The kernel's coarse clock, as user space sees it.

use crate::{Error, Result};
use std::time::Duration;

/// `CLOCK_MONOTONIC_COARSE`: the time of the last tick (2.6.32).
///
/// # Errors
/// The system has no such clock.
pub fn monotonic_coarse() -> Result<Duration> {
    read(libc::CLOCK_MONOTONIC_COARSE)
}

/// `CLOCK_MONOTONIC`.
///
/// # Errors
/// The system has no such clock.
pub fn monotonic() -> Result<Duration> {
    read(libc::CLOCK_MONOTONIC)
}

/// `CLOCK_BOOTTIME`, by which the kernel dates processes.
///
/// # Errors
/// The system has no such clock.
pub fn since_boot() -> Result<Duration> {
    read(libc::CLOCK_BOOTTIME)
}

/// How long a tick is: the resolution of the coarse clock, and the length of a jiffy.
///
/// # Errors
/// The system has no such clock.
pub fn tick() -> Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` outlives the call.
    let answer = unsafe { libc::clock_getres(libc::CLOCK_MONOTONIC_COARSE, &mut time) };
    duration(answer, &time)
}

fn read(clock: libc::clockid_t) -> Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` outlives the call.
    let answer = unsafe { libc::clock_gettime(clock, &mut time) };
    duration(answer, &time)
}

fn duration(answer: libc::c_int, time: &libc::timespec) -> Result<Duration> {
    if answer != 0 {
        return Err(Error::last_os_error("cannot read the clock"));
    }
    Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}
