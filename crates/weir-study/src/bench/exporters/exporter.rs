//! Programs that count flows and export them as IPFIX in datagrams, as people run them.

use crate::bench::agent;
use crate::bench::generator::PORT;
use crate::bench::network::Pair;
use crate::namespace::Namespace;
use crate::programs::pmacct;
use crate::programs::process::{self, Folder, Process};
use crate::programs::softflowd::{Export, Exporting};
use anyhow::{Context, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::Signal;
use nix::sys::time::TimeVal;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What the others say of a flow, too.
const FIVE_TUPLE: &str = "&fields=start,end,interface,direction,source_address,source_port,destination_address,\
    destination_port,protocol,packets,bytes,tcp_flags,flow_end_reason";
/// Flows that the others are told to have room for: their default is 8192.
const MAX_FLOWS: u32 = 131_072;
/// Headers of IPv4 and UDP, and the payload.
const IP_BYTES: u64 = 20 + 8 + 18;
const ETHERNET: u64 = 14;

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exporter {
    Softflowd,
    Pmacctd,
    /// With the fields that the others have.
    Weir,
    /// With all that it knows.
    WeirAllFields,
}

/// One that runs.
pub struct Running {
    program: Program,
    /// CPU time of all children that had ended when it began, and its own until it watched.
    before: Duration,
}

enum Program {
    Softflowd(Exporting),
    Pmacctd(Process, Folder),
    Weir(Process),
}

impl Exporter {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Softflowd, Self::Pmacctd, Self::Weir, Self::WeirAllFields];

    /// As an arm.
    pub fn name(self) -> &'static str {
        match self {
            Self::Softflowd => "softflowd",
            Self::Pmacctd => "pmacctd (nfprobe)",
            Self::Weir => "weir, the fields that the others have",
            Self::WeirAllFields => "weir, all fields",
        }
    }

    /// Whether it can be run here.
    #[cfg(test)]
    pub fn installed(self) -> bool {
        match self {
            Self::Softflowd => process::find("softflowd").is_some(),
            Self::Pmacctd => process::find("pmacctd").is_some(),
            Self::Weir | Self::WeirAllFields => agent::binary().is_ok(),
        }
    }

    /// Bytes that it counts of a packet: Weir counts what was on the wire, the others from the IP header on.
    pub fn bytes_of_packet(self) -> u64 {
        match self {
            Self::Softflowd | Self::Pmacctd => IP_BYTES,
            Self::Weir | Self::WeirAllFields => ETHERNET + IP_BYTES,
        }
    }

    /// Starts it, and returns once it watches.
    pub fn start(self, namespace: &Namespace, collector: SocketAddr) -> Result<Running> {
        let of_others = of_children()?;
        let program = match self {
            Self::Softflowd => softflowd(namespace, collector)?,
            Self::Pmacctd => pmacctd(namespace, collector)?,
            Self::Weir => weir(namespace, &format!("ipfix+udp://{collector}?name=bench{FIVE_TUPLE}"))?,
            Self::WeirAllFields => weir(namespace, &format!("ipfix+udp://{collector}?name=bench"))?,
        };
        let before = of_others + program.process().cpu()?;
        Ok(Running { program, before })
    }
}

impl Program {
    fn process(&self) -> &Process {
        match self {
            Self::Softflowd(exporting) => exporting.process(),
            Self::Pmacctd(process, _) | Self::Weir(process) => process,
        }
    }
}

impl Running {
    /// Has it read and export everything, and end. CPU time of all its processes from when it watched until then.
    pub fn end(self) -> Result<Duration> {
        match self.program {
            Program::Softflowd(mut exporting) => {
                exporting.end()?;
            }
            Program::Pmacctd(mut process, _folder) => {
                pmacct::wait_until_read(&process)?;
                process.signal(Signal::SIGINT)?;
                // Its core calls it a failure where its plugin, which has been told as well, ends sooner.
                process.ended()?;
            }
            Program::Weir(mut process) => {
                process.signal(Signal::SIGINT)?;
                process.ended_well()?;
            }
        }
        Ok(of_children()?.saturating_sub(self.before))
    }
}

fn filter() -> String {
    format!("udp and dst port {PORT}")
}

fn softflowd(namespace: &Namespace, collector: SocketAddr) -> Result<Program> {
    let command = namespace.command(installed("softflowd")?);
    let export = Export { version: "10", to: collector, filter: &filter() };
    Ok(Program::Softflowd(Exporting::start(command, namespace, Pair::Weir.interface(), &export)?))
}

fn pmacctd(namespace: &Namespace, collector: SocketAddr) -> Result<Program> {
    let folder = Folder::new("pmacctd")?;
    let (path, interface, filter) = (folder.path().join("pmacctd.conf"), Pair::Weir.interface(), filter());
    let configuration = format!(
        "daemonize: false\npcap_interface: {interface}\npcap_filter: {filter}\n\
         aggregate: src_host, dst_host, src_port, dst_port, proto\nplugins: nfprobe\n\
         nfprobe_receiver: {collector}\nnfprobe_version: 10\nnfprobe_maxflows: {MAX_FLOWS}\n"
    );
    fs::write(&path, configuration).with_context(|| format!("cannot write {}", path.display()))?;
    let mut command = namespace.command(installed("pmacctd")?);
    let mut process = Process::start("pmacctd", command.arg("-f").arg(path))?;
    // Its core handles signals once it has set its filter; its plugin says where it exports to when it is ready.
    process.wait_for("watch", |process| {
        let said = process.errors().contains("Exporting flows to");
        Ok((said && process.handles(Signal::SIGINT)).then_some(()))
    })?;
    Ok(Program::Pmacctd(process, folder))
}

fn weir(namespace: &Namespace, url: &str) -> Result<Program> {
    let mut command = namespace.command(agent::binary()?);
    command.args(["run", "-i", Pair::Weir.interface(), "-o", "none"]);
    command.args(["--data-dir", "none", "--listen", "none", "--export", url]);
    let mut process = Process::start("weir", &mut command)?;
    process.wait_for("watch", |process| Ok(process.errors().contains("attached to").then_some(())))?;
    Ok(Program::Weir(process))
}

fn installed(executable: &str) -> Result<PathBuf> {
    process::find(executable).with_context(|| format!("{executable} is not installed: scripts/setup test"))
}

/// CPU time of all children that have ended, and of theirs.
fn of_children() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("cannot tell the CPU time of children")?;
    let time = |time: TimeVal| {
        Duration::from_secs(time.tv_sec().unsigned_abs())
            + Duration::from_micros(time.tv_usec().unsigned_abs())
    };
    Ok(time(usage.user_time()) + time(usage.system_time()))
}
