//! A network namespace of one test's own; gone when the test ends, however it ends.

use nix::sched::{CloneFlags, setns};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

const RUN: &str = "/run/netns";
const PREFIX: &str = "weirt-";

/// A namespace, deleted on drop. Its name tells which process made it, so that what a killed
/// run left behind can be told from what another run is using.
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes a namespace in which nothing speaks unless asked to: IPv6 is off, which
    /// otherwise joins groups and looks for routers on every interface that comes up.
    #[expect(clippy::new_without_default, reason = "it has effects outside the process")]
    pub fn new() -> Self {
        Self::with_suffix("")
    }

    /// The same, with a name that ends so.
    pub fn with_suffix(suffix: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        static SWEEP: Once = Once::new();
        require_root();
        SWEEP.call_once(sweep);

        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}{suffix}", std::process::id());
        succeed(Command::new("ip").args(["netns", "add", &name]));
        let namespace = Self { name };
        namespace.sysctl("net/ipv6/conf/all/disable_ipv6", "1");
        namespace.sysctl("net/ipv6/conf/default/disable_ipv6", "1");
        namespace
    }

    /// Its name, as `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `work` in a thread that lives in this namespace, and so do the sockets that it
    /// opens and the processes that it starts.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let entered = || {
            let file = File::open(Path::new(RUN).join(&self.name)).expect("the namespace is there");
            setns(file, CloneFlags::CLONE_NEWNET).expect("setns");
            work()
        };
        let outcome = thread::scope(|scope| scope.spawn(entered).join());
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Runs a command inside to its end and returns what it printed; panics if it fails.
    pub fn run(&self, program: &str, args: &[&str]) -> String {
        self.enter(|| succeed(Command::new(program).args(args)))
    }

    /// `ip` inside, with the arguments given in one string.
    pub fn ip(&self, args: &str) -> String {
        self.run("ip", &args.split_whitespace().collect::<Vec<_>>())
    }

    /// Sets a kernel parameter, named by its path below `/proc/sys`.
    pub fn sysctl(&self, path: &str, value: &str) {
        self.enter(|| fs::write(Path::new("/proc/sys").join(path), value))
            .unwrap_or_else(|error| panic!("{path}: {error}"));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Fails the test rather than let it pass without having tested anything.
pub fn require_root() {
    assert!(
        nix::unistd::geteuid().is_root(),
        "this test needs root: run `make test`, or the test binary under sudo"
    );
}

/// Runs a command to its end and returns its standard output; panics if it fails.
pub fn succeed(command: &mut Command) -> String {
    let Output { status, stdout, stderr } =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("UTF-8")
}

/// Removes the namespaces of runs whose process is no more.
fn sweep() {
    let Ok(entries) = fs::read_dir(RUN) else { return };
    for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let maker = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if maker.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            remove(&name);
        }
    }
}

/// A namespace lives on while a process is in it: those go first. Errors are of no interest
/// here, the test's own verdict is.
fn remove(name: &str) {
    if let Ok(pids) = Command::new("ip").args(["netns", "pids", name]).output() {
        for pid in String::from_utf8_lossy(&pids.stdout).split_whitespace() {
            let _ = Command::new("kill").args(["-KILL", pid]).output();
        }
    }
    let _ = Command::new("ip").args(["netns", "del", name]).output();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_a_namespace_is_apart_and_goes_away() {
        let namespace = Namespace::new();
        let path = Path::new(RUN).join(namespace.name());
        assert!(path.exists());
        assert_eq!(namespace.ip("-br link").lines().count(), 1, "only lo");
        drop(namespace);
        assert!(!path.exists());
    }

    #[test]
    fn root_a_namespace_goes_away_after_a_panic() {
        let name = std::sync::Mutex::new(String::new());
        let test = || -> () {
            let namespace = Namespace::new();
            *name.lock().expect("lock") = namespace.name().to_owned();
            namespace.enter(|| std::panic::resume_unwind(Box::new("on purpose")))
        };
        let outcome = thread::scope(|scope| scope.spawn(test).join());
        assert!(outcome.is_err());
        assert!(!Path::new(RUN).join(&*name.lock().expect("lock")).exists());
    }

    #[test]
    fn root_what_a_dead_process_left_is_swept() {
        // Above the kernel's largest pid, so nobody has it.
        let name = format!("{PREFIX}99999999-0");
        succeed(Command::new("ip").args(["netns", "add", &name]));
        sweep();
        assert!(!Path::new(RUN).join(&name).exists());
    }
}
