//! IPv4 and what it carries.

use super::{Table, icmp, portless, ports, tcp_flags};
use weir_tests::frames::{
    self as make, ACK, AH, DCCP, ESP, FIN, GRE, ICMP, IGMP, Ipv4, PSH, SCTP, SYN, TCP, UDP, UDPLITE, pad,
    tcp, udp,
};
use weir_tests::frames_ipv6::{Extension, chain};
use weir_tests::output::Flow;

pub fn add(table: &mut Table) {
    transports(table);
    headers(table);
    cut_short(table);
}

fn transports(table: &mut Table) {
    table.ipv4("UDP", |ip| vec![ip.frame(UDP, &udp(4_000, 53, b"question"))], ports("udp", 4_000, 53));
    table.ipv4(
        "UDP without payload",
        |ip| vec![ip.frame(UDP, &udp(4_000, 53, b""))],
        ports("udp", 4_000, 53),
    );
    table.ipv4("UDP, port 0", |ip| vec![ip.frame(UDP, &udp(0, 0, b"x"))], ports("udp", 0, 0));
    table.ipv4("UDP, thrice", |ip| vec![ip.frame(UDP, &udp(1, 2, &[0; 100])); 3], ports("udp", 1, 2));
    table.ipv4("UDP, a full frame", |ip| vec![ip.frame(UDP, &udp(1, 2, &[0; 1_472]))], ports("udp", 1, 2));
    let connection = [(SYN, 0), (ACK, 0), (PSH | ACK, 700), (FIN | ACK, 0)];
    table.ipv4(
        "TCP, flags add up",
        |ip| {
            connection
                .map(|(flags, length)| ip.frame(TCP, &tcp(4_000, 80, flags, &[], &vec![0; length])))
                .into()
        },
        tcp_flags(4_000, 80, SYN | ACK | PSH | FIN),
    );
    table.ipv4(
        "TCP with options and ECN flags",
        |ip| vec![ip.frame(TCP, &tcp(4_000, 80, SYN | 0xc0, &[1; 40], b""))],
        tcp_flags(4_000, 80, SYN | 0xc0),
    );
    table.ipv4("UDP-Lite", |ip| vec![ip.frame(UDPLITE, &udp(7, 8, b"x"))], ports("udplite", 7, 8));
    table.ipv4("SCTP", |ip| vec![ip.frame(SCTP, &make::ports(9, 10, &[0; 24]))], ports("sctp", 9, 10));
    table.ipv4("DCCP", |ip| vec![ip.frame(DCCP, &make::ports(11, 12, &[0; 12]))], ports("dccp", 11, 12));
    table.ipv4("ICMP echo", |ip| vec![ip.frame(ICMP, &make::icmp(8, 0, &[0; 56]))], icmp("icmp", 8, 0));
    table.ipv4(
        "ICMP unreachable",
        |ip| vec![ip.frame(ICMP, &make::icmp(3, 13, &[0; 28]))],
        icmp("icmp", 3, 13),
    );
    table.ipv4(
        "ICMP echo reply, all zeros",
        |ip| vec![ip.frame(ICMP, &make::icmp(0, 0, &[0; 4]))],
        icmp("icmp", 0, 0),
    );
    table.ipv4("IGMP", |ip| vec![ip.frame(IGMP, &make::icmp(0x16, 0, &[224, 0, 0, 9]))], portless("igmp"));
    table.ipv4("GRE", |ip| vec![ip.frame(GRE, &[0, 0, 8, 0, 0x45, 0, 0, 20])], portless("gre"));
    table.ipv4("ESP", |ip| vec![ip.frame(ESP, &[0xee; 64])], portless("esp"));
    table.ipv4("an unknown protocol", |ip| vec![ip.frame(253, &[0xee; 64])], portless("253"));
}

fn headers(table: &mut Table) {
    for (name, length) in [("four bytes of options", 4), ("forty bytes of options", 40)] {
        table.ipv4(
            name,
            |ip| vec![Ipv4 { options: vec![1; length], ..ip }.frame(UDP, &udp(1, 2, b"x"))],
            ports("udp", 1, 2),
        );
    }
    table.ipv4(
        "TCP behind options",
        |ip| vec![Ipv4 { options: vec![1; 12], ..ip }.frame(TCP, &tcp(3, 4, ACK, &[1; 12], b"x"))],
        tcp_flags(3, 4, ACK),
    );
    table.ipv4(
        "DSCP without its ECN bits",
        |ip| vec![Ipv4 { tos: 46 << 2 | 3, ..ip }.frame(UDP, &udp(1, 2, b"x"))],
        |flow| Flow { dscp: Some(46), ..ports("udp", 1, 2)(flow) },
    );
    let (ah, behind) = chain(&[Extension::authentication()], UDP, &udp(5, 6, b"x"));
    assert_eq!(ah, AH);
    table.ipv4("UDP behind AH", |ip| vec![ip.frame(AH, &behind)], ports("udp", 5, 6));
    table.ipv4("padding is counted", |ip| vec![pad(ip.frame(UDP, &udp(1, 2, b"")))], ports("udp", 1, 2));
}

/// What is missing is null, and nothing is read out of what follows the datagram.
fn cut_short(table: &mut Table) {
    table.ipv4("UDP cut after the ports", |ip| vec![ip.frame(UDP, &udp(1, 2, b"")[..4])], ports("udp", 1, 2));
    table.ipv4("UDP cut within the ports", |ip| vec![ip.frame(UDP, &udp(1, 2, b"")[..3])], portless("udp"));
    table.ipv4("UDP that is not there at all", |ip| vec![ip.frame(UDP, b"")], portless("udp"));
    table.ipv4("padding holds no ports", |ip| vec![pad(ip.frame(UDP, b""))], portless("udp"));
    table.ipv4("ICMP cut after its type", |ip| vec![ip.frame(ICMP, &[8])], portless("icmp"));
    table.ipv4(
        "TCP cut before its flags",
        |ip| vec![ip.frame(TCP, &tcp(1, 2, SYN, &[], b"")[..12])],
        tcp_flags(1, 2, 0),
    );
    table.ipv4(
        "TCP that is not there at all",
        |ip| vec![ip.frame(TCP, b"")],
        |flow| Flow { tcp_flags: Some(0), ..portless("tcp")(flow) },
    );
    table.ipv4(
        "a datagram longer than its frame",
        |ip| {
            let mut frame = ip.frame(UDP, &udp(1, 2, &[0; 400]));
            frame.truncate(100);
            vec![frame]
        },
        ports("udp", 1, 2),
    );
}
