//! What the tests of conversations are made of.

use super::Joining;
use super::tally::{Spot, Tally};
use crate::settings::sample;
use crate::{Books, Settings};
use std::sync::Arc;
use weir_kernel::{FlowEntry, LINK_IPV4, LINK_PORTS};
use weir_probes::flows::Ticks;
use weir_record::{Addresses, FlowKey, Interface, InterfaceKind, Layer};

pub fn tcp_between(source: [u8; 4], destination: [u8; 4], from: u16, to: u16) -> FlowKey {
    let addresses = Addresses::V4(source.into(), destination.into());
    FlowKey::Ip { vlan: None, addresses, protocol: 6, ports: Some((from, to)) }
}

pub fn tcp(source: u16, destination: u16) -> FlowKey {
    tcp_between([10, 0, 0, 1], [10, 0, 0, 2], source, destination)
}

pub fn icmp(kind: u16) -> FlowKey {
    let addresses = Addresses::V4([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
    FlowKey::Ip { vlan: None, addresses, protocol: 1, ports: Some((kind, 0)) }
}

/// What a CPU counted of a TCP flow at `point`: packets of 100 bytes, all in the tick of the reading.
pub fn entry(point: u16, (from, to): (u16, u16), packets: u64, tcp_flags: u16) -> FlowEntry {
    FlowEntry {
        source_port: from.to_be(),
        destination_port: to.to_be(),
        link: (LINK_IPV4 | LINK_PORTS) as u16,
        protocol: 6,
        point,
        packets,
        bytes: packets * 100,
        tcp_flags,
        ..FlowEntry::default()
    }
}

pub fn tally(point: u16, reverse: bool, time: u64, packets: u64) -> Tally {
    let entry = FlowEntry { packets, bytes: packets * 100, ..FlowEntry::default() };
    Tally::new(&entry, Spot { point, reverse, vlan: None, translated: false, rate: 1 }, &Ticks::at(time), 1)
}

/// Books that know three interfaces: at points 2, 4 and 6, from the wire inwards.
pub fn books() -> Books {
    let mut books = Books::new(16, Box::new(|_| {}));
    for (name, index) in [("eth0", 1), ("br0", 2), ("veth0", 3)] {
        let (name, netns, kind) = (name.to_string(), "1".into(), InterfaceKind::Other);
        let interface = Interface { name, index, netns, own_netns: true, kind };
        books.open(&Arc::new(interface), Layer::Outer).expect("there is room");
    }
    books
}

pub fn settings(joining: Joining, max_flows: usize) -> Settings {
    Settings { joining, max_flows, ..sample() }
}
