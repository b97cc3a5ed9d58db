//! Real programs, in namespaces of the test.

use super::*;
use anyhow::Context;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const FLOWS: u16 = 40;
const PACKETS: u64 = 1000;

struct Pair {
    sender: Namespace,
    receiver: Namespace,
}

impl Pair {
    /// With addresses 10.77.0.1 and fd77::1 at one end, .2 and ::2 at the other.
    fn new(prefix: &str) -> Result<Self> {
        let (sender, receiver) = (Namespace::new(prefix, "a")?, Namespace::new(prefix, "b")?);
        let (name, address) = (receiver.name(), "02:00:00:00:00:0");
        sender.ip(&format!(
            "link add link0 address {address}1 type veth peer name link0 address {address}2 netns {name}"
        ))?;
        for (namespace, end, other) in [(&sender, 1, 2), (&receiver, 2, 1)] {
            namespace.ip(&format!("addr add 10.77.0.{end}/24 dev link0"))?;
            namespace.ip(&format!("addr add fd77::{end}/64 dev link0 nodad"))?;
            namespace.ip("link set link0 up")?;
            // Nothing is lost while neighbours look for each other.
            for neighbour in [format!("10.77.0.{other}"), format!("fd77::{other}")] {
                namespace.ip(&format!("neigh replace {neighbour} lladdr {address}{other} dev link0"))?;
            }
        }
        Ok(Self { sender, receiver })
    }

    /// Sends each flow's packets in turn; besides, packets that are not the study's.
    fn send(&self, from: IpAddr, to: IpAddr, first_port: u16, packets: u64) -> Result<()> {
        let socket = self.sender.inside(|| UdpSocket::bind((from, 0)).context("no socket"))?;
        for number in 0..packets {
            let port = first_port + (number % u64::from(FLOWS)) as u16;
            socket.send_to(&[0; 18], (to, port)).context("cannot send")?;
        }
        Ok(())
    }

    /// Starts a program while packets that are not the study's keep coming.
    fn start(&self, program: Program) -> Result<Watching> {
        let started = AtomicBool::new(false);
        thread::scope(|scope| {
            let babble = scope.spawn(|| {
                let socket = self.sender.inside(|| UdpSocket::bind("0.0.0.0:0").context("no socket"))?;
                while !started.load(Ordering::Relaxed) {
                    socket.send_to(&[0; 18], (Ipv4Addr::new(10, 77, 0, 2), 5000)).context("cannot send")?;
                    thread::sleep(Duration::from_micros(50));
                }
                anyhow::Ok(())
            });
            let watching = program.start(&self.receiver, "link0");
            started.store(true, Ordering::Relaxed);
            babble.join().expect("it does not panic")?;
            watching
        })
    }

    fn send_all(&self, ipv6: bool) -> Result<()> {
        let v4 = |end| IpAddr::from(Ipv4Addr::new(10, 77, 0, end));
        let v6 = |end| IpAddr::from(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, end));
        let (from, to) = if ipv6 { (v6(1), v6(2)) } else { (v4(1), v4(2)) };
        self.send(from, to, 5000, 80)?;
        self.send(from, to, *PORTS.start(), PACKETS / 2)?;
        self.send(from, to, *PORTS.end() - FLOWS + 1, PACKETS / 2)?;
        self.send(from, to, *PORTS.end() + 1, 80)
    }
}

/// Sent to 40 ports at each end of the range, from two sockets: 80 flows.
fn is_counted_exactly(program: Program) {
    if !program.installed() {
        eprintln!("skipped: {} is not installed", program.name());
        return;
    }
    let pair = Pair::new(&format!("weir-t-{}", program.name())).expect("root");
    for ipv6 in [false, true] {
        if ipv6 && !program.sees_ipv6() {
            continue;
        }
        let watching = pair.start(program).expect("it starts");
        pair.send_all(ipv6).expect("it is sent");
        let outcome = watching.stop().expect("it ends");
        assert_eq!(outcome.packets, Some(PACKETS), "{ipv6}: {outcome:?}");
        let flows = (program != Program::Tcpdump).then_some(2 * u64::from(FLOWS));
        assert_eq!(outcome.flows, flows, "{ipv6}: {outcome:?}");
        assert_eq!(outcome.lost, BTreeMap::new(), "{ipv6}");
    }
}

#[test]
fn root_tcpdump_counts_exactly() {
    is_counted_exactly(Program::Tcpdump);
}

#[test]
fn root_softflowd_counts_exactly() {
    is_counted_exactly(Program::Softflowd);
}

#[test]
fn root_pmacct_counts_exactly() {
    is_counted_exactly(Program::Pmacct);
}

#[test]
fn root_silence_is_no_flows_and_no_packets() {
    let pair = Pair::new("weir-t-silence").expect("root");
    for program in Program::ALL.into_iter().filter(|program| program.installed()) {
        let watching = program.start(&pair.receiver, "link0").expect("it starts");
        let outcome = watching.stop().expect("it ends");
        let flows = (program != Program::Tcpdump).then_some(0);
        assert_eq!((outcome.packets, outcome.flows), (Some(0), flows), "{}", program.name());
        assert_eq!(outcome.lost, BTreeMap::new(), "{}", program.name());
    }
}

#[test]
fn root_no_such_interface_is_said_in_the_programs_words() {
    let pair = Pair::new("weir-t-nowhere").expect("root");
    for program in Program::ALL.into_iter().filter(|program| program.installed()) {
        let refusal = program.start(&pair.receiver, "nowhere0").err().expect("there is none");
        let refusal = format!("{refusal:#}");
        assert!(refusal.contains("nowhere0"), "{}: {refusal}", program.name());
    }
}

#[test]
fn root_one_that_is_killed_is_missed() {
    if !Program::Tcpdump.installed() {
        eprintln!("skipped: tcpdump is not installed");
        return;
    }
    let pair = Pair::new("weir-t-killed").expect("root");
    let watching = Program::Tcpdump.start(&pair.receiver, "link0").expect("it starts");
    watching.running.process().signal(nix::sys::signal::Signal::SIGKILL).expect("it runs");
    let refusal = format!("{:#}", watching.stop().expect_err("it is gone"));
    assert!(refusal.contains("tcpdump") && refusal.contains("ended"), "{refusal}");
}

#[test]
fn root_what_tcpdump_writes_can_be_replayed() {
    let Some(tcpdump) = process::find("tcpdump") else {
        eprintln!("skipped: tcpdump is not installed");
        return;
    };
    let pair = Pair::new("weir-t-pcap").expect("root");
    let folder = process::Folder::new("pcap").expect("room");
    let file = folder.path().join("written.pcap");
    let mut command = pair.receiver.command(tcpdump);
    command.args(["-Z", "root", "-U", "-i", "link0", "-c", "1000", "-w"]).arg(&file).arg(FILTER);
    let mut writer = Process::start("tcpdump", &mut command).expect("it starts");
    let listening = |process: &Process| Ok(process.errors().contains("listening on").then_some(()));
    writer.wait_for("watch", listening).expect("it watches");
    pair.send_all(true).expect("it is sent");
    writer.ended_well().expect("it ends after 1000 packets");

    let packets = crate::pcap::read(&file).expect("it is read");
    assert_eq!(packets.len() as u64, PACKETS);
    for (number, packet) in packets.iter().enumerate() {
        let turn = if number < 500 { 0 } else { u32::from(FLOWS) };
        let flow = turn + (number as u32 % 500) % u32::from(FLOWS);
        assert_eq!(*packet, crate::pcap::Packet { flow, length: 80, ipv6: true }, "packet {number}");
    }
}

#[test]
fn the_filter_is_of_our_ports() {
    assert_eq!(FILTER, format!("udp and dst portrange {}-{}", PORTS.start(), PORTS.end()));
}
