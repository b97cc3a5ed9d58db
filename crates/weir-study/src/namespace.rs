//! Network namespaces of our own, which go when their values do.

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, setns};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where ip-netns(8) keeps them.
const NAMESPACES: &str = "/run/netns";

/// A named network namespace, removed on drop.
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// `PREFIX-PID-END`: the process that made it can be told from its name.
    ///
    /// # Errors
    /// There is one of that name already, or no privilege to make one.
    pub fn new(prefix: &str, end: &str) -> Result<Self> {
        let name = format!("{prefix}-{}-{end}", std::process::id());
        if fs::exists(Path::new(NAMESPACES).join(&name)).unwrap_or(false) {
            bail!("there is a network namespace {name} already: ip netns delete {name}");
        }
        ip(["netns", "add", &name])?;
        Ok(Self { name })
    }

    /// As ip(8) knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs ip(8) inside.
    ///
    /// # Errors
    /// What ip(8) says.
    pub fn ip(&self, arguments: &str) -> Result<()> {
        ip(["-n", &self.name].into_iter().chain(arguments.split(' ')))
    }

    /// A command that will run inside.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// The way there, for other threads.
    pub fn door(&self) -> Door {
        Door(Path::new(NAMESPACES).join(&self.name))
    }

    /// Does `work` inside. A socket opened there stays there, whoever uses it.
    pub fn inside<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.door().inside(work)
    }
}

/// The way into a namespace.
#[derive(Debug, Clone)]
pub struct Door(PathBuf);

impl Door {
    /// Moves the calling thread there, for good.
    ///
    /// # Errors
    /// The namespace is gone.
    pub fn enter(&self) -> Result<()> {
        let there = File::open(&self.0).context("cannot open a network namespace")?;
        setns(there, CloneFlags::CLONE_NEWNET).context("cannot enter a network namespace")
    }

    /// Does `work` inside.
    ///
    /// # Errors
    /// Those of `work`; or the namespace is gone.
    pub fn inside<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let home = File::open("/proc/thread-self/ns/net").context("cannot tell the network namespace")?;
        self.enter()?;
        let result = work();
        setns(home, CloneFlags::CLONE_NEWNET).context("cannot leave a network namespace")?;
        result
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = ip(["netns", "delete", &self.name]) {
            eprintln!("weir: {error:#}");
        }
    }
}

/// Removes what processes that were killed have left behind.
pub fn sweep(prefix: &str) {
    for entry in fs::read_dir(NAMESPACES).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let maker = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-')?.split('-').next());
        if maker.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            drop(Namespace { name });
        }
    }
}

fn ip<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<()> {
    let mut command = Command::new("ip");
    command.args(arguments);
    let output = command.output().context("cannot run ip: install iproute2")?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exists(name: &str) -> bool {
        Path::new(NAMESPACES).join(name).exists()
    }

    #[test]
    fn root_a_namespace_of_the_same_name_is_told() {
        let first = Namespace::new("weir-test", "same").expect("there is none");
        let error = Namespace::new("weir-test", "same").err().expect("there is one").to_string();
        assert!(error.contains(first.name()) && error.contains("ip netns delete"), "{error}");
        assert!(exists(first.name()), "it is not ours to remove");
    }

    #[test]
    fn root_a_panic_removes_it() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let panicked = std::thread::spawn(move || {
            let namespace = Namespace::new("weir-test", "panic").expect("there is none");
            sender.send((namespace.name().to_owned(), exists(namespace.name()))).expect("somebody listens");
            panic!("on purpose");
        });
        assert!(panicked.join().is_err());
        let (name, was_there) = receiver.recv().expect("it was sent");
        assert!(was_there && !exists(&name));
    }

    #[test]
    fn root_what_a_process_that_has_gone_left_is_swept() {
        let gone = "weir-test-4194305-far"; // beyond the greatest process id
        ip(["netns", "add", gone]).expect("there is none");
        let ours = Namespace::new("weir-test", "kept").expect("there is none");
        sweep("weir-test");
        assert!(!exists(gone) && exists(ours.name()));
    }
}
