//! When a command shall end: a signal, a time, or nobody listening any more. And when it shall
//! read its configuration again: SIGHUP, unless that is its terminal saying farewell.

use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::fs::File;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Set once, asked often.
pub struct Stop {
    signalled: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

impl Stop {
    /// Listens for SIGINT and SIGTERM, and to the clock.
    pub fn new(after: Option<Duration>) -> Result<Self> {
        let signalled = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&signalled))
                .context("cannot listen for signals")?;
        }
        Ok(Self { signalled, deadline: after.map(|after| Instant::now() + after) })
    }

    /// Listens for SIGINT alone, for what goes on after it; see [`Stop::again`].
    #[cfg(feature = "sql")]
    pub fn on_interrupt() -> Result<Self> {
        let signalled = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGINT, Arc::clone(&signalled)).context("cannot listen for signals")?;
        Ok(Self { signalled, deadline: None })
    }

    /// Listens anew.
    #[cfg(feature = "sql")]
    pub fn again(&self) {
        self.signalled.store(false, Ordering::Relaxed);
    }

    /// Also when the terminal is closed, unless under nohup(1).
    pub fn on_hangup(self) -> Result<Self> {
        if !is_ignored(SIGHUP) {
            signal_hook::flag::register(SIGHUP, Arc::clone(&self.signalled))
                .context("cannot listen for signals")?;
        }
        Ok(self)
    }

    /// Counts the time from now on.
    pub fn after(&mut self, time: Option<Duration>) {
        self.deadline = time.map(|time| Instant::now() + time);
    }

    /// Whether a signal says so, for what does not write to standard output.
    pub fn is_signalled(&self) -> bool {
        self.signalled.load(Ordering::Relaxed)
    }

    /// Whether it is time.
    pub fn is_due(&self) -> bool {
        self.is_signalled()
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
            || is_closed(std::io::stdout())
    }
}

/// SIGHUP: sent by a person it asks for a reload, sent by a terminal that closes it means the end.
#[derive(Clone)]
pub struct Hangup {
    signalled: Arc<AtomicBool>,
    /// The terminal whose end is ours; none where there is none, or under nohup(1).
    terminal: Option<Arc<File>>,
}

impl Hangup {
    /// Listens for SIGHUP.
    pub fn new() -> Result<Self> {
        let nohup = is_ignored(SIGHUP);
        let terminal = File::open("/dev/tty").ok().filter(|_| !nohup).map(Arc::new);
        let signalled = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGHUP, Arc::clone(&signalled)).context("cannot listen for signals")?;
        Ok(Self { signalled, terminal })
    }

    /// Whether the terminal has gone.
    pub fn is_farewell(&self) -> bool {
        self.signalled.load(Ordering::Relaxed) && self.terminal.as_ref().is_some_and(is_closed)
    }

    /// Whether a reload was asked for since the last call.
    pub fn asks_for_reload(&self) -> bool {
        !self.is_farewell() && self.signalled.swap(false, Ordering::Relaxed)
    }
}

/// Whether this process was started with `signal` ignored (SigIgn in /proc/self/status).
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}

/// Whether the reader of a pipe is gone, or a terminal: poll(2) says POLLERR without being asked.
fn is_closed(output: impl AsFd) -> bool {
    let mut fds = [PollFd::new(output.as_fd(), PollFlags::empty())];
    match poll(&mut fds, PollTimeout::ZERO) {
        Ok(_) => fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLERR)),
        Err(_) => false,
    }
}
