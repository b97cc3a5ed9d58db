//! What lies between the wire and IP: tags, and everything that is not IP.

use super::{Table, ports, tcp_flags};
use weir_tests::frames::{
    ACK, ARP, IPV4, IPV6, Ipv4, Ipv6, QINQ, QINQ_OLD, TCP, UDP, VLAN, ethernet, tcp, udp, vlan,
};
use weir_tests::output::Flow;

/// The kernel's name for a frame with a length in place of a type (ETH_P_802_2).
const LLC: u16 = 4;
const LLDP: u16 = 0x88cc;
const MPLS: u16 = 0x8847;
const EXPERIMENT: u16 = 0x88b5;

pub fn add(table: &mut Table) {
    tags(table);
    others(table);
    broken(table);
}

fn tagged(vlan: u16, describe: impl FnOnce(Flow) -> Flow) -> impl FnOnce(Flow) -> Flow {
    move |flow| Flow { vlan: Some(vlan), ..describe(flow) }
}

fn tags(table: &mut Table) {
    let inside = |ip: Ipv4| ip.packet(UDP, &udp(1, 2, b"x"));
    table.ipv4(
        "802.1Q",
        |ip| vec![ethernet(VLAN, &vlan(5, IPV4, &inside(ip)))],
        tagged(5, ports("udp", 1, 2)),
    );
    // Priority 7 and the drop bit lie above the id.
    table.ipv4(
        "802.1Q with priority",
        |ip| vec![ethernet(VLAN, &vlan(0xf00a, IPV4, &inside(ip)))],
        tagged(10, ports("udp", 1, 2)),
    );
    table.ipv4(
        "802.1p only",
        |ip| vec![ethernet(VLAN, &vlan(0xe000, IPV4, &inside(ip)))],
        tagged(0, ports("udp", 1, 2)),
    );
    table.ipv4(
        "the highest id",
        |ip| vec![ethernet(VLAN, &vlan(4_094, IPV4, &inside(ip)))],
        tagged(4_094, ports("udp", 1, 2)),
    );
    for (name, outer) in [("QinQ", QINQ), ("QinQ of old", QINQ_OLD), ("802.1Q twice", VLAN)] {
        let twice = |ip| vec![ethernet(outer, &vlan(100, VLAN, &vlan(200, IPV4, &inside(ip))))];
        table.ipv4(name, twice, tagged(100, ports("udp", 1, 2)));
    }
    table.ipv4(
        "three tags",
        |ip| vec![ethernet(QINQ, &vlan(1, VLAN, &vlan(2, VLAN, &vlan(3, IPV4, &inside(ip)))))],
        tagged(1, ports("udp", 1, 2)),
    );
    table.ipv4(
        "tagged TCP",
        |ip| vec![ethernet(VLAN, &vlan(5, IPV4, &ip.packet(TCP, &tcp(3, 4, ACK, &[], b"x"))))],
        tagged(5, tcp_flags(3, 4, ACK)),
    );
    table.ipv6(
        "tagged IPv6",
        |ip| vec![ethernet(VLAN, &vlan(6, IPV6, &ip.packet(UDP, &udp(1, 2, b"x"))))],
        tagged(6, ports("udp", 1, 2)),
    );
    // All but the first come by the short way.
    table.ipv4(
        "many of a flow in a VLAN",
        |ip| vec![ethernet(VLAN, &vlan(5, IPV4, &inside(ip))); 5],
        tagged(5, ports("udp", 1, 2)),
    );
    table.ipv6(
        "many of an IPv6 flow in a VLAN",
        |ip| vec![ethernet(VLAN, &vlan(6, IPV6, &ip.packet(TCP, &tcp(3, 4, ACK, &[], b"x")))); 5],
        tagged(6, tcp_flags(3, 4, ACK)),
    );
    // The same flow but for the tag is another flow.
    table.ipv4(
        "one flow in a VLAN and outside",
        |ip| vec![ethernet(VLAN, &vlan(5, IPV4, &inside(ip.clone()))), ethernet(IPV4, &inside(ip))],
        tagged(5, ports("udp", 1, 2)),
    );
    table.and(|flow| Flow { vlan: None, ..flow });
    table.ethertype("tagged ARP", ARP, Some(7), vec![ethernet(VLAN, &vlan(7, ARP, &[0; 46]))]);
}

fn others(table: &mut Table) {
    table.ethertype("ARP", ARP, None, vec![ethernet(ARP, &[0, 1, 8, 0, 6, 4, 0, 1]); 2]);
    table.ethertype("LLDP", LLDP, None, vec![ethernet(LLDP, &[2, 7, 4])]);
    table.ethertype("MPLS", MPLS, None, vec![ethernet(MPLS, &[0, 1, 0xd1, 64, 0x45, 0, 0, 20])]);
    table.ethertype("an unknown ethertype", EXPERIMENT, None, vec![ethernet(EXPERIMENT, &[0; 46])]);
    let spanning_tree = [0x42, 0x42, 3, 0, 0, 0, 0, 0];
    table.ethertype(
        "spanning tree",
        LLC,
        None,
        vec![ethernet(38, &spanning_tree), ethernet(7, &[0xaa, 0xaa, 3])],
    );
}

/// IP by its ethertype, but not in truth: a flow by ethertype.
fn broken(table: &mut Table) {
    let ipv4 = |first| [&[first][..], &Ipv4::default().packet(UDP, &udp(1, 2, b"x"))[1..]].concat();
    let ipv6 = |first| [&[first][..], &Ipv6::default().packet(UDP, &udp(1, 2, b"x"))[1..]].concat();
    let frames = vec![
        ethernet(IPV4, &[]),
        ethernet(IPV4, &ipv4(0x45)[..19]),
        ethernet(IPV4, &ipv4(0x55)),
        ethernet(IPV4, &ipv4(0x44)),
        ethernet(IPV4, &ipv4(0x40)),
        ethernet(IPV4, &ipv6(0x60)),
        ethernet(IPV4, &ipv4(0x4f)), // options that do not end
    ];
    table.ethertype("IPv4 that is none", IPV4, None, frames);
    let frames = vec![
        ethernet(IPV6, &[]),
        ethernet(IPV6, &ipv6(0x60)[..39]),
        ethernet(IPV6, &ipv6(0x50)),
        ethernet(IPV6, &ipv4(0x45)),
    ];
    table.ethertype("IPv6 that is none", IPV6, None, frames);
    table.ethertype(
        "a tag and broken IPv4",
        IPV4,
        Some(8),
        vec![ethernet(VLAN, &vlan(8, IPV4, &ipv4(0x45)[..12]))],
    );
}
