//! Other programs that watch an interface, as people run them.

mod netflow;
pub mod pmacct;
pub mod process;
pub mod softflowd;
mod tcpdump;

use crate::namespace::Namespace;
use crate::traffic::ports::DESTINATIONS as PORTS;
use anyhow::Result;
use pmacct::Pmacct;
use process::Process;
use softflowd::Softflowd;
use std::collections::BTreeMap;
use std::time::Duration;
use tcpdump::Tcpdump;

/// [`PORTS`] as a filter that libpcap understands: whatever else passes by is not counted.
const FILTER: &str = "udp and dst portrange 10000-42767";

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Program {
    /// Captures packets, here into nothing.
    Tcpdump,
    /// Aggregates flows and exports them.
    Softflowd,
    /// Aggregates flows and prints them.
    Pmacct,
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tcpdump, Self::Softflowd, Self::Pmacct];

    /// As an arm.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcpdump => "tcpdump",
            Self::Softflowd => "softflowd",
            Self::Pmacct => "pmacct",
        }
    }

    /// What is run: pmacct's program has another name.
    fn executable(self) -> &'static str {
        match self {
            Self::Tcpdump | Self::Softflowd => self.name(),
            Self::Pmacct => "pmacctd",
        }
    }

    /// Whether it can be run here.
    pub fn installed(self) -> bool {
        process::find(self.executable()).is_some()
    }

    /// Whether it reports IPv6: NetFlow version 5 has no place for its addresses.
    pub fn sees_ipv6(self) -> bool {
        self != Self::Softflowd
    }

    /// Starts it on an interface in a namespace, and returns once it watches.
    ///
    /// # Errors
    /// It is not installed, or does not come to watch; with what it said.
    pub fn start(self, namespace: &Namespace, interface: &str) -> Result<Watching> {
        let path = process::find(self.executable());
        let path = path.ok_or_else(|| anyhow::anyhow!("{} is not installed", self.executable()))?;
        let command = namespace.command(path);
        let running = match self {
            Self::Tcpdump => Running::Tcpdump(Tcpdump::start(command, interface)?),
            Self::Softflowd => Running::Softflowd(Softflowd::start(command, namespace, interface)?),
            Self::Pmacct => Running::Pmacct(Pmacct::start(command, interface)?),
        };
        let began = running.process().cpu()?;
        Ok(Watching { running, began })
    }
}

/// A program that watches; killed on drop.
pub struct Watching {
    running: Running,
    /// CPU time that it took to start.
    began: Duration,
}

enum Running {
    Tcpdump(Tcpdump),
    Softflowd(Softflowd),
    Pmacct(Pmacct),
}

impl Running {
    fn process(&self) -> &Process {
        match self {
            Self::Tcpdump(tcpdump) => tcpdump.process(),
            Self::Pmacct(pmacct) => pmacct.process(),
            Self::Softflowd(softflowd) => softflowd.process(),
        }
    }
}

impl Watching {
    /// Ends it once it has worked off what its buffers hold. To be called when the traffic has ended.
    ///
    /// What each needs for that: tcpdump a second, after which a block that is not full is handed to it; pmacct
    /// three, two of which it sleeps; softflowd some thousand small broadcast packets to the discard port, which
    /// leave through the interface, because it is handed full blocks only.
    ///
    /// # Errors
    /// It has ended before, does not end, or says nothing that can be read.
    pub fn stop(self) -> Result<Outcome> {
        let cpu = self.running.process().cpu_when_idle()?.saturating_sub(self.began);
        let outcome = match self.running {
            Running::Tcpdump(tcpdump) => tcpdump.stop()?,
            Running::Softflowd(softflowd) => softflowd.stop()?,
            Running::Pmacct(pmacct) => pmacct.stop()?,
        };
        Ok(Outcome { cpu, ..outcome })
    }
}

/// What a program has reported, of the study's packets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Flows, each once; nothing if it does not tell flows.
    pub flows: Option<u64>,
    /// Packets.
    pub packets: Option<u64>,
    /// Packets that it knows to have lost, by cause.
    pub lost: BTreeMap<&'static str, u64>,
    /// CPU time of all its processes from when it watched until it had worked off the traffic.
    pub cpu: Duration,
}

impl Outcome {
    /// Enters what was lost, if anything was.
    fn lose(&mut self, cause: &'static str, packets: u64) {
        if packets > 0 {
            self.lost.insert(cause, packets);
        }
    }
}

/// Lost because the kernel's buffer for the program was full.
const BUFFER_FULL: &str = "dropped by kernel";
/// Lost between there and what the program has reported.
const NOT_REPORTED: &str = "received and not reported";

#[cfg(test)]
mod tests;
