//! What NetFlow knows as a flow: packets of one direction.

use crate::encode::Refused;
use std::net::IpAddr;
use weir_record::{Addresses, Count, Direction, FlowKey, FlowRecord};

/// One direction of a record.
#[derive(Debug, Clone, Copy)]
pub struct OneWay<'r> {
    /// What both have in common.
    pub record: &'r FlowRecord,
    /// Source and destination.
    pub addresses: Addresses,
    /// IP protocol.
    pub protocol: u8,
    /// Source and destination.
    pub ports: Option<(u16, u16)>,
    /// Type and code.
    pub icmp: Option<(u16, u16)>,
    /// Which way its packets crossed the interface that has counted them.
    pub direction: Direction,
    /// How many.
    pub count: Count,
    /// All that were seen; none unless TCP.
    pub tcp_flags: Option<u16>,
    /// One in so many packets was counted.
    pub sampling_rate: u32,
    /// The numbers of the autonomous systems of source and destination.
    pub systems: [Option<u32>; 2],
    /// Whether it is that of which a record says more: TTL and class of service are of the source's packets.
    pub is_forward: bool,
}

impl<'r> OneWay<'r> {
    /// The ways that packets went; one also where there were none.
    ///
    /// # Errors
    /// It is not IP.
    pub fn both(record: &'r FlowRecord) -> Result<impl Iterator<Item = Self> + Clone, Refused> {
        let there = Self::forward(record).ok_or(Refused::NotIp)?;
        let back = there.back().filter(|back| !back.is_empty());
        let there = Some(there).filter(|there| back.is_none() || !there.is_empty());
        Ok(there.into_iter().chain(back))
    }

    fn forward(record: &'r FlowRecord) -> Option<Self> {
        let FlowKey::Ip { addresses, protocol, .. } = record.key else { return None };
        let system = |end: &weir_record::End| end.place.as_ref()?.as_number;
        Some(Self {
            record,
            addresses,
            protocol,
            ports: record.key.ports(),
            icmp: record.key.icmp(),
            direction: record.direction,
            count: Count { packets: record.packets, bytes: record.bytes },
            tcp_flags: record.key.is_tcp().then_some(record.tcp_flags),
            sampling_rate: record.sampling_rate,
            systems: [system(&record.source), system(&record.destination)],
            is_forward: true,
        })
    }

    fn back(&self) -> Option<Self> {
        let reverse = self.record.reverse?;
        let [source, destination] = self.systems;
        Some(Self {
            addresses: self.addresses.reversed(),
            ports: self.ports.map(|(source, destination)| (destination, source)),
            // The reply's; that of a message that nobody answers is told as it is.
            icmp: self.record.key.reversed().map_or(self.icmp, |key| key.icmp()),
            direction: self.direction.opposite(),
            count: reverse.count,
            tcp_flags: self.tcp_flags.map(|_| reverse.tcp_flags),
            sampling_rate: reverse.sampling_rate,
            systems: [destination, source],
            is_forward: false,
            ..*self
        })
    }

    fn is_empty(&self) -> bool {
        self.count == Count::default()
    }

    /// Whether it is the first of its record: what is said of both directions together is said of it.
    pub fn is_first(&self) -> bool {
        self.is_forward || (self.record.packets, self.record.bytes) == (0, 0)
    }

    /// Whether IP headers of its packets are told of.
    fn has_headers(&self) -> bool {
        self.is_forward && self.record.packets > 0
    }

    /// Of the first packet, as it stands in IPv4: DSCP, and nothing of ECN.
    pub fn class_of_service(&self) -> Option<u8> {
        self.has_headers().then_some(self.record.dscp << 2)
    }

    /// Smallest and largest.
    pub fn ttl(&self) -> Option<(u8, u8)> {
        self.has_headers().then_some(self.record.ttl)
    }

    /// Where its packets came in and went out: the interface that has counted them is one, and 0 the other.
    pub fn interfaces(&self) -> [u32; 2] {
        match self.direction {
            Direction::Ingress => [self.record.interface.index, 0],
            Direction::Egress => [0, self.record.interface.index],
        }
    }

    /// Source and destination.
    pub fn ends(&self) -> (IpAddr, IpAddr) {
        match self.addresses {
            Addresses::V4(source, destination) => (source.into(), destination.into()),
            Addresses::V6(source, destination) => (source.into(), destination.into()),
        }
    }

    /// Source and destination port. ICMP has type and code in the second, as collectors expect it.
    pub fn both_ports(&self) -> Option<(u16, u16)> {
        self.ports.or_else(|| Some((0, self.icmp_number()?)))
    }

    /// Type and code in one.
    pub fn icmp_number(&self) -> Option<u16> {
        self.icmp.map(|(kind, code)| kind << 8 | code & 0xff)
    }

    /// Those that one byte has room for.
    pub fn flags_byte(&self) -> Option<u8> {
        self.tcp_flags.map(|flags| flags as u8)
    }
}
