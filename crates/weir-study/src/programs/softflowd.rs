//! softflowd, exporting NetFlow version 5 to a socket of ours.

use super::process::{Folder, Process};
use super::{BUFFER_FULL, FILTER, NOT_REPORTED, Outcome, PORTS, netflow};
use crate::namespace::Namespace;
use anyhow::{Context, Result, bail};
use nix::sys::socket::{setsockopt, sockopt};
use std::collections::HashSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Flows that it holds at most: more than a study sends. Beyond them it exports the oldest.
const MAX_FLOWS: &str = "131072";
/// Room for all that it exports at once, so that nobody has to read meanwhile.
const EXPORTS: usize = 64 << 20;
const UDP: u8 = 17;
/// Where nobody listens and nothing is answered (RFC 863).
const DISCARD: u16 = 9;
/// Packets that push: fewer than there are in a block.
const PUSH: usize = 256;
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

/// The study's: what it exports comes in here.
pub struct Softflowd {
    exporting: Exporting,
    collector: UdpSocket,
}

impl Softflowd {
    pub fn start(command: Command, namespace: &Namespace, interface: &str) -> Result<Self> {
        namespace.ip("link set lo up")?;
        let collector = namespace.inside(collector)?;
        let export = Export { version: "5", to: collector.local_addr()?, filter: FILTER };
        Ok(Self { exporting: Exporting::start(command, namespace, interface, &export)?, collector })
    }

    pub fn process(&self) -> &Process {
        &self.exporting.process
    }

    pub fn stop(mut self) -> Result<Outcome> {
        let unreported = self.exporting.end()?;
        let mut exports = Exports::default();
        while let Some(datagram) = self.receive()? {
            exports.add(&datagram);
        }
        if exports.missing > 0 {
            bail!("{} flow records of softflowd were lost on their way to us", exports.missing);
        }
        let (flows, packets) = (exports.flows.len() as u64, exports.packets);
        let mut outcome = Outcome { flows: Some(flows), packets: Some(packets), ..Outcome::default() };
        outcome.lose(BUFFER_FULL, unreported.dropped);
        outcome.lose(NOT_REPORTED, unreported.unread);
        Ok(outcome)
    }

    /// The next datagram that is there.
    fn receive(&self) -> Result<Option<Vec<u8>>> {
        let mut bytes = [0; 2048];
        match self.collector.recv(&mut bytes) {
            Ok(length) => Ok(Some(bytes[..length].to_vec())),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error).context("cannot read what softflowd exports"),
        }
    }
}

/// What it is to export, and where to.
pub struct Export<'e> {
    /// Of NetFlow; 10 is IPFIX.
    pub version: &'e str,
    /// A collector, in datagrams.
    pub to: SocketAddr,
    /// Which packets it counts, as libpcap understands it.
    pub filter: &'e str,
}

/// Packets that its socket was given, and that are in no flow.
pub struct Unreported {
    /// The kernel's buffer was full.
    pub dropped: u64,
    /// It was handed them, and has not read them.
    pub unread: u64,
}

/// One that runs.
pub struct Exporting {
    process: Process,
    /// What pushes goes out there.
    pusher: UdpSocket,
    folder: Folder,
}

impl Exporting {
    pub fn start(
        mut command: Command,
        namespace: &Namespace,
        interface: &str,
        export: &Export<'_>,
    ) -> Result<Self> {
        let pusher = namespace.inside(|| pusher(interface))?;
        let folder = Folder::new("softflowd")?;
        let filter = format!("({}) or (udp and dst port {DISCARD})", export.filter);
        command.args(["-d", "-i", interface, "-v", export.version, "-m", MAX_FLOWS]);
        command.args(["-n", &export.to.to_string()]);
        // It removes the file of its process number at the end, even if it has not written it.
        command
            .arg("-c")
            .arg(folder.path().join(CONTROL))
            .arg("-p")
            .arg(folder.path().join("pid"))
            .arg(filter);
        let mut process = Process::start("softflowd", &mut command)?;
        // It says so when it has set its filter.
        process
            .wait_for("watch", |process| Ok(process.errors().contains("Exporting flows").then_some(())))?;
        Ok(Self { process, pusher, folder })
    }

    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Has it read and export everything, and end.
    pub fn end(&mut self) -> Result<Unreported> {
        let at_end = self.statistics()?;
        let due = at_end.received.saturating_sub(at_end.dropped);
        let processed = self.push(due)?;
        // In the foreground it dies of signals, without a last export.
        self.ask("shutdown")?;
        // Its status is that of a failure even so: it is left over from a poll(2).
        self.process.ended()?;
        if !self.process.errors().contains("Shutting down on user request") {
            return Err(self.process.misunderstood("has ended by itself"));
        }
        Ok(Unreported { dropped: at_end.dropped, unread: due.saturating_sub(processed) })
    }

    /// Sends packets that its filter takes and we do not count until it has processed `due`. How many of these it
    /// has. It asks libpcap for full blocks only, and reads no more when it ends: without that, what came last
    /// would never be reported, neither here nor on an interface that falls silent.
    fn push(&self, due: u64) -> Result<u64> {
        let start = Instant::now();
        loop {
            crate::interrupt::check()?;
            let processed = self.statistics()?.processed;
            if processed >= due || start.elapsed() > PATIENCE {
                return Ok(processed.min(due));
            }
            for _ in 0..PUSH {
                let sent = self.pusher.send_to(&[0; 18], (Ipv4Addr::BROADCAST, DISCARD));
                sent.context("cannot send what pushes softflowd's last block")?;
            }
            thread::sleep(PAUSE);
        }
    }

    fn statistics(&self) -> Result<Statistics> {
        let answer = self.ask("statistics")?;
        Statistics::read(&answer).with_context(|| format!("softflowd's statistics have changed: {answer}"))
    }

    /// Asks over its control socket, as softflowctl does.
    fn ask(&self, question: &str) -> Result<String> {
        let ask = || {
            let mut control = UnixStream::connect(self.folder.path().join(CONTROL))?;
            control.set_read_timeout(Some(PATIENCE))?;
            control.write_all(format!("{question}\n").as_bytes())?;
            control.shutdown(Shutdown::Write)?;
            let mut answer = Vec::new();
            control.take(1 << 16).read_to_end(&mut answer)?;
            std::io::Result::Ok(String::from_utf8_lossy(&answer).into_owned())
        };
        ask().with_context(|| self.process.misunderstood("does not answer").to_string())
    }
}

const CONTROL: &str = "control";

fn collector() -> Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("no socket for NetFlow")?;
    setsockopt(&socket, sockopt::RcvBufForce, &EXPORTS).context("no buffer for NetFlow")?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn pusher(interface: &str) -> Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).context("no socket to send from")?;
    setsockopt(&socket, sockopt::BindToDevice, &interface.into())
        .with_context(|| format!("cannot send through {interface}"))?;
    socket.set_broadcast(true)?;
    Ok(socket)
}

/// Of its answer to `statistics`, what matters here.
#[derive(Debug, PartialEq, Eq)]
struct Statistics {
    processed: u64,
    /// By the kernel, for its filter; those dropped included.
    received: u64,
    dropped: u64,
}

impl Statistics {
    fn read(answer: &str) -> Option<Self> {
        let value = |name: &str| {
            let value = answer.lines().find_map(|line| line.strip_prefix(name))?;
            value.strip_prefix(": ")?.split(' ').next()?.parse::<u64>().ok()
        };
        Some(Self {
            // What it ignores (IPv6, for version 5) it has processed, too.
            processed: value("Packets processed")?.saturating_add(value("Ignored packets")?),
            received: value("Packets received by libpcap")?,
            dropped: value("Packets dropped by libpcap")?,
        })
    }
}

/// Flows of the study among what was exported. One may be exported more than once.
#[derive(Default)]
struct Exports {
    flows: HashSet<((Ipv4Addr, u16), (Ipv4Addr, u16))>,
    packets: u64,
    /// Flow records that were sent, by their sequence numbers, and did not come.
    missing: u64,
    next: u32,
}

impl Exports {
    fn add(&mut self, bytes: &[u8]) {
        let Some(datagram) = netflow::parse(bytes) else { return };
        self.missing += u64::from(datagram.sequence.wrapping_sub(self.next));
        self.next = datagram.sequence.wrapping_add(datagram.flows.len() as u32);
        for flow in datagram.flows {
            if flow.protocol == UDP && PORTS.contains(&flow.destination.1) {
                self.flows.insert((flow.source, flow.destination));
                self.packets += u64::from(flow.packets);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANSWER: &str = "softflowd[29433]: Accumulated statistics since 2026-11-23T00:41:01 UTC:\n\
        Number of active flows: 43\n\
        Packets processed: 3022\n\
        Fragments: 0\n\
        Ignored packets: 5 (5 non-IP, 0 too short)\n\
        Flows expired: 0 (0 forced)\n\
        Flows exported: 0 (0 records) in 0 packets (0 failures)\n\
        Packets received by libpcap: 3100\n\
        Packets dropped by libpcap: 2\n\
        Packets dropped by interface: 0\n";

    #[test]
    fn statistics_are_read() {
        let expected = Statistics { processed: 3027, received: 3100, dropped: 2 };
        assert_eq!(Statistics::read(ANSWER), Some(expected));
        assert_eq!(Statistics::read("softflowd[1]: Invalid control command\n"), None);
    }

    /// A datagram with one flow to each of these ports.
    fn datagram(sequence: u32, ports: &[u16]) -> Vec<u8> {
        let mut bytes = vec![0; 24 + 48 * ports.len()];
        bytes[1] = 5;
        bytes[3] = ports.len() as u8;
        bytes[16..20].copy_from_slice(&sequence.to_be_bytes());
        for (record, port) in bytes[24..].chunks_mut(48).zip(ports) {
            record[19] = 10;
            record[34..36].copy_from_slice(&port.to_be_bytes());
            record[38] = UDP;
        }
        bytes
    }

    #[test]
    fn flows_of_the_study_are_counted_once_and_gaps_are_seen() {
        let mut exports = Exports::default();
        exports.add(&datagram(0, &[10_000, 42_767, DISCARD, 9_999, 42_768]));
        exports.add(&datagram(5, &[10_000, 10_001]));
        assert_eq!((exports.flows.len(), exports.packets, exports.missing), (3, 40, 0));
        exports.add(b"no NetFlow");
        exports.add(&datagram(17, &[10_002]));
        assert_eq!((exports.flows.len(), exports.packets, exports.missing), (4, 50, 10));
    }

    proptest! {
        #[test]
        fn no_answer_and_no_bytes_make_it_panic(answer: String, bytes: Vec<u8>, sequence: u32, count: u64) {
            let _ = Statistics::read(&answer);
            let hostile = ANSWER.replace("3022", &count.to_string()).replace("3100", &answer);
            let _ = Statistics::read(&hostile);
            let mut exports = Exports::default();
            exports.add(&bytes);
            exports.add(&datagram(sequence, &[10_000; 3]));
            exports.add(&datagram(u32::MAX, &[10_000; 3]));
        }
    }
}
