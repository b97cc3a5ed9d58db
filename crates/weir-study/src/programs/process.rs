//! A program that runs beside us, and what it says.

use crate::interrupt;
use crate::paused::Paused;
use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Between two looks at a program that may still be at work, how many of them there are at most, and what it may do
/// in between and yet be idle.
const GLANCE_AT_WORK: Duration = Duration::from_millis(20);
const GLANCES_UNTIL_IDLE: usize = 25;
const IDLE: Duration = Duration::from_micros(500);
/// How long a program may take for anything.
const PATIENCE: Duration = Duration::from_secs(20);
const GLANCE: Duration = Duration::from_millis(10);

/// Where an executable lies. Daemons are not in everyone's path.
pub fn find(executable: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let daemons = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(daemons)
        .map(|folder| folder.join(executable))
        .find(|file| file.is_file())
}

/// A program with the processes that it starts: a process group of its own, killed on drop.
pub struct Process {
    name: &'static str,
    child: Child,
    output: Said,
    errors: Said,
    /// Once it is, its number may be another's.
    gone: bool,
}

impl Process {
    pub fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = interrupt::spawn(command)?;
        let (output, errors) = (Said::listen(child.stdout.take()), Said::listen(child.stderr.take()));
        Ok(Self { name, child, output, errors, gone: false })
    }

    /// What it has written to standard output so far.
    pub fn output(&self) -> String {
        self.output.text()
    }

    /// What it has written to standard error so far.
    pub fn errors(&self) -> String {
        self.errors.text()
    }

    /// Looks until `there` finds what it looks for, as long as the program runs and our patience lasts.
    pub fn wait_for<T>(
        &mut self,
        what: &str,
        mut there: impl FnMut(&Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let start = Instant::now();
        loop {
            interrupt::check()?;
            if let Some(found) = there(self)? {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                self.hear_out();
                bail!("{} has ended, with {status}: {}", self.name, self.last_words());
            }
            if start.elapsed() > PATIENCE {
                bail!("{} does not {what}: {}", self.name, self.last_words());
            }
            thread::sleep(GLANCE);
        }
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(self.pid()?, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Stops it until the value is dropped.
    pub fn pause(&self) -> Result<Paused<'_>> {
        Paused::new(&self.child)
    }

    /// Whether it has ended. From then on all that it has said is there.
    pub fn has_ended(&mut self) -> Result<bool> {
        let ended = self.child.try_wait()?.is_some();
        if ended {
            self.hear_out();
        }
        Ok(ended)
    }

    /// Waits until it has ended. From then on all that it has said is there.
    pub fn ended(&mut self) -> Result<ExitStatus> {
        let start = Instant::now();
        let status = loop {
            interrupt::check()?;
            match self.child.try_wait()? {
                Some(status) => break status,
                None if start.elapsed() > PATIENCE => {
                    bail!("{} does not end: {}", self.name, self.last_words())
                }
                None => thread::sleep(GLANCE),
            }
        };
        self.hear_out();
        Ok(status)
    }

    /// The same, and an error if it has failed.
    pub fn ended_well(&mut self) -> Result<()> {
        let status = self.ended()?;
        if !status.success() {
            bail!("{} has ended, with {status}: {}", self.name, self.last_words());
        }
        Ok(())
    }

    /// An error of this program, with what it said.
    pub fn misunderstood(&self, what: &str) -> anyhow::Error {
        anyhow::anyhow!("{} {what}: {}", self.name, self.last_words())
    }

    /// User and system time so far, of the whole group and of its children that have ended, in steps of 10 ms.
    pub fn cpu(&self) -> Result<Duration> {
        let group = self.child.id();
        let mut sum = None;
        for process in fs::read_dir("/proc").context("cannot list processes")?.flatten() {
            // It may have ended meanwhile.
            let stat = fs::read_to_string(process.path().join("stat")).unwrap_or_default();
            if is_of_group(&stat, group) {
                sum = Some(sum.unwrap_or_default() + time_of(&process.path()));
            }
        }
        sum.with_context(|| format!("{} has ended: {}", self.name, self.last_words()))
    }

    /// The same once it has worked off what its buffers hold, as far as it does that by itself.
    pub fn cpu_when_idle(&self) -> Result<Duration> {
        let mut before = self.cpu()?;
        for _ in 0..GLANCES_UNTIL_IDLE {
            thread::sleep(GLANCE_AT_WORK);
            let now = self.cpu()?;
            if now.saturating_sub(before) < IDLE {
                return Ok(now);
            }
            before = now;
        }
        Ok(before)
    }

    /// Whether it handles this signal by now.
    pub fn handles(&self, signal: Signal) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
        caught >> (signal as i32 - 1) & 1 == 1
    }

    fn pid(&self) -> Result<Pid> {
        Ok(Pid::from_raw(self.child.id().try_into()?))
    }

    fn hear_out(&mut self) {
        self.gone = true;
        // What it may have left behind holds the pipes open.
        let _ = self.pid().map(|group| killpg(group, Signal::SIGKILL));
        self.output.hear_out();
        self.errors.hear_out();
    }

    /// The last lines that it has written to standard error.
    fn last_words(&self) -> String {
        let errors = self.errors();
        let lines: Vec<_> = errors.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        match lines[lines.len().saturating_sub(3)..].join(" / ") {
            words if words.is_empty() => "it says nothing".to_owned(),
            words => words,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.gone {
            return;
        }
        let _ = self.pid().map(|group| killpg(group, Signal::SIGKILL));
        let _ = self.child.wait();
    }
}

/// A folder for what a program needs, removed on drop.
pub struct Folder(PathBuf);

impl Folder {
    /// Makes it, for root's eyes only.
    pub fn new(name: &str) -> Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("weir-study-{}-{name}-{number}", std::process::id()));
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What comes out of a pipe, collected by a thread.
struct Said {
    bytes: Arc<Mutex<Vec<u8>>>,
    listener: Option<JoinHandle<()>>,
}

impl Said {
    fn listen(pipe: Option<impl Read + Send + 'static>) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&bytes);
        let listener = pipe.map(|mut pipe| {
            thread::spawn(move || {
                let mut buffer = vec![0; 1 << 16];
                while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                    heard.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
                }
            })
        });
        Self { bytes, listener }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Waits for the end of the pipe.
    fn hear_out(&mut self) {
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

/// Whether a process is one of the group, by its `/proc/PID/stat`.
fn is_of_group(stat: &str, group: u32) -> bool {
    // proc(5): the name in parentheses may hold anything; after it the state, the parent, the group, …
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields.split_whitespace());
    fields.and_then(|mut fields| fields.nth(2)?.parse().ok()) == Some(group)
}

/// CPU time of all threads of a process, to the nanosecond: `/proc/PID/stat` counts in steps of 10 ms.
fn time_of(process: &Path) -> Duration {
    let threads = fs::read_dir(process.join("task")).into_iter().flatten().flatten();
    let times = threads.filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok());
    let nanoseconds = times.filter_map(|time| time.split_whitespace().next()?.parse::<u64>().ok());
    Duration::from_nanos(nanoseconds.sum::<u64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_the_third_word_after_the_name() {
        let stat = "29679 (a) b (c) S 29676 29674 24307 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 5 6 7";
        assert!(is_of_group(stat, 29674));
        assert!(!is_of_group(stat, 29676) && !is_of_group("", 1));
    }

    #[test]
    fn time_is_that_of_all_threads() {
        assert!(time_of(Path::new("/proc/self")) > Duration::ZERO);
        assert_eq!(time_of(Path::new("/proc/nowhere")), Duration::ZERO);
    }

    #[test]
    fn one_that_ends_too_early_is_quoted() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo one >&2; echo no such device >&2; exit 3"]);
        let mut process = Process::start("sh", &mut command).expect("there is a shell");
        let error = process.wait_for("watch", |_| Ok(None::<()>)).expect_err("it ends").to_string();
        assert_eq!(error, "sh has ended, with exit status: 3: one / no such device");
        assert_eq!(process.output(), "out\n");
    }

    #[test]
    fn all_of_its_processes_go_when_it_is_dropped() {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' INT; sleep 100 & echo $!; wait"]);
        let mut process = Process::start("sh", &mut command).expect("there is a shell");
        let line = |process: &Process| Ok(process.output().trim().parse::<u32>().ok());
        let sleeper = process.wait_for("start its child", line).expect("it starts");
        assert!(process.cpu().is_ok() && !process.handles(Signal::SIGTERM));
        drop(process);
        // Whoever reaps orphans may take a moment.
        let running = || {
            let stat = fs::read_to_string(format!("/proc/{sleeper}/stat")).unwrap_or_default();
            stat.contains("(sleep)") && !stat.contains(") Z")
        };
        for _ in 0..500 {
            if !running() {
                return;
            }
            thread::sleep(GLANCE);
        }
        panic!("process {sleeper} is still there");
    }
}
