//! Processes that stand still for a while.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::process::Child;
use std::time::Duration;
use weir_tests::wait_for;

/// Lets it do nothing until it is told to go on. A signal comes to each of its threads by and by.
pub fn rest(process: &Child, rests: bool) {
    let signal = if rests { Signal::SIGSTOP } else { Signal::SIGCONT };
    kill(Pid::from_raw(process.id() as i32), signal).expect("it runs");
    wait_for("it is as it was told", Duration::from_secs(10), || {
        (is_stopped(process) == rests).then_some(())
    });
}

fn is_stopped(process: &Child) -> bool {
    let threads = fs::read_dir(format!("/proc/{}/task", process.id())).expect("it runs").flatten();
    let mut states = threads.filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok());
    // Behind its name, which is in brackets.
    states.all(|state| state.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T')))
}
