//! A process that stands still.

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::Child;

/// A child that is stopped until this value is dropped, whatever happens meanwhile. As long, nobody can wait for it:
/// its number stays its own.
pub struct Paused<'a> {
    pid: Pid,
    _child: &'a Child,
}

impl<'a> Paused<'a> {
    /// Stops it. One that has ended already stays ended.
    pub fn new(child: &'a Child) -> Result<Self> {
        let pid = Pid::from_raw(child.id().try_into()?);
        kill(pid, Signal::SIGSTOP).context("cannot stop a process for a moment")?;
        Ok(Self { pid, _child: child })
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        let _ = kill(self.pid, Signal::SIGCONT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{self, AssertUnwindSafe};
    use std::process::Command;
    use std::thread;
    use std::time::Duration;

    fn becomes(child: &Child, state: &str) -> bool {
        let path = format!("/proc/{}/stat", child.id());
        (0..500).any(|_| {
            thread::sleep(Duration::from_millis(2));
            std::fs::read_to_string(&path).is_ok_and(|stat| stat.contains(&format!(") {state} ")))
        })
    }

    #[test]
    fn it_goes_on_also_after_a_panic() {
        let mut child = Command::new("sleep").arg("100").spawn().expect("there is sleep");
        let stopped = panic::catch_unwind(AssertUnwindSafe(|| {
            let _paused = Paused::new(&child).expect("it is ours");
            let stopped = becomes(&child, "T");
            panic::panic_any(stopped);
        }));
        let stopped = stopped.expect_err("it panics").downcast::<bool>().is_ok_and(|stopped| *stopped);
        let goes_on = becomes(&child, "S");
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
        assert!(stopped && goes_on, "{stopped}, {goes_on}");
    }
}
