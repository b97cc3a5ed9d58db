//! Fragments: later ones belong to the flow of the first, where that was seen, and nothing
//! is ever read out of the middle of a datagram.

use super::{Table, icmp, portless, ports, tcp_flags};
use weir_tests::frames::{self as make, ICMP, Ipv4, Ipv6, MORE, SYN, TCP, UDP, VLAN, tcp, udp};
use weir_tests::frames_ipv6::{DESTINATION_OPTIONS, Extension, HOP_BY_HOP, chain};
use weir_tests::output::Flow;

/// Looks like ports, and is not.
const PAYLOAD: [u8; 64] = [0x77; 64];

fn fragmented(describe: impl FnOnce(Flow) -> Flow) -> impl FnOnce(Flow) -> Flow {
    |flow| Flow { fragmented: true, ..describe(flow) }
}

pub fn add(table: &mut Table) {
    ipv4(table);
    ipv6(table);
}

fn ipv4(table: &mut Table) {
    let piece = |ip: &Ipv4, fragment, protocol, payload: &[u8]| {
        Ipv4 { id: 77, fragment, ..ip.clone() }.frame(protocol, payload)
    };
    let first_udp = udp(4_000, 53, &PAYLOAD[..56]);
    table.ipv4(
        "a datagram in three fragments",
        |ip| {
            vec![
                piece(&ip, MORE, UDP, &first_udp),
                piece(&ip, MORE | 8, UDP, &PAYLOAD),
                piece(&ip, 16, UDP, &PAYLOAD),
            ]
        },
        fragmented(ports("udp", 4_000, 53)),
    );
    table.ipv4(
        "a TCP segment in two fragments",
        |ip| vec![piece(&ip, MORE, TCP, &tcp(1, 2, SYN, &[1; 4], b"")), piece(&ip, 3, TCP, &PAYLOAD)],
        fragmented(tcp_flags(1, 2, SYN)),
    );
    table.ipv4(
        "a ping in two fragments",
        |ip| vec![piece(&ip, MORE, ICMP, &make::icmp(8, 0, &[0; 60])), piece(&ip, 8, ICMP, &PAYLOAD)],
        fragmented(icmp("icmp", 8, 0)),
    );
    table.ipv4(
        "a fragment without its first",
        |ip| vec![piece(&ip, 8, UDP, &PAYLOAD)],
        fragmented(portless("udp")),
    );
    table.ipv4(
        "the last fragment comes first",
        |ip| vec![piece(&ip, 8, UDP, &PAYLOAD), piece(&ip, MORE, UDP, &first_udp)],
        fragmented(portless("udp")),
    );
    table.and(ports("udp", 4_000, 53));
    table.ipv4(
        "a fragment of another datagram",
        |ip| {
            let other = Ipv4 { id: 78, fragment: 8, ..ip.clone() };
            vec![piece(&ip, MORE, UDP, &first_udp), other.frame(UDP, &PAYLOAD)]
        },
        fragmented(ports("udp", 4_000, 53)),
    );
    table.and(|flow| Flow { source_port: None, destination_port: None, ..flow });
    table.ipv4(
        "a first fragment too short for its ports",
        |ip| vec![piece(&ip, MORE, UDP, &[]), piece(&ip, 1, UDP, &PAYLOAD)],
        fragmented(portless("udp")),
    );
    let tag = |frame: Vec<u8>| {
        [&frame[..12], &VLAN.to_be_bytes(), &make::vlan(9, make::IPV4, &frame[14..])].concat()
    };
    table.ipv4(
        "tagged fragments",
        |ip| vec![tag(piece(&ip, MORE, UDP, &first_udp)), tag(piece(&ip, 8, UDP, &PAYLOAD))],
        |flow| Flow { vlan: Some(9), ..fragmented(ports("udp", 4_000, 53))(flow) },
    );
}

fn ipv6(table: &mut Table) {
    let piece = |ip: &Ipv6, before: &[Extension], offset, more, payload: &[u8]| {
        let (first, packet) =
            chain(&[before, &[Extension::fragment(offset, more, 0xabcd_0123)]].concat(), UDP, payload);
        ip.frame(first, &packet)
    };
    let first_udp = udp(4_000, 53, &PAYLOAD[..56]);
    table.ipv6(
        "an IPv6 packet in three fragments",
        |ip| {
            vec![
                piece(&ip, &[], 0, true, &first_udp),
                piece(&ip, &[], 8, true, &PAYLOAD),
                piece(&ip, &[], 16, false, &PAYLOAD),
            ]
        },
        fragmented(ports("udp", 4_000, 53)),
    );
    let before = [Extension::options(HOP_BY_HOP, 8), Extension::routing()];
    table.ipv6(
        "IPv6 fragments behind other headers",
        |ip| vec![piece(&ip, &before, 0, true, &first_udp), piece(&ip, &before, 8, false, &PAYLOAD)],
        fragmented(ports("udp", 4_000, 53)),
    );
    table.ipv6(
        "an IPv6 fragment without its first",
        |ip| vec![piece(&ip, &[], 8, false, &PAYLOAD)],
        fragmented(portless("udp")),
    );
    // What follows the fragment header belongs to the first fragment only: the later one
    // names destination options too, and still is UDP of the same flow or, where that is not
    // known, says no more than it knows.
    let (inner, body) = chain(&[Extension::options(DESTINATION_OPTIONS, 8)], UDP, &first_udp);
    table.ipv6(
        "options in the first IPv6 fragment",
        |ip| {
            let (first, packet) = chain(&[Extension::fragment(0, true, 5)], inner, &body);
            vec![ip.frame(first, &packet)]
        },
        fragmented(ports("udp", 4_000, 53)),
    );
}
