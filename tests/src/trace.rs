//! Runs `weir trace` and collects its events.

use crate::agent::binary;
use crate::lines::Lines;
use crate::netns::Namespace;
use crate::wait_for;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// A running `weir trace -o json`; killed on drop.
pub struct Trace {
    child: Child,
    stdout: Option<Lines>,
    stderr: Lines,
}

impl Trace {
    /// Runs it with further arguments, and waits until it hears.
    pub fn start(namespace: &Namespace, args: &[&str]) -> Self {
        let mut command = Command::new(binary());
        command.args(["trace", "-o", "json"]).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = namespace.enter(|| command.spawn()).expect("weir is there");
        let stdout = child.stdout.take().map(Lines::of);
        let stderr = Lines::of(child.stderr.take().expect("a pipe"));
        let mut trace = Self { child, stdout, stderr };
        wait_for("weir hears", PATIENCE, || {
            let exited = trace.child.try_wait().expect("weir is ours").is_some();
            trace.stderr.look(|lines| {
                let hears = lines.iter().any(|line| line.starts_with("weir: hears of"));
                assert!(hears || !exited, "weir ended before it heard: {lines:?}");
                hears.then_some(())
            })
        });
        trace
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("weir runs");
    }

    /// What it has said so far.
    pub fn so_far(&self) -> Vec<Value> {
        self.stdout.as_ref().expect("it is read").look(values)
    }

    /// Waits until `look` finds what it wants in what was said so far.
    pub fn wait_for<T>(&self, what: &str, look: impl Fn(&[Value]) -> Option<T>) -> T {
        wait_for(what, PATIENCE, || look(&self.so_far()))
    }

    /// Lets it hear what has just happened, ends it, and returns all it has said.
    pub fn stop(mut self) -> Vec<Value> {
        std::thread::sleep(Duration::from_millis(300));
        self.signal(Signal::SIGINT);
        let status = wait_for("weir stops", PATIENCE, || self.child.try_wait().expect("weir is ours"));
        assert!(status.success(), "{status}: {:?}", self.stderr.look(<[String]>::to_vec));
        values(&self.stdout.take().expect("it is read").finish())
    }
}

fn values(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

impl Drop for Trace {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
