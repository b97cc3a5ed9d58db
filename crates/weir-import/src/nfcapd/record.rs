//! A flow of nfcapd: a header, and elements in any order.

use super::ORDER;
use crate::origin::{LAST_TIME, Origin, counted};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use weir_record::{
    Addresses, Count, Direction, Evidence, FlowEndReason, FlowKey, FlowRecord, Interface, Reverse, TcpEnd,
    TcpState,
};

const HEADER: usize = 12;
const GENERIC: u16 = 1;
const IPV4: u16 = 2;
const IPV6: u16 = 3;
const MISC: u16 = 5;
const COUNTERS: u16 = 6;
const VLAN: u16 = 7;

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const FIN_OR_RST: u16 = 0x05;
const MILLISECOND: u64 = 1_000_000;

/// Where the flows of a file were seen.
pub(super) struct Exporter(Origin);

/// What is needed of a record's elements.
#[derive(Default)]
struct Elements<'a> {
    generic: &'a [u8],
    misc: &'a [u8],
    counters: &'a [u8],
    vlan: &'a [u8],
    addresses: Option<Addresses>,
}

impl<'a> Elements<'a> {
    fn of(raw: &'a [u8]) -> Self {
        let mut found = Self::default();
        let mut rest = raw.get(HEADER..).unwrap_or_default();
        while let (Some(kind), Some(length)) = (ORDER.u16(rest, 0), ORDER.u16(rest, 2)) {
            let Some(element) = rest.get(..length.into()).filter(|element| element.len() >= 4) else { break };
            let value = &element[4..];
            match kind {
                GENERIC => found.generic = value,
                IPV4 => found.addresses = ipv4(value),
                IPV6 => found.addresses = ipv6(value),
                MISC => found.misc = value,
                COUNTERS => found.counters = value,
                VLAN => found.vlan = value,
                _ => {}
            }
            rest = &rest[element.len()..];
        }
        found
    }
}

fn ipv4(value: &[u8]) -> Option<Addresses> {
    let address = |at| ORDER.u32(value, at).map(Ipv4Addr::from_bits);
    Some(Addresses::V4(address(0)?, address(4)?))
}

/// Two words each, the upper one first.
fn ipv6(value: &[u8]) -> Option<Addresses> {
    let half = |at| ORDER.u64(value, at).map(u128::from);
    let address = |at| Some(Ipv6Addr::from_bits(half(at)? << 64 | half(at + 8)?));
    Some(Addresses::V6(address(0)?, address(16)?))
}

impl Exporter {
    pub fn new(file: &str) -> Self {
        Self(Origin::new(file))
    }

    /// The record of a flow; none where it has no ends, times or counts.
    pub fn record(&mut self, raw: &[u8]) -> Option<FlowRecord> {
        let Elements { generic, misc, counters, vlan, addresses } = Elements::of(raw);
        let nanos = |at| ORDER.u64(generic, at)?.checked_mul(MILLISECOND).filter(|time| *time <= LAST_TIME);
        let (start, end) = (nanos(0)?, nanos(8)?);
        let [protocol, tcp_flags, _, tos] = crate::bytes::array(generic, 44)?;
        let (source, destination) = (ORDER.u16(generic, 40)?, ORDER.u16(generic, 42)?);
        let ports = match protocol {
            ICMP | ICMPV6 => (destination >> 8, destination & 0xff),
            _ => (source, destination),
        };
        let has_ports = matches!(protocol, ICMP | 6 | 17 | 33 | ICMPV6 | 132 | 136);
        let ports = has_ports.then_some(ports);
        let vlan = ORDER.u32(vlan, 0).and_then(|id| u16::try_from(id).ok()).filter(|id| *id != 0);
        let key = FlowKey::Ip { vlan, addresses: addresses?, protocol, ports };
        let (interface, direction) = self.place(misc);
        let mut record = FlowRecord::blank(interface, direction, key);
        record.flow_id = key.conversation_id(record.interface.index, start);
        (record.start, record.end) = (start, end.max(start));
        (record.packets, record.bytes) = (ORDER.u64(generic, 24)?, ORDER.u64(generic, 32)?);
        record.tcp_flags = if key.is_tcp() { tcp_flags.into() } else { 0 };
        (record.dscp, record.dscp_seen, record.ecn_seen) = (tos >> 2, 1 << (tos >> 2), 1 << (tos & 3));
        let sender = TcpEnd { seen: true, flags: record.tcp_flags, ..TcpEnd::default() };
        record.tcp_state = key.is_tcp().then(|| TcpState::of([sender, TcpEnd::default()]));
        if record.tcp_flags & FIN_OR_RST != 0 {
            record.end_reason = FlowEndReason::EndOfFlowDetected;
        }
        record.reverse = back(counters);
        record.observations = record.by_one_point();
        // An event of a firewall counts nothing.
        (counted(&record)?.packets > 0).then_some(record)
    }

    /// Where it came in, else where it went out.
    fn place(&mut self, misc: &[u8]) -> (Arc<Interface>, Direction) {
        let [input, output] = [0, 4].map(|at| ORDER.u32(misc, at).unwrap_or_default());
        let is_egress = misc.get(10) == Some(&1) || (input == 0 && output != 0);
        let (index, direction) =
            if is_egress { (output, Direction::Egress) } else { (input, Direction::Ingress) };
        (self.0.unnamed(index), direction)
    }
}

/// What came back, where the exporter joins directions.
fn back(counters: &[u8]) -> Option<Reverse> {
    let count = Count { packets: ORDER.u64(counters, 8)?, bytes: ORDER.u64(counters, 16)? };
    let reverse = Reverse { count, tcp_flags: 0, sampling_rate: 1, evidence: Evidence::None };
    (count.packets > 0).then_some(reverse)
}
