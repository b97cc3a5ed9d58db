//! Property test: packets that wait for each other (`weir/burst.h`) count as those that do not, whatever is between
//! them. What a flow comes to is known from how the frames were made.

use crate::decode;
use crate::nested::{either_way, stay_on};
use libbpf_rs::ProgramInput;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use weir_kernel::{
    FlowAddresses, FlowEntry, LINK_IPV4, LINK_PORTS, LedgerCell, PartState, TAG_ENTRY_BITS, Window,
};
use weir_probes::dns::Ports;
use weir_probes::flows::{Demand, Flows, InterfaceId, Layout, LinkLayer, Points, Seen, Tables, Visitor};
use weir_record::{Addresses, FlowKey};

const TCP: u8 = 6;
const UDP: u8 = 17;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
/// More than what a CPU has entries for: flows leave while packets of theirs wait.
const FLOWS: u8 = 120;

/// What a flow comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sum {
    packets: u64,
    bytes: u64,
    flags: u16,
    ttl: (u8, u8),
    length: (u32, u32),
    dscp: u64,
}

impl Sum {
    fn merge(&mut self, more: Self) {
        self.packets += more.packets;
        self.bytes += more.bytes;
        self.flags |= more.flags;
        self.ttl = (self.ttl.0.min(more.ttl.0), self.ttl.1.max(more.ttl.1));
        self.length = (self.length.0.min(more.length.0), self.length.1.max(more.length.1));
        self.dscp |= more.dscp;
    }
}

#[derive(Debug, Default)]
struct Sums {
    flows: HashMap<FlowKey, Sum>,
    seen: (u64, u64),
    lost: u64,
}

impl Sums {
    fn add(&mut self, key: FlowKey, sum: Sum) {
        self.flows.entry(key).and_modify(|before| before.merge(sum)).or_insert(sum);
    }

    fn add_entry(&mut self, entry: &FlowEntry, addresses: Option<&FlowAddresses>) {
        let sum = Sum {
            packets: entry.packets,
            bytes: entry.bytes,
            flags: entry.tcp_flags & 0xfff,
            ttl: (entry.min_ttl, entry.max_ttl),
            length: (entry.min_length, entry.max_length),
            dscp: entry.dscp_seen,
        };
        self.add(decode::key(entry, addresses), sum);
    }
}

impl Visitor for Sums {
    fn flow(&mut self, Seen { entry, addresses, .. }: Seen<'_>) {
        self.add_entry(entry, addresses);
    }

    fn cell(&mut self, _point: u16, cell: &LedgerCell) {
        self.seen.0 += cell.seen_packets;
        self.seen.1 += cell.seen_bytes;
        self.lost += cell.lost_spill_packets;
    }
}

/// A packet of one of the flows. Every third is of IPv6, every other of TCP, and every fifth has a port of DNS.
#[derive(Debug, Clone)]
struct Packet {
    flow: u8,
    flags: u8,
    tos: u8,
    ttl: u8,
    payload: usize,
}

fn packet() -> impl Strategy<Value = Packet> {
    // Some flows come again and again, others now and then.
    let flow = prop_oneof![3 => 0..6u8, 1 => 0..FLOWS];
    let flags =
        prop_oneof![1 => Just(SYN), 1 => Just(SYN | ACK), 6 => Just(ACK), 1 => Just(0x18), 1 => Just(0x11)];
    (flow, flags, any::<u8>(), any::<u8>(), 0..100usize).prop_map(|(flow, flags, tos, ttl, payload)| Packet {
        flow,
        flags,
        tos,
        ttl,
        payload,
    })
}

impl Packet {
    fn protocol(&self) -> u8 {
        if self.flow.is_multiple_of(2) { UDP } else { TCP }
    }

    fn ports(&self) -> (u16, u16) {
        (4000 + u16::from(self.flow), if self.flow.is_multiple_of(5) { 53 } else { 443 })
    }

    fn is_ipv6(&self) -> bool {
        self.flow.is_multiple_of(3)
    }

    fn key(&self) -> FlowKey {
        let addresses = if self.is_ipv6() {
            Addresses::V6(
                Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1),
                Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2),
            )
        } else {
            Addresses::V4(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2))
        };
        FlowKey::Ip { vlan: None, addresses, protocol: self.protocol(), ports: Some(self.ports()) }
    }

    fn transport(&self) -> Vec<u8> {
        let (source, destination) = self.ports();
        let mut bytes = [source.to_be_bytes(), destination.to_be_bytes()].concat();
        if self.protocol() == TCP {
            bytes.extend([0; 8]);
            bytes.extend([0x50, self.flags, 0, 0, 0, 0, 0, 0]);
        } else {
            bytes.extend((8 + self.payload as u16).to_be_bytes());
            bytes.extend([0, 0]);
        }
        bytes.extend(vec![0; self.payload]);
        bytes
    }

    fn frame(&self) -> Vec<u8> {
        let transport = self.transport();
        let mut frame = vec![0; 12];
        if self.is_ipv6() {
            frame.extend([0x86, 0xdd, 0x60 | self.tos >> 4, self.tos << 4, 0, 0]);
            frame.extend((transport.len() as u16).to_be_bytes());
            frame.extend([self.protocol(), self.ttl]);
            frame.extend(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1).octets());
            frame.extend(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2).octets());
        } else {
            frame.extend([0x08, 0x00, 0x45, self.tos]);
            frame.extend((20 + transport.len() as u16).to_be_bytes());
            frame.extend([0, 0, 0, 0, self.ttl, self.protocol(), 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        }
        frame.extend(transport);
        frame
    }

    fn sum(&self) -> Sum {
        let length = self.frame().len() as u32;
        Sum {
            packets: 1,
            bytes: length.into(),
            flags: if self.protocol() == TCP { self.flags.into() } else { 0 },
            ttl: (self.ttl, self.ttl),
            length: (length, length),
            dscp: 1 << (self.tos >> 2),
        }
    }
}

/// Where every packet waits whose flow is there already.
fn probe(tables: Tables) -> Flows {
    let dns_ports = Ports::of(&[53]);
    let demand = Demand { tables, dns_ports, ..Demand::one_interface(1 << 20, 64) };
    let layout = Layout::new(demand).expect("1 MiB holds a flow");
    assert!(layout.entries_per_cpu < FLOWS.into(), "{layout:?}");
    let mut flows = Flows::load_with(layout, |object| object.set_constant("many_flows", 0u32))
        .expect("the probe loads: these tests need root");
    let loopback = InterfaceId { netns: 0, index: 1 };
    let points = Points { outer: 2, inner: 0 };
    flows.watch(loopback, points, LinkLayer::Ethernet).expect("loopback can be watched");
    flows
}

fn send(flows: &Flows, packet: &Packet) {
    send_frame(flows, &packet.frame());
}

fn send_frame(flows: &Flows, frame: &[u8]) {
    let input = ProgramInput { data_in: Some(frame), ..Default::default() };
    let program = flows.loaded().program("weir_ingress").expect("the program is there");
    program.test_run(input).expect("the program runs");
}

fn count(flows: &mut Flows, packets: &[Packet]) -> Sums {
    packets.iter().for_each(|packet| send(flows, packet));
    let left = flows.flip().expect("the generation flips");
    let mut sums = Sums::default();
    flows.drain(left, &mut sums).expect("the generation drains");
    flows
        .consume_spill(usize::MAX, |record| sums.add_entry(&record.entry, Some(&record.addresses)))
        .expect("the ring can be read");
    sums
}

#[test]
fn root_packets_that_wait_count_as_those_that_do_not() {
    for tables in either_way() {
        let flows = RefCell::new(probe(tables));
        let config = Config { cases: 150, failure_persistence: None, ..Config::default() };
        let outcome = TestRunner::new(config).run(&vec(packet(), 0..300), |packets| {
            let found = count(&mut flows.borrow_mut(), &packets);
            let mut sent = Sums::default();
            packets.iter().for_each(|packet| sent.add(packet.key(), packet.sum()));
            let bytes: u64 = packets.iter().map(|packet| packet.frame().len() as u64).sum();
            prop_assert_eq!(found.seen, (packets.len() as u64, bytes));
            prop_assert_eq!(found.lost, 0);
            prop_assert_eq!(found.flows, sent.flows);
            Ok(())
        });
        if let Err(failure) = outcome {
            panic!("{tables:?}: {failure}");
        }
    }
}

/// Packets that wait, on whichever CPU, and flows that there are.
fn waiting(flows: &Flows) -> (u32, u32) {
    let parts = flows.loaded().map("parts").expect("there are parts");
    let parts: Window<PartState> =
        Window::new(parts, 0..flows.layout().parts() as usize).expect("they can be mapped");
    let sum = |of: fn(&PartState) -> u32| parts.iter().map(of).sum();
    (sum(|part| part.burst), sum(|part| part.used))
}

fn packet_of(flow: u8, flags: u8) -> Packet {
    Packet { flow, flags, tos: 0, ttl: 64, payload: 9 }
}

/// Each CPU's first packet makes the flow, and the others wait, unless DNS or a handshake is to see the entry.
#[test]
fn root_packets_of_flows_that_are_there_wait() {
    for of_flow in [packet_of(1, ACK), packet_of(2, 0), packet_of(3, ACK), packet_of(6, 0)] {
        let flows = probe(Tables::here());
        (0..10).for_each(|_| send(&flows, &of_flow));
        let (waiting, made) = waiting(&flows);
        assert_eq!(made + waiting, 10, "{of_flow:?}");
    }
    for of_flow in [packet_of(1, SYN), packet_of(5, ACK), packet_of(10, 0)] {
        let flows = probe(Tables::here());
        (0..10).for_each(|_| send(&flows, &of_flow));
        assert_eq!(waiting(&flows).0, 0, "{of_flow:?}");
    }
}

/// The packet that ends a handshake is not one that waits, nor are those that follow in the same generation.
#[test]
fn root_who_answers_does_not_wait() {
    stay_on(0);
    let mut flows = probe(Tables::here());
    let after = |flows: &Flows, flags| {
        send(flows, &packet_of(1, flags));
        waiting(flows).0
    };
    assert_eq!([SYN, ACK, ACK].map(|flags| after(&flows, flags)), [0, 0, 0]);
    flows.flip().expect("the generation flips");
    assert_eq!([ACK, ACK, ACK].map(|flags| after(&flows, flags)), [0, 1, 2]);
}

/// Of two flows that a tag cannot tell apart neither waits, whatever goes the long way in between.
#[test]
fn root_flows_of_one_fingerprint_do_not_wait() {
    stay_on(0);
    let mut flows = probe(Tables::here());
    let [one, other] = alike(&flows);
    // The other's first packet has the one's tag, and would wait: it takes the long way, as later ones of the one do.
    for (port, options) in [(one, false), (other, true), (one, true), (other, true)] {
        send_frame(&flows, &datagram(port, options));
    }
    for port in [one, other, other, one, one, other] {
        send_frame(&flows, &datagram(port, false));
        assert_eq!(waiting(&flows), (0, 2), "ports {one} and {other}");
    }
    let spilled = flows.consume_spill(usize::MAX, |_| ()).expect("the ring can be read");
    assert_eq!(spilled, 0);
    let left = flows.flip().expect("the generation flips");
    let mut sums = Sums::default();
    flows.drain(left, &mut sums).expect("the generation drains");
    assert_eq!(sums.flows.values().map(|sum| sum.packets).collect::<Vec<_>>(), [5, 5]);
}

/// A datagram, with IP options (which go the long way) or without.
fn datagram(source_port: u16, options: bool) -> Vec<u8> {
    let (words, no_operation): (u8, &[u8]) = if options { (6, &[1; 4]) } else { (5, &[]) };
    let mut frame = vec![0; 12];
    frame.extend([0x08, 0x00, 0x40 | words, 0, 0, words * 4 + 8, 0, 0, 0, 0, 64, UDP, 0, 0]);
    frame.extend([10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend(no_operation);
    frame.extend(source_port.to_be_bytes());
    frame.extend([0x01, 0xbb, 0, 8, 0, 0]);
    frame.extend([0; 20]);
    frame
}

/// Source ports of two datagrams whose flows have the same bucket and the same fingerprint.
fn alike(flows: &Flows) -> [u16; 2] {
    let buckets = u64::from(flows.layout().buckets_per_cpu);
    let mut seen = HashMap::new();
    let pair = (1024..u16::MAX).find_map(|port| {
        let entry = FlowEntry {
            addresses: u64::from_ne_bytes([10, 0, 0, 1, 10, 0, 0, 2]),
            source_port: port.to_be(),
            destination_port: 443u16.to_be(),
            point: 2,
            link: (LINK_IPV4 | LINK_PORTS) as u16,
            protocol: UDP,
            ..FlowEntry::default()
        };
        let hash = flows.digester().digest(&entry);
        seen.insert((hash % buckets, hash >> (32 + TAG_ENTRY_BITS + 1)), port).map(|before| [before, port])
    });
    pair.expect("there are more ports than fingerprints")
}
