//! Property test: the same frames through the probe's parser (BPF_PROG_TEST_RUN) and through
//! an independent one (etherparse) make the same flow keys.

use crate::decode;
use crate::nested::either_way;
use etherparse::{EtherType, Ipv6ExtensionSlice, LaxLinkExtSlice, LaxNetSlice, LaxSlicedPacket};
use libbpf_rs::ProgramInput;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::RefCell;
use weir_kernel::LedgerCell;
use weir_probes::flows::{Demand, Flows, InterfaceId, Layout, LinkLayer, Points, Seen, Tables, Visitor};
use weir_record::{Addresses, FlowKey};

/// Loopback: the interface that a test run's packets belong to.
const LOOPBACK: InterfaceId = InterfaceId { netns: 0, index: 1 };
const POINT: u16 = 2;

const TCP: u8 = 6;
const UDP: u8 = 17;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AH: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;

/// What a test run left in the flow hash and in the ledger.
#[derive(Default)]
struct Findings {
    flows: Vec<(FlowKey, u64, u64)>,
    seen: (u64, u64),
}

impl Visitor for Findings {
    fn flow(&mut self, Seen { entry, addresses, .. }: Seen<'_>) {
        self.flows.push((decode::key(entry, addresses), entry.packets, entry.bytes));
    }

    fn cell(&mut self, _point: u16, cell: &LedgerCell) {
        self.seen.0 += cell.seen_packets;
        self.seen.1 += cell.seen_bytes;
    }
}

fn probe(tables: Tables) -> Flows {
    let demand = Demand { tables, ..Demand::one_interface(1 << 20, 64) };
    let layout = Layout::new(demand).expect("1 MiB holds a flow");
    let mut flows = Flows::load(layout).expect("the probe loads: these tests need root");
    flows
        .watch(LOOPBACK, Points { outer: POINT, inner: 0 }, LinkLayer::Ethernet)
        .expect("loopback can be watched");
    flows
}

fn run(flows: &mut Flows, frame: &[u8]) -> Findings {
    let input = ProgramInput { data_in: Some(frame), ..Default::default() };
    let program = flows.loaded().program("weir_ingress").expect("the program is there");
    program.test_run(input).expect("the program runs");
    let left = flows.flip().expect("the generation flips");
    let mut findings = Findings::default();
    flows.drain(left, &mut findings).expect("the generation drains");
    findings
}

/// The key that etherparse's reading of the frame gives, where it has one.
fn witness(frame: &[u8]) -> Option<FlowKey> {
    let packet = LaxSlicedPacket::from_ethernet(frame).expect("an Ethernet header is there");
    let mut ethertype = u16::from_be_bytes([frame[12], frame[13]]);
    let mut vlan = None;
    for extension in &packet.link_exts {
        if let LaxLinkExtSlice::Vlan(tag) = extension {
            vlan.get_or_insert(tag.vlan_identifier().value());
            ethertype = tag.ether_type().0;
        }
    }
    if ethertype < 0x600 {
        ethertype = 4;
    }
    let (addresses, payload, later) = match &packet.net {
        Some(LaxNetSlice::Ipv4(ip)) => {
            let header = ip.header();
            let addresses = Addresses::V4(header.source_addr(), header.destination_addr());
            let later = (header.fragments_offset().value() > 0).then_some(header.protocol().0);
            (addresses, ip.payload(), later)
        }
        Some(LaxNetSlice::Ipv6(ip)) => {
            let header = ip.header();
            let addresses = Addresses::V6(header.source_addr(), header.destination_addr());
            // etherparse's iterator runs past the end of headers that are cut short.
            let fragmented = ip.is_payload_fragmented();
            if fragmented && packet.stop_err.is_some() {
                return None;
            }
            let extensions = ip.extensions().clone();
            let later =
                fragmented.then_some(extensions).into_iter().flatten().find_map(
                    |extension| match extension {
                        Ipv6ExtensionSlice::Fragment(fragment) if fragment.fragment_offset().value() > 0 => {
                            Some(fragment.next_header().0)
                        }
                        _ => None,
                    },
                );
            (addresses, ip.payload(), later)
        }
        _ => return Some(FlowKey::Other { vlan, ethertype }),
    };
    Some(match later {
        // What a later fragment carries are no headers, though etherparse reads them as such.
        Some(protocol) => FlowKey::Ip { vlan, addresses, protocol, ports: None },
        None => {
            let protocol = payload.ip_number.0;
            FlowKey::Ip { vlan, addresses, protocol, ports: ports(protocol, payload.payload) }
        }
    })
}

fn ports(protocol: u8, payload: &[u8]) -> Option<(u16, u16)> {
    match (protocol, payload) {
        (1 | 58, [kind, code, ..]) => Some((u16::from(*kind), u16::from(*code))),
        (TCP | UDP | 33 | 132 | 136, [a, b, c, d, ..]) => {
            Some((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])))
        }
        _ => None,
    }
}

/// A datagram's transport protocol and payload.
fn transport() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let protocol = prop_oneof![
        4 => Just(TCP), 4 => Just(UDP), 1 => Just(1u8), 1 => Just(58u8), 1 => Just(2u8),
        1 => Just(33u8), 1 => Just(47u8), 1 => Just(50u8), 1 => Just(132u8), 1 => Just(136u8), 1 => Just(253u8),
    ];
    (protocol, vec(any::<u8>(), 0..60)).prop_map(|(protocol, mut payload)| {
        if protocol == TCP && payload.len() > 12 {
            payload[12] = payload[12] % 11 * 16 + 0x50; // a data offset of 5 to 15 words
        }
        (protocol, payload)
    })
}

fn ipv4() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let fragment = prop_oneof![4 => Just(0u16), 1 => Just(0x2000), 1 => Just(0x2010), 1 => Just(0x0020)];
    (transport(), vec(any::<u8>(), 0..=10), fragment, any::<[u8; 12]>(), any::<bool>()).prop_map(
        |((protocol, payload), options, fragment, random, authenticated)| {
            let words = 5 + options.len();
            let (first, payload) =
                if authenticated { (AH, ah(protocol, &payload)) } else { (protocol, payload) };
            let total = (words * 4 + payload.len()) as u16;
            let mut ip = vec![0x40 | words as u8, random[0]];
            ip.extend(total.to_be_bytes());
            ip.extend(&random[1..3]);
            ip.extend(fragment.to_be_bytes());
            ip.extend([random[3], first, 0, 0]);
            ip.extend(&random[4..12]);
            options.iter().for_each(|_| ip.extend([1, 1, 1, 1]));
            ip.extend(payload);
            (0x0800, ip)
        },
    )
}

fn ah(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![next, 4, 0, 0, 1, 2, 3, 4, 0, 0, 0, 1];
    header.extend([7; 12]);
    header.extend(payload);
    header
}

fn ipv6() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let kind = prop_oneof![Just(ROUTING), Just(DESTINATION_OPTIONS), Just(FRAGMENT), Just(AH)];
    let extensions = vec((kind, 0u8..3, any::<u8>()), 0..4);
    (transport(), any::<bool>(), extensions, any::<[u8; 32]>(), any::<[u8; 4]>()).prop_map(
        |((protocol, payload), options, extensions, addresses, random)| {
            let mut headers: Vec<(u8, Vec<u8>)> = Vec::new();
            if options {
                headers.push((HOP_BY_HOP, vec![0, 0, 1, 4, 0, 0, 0, 0]));
            }
            for (kind, length, filler) in extensions {
                // RFC 8200: each at most once; etherparse holds the order to be free.
                if headers.iter().all(|(known, _)| *known != kind) {
                    headers.push((kind, extension(kind, length, filler)));
                }
            }
            let mut next = protocol;
            let mut body = payload;
            for (kind, mut header) in headers.into_iter().rev() {
                header[0] = next;
                header.extend(&body);
                body = header;
                next = kind;
            }
            let mut ip = vec![0x60 | (random[0] & 0xf), random[1], 0, 0];
            ip.extend((body.len() as u16).to_be_bytes());
            ip.extend([next, random[3]]);
            ip.extend(addresses);
            ip.extend(body);
            (0x86dd, ip)
        },
    )
}

fn extension(kind: u8, length: u8, filler: u8) -> Vec<u8> {
    match kind {
        // Offset and more-fragments flag by the filler; often the first fragment.
        FRAGMENT => vec![0, 0, 0, if filler < 128 { filler & 1 } else { filler & 0xf9 }, 1, 2, 3, filler],
        AH => {
            let mut header = vec![0, 1 + length];
            header.resize((usize::from(length) + 3) * 4, filler);
            header
        }
        _ => {
            let mut header = vec![0, length];
            header.resize((usize::from(length) + 1) * 8, filler);
            header
        }
    }
}

fn frame() -> impl Strategy<Value = Vec<u8>> {
    let tag = (prop_oneof![Just(0x8100u16), Just(0x88a8), Just(0x9100)], any::<u16>());
    let other = (
        prop_oneof![Just(0x0806u16), Just(0x88cc), Just(0x0026), 0x0600..0x0700u16],
        vec(any::<u8>(), 0..50),
    );
    let inside = prop_oneof![4 => ipv4(), 4 => ipv6(), 1 => other];
    (vec(tag, 0..=3), inside, any::<[u8; 12]>()).prop_map(|(tags, (ethertype, payload), macs)| {
        let mut frame = macs.to_vec();
        for (kind, tci) in tags {
            frame.extend(kind.to_be_bytes());
            frame.extend(tci.to_be_bytes());
        }
        frame.extend(ethertype.to_be_bytes());
        frame.extend(payload);
        frame
    })
}

/// Frames, cut short at any place in a third of the cases.
fn cut_frame() -> impl Strategy<Value = Vec<u8>> {
    (frame(), any::<prop::sample::Index>(), 0u8..3).prop_map(|(mut frame, at, dice)| {
        // A test run refuses frames without a whole IP header (6.18); those go behind a VLAN
        // tag here, and over a real wire in tests/hostile.rs.
        let least = match frame[12..14] {
            [0x08, 0x00] => 14 + 20,
            [0x86, 0xdd] => 14 + 40,
            _ => 15,
        };
        frame.resize(frame.len().max(least), 0);
        if dice == 0 {
            frame.truncate(least + at.index(frame.len() - least + 1));
        }
        frame
    })
}

fn check(
    strategy: impl Strategy<Value = Vec<u8>>,
    compare: impl Fn(&[u8], &Findings) -> Result<(), TestCaseError>,
) {
    for tables in either_way() {
        check_with(tables, &strategy, &compare);
    }
}

fn check_with(
    tables: Tables,
    strategy: &impl Strategy<Value = Vec<u8>>,
    compare: &impl Fn(&[u8], &Findings) -> Result<(), TestCaseError>,
) {
    let flows = RefCell::new(probe(tables));
    let config = Config { cases: 600, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(strategy, |frame| {
        let findings = run(&mut flows.borrow_mut(), &frame);
        prop_assert_eq!(findings.flows.len(), 1, "one packet, one flow");
        prop_assert_eq!((findings.flows[0].1, findings.flows[0].2), (1, frame.len() as u64));
        prop_assert_eq!(findings.seen, (1, frame.len() as u64));
        compare(&frame, &findings)
    });
    if let Err(failure) = outcome {
        panic!("{tables:?}: {failure}");
    }
}

#[test]
fn root_well_formed_and_truncated_frames_agree_with_etherparse() {
    check(cut_frame(), |frame, findings| {
        // The kernel takes a tag out of the frame before the program runs, as it does on a
        // real interface; what is in its metadata is the outer tag, all the same.
        if let Some(expected) = witness(frame) {
            prop_assert_eq!(&findings.flows[0].0, &expected, "{:02x?}", frame);
        }
        Ok(())
    });
}

#[test]
fn root_frames_of_noise_are_counted_and_harm_nothing() {
    let noise = (cut_frame(), vec((any::<prop::sample::Index>(), any::<u8>()), 0..12)).prop_map(
        |(mut frame, changes)| {
            for (at, value) in changes {
                let at = at.index(frame.len());
                if !(12..14).contains(&at) {
                    frame[at] = value;
                }
            }
            frame
        },
    );
    check(noise, |_, _| Ok(()));
}

#[test]
fn root_the_witness_knows_ethertypes() {
    let mut frame = vec![0; 14];
    frame[12..].copy_from_slice(&EtherType::ARP.0.to_be_bytes());
    assert_eq!(witness(&frame), Some(FlowKey::Other { vlan: None, ethertype: 0x0806 }));
    assert_eq!(Some(run(&mut probe(Tables::here()), &frame).flows[0].0), witness(&frame));
}
