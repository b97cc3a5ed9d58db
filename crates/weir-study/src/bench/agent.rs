//! The real agent, `weir run`, as another process sees it.

use crate::bench::network::Pair;
use crate::interrupt;
use crate::namespace::Namespace;
use crate::paused::Paused;
use anyhow::{Context, Result, anyhow, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(15);

/// An agent on both hooks of one end of its veth pair.
pub struct Agent {
    child: Child,
    messages: Arc<Mutex<String>>,
    listener: Option<JoinHandle<()>>,
}

impl Agent {
    /// Starts it without a history, and waits until it says that it is attached.
    pub fn start(namespace: &Namespace, more: &[&str]) -> Result<Self> {
        Self::keeping(namespace, "none", more)
    }

    /// Starts it with a history in this directory.
    pub fn keeping(namespace: &Namespace, directory: &str, more: &[&str]) -> Result<Self> {
        let mut command = namespace.command(binary()?);
        command.args(["run", "-i", Pair::Weir.interface(), "-o", "none", "--data-dir", directory]).args(more);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = interrupt::spawn(&mut command)?;

        let stderr = BufReader::new(child.stderr.take().expect("stderr is a pipe"));
        let messages = Arc::new(Mutex::new(String::new()));
        let (sender, first_line) = mpsc::channel();
        let kept = Arc::clone(&messages);
        let listener = thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                *kept.lock().expect("nobody panics with it") += &format!("\n  {line}");
                let _ = sender.send(());
            }
        });
        let mut agent = Self { child, messages, listener: Some(listener) };
        // The agent's one line at start comes when all is attached; an error is one line too, but then it ends.
        if first_line.recv_timeout(PATIENCE).is_err() {
            return Err(agent.failure("does not say that it has started"));
        }
        thread::sleep(Duration::from_millis(100));
        agent.must_run()?;
        Ok(agent)
    }

    /// User and system time so far, of all threads, in steps of 10 ms.
    pub fn cpu_time(&mut self) -> Result<Duration> {
        self.must_run()?;
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // proc(5): the name in parentheses may hold anything; utime and stime are fields 14 and 15.
        let fields = stat.rsplit_once(')').context("no name in /proc/PID/stat")?.1;
        let ticks: u64 =
            fields.split_whitespace().skip(11).take(2).map_while(|t| t.parse::<u64>().ok()).sum();
        Ok(Duration::from_millis(ticks * 10)) // USER_HZ is 100
    }

    /// Resident memory in bytes.
    pub fn resident(&mut self) -> Result<u64> {
        self.must_run()?;
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        Ok(kib.context("no VmRSS in /proc/PID/status")? * 1024)
    }

    /// Stops it until the value is dropped. Its programs in the kernel go on.
    pub fn pause(&self) -> Result<Paused<'_>> {
        Paused::new(&self.child)
    }

    /// Has it drain a last time and end. How many packets it has seen, by its own balance.
    pub fn stop(mut self) -> Result<u64> {
        kill(Pid::from_raw(self.child.id().try_into()?), Signal::SIGINT)?;
        let start = Instant::now();
        let status = loop {
            match self.child.try_wait()? {
                Some(status) => break status,
                None if start.elapsed() > PATIENCE => bail!("the agent does not end when told to"),
                None => thread::sleep(Duration::from_millis(20)),
            }
        };
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
        if !status.success() {
            return Err(self.failure(&format!("ended with {status}")));
        }
        self.seen().ok_or_else(|| self.failure("does not end with a balance"))
    }

    /// `weir: 1,000 packets (60 kB) seen = …`, however the digits are grouped.
    fn seen(&self) -> Option<u64> {
        let messages = self.messages.lock().expect("nobody panics with it");
        let (before, _) = messages.lines().rev().find_map(|line| line.split_once(" packets"))?;
        before.chars().filter(char::is_ascii_digit).collect::<String>().parse().ok()
    }

    fn must_run(&mut self) -> Result<()> {
        interrupt::check()?;
        match self.child.try_wait()? {
            Some(status) => Err(self.failure(&format!("ended early with {status}"))),
            None => Ok(()),
        }
    }

    fn failure(&self, what: &str) -> anyhow::Error {
        anyhow!("the agent {what}{}", self.messages.lock().expect("nobody panics with it"))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `$WEIR_BIN`, else the one that was built along with this program.
pub fn binary() -> Result<PathBuf> {
    let path = match env::var_os("WEIR_BIN") {
        Some(path) => PathBuf::from(path),
        None => env::current_exe()?.with_file_name("weir"),
    };
    let missing =
        || format!("no agent at {}: cargo build --release -p weir, or set WEIR_BIN", path.display());
    fs::canonicalize(&path).with_context(missing)
}
