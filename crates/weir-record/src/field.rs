//! The one table of fields. Every output and the reference page come from it: a new field is
//! one new entry.

use crate::FlowRecord;
use jiff::Timestamp;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::borrow::Cow;
use std::fmt::Write;
use std::net::IpAddr;

/// What a field's number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Nothing: a name, a number of a registry, a set of bits.
    None,
    /// Wire packets.
    Packets,
    /// Bytes.
    Bytes,
    /// Time since the Unix epoch.
    Time,
}

impl Unit {
    fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Packets => "packets",
            Self::Bytes => "bytes",
            Self::Time => "ns since the epoch; RFC 3339 in text",
        }
    }
}

/// What one record holds in one field.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// The field does not apply to this record.
    Absent,
    /// A number.
    Number(u64),
    /// A word.
    Text(Cow<'a, str>),
    /// An IP address.
    Address(IpAddr),
    /// Nanoseconds since the Unix epoch.
    Time(u64),
    /// Yes or no.
    Flag(bool),
    /// The numbers of the bits that are set.
    Bits(u64),
}

impl<T: Into<u64>> From<Option<T>> for Value<'_> {
    fn from(number: Option<T>) -> Self {
        number.map_or(Self::Absent, |number| Self::Number(number.into()))
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Absent => serializer.serialize_none(),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Address(address) => serializer.collect_str(address),
            Self::Time(nanos) => match Timestamp::from_nanosecond(i128::from(*nanos)) {
                Ok(time) => serializer.collect_str(&format_args!("{time:.9}")),
                Err(_) => serializer.serialize_none(),
            },
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Bits(bits) => serializer.collect_seq((0..64).filter(|bit| bits >> bit & 1 == 1)),
        }
    }
}

/// One entry of the vocabulary.
pub struct Field {
    /// Name in JSON, SQL and filters.
    pub name: &'static str,
    /// Type in JSON, as the reference page says it.
    pub kind: &'static str,
    /// What its number counts.
    pub unit: Unit,
    /// OpenTelemetry's name, or ours where it has none.
    pub otel: &'static str,
    /// IPFIX information element (RFC 7012 and IANA's registry), where there is one.
    pub ipfix: Option<(u16, &'static str)>,
    /// What it says.
    pub doc: &'static str,
    /// Reads it from a record.
    pub read: fn(&FlowRecord) -> Value<'_>,
}

/// Every field of a flow record, in the order of output.
pub static FIELDS: &[Field] = &[
    Field {
        name: "start",
        kind: "string",
        unit: Unit::Time,
        otel: "weir.flow.start",
        ipfix: Some((156, "flowStartNanoseconds")),
        doc: "When the first packet was seen, to the kernel's tick (1 to 10 ms).",
        read: |record| Value::Time(record.start),
    },
    Field {
        name: "end",
        kind: "string",
        unit: Unit::Time,
        otel: "weir.flow.end",
        ipfix: Some((157, "flowEndNanoseconds")),
        doc: "When the last packet was seen, to the kernel's tick.",
        read: |record| Value::Time(record.end),
    },
    Field {
        name: "interface",
        kind: "string",
        unit: Unit::None,
        otel: "network.interface.name",
        ipfix: Some((82, "interfaceName")),
        doc: "Interface of the observation point.",
        read: |record| Value::Text(Cow::Borrowed(&record.interface.name)),
    },
    Field {
        name: "interface_index",
        kind: "number",
        unit: Unit::None,
        otel: "weir.network.interface.index",
        ipfix: Some((10, "ingressInterface")),
        doc: "The interface's number (ifindex), unique in its network namespace. In IPFIX, 10 for ingress and 14 (egressInterface) for egress.",
        read: |record| Value::Number(record.interface.index.into()),
    },
    Field {
        name: "direction",
        kind: "string",
        unit: Unit::None,
        otel: "weir.network.interface.direction",
        ipfix: Some((61, "flowDirection")),
        doc: "`ingress`: from the wire to the host; `egress`: from the host to the wire.",
        read: |record| Value::Text(Cow::Borrowed(record.direction.as_str())),
    },
    Field {
        name: "source_address",
        kind: "string or null",
        unit: Unit::None,
        otel: "source.address",
        ipfix: Some((8, "sourceIPv4Address")),
        doc: "Who sent it. Null for frames that are not IP. In IPFIX, 27 (sourceIPv6Address) for IPv6.",
        read: |record| record.key.addresses().map_or(Value::Absent, |pair| Value::Address(pair.0)),
    },
    Field {
        name: "source_port",
        kind: "number or null",
        unit: Unit::None,
        otel: "source.port",
        ipfix: Some((7, "sourceTransportPort")),
        doc: "Null where the protocol has no ports, or where they are not in the packet: a later fragment whose first one was not seen, a header cut short.",
        read: |record| record.key.ports().map(|ports| ports.0).into(),
    },
    Field {
        name: "destination_address",
        kind: "string or null",
        unit: Unit::None,
        otel: "destination.address",
        ipfix: Some((12, "destinationIPv4Address")),
        doc: "Whom it was sent to. In IPFIX, 28 (destinationIPv6Address) for IPv6.",
        read: |record| record.key.addresses().map_or(Value::Absent, |pair| Value::Address(pair.1)),
    },
    Field {
        name: "destination_port",
        kind: "number or null",
        unit: Unit::None,
        otel: "destination.port",
        ipfix: Some((11, "destinationTransportPort")),
        doc: "As `source_port`.",
        read: |record| record.key.ports().map(|ports| ports.1).into(),
    },
    Field {
        name: "protocol",
        kind: "string or null",
        unit: Unit::None,
        otel: "network.transport",
        ipfix: Some((4, "protocolIdentifier")),
        doc: "IP protocol after all extension headers: its lower-case name, else its number as text. Null for frames that are not IP.",
        read: |record| record.key.protocol_text().map_or(Value::Absent, Value::Text),
    },
    Field {
        name: "ethertype",
        kind: "number",
        unit: Unit::None,
        otel: "weir.network.ethertype",
        ipfix: Some((256, "ethernetType")),
        doc: "What the frame carries, behind all VLAN tags: 2048 is IPv4, 34525 IPv6, 2054 ARP; 4 stands for IEEE 802.2 frames, which have a length there.",
        read: |record| Value::Number(record.key.ethertype().into()),
    },
    Field {
        name: "vlan",
        kind: "number or null",
        unit: Unit::None,
        otel: "weir.network.vlan.id",
        ipfix: Some((58, "vlanId")),
        doc: "Id of the outer VLAN tag; null where there is none.",
        read: |record| record.key.vlan().into(),
    },
    Field {
        name: "icmp_type",
        kind: "number or null",
        unit: Unit::None,
        otel: "weir.network.icmp.type",
        ipfix: Some((176, "icmpTypeIPv4")),
        doc: "For ICMP and ICMPv6 only. In IPFIX, 178 (icmpTypeIPv6) for ICMPv6.",
        read: |record| record.key.icmp().map(|icmp| icmp.0).into(),
    },
    Field {
        name: "icmp_code",
        kind: "number or null",
        unit: Unit::None,
        otel: "weir.network.icmp.code",
        ipfix: Some((177, "icmpCodeIPv4")),
        doc: "For ICMP and ICMPv6 only. In IPFIX, 179 (icmpCodeIPv6) for ICMPv6.",
        read: |record| record.key.icmp().map(|icmp| icmp.1).into(),
    },
    Field {
        name: "packets",
        kind: "number",
        unit: Unit::Packets,
        otel: "weir.flow.packets",
        ipfix: Some((2, "packetDeltaCount")),
        doc: "Packets as on the wire: each segment of a GSO or GRO super-packet counts.",
        read: |record| Value::Number(record.packets),
    },
    Field {
        name: "bytes",
        kind: "number",
        unit: Unit::Bytes,
        otel: "weir.flow.bytes",
        ipfix: Some((352, "layer2OctetDeltaCount")),
        doc: "Bytes as on the wire, from the link layer on (no preamble, no FCS), with the headers of every segment.",
        read: |record| Value::Number(record.bytes),
    },
    Field {
        name: "tcp_flags",
        kind: "number or null",
        unit: Unit::None,
        otel: "weir.network.tcp.flags",
        ipfix: Some((6, "tcpControlBits")),
        doc: "All flags seen in the record, ORed: 1 FIN, 2 SYN, 4 RST, 8 PSH, 16 ACK, 32 URG, 64 ECE, 128 CWR, 256 AE. Null unless TCP.",
        read: |record| record.key.is_tcp().then_some(record.tcp_flags).into(),
    },
    Field {
        name: "dscp",
        kind: "number or null",
        unit: Unit::None,
        otel: "weir.network.dscp",
        ipfix: Some((195, "ipDiffServCodePoint")),
        doc: "Differentiated services code point of the first packet (RFC 2474). Null unless IP.",
        read: |record| record.key.protocol().map(|_| record.dscp).into(),
    },
    Field {
        name: "dscp_seen",
        kind: "array of numbers",
        unit: Unit::None,
        otel: "weir.network.dscp.seen",
        ipfix: None,
        doc: "Every DSCP value seen in the record.",
        read: |record| Value::Bits(if record.key.protocol().is_some() { record.dscp_seen } else { 0 }),
    },
    Field {
        name: "ecn_seen",
        kind: "array of numbers",
        unit: Unit::None,
        otel: "weir.network.ecn.seen",
        ipfix: None,
        doc: "Every ECN codepoint seen in the record (RFC 3168): 0 not ECT, 1 ECT(1), 2 ECT(0), 3 CE.",
        read: |record| Value::Bits(record.ecn_seen.into()),
    },
    Field {
        name: "min_ttl",
        kind: "number or null",
        unit: Unit::None,
        otel: "weir.network.ttl.min",
        ipfix: Some((52, "minimumTTL")),
        doc: "Smallest TTL or hop limit.",
        read: |record| record.key.protocol().map(|_| record.ttl.0).into(),
    },
    Field {
        name: "max_ttl",
        kind: "number or null",
        unit: Unit::None,
        otel: "weir.network.ttl.max",
        ipfix: Some((53, "maximumTTL")),
        doc: "Largest TTL or hop limit.",
        read: |record| record.key.protocol().map(|_| record.ttl.1).into(),
    },
    Field {
        name: "min_length",
        kind: "number",
        unit: Unit::Bytes,
        otel: "weir.flow.packet.length.min",
        ipfix: Some((422, "minimumLayer2TotalLength")),
        doc: "Smallest packet, from the link layer on. Of a super-packet, the length of its full segments counts.",
        read: |record| Value::Number(record.length.0.into()),
    },
    Field {
        name: "max_length",
        kind: "number",
        unit: Unit::Bytes,
        otel: "weir.flow.packet.length.max",
        ipfix: Some((423, "maximumLayer2TotalLength")),
        doc: "Largest packet, from the link layer on.",
        read: |record| Value::Number(record.length.1.into()),
    },
    Field {
        name: "fragmented",
        kind: "boolean",
        unit: Unit::None,
        otel: "weir.network.fragmented",
        ipfix: None,
        doc: "Whether some of the packets were IP fragments.",
        read: |record| Value::Flag(record.fragmented),
    },
    Field {
        name: "flow_end_reason",
        kind: "string",
        unit: Unit::None,
        otel: "weir.flow.end_reason",
        ipfix: Some((136, "flowEndReason")),
        doc: "`idle_timeout`, `active_timeout`, `end_of_flow_detected` (TCP FIN or RST), `forced_end` (the agent stops or the interface is gone), `lack_of_resources`.",
        read: |record| Value::Text(Cow::Borrowed(record.end_reason.as_str())),
    },
];

impl Serialize for FlowRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(FIELDS.len() + 1))?;
        map.serialize_entry("type", "flow")?;
        for field in FIELDS {
            map.serialize_entry(field.name, &(field.read)(self))?;
        }
        map.end()
    }
}

/// The reference page, `docs/fields.md`.
pub fn fields_page() -> String {
    let mut page = String::from(
        "# Fields of a flow record\n\n\
         Generated from the field table (`crates/weir-record/src/field.rs`) by `make generate`: do not edit.\n\n\
         In JSON each record has `\"type\": \"flow\"` and all of these, in this order; a field that does not\n\
         apply is null. OpenTelemetry names are those of its semantic conventions where it has one.\n\n\
         | field | JSON type | unit | OpenTelemetry | IPFIX | meaning |\n|---|---|---|---|---|---|\n",
    );
    for field in FIELDS {
        let ipfix = field.ipfix.map_or_else(String::new, |(id, name)| format!("{id} {name}"));
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | `{}` | {} | {} |",
            field.name,
            field.kind,
            field.unit.as_str(),
            field.otel,
            ipfix,
            field.doc
        );
    }
    page
}
