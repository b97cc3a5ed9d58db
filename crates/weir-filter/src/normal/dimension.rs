//! What the kernel knows of each packet.

use std::net::IpAddr;
use weir_record::{Field, FlowKey};

/// One thing that the kernel reads from a packet, and that the flow's key says of its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// Null for frames that are not IP.
    SourceAddress,
    /// Null for frames that are not IP.
    DestinationAddress,
    /// Null for ICMP, for frames that are not IP, and where the packet has none to read.
    SourcePort,
    /// Null where the source port is.
    DestinationPort,
    /// Null for frames that are not IP.
    Protocol,
    /// Null unless ICMP or ICMPv6.
    IcmpType,
    /// Null where the type is.
    IcmpCode,
    /// Never null.
    Ethertype,
    /// Null without a tag.
    Vlan,
}

/// What a key says in one dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coordinate {
    /// Nothing.
    Absent,
    /// A number.
    Number(u32),
    /// An address.
    Address(IpAddr),
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::SourceAddress,
        Self::DestinationAddress,
        Self::SourcePort,
        Self::DestinationPort,
        Self::Protocol,
        Self::IcmpType,
        Self::IcmpCode,
        Self::Ethertype,
        Self::Vlan,
    ];

    /// The name of the field that says it in a record.
    pub fn field_name(self) -> &'static str {
        match self {
            Self::SourceAddress => "source_address",
            Self::DestinationAddress => "destination_address",
            Self::SourcePort => "source_port",
            Self::DestinationPort => "destination_port",
            Self::Protocol => "protocol",
            Self::IcmpType => "icmp_type",
            Self::IcmpCode => "icmp_code",
            Self::Ethertype => "ethertype",
            Self::Vlan => "vlan",
        }
    }

    /// The dimension that a field is, if it is one.
    pub fn of(field: &Field) -> Option<Self> {
        Self::ALL.into_iter().find(|dimension| dimension.field_name() == field.name)
    }

    /// Whether its values are addresses.
    pub fn is_address(self) -> bool {
        matches!(self, Self::SourceAddress | Self::DestinationAddress)
    }

    /// The largest of its numbers.
    pub fn most(self) -> u32 {
        match self {
            Self::SourceAddress | Self::DestinationAddress => u32::MAX,
            Self::SourcePort | Self::DestinationPort | Self::Ethertype => 0xffff,
            Self::Protocol | Self::IcmpType | Self::IcmpCode => 0xff,
            Self::Vlan => 0xfff,
        }
    }

    /// The same of the other end.
    pub fn reversed(self) -> Self {
        match self {
            Self::SourceAddress => Self::DestinationAddress,
            Self::DestinationAddress => Self::SourceAddress,
            Self::SourcePort => Self::DestinationPort,
            Self::DestinationPort => Self::SourcePort,
            other => other,
        }
    }

    /// What a key says here.
    pub fn read(self, key: &FlowKey) -> Coordinate {
        let number = |number: Option<u32>| number.map_or(Coordinate::Absent, Coordinate::Number);
        let address = |address: Option<IpAddr>| address.map_or(Coordinate::Absent, Coordinate::Address);
        match self {
            Self::SourceAddress => address(key.addresses().map(|pair| pair.0)),
            Self::DestinationAddress => address(key.addresses().map(|pair| pair.1)),
            Self::SourcePort => number(key.ports().map(|pair| pair.0.into())),
            Self::DestinationPort => number(key.ports().map(|pair| pair.1.into())),
            Self::Protocol => number(key.protocol().map(u32::from)),
            Self::IcmpType => number(key.icmp().map(|pair| pair.0.into())),
            Self::IcmpCode => number(key.icmp().map(|pair| pair.1.into())),
            Self::Ethertype => number(Some(key.ethertype().into())),
            Self::Vlan => number(key.vlan().map(u32::from)),
        }
    }
}

/// The type of the ICMP or ICMPv6 message that answers one of this type; its own where none does.
///
/// The pairs are those of the Community ID specification. No number is a request in one of the
/// two protocols and anything that is met in the other.
pub fn answering_icmp_type(number: u8) -> u8 {
    const PAIRS: [(u8, u8); 11] = [
        (8, 0),
        (13, 14),
        (15, 16),
        (10, 9),
        (17, 18),
        (128, 129),
        (133, 134),
        (135, 136),
        (130, 131),
        (139, 140),
        (144, 145),
    ];
    let pair = PAIRS.iter().find(|pair| pair.0 == number || pair.1 == number);
    pair.map_or(number, |pair| if pair.0 == number { pair.1 } else { pair.0 })
}
