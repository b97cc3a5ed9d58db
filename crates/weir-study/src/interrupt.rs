//! Ctrl-C as an error like any other, so that whatever was set up is taken down on the way out.

use anyhow::{Context, Result, bail};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::SignalFd;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on SIGINT, SIGTERM and SIGHUP are noted, not obeyed. To be called before any thread is started:
/// threads inherit what is blocked.
pub fn catch() -> Result<()> {
    signals().thread_block()?;
    let arriving = SignalFd::new(&signals())?;
    thread::spawn(move || {
        let _ = arriving.read_signal();
        INTERRUPTED.store(true, Ordering::Relaxed);
    });
    Ok(())
}

/// An error once a signal has come.
pub fn check() -> Result<()> {
    if INTERRUPTED.load(Ordering::Relaxed) {
        bail!("interrupted");
    }
    Ok(())
}

/// Starts a process that obeys signals: processes inherit what is blocked, too.
pub fn spawn(command: &mut Command) -> Result<Child> {
    signals().thread_unblock()?;
    let child = command.spawn();
    signals().thread_block()?;
    child.with_context(|| format!("cannot run {}", command.get_program().to_string_lossy()))
}

fn signals() -> SigSet {
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect()
}
