//! The truth, from others: the kernel's counters, tcpdump, and the list of what is attached.

use crate::lines::Lines;
use crate::netns::{Namespace, succeed};
use crate::output::Count;
use crate::wait_for;
use libbpf_rs::query::{LinkInfoIter, LinkTypeInfo};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// `ip -s link` of one interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Received.
    pub rx: Count,
    /// Sent.
    pub tx: Count,
    /// Packets that went in at this end and never came out at the other.
    pub tx_dropped: u64,
}

/// The counters of an interface, as `ip -s -j link` shows them.
pub fn link(namespace: &Namespace, interface: &str) -> Link {
    let links = namespace.ip(&format!("-s -j link show {interface}"));
    let links: Value = serde_json::from_str(&links).expect("JSON from ip");
    let counters = &links[0]["stats64"];
    let number = |side: &str, name: &str| counters[side][name].as_u64().expect("a counter of ip -s link");
    let count = |side| Count { packets: number(side, "packets"), bytes: number(side, "bytes") };
    Link { rx: count("rx"), tx: count("tx"), tx_dropped: number("tx", "dropped") }
}

/// Waits until nothing moves on the wire any more, and returns the counters then.
pub fn settled(namespace: &Namespace, interface: &str) -> Link {
    let mut before = link(namespace, interface);
    wait_for("the wire falls silent", Duration::from_secs(20), || {
        sleep(Duration::from_millis(300));
        let now = link(namespace, interface);
        (std::mem::replace(&mut before, now) == now).then_some(now)
    })
}

/// One of the namespace's counters in all of its life, as nstat has it.
pub fn nstat(namespace: &Namespace, counter: &str) -> u64 {
    let text = namespace.run("nstat", &["-asz", "--json", counter]);
    let json: Value = serde_json::from_str(&text).expect("JSON");
    json["kernel"][counter].as_u64().unwrap_or_else(|| panic!("no {counter}: {text}"))
}

/// How many TCP segments left a namespace, from `/proc/net/snmp`: first transmissions and
/// retransmissions are counted apart there. Both count wire segments, however large the
/// socket buffers were that carried them.
pub fn tcp_segments_out(namespace: &Namespace) -> u64 {
    let snmp = namespace.enter(|| fs::read_to_string("/proc/thread-self/net/snmp").expect("snmp"));
    let mut tcp = snmp.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = (tcp.next().expect("names"), tcp.next().expect("values"));
    let counters = names.split(' ').zip(values.split(' '));
    let wanted = counters.filter(|(name, _)| ["OutSegs", "RetransSegs"].contains(name));
    wanted.map(|(_, value)| value.parse::<u64>().expect("a number")).sum()
}

/// The time of day, written as the records write it.
pub fn now() -> String {
    let time = succeed(Command::new("date").args(["--utc", "+%Y-%m-%dT%H:%M:%S.%NZ"]));
    time.trim_end().to_owned()
}

/// A running tcpdump that counts packets, or records them.
pub struct Capture {
    child: Child,
    stderr: Lines,
}

impl Capture {
    /// Starts it and waits until it listens.
    pub fn start(namespace: &Namespace, interface: &str) -> Self {
        Self::start_into(namespace, "/dev/null", &["-s", "64", "-i", interface])
    }

    /// As [`Capture::start`], with these arguments, into a file.
    pub fn start_into(namespace: &Namespace, file: &str, args: &[&str]) -> Self {
        let mut command = Command::new("tcpdump");
        // A ring of 64 MiB; -Z: Debian's tcpdump would give up root and with it the namespace.
        command.args(["-n", "-p", "--immediate-mode", "-B", "65536", "-Z", "root", "-w", file]).args(args);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = namespace.enter(|| command.spawn()).expect("tcpdump");
        let stderr = Lines::of(child.stderr.take().expect("piped"));
        let capture = Self { child, stderr };
        wait_for("tcpdump listens", Duration::from_secs(10), || {
            capture.stderr.look(|lines| lines.iter().any(|line| line.contains("listening on"))).then_some(())
        });
        capture
    }

    /// Stops it and returns how many packets it saw.
    pub fn stop(mut self) -> u64 {
        sleep(Duration::from_millis(300));
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGINT).expect("tcpdump runs");
        self.child.wait().expect("tcpdump ends");
        let said = self.stderr.finish();
        let count = |what: &str| -> u64 {
            let line = said
                .iter()
                .find(|line| line.contains(what))
                .unwrap_or_else(|| panic!("tcpdump said {said:?}"));
            line.split(' ').next().and_then(|number| number.parse().ok()).expect("a number of packets")
        };
        assert_eq!(count("dropped by kernel"), 0, "tcpdump itself lost packets");
        count("captured")
    }
}

/// A running tcpdump that tells when it saw each UDP packet, to the nanosecond.
pub struct Times {
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

impl Times {
    /// Starts it and waits until it listens.
    pub fn start(namespace: &Namespace, interface: &str) -> Self {
        let mut command = Command::new("tcpdump");
        command.args(["-n", "-p", "-l", "--immediate-mode", "--nano", "-Z", "root", "-i", interface, "udp"]);
        command.env("TZ", "UTC").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = namespace.enter(|| command.spawn()).expect("tcpdump");
        let stdout = Lines::of(child.stdout.take().expect("piped"));
        let stderr = Lines::of(child.stderr.take().expect("piped"));
        let times = Self { child, stdout, stderr };
        wait_for("tcpdump listens", Duration::from_secs(10), || {
            times.stderr.look(|lines| lines.iter().any(|line| line.contains("listening on"))).then_some(())
        });
        times
    }

    /// Stops it and returns a line for each packet: `12:34:56.789012345 IP 10.0.0.1.1024 > …`.
    pub fn stop(mut self) -> Vec<String> {
        sleep(Duration::from_millis(300));
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGINT).expect("tcpdump runs");
        self.child.wait().expect("tcpdump ends");
        // The last one is empty.
        self.stdout.finish().into_iter().filter(|line| !line.is_empty()).collect()
    }
}

/// How many TCX links there are on the interface with this number, in any namespace: give
/// the interface a number that no other has.
pub fn tcx_links(ifindex: u32) -> usize {
    LinkInfoIter::default()
        .filter(|link| matches!(&link.info, LinkTypeInfo::Tcx(tcx) if tcx.ifindex == ifindex))
        .count()
}

/// How many BPF classifiers `tc filter show` lists on an interface, both directions.
pub fn tc_filters(namespace: &Namespace, interface: &str) -> usize {
    let show = |direction| {
        let listing = namespace.enter(|| {
            Command::new("tc").args(["filter", "show", "dev", interface, direction]).output().expect("tc")
        });
        // Without a clsact qdisc there is nothing to list, and tc says so as an error.
        String::from_utf8_lossy(&listing.stdout).lines().filter(|line| line.contains("handle")).count()
    };
    show("ingress") + show("egress")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iperf::iperf;
    use crate::pair::{INTERFACE, Pair, RIGHT};

    /// Where no offload hides it, TCP and the interface count the same packets: either may
    /// then stand for the other.
    #[test]
    fn root_tcp_and_the_interface_agree() {
        let pair = Pair::new();
        for feature in ["tso", "gso", "gro"] {
            pair.offload(feature, false);
        }
        iperf(&pair.left, &pair.right, RIGHT, "50M");
        let wire = settled(&pair.left, INTERFACE);
        assert_eq!(tcp_segments_out(&pair.left), wire.tx.packets + wire.tx_dropped);
        assert_eq!(tcp_segments_out(&pair.right), wire.rx.packets);
    }

    #[test]
    fn root_filters_are_found() {
        let pair = Pair::new();
        let tc = |args: &str| pair.left.run("tc", &args.split(' ').collect::<Vec<_>>());
        assert_eq!(tc_filters(&pair.left, INTERFACE), 0);
        tc("qdisc add dev weir0 clsact");
        assert_eq!(tc_filters(&pair.left, INTERFACE), 0);
        pair.left.run("tc", &["filter", "add", "dev", INTERFACE, "egress", "bpf", "bytecode", "1,6 0 0 0"]);
        assert_eq!(tc_filters(&pair.left, INTERFACE), 1);
        assert_eq!(tcx_links(u32::MAX), 0);
    }
}
