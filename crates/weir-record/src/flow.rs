//! Flows: the key that tells them apart, and the record that describes one.

use crate::Interface;
use crate::protocol::protocol_name;
use std::borrow::Cow;
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
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }
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

/// What tells one flow from another at one observation point.
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
    pub fn protocol_text(&self) -> Option<Cow<'static, str>> {
        let number = self.protocol()?;
        Some(protocol_name(number).map_or_else(|| Cow::Owned(number.to_string()), Cow::Borrowed))
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
}

/// One direction of a flow at one observation point, from its first packet to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowRecord {
    /// Number of the observation point in the ledger.
    pub point: u16,
    /// Where it was seen.
    pub interface: Arc<Interface>,
    /// Which way it went.
    pub direction: Direction,
    /// Who talked to whom.
    pub key: FlowKey,
    /// First packet, nanoseconds since the Unix epoch.
    pub start: u64,
    /// Last packet, nanoseconds since the Unix epoch.
    pub end: u64,
    /// Wire packets.
    pub packets: u64,
    /// Wire bytes, from the link layer on.
    pub bytes: u64,
    /// All TCP flags seen, as in the header.
    pub tcp_flags: u16,
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
    /// Whether there were fragments.
    pub fragmented: bool,
    /// Why the record ends.
    pub end_reason: FlowEndReason,
}
