//! IPv6 and its extension headers.

use super::{Table, icmp, portless, ports, tcp_flags};
use weir_tests::frames::{self as make, ACK, ESP, ICMPV6, Ipv6, PSH, SCTP, SYN, TCP, UDP, tcp, udp};
use weir_tests::frames_ipv6::{DESTINATION_OPTIONS, Extension, HOP_BY_HOP, NO_NEXT_HEADER, chain};
use weir_tests::output::Flow;

pub fn add(table: &mut Table) {
    table.ipv6(
        "UDP over IPv6",
        |ip| vec![ip.frame(UDP, &udp(4_000, 53, b"question")); 2],
        ports("udp", 4_000, 53),
    );
    table.ipv6(
        "TCP over IPv6",
        |ip| [SYN, PSH | ACK].map(|flags| ip.frame(TCP, &tcp(4_000, 80, flags, &[1; 12], b"x"))).into(),
        tcp_flags(4_000, 80, SYN | PSH | ACK),
    );
    table.ipv6(
        "SCTP over IPv6",
        |ip| vec![ip.frame(SCTP, &make::ports(9, 10, &[0; 24]))],
        ports("sctp", 9, 10),
    );
    table.ipv6(
        "ICMPv6 echo",
        |ip| vec![ip.frame(ICMPV6, &make::icmp(128, 0, &[0; 56]))],
        icmp("icmpv6", 128, 0),
    );
    table.ipv6(
        "ICMPv6 packet too big",
        |ip| vec![ip.frame(ICMPV6, &make::icmp(2, 0, &[0; 60]))],
        icmp("icmpv6", 2, 0),
    );
    table.ipv6("ESP over IPv6", |ip| vec![ip.frame(ESP, &[0xee; 64])], portless("esp"));
    table.ipv6("an unknown protocol over IPv6", |ip| vec![ip.frame(253, &[0xee; 64])], portless("253"));
    table.ipv6(
        "traffic class and flow label",
        |ip| {
            vec![Ipv6 { traffic_class: 10 << 2 | 1, flow_label: 0xfffff, ..ip }.frame(UDP, &udp(1, 2, b"x"))]
        },
        |flow| Flow { dscp: Some(10), ..ports("udp", 1, 2)(flow) },
    );
    extensions(table);
    cut_short(table);
}

fn extensions(table: &mut Table) {
    let hop_by_hop = || Extension::options(HOP_BY_HOP, 8);
    let options = |length| Extension::options(DESTINATION_OPTIONS, length);
    let chains = [
        ("hop-by-hop", vec![hop_by_hop()]),
        ("routing", vec![Extension::routing()]),
        ("destination options", vec![options(8)]),
        ("long destination options", vec![options(1_024)]),
        ("AH over IPv6", vec![Extension::authentication()]),
        (
            "every extension header",
            vec![hop_by_hop(), options(16), Extension::routing(), Extension::authentication(), options(8)],
        ),
    ];
    for (name, extensions) in chains {
        let (first, packet) = chain(&extensions, UDP, &udp(5, 6, b"x"));
        table.ipv6(name, |ip| vec![ip.frame(first, &packet)], ports("udp", 5, 6));
    }
    let (first, packet) = chain(&[hop_by_hop(), options(8)], TCP, &tcp(5, 6, SYN, &[1; 20], b""));
    table.ipv6("TCP behind extension headers", |ip| vec![ip.frame(first, &packet)], tcp_flags(5, 6, SYN));
    let (first, packet) = chain(&[hop_by_hop()], ICMPV6, &make::icmp(143, 0, &[0; 24]));
    table.ipv6("a multicast listener report", |ip| vec![ip.frame(first, &packet)], icmp("icmpv6", 143, 0));
    let (first, packet) = chain(&[hop_by_hop()], NO_NEXT_HEADER, b"");
    table.ipv6("nothing follows", |ip| vec![ip.frame(first, &packet)], portless("ipv6-nonxt"));
    // RFC 6946: a fragment header on a packet that is whole.
    let (first, packet) = chain(&[Extension::fragment(0, false, 1)], UDP, &udp(5, 6, b"x"));
    table.ipv6("an atomic fragment", |ip| vec![ip.frame(first, &packet)], ports("udp", 5, 6));
}

fn cut_short(table: &mut Table) {
    table.ipv6("UDP over IPv6, cut within the ports", |ip| vec![ip.frame(UDP, &[0; 3])], portless("udp"));
    let (first, packet) = chain(&[Extension::options(HOP_BY_HOP, 8)], UDP, b"");
    table.ipv6("only an extension header", |ip| vec![ip.frame(first, &packet)], portless("udp"));
}
