//! What became of the ends behind a translation of addresses.

use crate::FlowRecord;
use crate::Translation;
use crate::field::{Element, Field, Kind, Unit};
use crate::read::set;
use crate::value::Value;
use std::net::IpAddr;

type End = (IpAddr, u16);

fn address(record: &FlowRecord, of: fn(&Translation) -> End) -> Value<'_> {
    record.translation.as_ref().map_or(Value::Absent, |ends| Value::Address(of(ends).0))
}

fn port(record: &FlowRecord, of: fn(&Translation) -> End) -> Value<'_> {
    record.translation.as_ref().map(|ends| of(ends).1).into()
}

/// In the order of output.
pub const FIELDS: &[Field] = &[
    Field {
        name: "translated_source_address",
        kind: Kind::Address,
        nullable: true,
        unit: Unit::None,
        otel: "weir.source.translated.address",
        ipfix: Element::iana(225, "postNATSourceIPv4Address"),
        doc: "The source's address behind the NAT, as conntrack has it; the same as `source_address` where only the other end is translated. Null where nothing is, or where that is not known. In IPFIX, 281 (postNATSourceIPv6Address) for IPv6.",
        read: |record| address(record, |ends| ends.source),
        write: |draft, value| set(&mut draft.translation().source.0, value.address()),
    },
    Field {
        name: "translated_source_port",
        kind: Kind::Number,
        nullable: true,
        unit: Unit::None,
        otel: "weir.source.translated.port",
        ipfix: Element::iana(227, "postNAPTSourceTransportPort"),
        doc: "Its port there.",
        read: |record| port(record, |ends| ends.source),
        write: |draft, value| set(&mut draft.translation().source.1, value.number()),
    },
    Field {
        name: "translated_destination_address",
        kind: Kind::Address,
        nullable: true,
        unit: Unit::None,
        otel: "weir.destination.translated.address",
        ipfix: Element::iana(226, "postNATDestinationIPv4Address"),
        doc: "The destination's address behind the NAT: the backend, where `destination_address` is a service's. In IPFIX, 282 (postNATDestinationIPv6Address) for IPv6.",
        read: |record| address(record, |ends| ends.destination),
        write: |draft, value| set(&mut draft.translation().destination.0, value.address()),
    },
    Field {
        name: "translated_destination_port",
        kind: Kind::Number,
        nullable: true,
        unit: Unit::None,
        otel: "weir.destination.translated.port",
        ipfix: Element::iana(228, "postNAPTDestinationTransportPort"),
        doc: "Its port there.",
        read: |record| port(record, |ends| ends.destination),
        write: |draft, value| set(&mut draft.translation().destination.1, value.number()),
    },
];
