//! Flows: the key that tells them apart, and the record that describes one.

use crate::Interface;
use crate::icmp::{self, Role};
use crate::protocol::protocol_text;
use crate::{Dropped, End, Observations, Reverse, TcpState, Translation};
use std::cmp::Ordering;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// Which way a packet crosses an interface (RFC 5102 `flowDirection`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From the wire to the host.
    Ingress,
    /// From the host to the wire.
    Egress,
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ingress, Self::Egress];

    /// The other one.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::Ingress => Self::Egress,
            Self::Egress => Self::Ingress,
        }
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }
}

/// What of a frame is meant, where tunnels are looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Layer {
    /// The frame itself.
    Outer,
    /// What it carries, if it is a tunnel's.
    Inner,
}

/// Why a record ends (RFC 5102 `flowEndReason`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum FlowEndReason {
    /// No packet for the idle timeout.
    IdleTimeout = 1,
    /// The flow goes on, but its record has reached the active timeout.
    ActiveTimeout = 2,
    /// TCP said FIN or RST.
    EndOfFlowDetected = 3,
    /// The agent stops, or the interface is gone.
    ForcedEnd = 4,
    /// The flow table was full.
    LackOfResources = 5,
}

impl FlowEndReason {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::IdleTimeout,
        Self::ActiveTimeout,
        Self::EndOfFlowDetected,
        Self::ForcedEnd,
        Self::LackOfResources,
    ];

    /// IANA's name for it, in snake case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IdleTimeout => "idle_timeout",
            Self::ActiveTimeout => "active_timeout",
            Self::EndOfFlowDetected => "end_of_flow_detected",
            Self::ForcedEnd => "forced_end",
            Self::LackOfResources => "lack_of_resources",
        }
    }
}

/// What tells one flow from another: its direction's source and destination first of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FlowKey {
    /// An IP packet.
    Ip {
        /// Outer VLAN id, where there is a tag.
        vlan: Option<u16>,
        /// Source and destination.
        addresses: Addresses,
        /// IP protocol: the transport, after all extension headers.
        protocol: u8,
        /// Source and destination port, or ICMP type and code; none where the packet had none to read.
        ports: Option<(u16, u16)>,
    },
    /// Any other frame, or one whose IP header cannot be read.
    Other {
        /// Outer VLAN id, where there is a tag.
        vlan: Option<u16>,
        /// Ethertype.
        ethertype: u16,
    },
}

/// Both ends' addresses; one flow is of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Addresses {
    /// IPv4.
    V4(Ipv4Addr, Ipv4Addr),
    /// IPv6.
    V6(Ipv6Addr, Ipv6Addr),
}

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const TCP: u8 = 6;

impl FlowKey {
    /// Outer VLAN id.
    pub fn vlan(&self) -> Option<u16> {
        match *self {
            Self::Ip { vlan, .. } | Self::Other { vlan, .. } => vlan,
        }
    }

    /// Ethertype: 0x0800 and 0x86dd for IP.
    pub fn ethertype(&self) -> u16 {
        match *self {
            Self::Ip { addresses: Addresses::V4(..), .. } => 0x0800,
            Self::Ip { addresses: Addresses::V6(..), .. } => 0x86dd,
            Self::Other { ethertype, .. } => ethertype,
        }
    }

    /// IP protocol.
    pub fn protocol(&self) -> Option<u8> {
        match *self {
            Self::Ip { protocol, .. } => Some(protocol),
            Self::Other { .. } => None,
        }
    }

    /// The protocol's name, else its number as text.
    pub fn protocol_text(&self) -> Option<&'static str> {
        self.protocol().map(protocol_text)
    }

    /// Source and destination address.
    pub fn addresses(&self) -> Option<(IpAddr, IpAddr)> {
        match *self {
            Self::Ip { addresses: Addresses::V4(source, destination), .. } => {
                Some((source.into(), destination.into()))
            }
            Self::Ip { addresses: Addresses::V6(source, destination), .. } => {
                Some((source.into(), destination.into()))
            }
            Self::Other { .. } => None,
        }
    }

    /// Source and destination port.
    pub fn ports(&self) -> Option<(u16, u16)> {
        match *self {
            Self::Ip { ports, protocol, .. } if protocol != ICMP && protocol != ICMPV6 => ports,
            _ => None,
        }
    }

    /// ICMP or ICMPv6 type and code.
    pub fn icmp(&self) -> Option<(u16, u16)> {
        match *self {
            Self::Ip { ports, protocol: ICMP | ICMPV6, .. } => ports,
            _ => None,
        }
    }

    /// Whether it is TCP.
    pub fn is_tcp(&self) -> bool {
        self.protocol() == Some(TCP)
    }

    /// The key of what comes back; none where nothing does, as for ARP or an ICMP error.
    pub fn reversed(&self) -> Option<Self> {
        let Self::Ip { vlan, addresses, protocol, ports } = *self else { return None };
        let ports = match (protocol, ports) {
            (ICMP | ICMPV6, Some((kind, code))) => Some((icmp::counterpart(protocol, kind)?.1, code)),
            (ICMP | ICMPV6, None) => return None,
            (_, ports) => ports.map(|(source, destination)| (destination, source)),
        };
        Some(Self::Ip { vlan, addresses: addresses.reversed(), protocol, ports })
    }

    /// Of the two directions of a conversation one is canonical: the ICMP request, else the one
    /// whose source is the lower address and port. None where there is no other direction, or
    /// where it cannot be told apart: both ends are the same.
    pub fn is_canonical(&self) -> Option<bool> {
        let Self::Ip { addresses, protocol, ports, .. } = *self else { return None };
        if protocol == ICMP || protocol == ICMPV6 {
            return icmp::counterpart(protocol, ports?.0).map(|(role, _)| role == Role::Request);
        }
        let by_port = || ports.map_or(Ordering::Equal, |(source, destination)| source.cmp(&destination));
        match addresses.order().then_with(by_port) {
            Ordering::Less => Some(true),
            Ordering::Equal => None,
            Ordering::Greater => Some(false),
        }
    }

    /// The number of a conversation of this key, the same in all its records and another for the next one between the
    /// same ends: by where it is kept apart from others, and when it began.
    pub fn conversation_id(&self, at: u32, began: u64) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self, at, began).hash(&mut hasher);
        hasher.finish()
    }

    /// The same, with another VLAN id or none.
    pub fn with_vlan(mut self, other: Option<u16>) -> Self {
        match &mut self {
            Self::Ip { vlan, .. } | Self::Other { vlan, .. } => *vlan = other,
        }
        self
    }
}

impl Addresses {
    /// Those of what comes back.
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::V4(source, destination) => Self::V4(destination, source),
            Self::V6(source, destination) => Self::V6(destination, source),
        }
    }

    /// How the source stands to the destination.
    fn order(&self) -> Ordering {
        match self {
            Self::V4(source, destination) => source.cmp(destination),
            Self::V6(source, destination) => source.cmp(destination),
        }
    }

    /// Whether they never leave the host.
    pub fn are_loopback(&self) -> bool {
        match self {
            Self::V4(source, destination) => source.is_loopback() || destination.is_loopback(),
            Self::V6(source, destination) => source.is_loopback() || destination.is_loopback(),
        }
    }
}

/// A conversation, or a part of it: both directions, at every observation point that saw it.
///
/// What is not said of `reverse` is about the packets from source to destination, counted where
/// [`interface`](Self::interface) says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowRecord {
    /// The same in all records of a conversation.
    pub flow_id: u64,
    /// The conversation that carries this one.
    pub parent_id: Option<u64>,
    /// Where the counts come from.
    pub interface: Arc<Interface>,
    /// Which way packets from source to destination cross it.
    pub direction: Direction,
    /// Who talked to whom.
    pub key: FlowKey,
    /// First packet of either direction, nanoseconds since the Unix epoch.
    pub start: u64,
    /// Last packet of either direction, nanoseconds since the Unix epoch.
    pub end: u64,
    /// Wire packets.
    pub packets: u64,
    /// Wire bytes, from the link layer on.
    pub bytes: u64,
    /// All TCP flags seen, as in the header.
    pub tcp_flags: u16,
    /// What came back; none where directions are not joined, or nothing can come back.
    pub reverse: Option<Reverse>,
    /// Of the whole conversation, not only of this record. None unless TCP.
    pub tcp_state: Option<TcpState>,
    /// DSCP of the first packet.
    pub dscp: u8,
    /// All DSCP values seen, one bit each.
    pub dscp_seen: u64,
    /// All ECN codepoints seen, one bit each.
    pub ecn_seen: u8,
    /// Smallest and largest TTL or hop limit.
    pub ttl: (u8, u8),
    /// Smallest and largest wire packet.
    pub length: (u32, u32),
    /// Whether there were fragments, in either direction.
    pub fragmented: bool,
    /// One in so many packets was counted.
    pub sampling_rate: u32,
    /// Why the record ends.
    pub end_reason: FlowEndReason,
    /// What each observation point has counted of each direction.
    pub observations: Observations,
    /// What the packets say behind a NAT, where `key` is what they said before.
    pub translation: Option<Translation>,
    /// What the kernel has dropped of it; none where that is not watched.
    pub dropped: Option<Dropped>,
    /// Who is at the source.
    pub source: End,
    /// Who is at the destination.
    pub destination: End,
}

impl FlowRecord {
    /// One of this flow at this observation point, with nothing else in it yet.
    pub fn blank(interface: Arc<Interface>, direction: Direction, key: FlowKey) -> Self {
        Self {
            flow_id: 0,
            parent_id: None,
            interface,
            direction,
            key,
            start: 0,
            end: 0,
            packets: 0,
            bytes: 0,
            tcp_flags: 0,
            reverse: None,
            tcp_state: None,
            dscp: 0,
            dscp_seen: 0,
            ecn_seen: 0,
            ttl: (0, 0),
            length: (0, 0),
            fragmented: false,
            sampling_rate: 1,
            end_reason: FlowEndReason::IdleTimeout,
            observations: Observations::new(),
            translation: None,
            dropped: None,
            source: End::default(),
            destination: End::default(),
        }
    }

    /// What the packets from source to destination say, if there were any.
    pub(crate) fn of_packets<T>(&self, value: T) -> Option<T> {
        (self.packets > 0).then_some(value)
    }

    /// As [`of_packets`](Self::of_packets), for what stands in IP headers.
    pub(crate) fn of_ip_packets<T>(&self, value: T) -> Option<T> {
        self.key.protocol().and(self.of_packets(value))
    }
}
