//! What tunnels carry: crafted frames through the probe (BPF_PROG_TEST_RUN), with `decapsulate` on.

use crate::decode;
use libbpf_rs::ProgramInput;
use weir_kernel::{FlowEntry, LedgerCell};
use weir_probes::flows::{Demand, Flows, InterfaceId, Layout, LinkLayer, Points, Seen, Visitor};
use weir_record::{Addresses, FlowKey};

const OUTER: u16 = 2;
const INNER: u16 = 4;

/// What one frame left: entries with the digest of their tunnel, and bytes seen by point.
#[derive(Default)]
struct Findings {
    entries: Vec<(FlowEntry, FlowKey, u64)>,
    seen: Vec<(u16, u64)>,
}

impl Visitor for Findings {
    fn flow(&mut self, Seen { entry, addresses, parent }: Seen<'_>) {
        self.entries.push((*entry, decode::key(entry, addresses), parent));
    }

    fn cell(&mut self, point: u16, cell: &LedgerCell) {
        self.seen.push((point, cell.seen_bytes));
    }
}

fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&[0; 12], ethertype.to_be_bytes().as_slice(), payload].concat()
}

fn ipv4(protocol: u8, last: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, last, 10, 0, 0, last + 1];
    header[2..4].copy_from_slice(&((20 + payload.len()) as u16).to_be_bytes());
    [header, payload.to_vec()].concat()
}

fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![0x60, 0, 0, 0, 0, 0, next, 64];
    header[4..6].copy_from_slice(&(payload.len() as u16).to_be_bytes());
    header.extend([0xfd; 16].iter().chain([0xfe; 16].iter()));
    [header, payload.to_vec()].concat()
}

fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len()) as u16;
    [&7777u16.to_be_bytes(), &port.to_be_bytes(), &length.to_be_bytes(), &[0u8; 2], payload].concat()
}

/// What is carried: an IPv4/UDP packet of 48 bytes, or the same in an Ethernet frame.
fn packet() -> Vec<u8> {
    ipv4(17, 100, &udp(53, &[1; 20]))
}

fn frame() -> Vec<u8> {
    ethernet(0x0800, &packet())
}

fn gre(flags: u16, ethertype: u16, rest: &[u8], payload: &[u8]) -> Vec<u8> {
    ipv4(47, 1, &[&flags.to_be_bytes(), &ethertype.to_be_bytes(), rest, payload].concat())
}

fn probe() -> Flows {
    let demand = Demand { decapsulate: true, ..Demand::one_interface(1 << 20, 64) };
    let mut probe = Flows::load(Layout::new(demand).expect("1 MiB holds a flow")).expect("the probe loads");
    let points = Points { outer: OUTER, inner: INNER };
    probe.watch(InterfaceId { netns: 0, index: 1 }, points, LinkLayer::Ethernet).expect("it can be watched");
    probe
}

/// Key and bytes of what was found inside a frame; the outer flow is as long as the frame, and the inner one names it.
fn inside(probe: &mut Flows, frame: &[u8]) -> Option<(FlowKey, u64)> {
    let input = ProgramInput { data_in: Some(frame), ..Default::default() };
    probe.loaded().program("weir_ingress").expect("it is there").test_run(input).expect("needs root");
    let left = probe.flip().expect("the generation flips");
    let mut found = Findings::default();
    probe.drain(left, &mut found).expect("the generation drains");
    for (entry, ..) in &found.entries {
        assert!(found.seen.contains(&(entry.point, entry.bytes)), "the ledger has seen the flow's bytes");
    }
    let at = |point| found.entries.iter().find(|(entry, ..)| entry.point == point);
    let (outer, _, parent) = at(OUTER).expect("the outer flow is always counted");
    assert_eq!((outer.bytes, *parent), (frame.len() as u64, 0));
    let (inner, key, parent) = at(INNER)?;
    assert_eq!(*parent, probe.digester().digest(outer));
    Some((*key, inner.bytes))
}

fn dns(bytes: u64) -> Option<(FlowKey, u64)> {
    let addresses = Addresses::V4([10, 0, 0, 100].into(), [10, 0, 0, 101].into());
    Some((FlowKey::Ip { vlan: None, addresses, protocol: 17, ports: Some((7777, 53)) }, bytes))
}

#[test]
fn root_every_tunnel_is_looked_into() {
    let mut probe = probe();
    let vxlan = [&[8, 0, 0, 0, 0, 0, 42, 0], frame().as_slice()].concat();
    let geneve = |options: &[u8], kind: u16, payload: &[u8]| {
        let start = [[(options.len() / 4) as u8, 0].as_slice(), &kind.to_be_bytes(), &[0, 0, 42, 0]].concat();
        ethernet(0x0800, &ipv4(17, 1, &udp(6081, &[&start, options, payload].concat())))
    };
    for port in [4789, 8472] {
        assert_eq!(
            inside(&mut probe, &ethernet(0x0800, &ipv4(17, 1, &udp(port, &vxlan)))),
            dns(62),
            "VXLAN, port {port}"
        );
    }
    assert_eq!(
        inside(&mut probe, &ethernet(0x86dd, &ipv6(17, &udp(4789, &vxlan)))),
        dns(62),
        "VXLAN over IPv6"
    );
    assert_eq!(inside(&mut probe, &geneve(&[], 0x6558, &frame())), dns(62), "Geneve");
    assert_eq!(inside(&mut probe, &geneve(&[0; 12], 0x6558, &frame())), dns(62), "Geneve with options");
    assert_eq!(inside(&mut probe, &geneve(&[], 0x0800, &packet())), dns(48), "Geneve with an IP packet");
    assert_eq!(inside(&mut probe, &ethernet(0x0800, &gre(0, 0x0800, &[], &packet()))), dns(48), "GRE");
    assert_eq!(
        inside(&mut probe, &ethernet(0x0800, &gre(0, 0x6558, &[], &frame()))),
        dns(62),
        "GRE, bridged"
    );
    assert_eq!(
        inside(&mut probe, &ethernet(0x0800, &gre(0xb000, 0x0800, &[0; 12], &packet()))),
        dns(48),
        "GRE with it all"
    );
    assert_eq!(inside(&mut probe, &ethernet(0x0800, &ipv4(4, 1, &packet()))), dns(48), "IPv4 in IPv4");
    assert_eq!(inside(&mut probe, &ethernet(0x86dd, &ipv6(4, &packet()))), dns(48), "IPv4 in IPv6");
    let (key, bytes) =
        inside(&mut probe, &ethernet(0x0800, &ipv4(41, 1, &ipv6(17, &udp(53, &[1; 20]))))).expect("6in4");
    assert_eq!((key.ethertype(), key.ports(), bytes), (0x86dd, Some((7777, 53)), 68));
}

#[test]
fn root_what_is_no_tunnel_is_left_alone() {
    let mut probe = probe();
    let no_id = [&[0, 0, 0, 0, 0, 0, 42, 0], frame().as_slice()].concat();
    assert_eq!(
        inside(&mut probe, &ethernet(0x0800, &ipv4(17, 1, &udp(4789, &no_id)))),
        None,
        "VXLAN without an id"
    );
    assert_eq!(inside(&mut probe, &ethernet(0x0800, &ipv4(17, 1, &udp(53, &[8; 40])))), None, "another port");
    assert_eq!(inside(&mut probe, &ethernet(0x0800, &gre(1, 0x880b, &[0; 8], &packet()))), None, "PPTP");
    assert_eq!(inside(&mut probe, &ethernet(0x0800, &gre(0, 0x88be, &[0; 8], &frame()))), None, "ERSPAN");
    let mut fragment = ipv4(4, 1, &packet());
    fragment[6] = 0x20;
    assert_eq!(
        inside(&mut probe, &ethernet(0x0800, &fragment)),
        None,
        "the first fragment of a tunnel's packet"
    );
}

#[test]
fn root_what_is_cut_short_is_a_flow_by_ethertype() {
    let mut probe = probe();
    let (key, bytes) =
        inside(&mut probe, &ethernet(0x0800, &ipv4(4, 1, &packet()[..12]))).expect("something is inside");
    assert_eq!((key, bytes), (FlowKey::Other { vlan: None, ethertype: 0x0800 }, 12));
    assert_eq!(
        inside(&mut probe, &ethernet(0x0800, &ipv4(17, 1, &udp(4789, &[8, 0])))),
        None,
        "no whole VXLAN header"
    );
}
