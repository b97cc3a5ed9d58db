//! Rows of the filter language, as the probe takes them.

use weir_filter::Action;
use weir_filter::normal::{Dimension, PointTest, Row, Set, Spans};
use weir_probes::flows::rules::{self, Addresses, Range, network, transport, vlan};
use weir_record::Field;

const ETHERTYPE_IPV4: u32 = 0x0800;
const ETHERTYPE_IPV6: u32 = 0x86dd;

/// Whether a field is the same for all packets of an observation point.
pub fn is_point(field: &Field) -> bool {
    PointTest::is_for(field)
}

/// One row with what becomes of its packets.
pub fn row((row, action): &(Row, Action)) -> rules::Row {
    rules::Row {
        source: addresses(row.sets.get(&Dimension::SourceAddress)),
        destination: addresses(row.sets.get(&Dimension::DestinationAddress)),
        first: transport_ranges(row, Dimension::SourcePort, Dimension::IcmpType),
        second: transport_ranges(row, Dimension::DestinationPort, Dimension::IcmpCode),
        network: network_ranges(row),
        vlan: row.sets.get(&Dimension::Vlan).map(vlan_ranges),
        at_points: !row.points.is_empty(),
        action: match action {
            Action::Deny => rules::Action::Deny,
            Action::Allow { one_in } => rules::Action::Allow { one_in: one_in.get() },
        },
    }
}

fn addresses(set: Option<&Set>) -> Option<Addresses> {
    match set? {
        Set::Addresses { v4, v6, absent } => Some(Addresses {
            v4: v4.iter().map(|(first, last)| (first.into(), last.into())).collect(),
            v6: v6.iter().collect(),
            none: *absent,
        }),
        Set::Numbers { .. } => None,
    }
}

/// A set of numbers and whether a packet without one is in it; everything where the row does not ask.
fn numbers(row: &Row, dimension: Dimension) -> (Spans<u32>, bool) {
    match row.sets.get(&dimension) {
        Some(Set::Numbers { spans, absent }) => (spans.clone(), *absent),
        _ => (Spans::range(0, dimension.most()), true),
    }
}

fn shifted(spans: &Spans<u32>, base: u128) -> impl Iterator<Item = Range> {
    spans.iter().map(move |(first, last)| (base + u128::from(first), base + u128::from(last)))
}

/// Ports and ICMP's numbers are one dimension: a packet has one or the other, or neither.
fn transport_ranges(row: &Row, port: Dimension, icmp: Dimension) -> Option<Vec<Range>> {
    if !row.sets.contains_key(&port) && !row.sets.contains_key(&icmp) {
        return None;
    }
    let ((ports, no_port), (numbers, no_icmp)) = (numbers(row, port), numbers(row, icmp));
    let mut ranges = Vec::new();
    if no_port && no_icmp {
        ranges.push((transport::NONE, transport::NONE));
    }
    if no_icmp {
        ranges.extend(shifted(&ports, transport::PORTS));
    }
    if no_port {
        ranges.extend(shifted(&numbers, transport::ICMP));
    }
    Some(ranges)
}

/// The ethertype says the family, and for IP there is the protocol.
fn network_ranges(row: &Row) -> Option<Vec<Range>> {
    if !row.sets.contains_key(&Dimension::Protocol) && !row.sets.contains_key(&Dimension::Ethertype) {
        return None;
    }
    let (protocols, no_protocol) = numbers(row, Dimension::Protocol);
    let (ethertypes, _) = numbers(row, Dimension::Ethertype);
    let mut ranges: Vec<Range> = Vec::new();
    if no_protocol {
        ranges.extend(shifted(&ethertypes, network::OTHER));
    }
    for (ethertype, base) in [(ETHERTYPE_IPV4, network::IPV4), (ETHERTYPE_IPV6, network::IPV6)] {
        if ethertypes.contains(ethertype) {
            let whole = |(first, last): (u32, u32)| {
                (base + (u128::from(first) << 8), base + (u128::from(last) << 8 | 0xff))
            };
            ranges.extend(protocols.iter().map(whole));
        }
    }
    Some(ranges)
}

fn vlan_ranges(set: &Set) -> Vec<Range> {
    match set {
        Set::Numbers { spans, absent } => {
            let none = absent.then_some((vlan::NONE, vlan::NONE));
            none.into_iter().chain(shifted(spans, vlan::TAGGED)).collect()
        }
        Set::Addresses { .. } => Vec::new(),
    }
}
