//! Two network namespaces, joined by veth pairs, for as long as the value lives.

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, setns};
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

/// Where ip-netns(8) keeps them.
const NAMESPACES: &str = "/run/netns";

/// The veth pairs: alike, but for who watches them. Traffic can change from one to the other at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pair {
    /// Nobody.
    Native = 0,
    /// A program that does nothing, on the agent's hooks: what the hooks themselves cost.
    Empty = 1,
    /// An agent at each end: a packet passes a program on its way out and one on its way in.
    Weir = 2,
    /// An agent on both hooks of the sending end only: a packet passes the one on its way out.
    WeirAtOneEnd = 3,
}

impl Pair {
    /// All of them, by number.
    pub const ALL: [Self; 4] = [Self::Native, Self::Empty, Self::Weir, Self::WeirAtOneEnd];

    /// The interface's name at both ends.
    pub fn interface(self) -> &'static str {
        ["native0", "empty0", "weir0", "weir1"][self as usize]
    }

    /// The address of the sending (1) or receiving (2) end.
    fn address(self, end: u8) -> Ipv4Addr {
        Ipv4Addr::new(172, 31, self as u8, end)
    }

    /// The receiving end.
    pub fn receiver(self) -> Ipv4Addr {
        self.address(2)
    }

    /// The first of 2²² addresses that lead to the receiving end as well: one for each flow.
    pub fn first_destination(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 64 * self as u8, 0, 0)
    }
}

/// The two ends.
pub struct Network {
    /// Where packets come from.
    pub sender: Namespace,
    /// Where they go to.
    pub receiver: Namespace,
}

impl Network {
    /// Sets up both ends, their addresses and routes.
    pub fn new() -> Result<Self> {
        sweep();
        let network = Self { sender: Namespace::new("a")?, receiver: Namespace::new("b")? };
        network.sender.ip("link set lo up")?;
        network.receiver.ip("link set lo up")?;
        for pair in Pair::ALL {
            network.join(pair)?;
        }
        Ok(network)
    }

    fn join(&self, pair: Pair) -> Result<()> {
        let (interface, destinations) = (pair.interface(), pair.first_destination());
        let ends = [(&self.sender, pair.address(1)), (&self.receiver, pair.address(2))];
        let peer = &self.receiver.name;
        self.sender.ip(&format!("link add {interface} type veth peer name {interface} netns {peer}"))?;
        for (end, address) in ends {
            end.ip(&format!("address add {address}/30 dev {interface}"))?;
            end.ip(&format!("link set {interface} up"))?;
        }
        self.sender.ip(&format!("route add {destinations}/10 via {}", pair.receiver()))?;
        self.receiver.ip(&format!("route add local {destinations}/10 dev lo"))
    }
}

/// A named network namespace, removed on drop.
pub struct Namespace {
    name: String,
}

impl Namespace {
    fn new(end: &str) -> Result<Self> {
        let namespace = Self { name: format!("weirb-{}-{end}", std::process::id()) };
        ip(["netns", "add", &namespace.name])?;
        Ok(namespace)
    }

    fn ip(&self, arguments: &str) -> Result<()> {
        ip(["-n", &self.name].into_iter().chain(arguments.split(' ')))
    }

    /// A command that will run inside.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Does `work` inside. A socket opened there stays there, whoever uses it.
    pub fn inside<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let home = File::open("/proc/thread-self/ns/net").context("cannot tell the network namespace")?;
        let there =
            File::open(Path::new(NAMESPACES).join(&self.name)).context("cannot open a network namespace")?;
        setns(there, CloneFlags::CLONE_NEWNET).context("cannot enter a network namespace")?;
        let result = work();
        setns(home, CloneFlags::CLONE_NEWNET).context("cannot leave a network namespace")?;
        result
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = ip(["netns", "delete", &self.name]) {
            eprintln!("weir-bench: {error:#}");
        }
    }
}

/// Removes what a bench that was killed has left behind.
fn sweep() {
    for entry in fs::read_dir(NAMESPACES).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let maker = name.strip_prefix("weirb-").and_then(|rest| rest.split('-').next());
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
