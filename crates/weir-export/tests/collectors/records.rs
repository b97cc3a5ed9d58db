//! Records of every kind that NetFlow knows, and of some that it does not.

use std::net::IpAddr;
use std::sync::Arc;
use weir_record::{
    Addresses, Count, Direction, End, Evidence, FlowKey, FlowRecord, Interface, InterfaceKind, Place, Reverse,
};

const MILLISECOND: u64 = 1_000_000;

fn seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs()
}

/// A key; ports of ICMP are type and code.
pub fn key(ends: [&str; 2], protocol: u8, ports: Option<(u16, u16)>) -> FlowKey {
    let [source, destination] = ends.map(|end| end.parse().expect("an address"));
    let addresses = match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => Addresses::V4(source, destination),
        (IpAddr::V6(source), IpAddr::V6(destination)) => Addresses::V6(source, destination),
        _ => panic!("of one family"),
    };
    FlowKey::Ip { vlan: None, addresses, protocol, ports }
}

/// One that has ended 5.25 s ago and lasted for 1.007 s.
pub fn record(key: FlowKey, direction: Direction, [packets, bytes]: [u64; 2]) -> FlowRecord {
    let interface = Interface {
        name: "eth0".into(),
        index: 3,
        netns: "".into(),
        own_netns: true,
        kind: InterfaceKind::Physical,
    };
    let end = seconds() * 1000 - 5250;
    let blank = FlowRecord::blank(Arc::new(interface), direction, key);
    let [start, end] = [end - 1007, end].map(|time| time * MILLISECOND + 999_999);
    FlowRecord { packets, bytes, start, end, ttl: (60, 64), ..blank }
}

/// What came back.
pub fn reverse([packets, bytes]: [u64; 2], tcp_flags: u16) -> Option<Reverse> {
    let count = Count { packets, bytes };
    Some(Reverse { count, tcp_flags, sampling_rate: 1, evidence: Evidence::Syn })
}

fn system(number: u32) -> End {
    let place = Place { as_number: Some(number), ..Place::default() };
    End { place: Some(Arc::new(place)), ..End::default() }
}

/// TCP both ways with all that there is; UDP of IPv6 one way; echo requests and replies of both families; a protocol
/// without ports; one on a VLAN; one that says more than 32 bits can; ARP. All of the same time.
pub fn records() -> Vec<FlowRecord> {
    use Direction::{Egress, Ingress};
    let v4 = ["192.0.2.1", "198.51.100.2"];
    let v6 = ["2001:db8::1", "2001:db8::2"];
    let tcp = FlowRecord {
        tcp_flags: 0x11b,
        reverse: reverse([5, 7000], 0x1a),
        dscp: 46,
        source: system(64_500),
        destination: system(4_200_000_000),
        ..record(key(v4, 6, Some((40_000, 443))), Egress, [10, 1500])
    };
    let echo = |ends, protocol, kind| FlowRecord {
        reverse: reverse([2, 196], 0),
        ..record(key(ends, protocol, Some((kind, 0))), Ingress, [3, 294])
    };
    let only_back = FlowRecord {
        reverse: reverse([4, 400], 0),
        ..record(key(v4, 17, Some((53, 5353))), Ingress, [0, 0])
    };
    let on_vlan = record(key(v4, 47, None).with_vlan(Some(22)), Ingress, [1, 100]);
    let large = record(key(v4, 17, Some((1, 2))), Ingress, [9_000_000, 10_000_000_000]);
    let arp = FlowKey::Other { vlan: None, ethertype: 0x0806 };
    let (start, end) = (tcp.start, tcp.end);
    let records = [
        tcp,
        record(key(v6, 17, Some((1024, 53))), Ingress, [1, 80]),
        echo(v4, 1, 8),
        echo(v6, 58, 128),
        only_back,
        on_vlan,
        large,
        record(arp, Ingress, [1, 42]),
    ];
    records.map(|record| FlowRecord { start, end, ..record }).into()
}
