//! When a command shall end: a signal, a time, or nobody listening any more.

use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
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

    /// Also when the terminal is closed.
    pub fn on_hangup(self) -> Result<Self> {
        signal_hook::flag::register(SIGHUP, Arc::clone(&self.signalled))
            .context("cannot listen for signals")?;
        Ok(self)
    }

    /// Counts the time from now on.
    pub fn after(&mut self, time: Option<Duration>) {
        self.deadline = time.map(|time| Instant::now() + time);
    }

    /// Whether it is time.
    pub fn is_due(&self) -> bool {
        self.signalled.load(Ordering::Relaxed)
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
            || is_closed(std::io::stdout())
    }
}

/// Whether the reader of a pipe is gone: poll(2) says POLLERR without being asked.
fn is_closed(output: impl AsFd) -> bool {
    let mut fds = [PollFd::new(output.as_fd(), PollFlags::empty())];
    match poll(&mut fds, PollTimeout::ZERO) {
        Ok(_) => fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLERR)),
        Err(_) => false,
    }
}
