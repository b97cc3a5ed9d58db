//! The information elements that are written and understood, and what they are to a record.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::LazyLock;
use weir_record::{Element, FIELDS, Field, Kind};

/// How a value lies in a message (RFC 7011, section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A whole number, of so many bytes or fewer.
    Unsigned(u8),
    Boolean,
    Text,
    Ipv4,
    Ipv6,
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

impl Type {
    /// That of a field that has an element of our own.
    fn of(field: &Field) -> Self {
        match field.kind {
            // A number, though it is written in hex elsewhere.
            _ if field.name == "parent_id" => Self::Unsigned(8),
            Kind::Number | Kind::Bits => Self::Unsigned(8),
            Kind::Flag => Self::Boolean,
            Kind::Time => Self::Nanoseconds,
            Kind::Text | Kind::Address | Kind::Observations => Self::Text,
        }
    }

    /// The length that a template gives it.
    pub fn length(self) -> u16 {
        match self {
            Self::Unsigned(length) => length.into(),
            Self::Boolean => 1,
            Self::Ipv4 | Self::Seconds => 4,
            Self::Milliseconds | Self::Microseconds | Self::Nanoseconds => 8,
            Self::Ipv6 => 16,
            Self::Text => crate::wire::VARIABLE,
        }
    }

    /// Its name, and its number in IANA's registry of types (RFC 5610).
    pub fn registered(self) -> (&'static str, u8) {
        match self {
            Self::Unsigned(1) => ("unsigned8", 1),
            Self::Unsigned(2) => ("unsigned16", 2),
            Self::Unsigned(3..=4) => ("unsigned32", 3),
            Self::Unsigned(_) => ("unsigned64", 4),
            Self::Boolean => ("boolean", 11),
            Self::Text => ("string", 13),
            Self::Seconds => ("dateTimeSeconds", 14),
            Self::Milliseconds => ("dateTimeMilliseconds", 15),
            Self::Microseconds => ("dateTimeMicroseconds", 16),
            Self::Nanoseconds => ("dateTimeNanoseconds", 17),
            Self::Ipv4 => ("ipv4Address", 18),
            Self::Ipv6 => ("ipv6Address", 19),
        }
    }
}

/// What else tells a record's times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// When the exporter's clock of milliseconds began.
    Boot,
    /// By that clock.
    StartUptime,
    EndUptime,
    /// Microseconds before the message.
    StartBefore,
    EndBefore,
    DurationMilliseconds,
    DurationMicroseconds,
    Observed,
}

/// What an element is to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// This field, as it is written.
    Is(&'static str),
    /// The same where it is of IPv6, or of egress.
    IsElse(&'static str),
    /// This field, where nothing with a smaller number says it.
    Tells(&'static str, u8),
    /// A time, by way of others.
    Times(Hint),
    /// Type and code in one.
    Icmp,
    /// DSCP and ECN in one.
    ClassOfService,
}

use self::Hint::*;
use self::Means::*;
use self::Type::*;

/// The rank of what is told by who began, not by which way it went.
const BY_ROLE: u8 = 3;

/// IANA's (RFC 7012), those of them that say something of a flow that a record has a place for.
#[rustfmt::skip]
const IANA: &[(u16, &str, Type, Means)] = &[
    (1, "octetDeltaCount", Unsigned(8), Tells("bytes", 1)),
    (2, "packetDeltaCount", Unsigned(8), Is("packets")),
    (4, "protocolIdentifier", Unsigned(1), Is("protocol")),
    (5, "ipClassOfService", Unsigned(1), ClassOfService),
    (6, "tcpControlBits", Unsigned(2), Is("tcp_flags")),
    (7, "sourceTransportPort", Unsigned(2), Is("source_port")),
    (8, "sourceIPv4Address", Ipv4, Is("source_address")),
    (10, "ingressInterface", Unsigned(4), Is("interface_index")),
    (11, "destinationTransportPort", Unsigned(2), Is("destination_port")),
    (12, "destinationIPv4Address", Ipv4, Is("destination_address")),
    (14, "egressInterface", Unsigned(4), IsElse("interface_index")),
    (16, "bgpSourceAsNumber", Unsigned(4), Is("source_as_number")),
    (17, "bgpDestinationAsNumber", Unsigned(4), Is("destination_as_number")),
    (21, "flowEndSysUpTime", Unsigned(4), Times(EndUptime)),
    (22, "flowStartSysUpTime", Unsigned(4), Times(StartUptime)),
    (27, "sourceIPv6Address", Ipv6, IsElse("source_address")),
    (28, "destinationIPv6Address", Ipv6, IsElse("destination_address")),
    (32, "icmpTypeCodeIPv4", Unsigned(2), Icmp),
    (34, "samplingInterval", Unsigned(4), Is("sampling_rate")),
    (52, "minimumTTL", Unsigned(1), Is("min_ttl")),
    (53, "maximumTTL", Unsigned(1), Is("max_ttl")),
    (58, "vlanId", Unsigned(2), Is("vlan")),
    (61, "flowDirection", Unsigned(1), Is("direction")),
    (82, "interfaceName", Text, Is("interface")),
    (85, "octetTotalCount", Unsigned(8), Tells("bytes", 2)),
    (86, "packetTotalCount", Unsigned(8), Tells("packets", 1)),
    (132, "droppedOctetDeltaCount", Unsigned(8), Is("dropped_bytes")),
    (133, "droppedPacketDeltaCount", Unsigned(8), Is("dropped_packets")),
    (136, "flowEndReason", Unsigned(1), Is("flow_end_reason")),
    (139, "icmpTypeCodeIPv6", Unsigned(2), Icmp),
    (148, "flowId", Unsigned(8), Is("flow_id")),
    (150, "flowStartSeconds", Seconds, Tells("start", 3)),
    (151, "flowEndSeconds", Seconds, Tells("end", 3)),
    (152, "flowStartMilliseconds", Milliseconds, Tells("start", 2)),
    (153, "flowEndMilliseconds", Milliseconds, Tells("end", 2)),
    (154, "flowStartMicroseconds", Microseconds, Tells("start", 1)),
    (155, "flowEndMicroseconds", Microseconds, Tells("end", 1)),
    (156, "flowStartNanoseconds", Nanoseconds, Is("start")),
    (157, "flowEndNanoseconds", Nanoseconds, Is("end")),
    (158, "flowStartDeltaMicroseconds", Unsigned(4), Times(StartBefore)),
    (159, "flowEndDeltaMicroseconds", Unsigned(4), Times(EndBefore)),
    (160, "systemInitTimeMilliseconds", Milliseconds, Times(Boot)),
    (161, "flowDurationMilliseconds", Unsigned(4), Times(DurationMilliseconds)),
    (162, "flowDurationMicroseconds", Unsigned(4), Times(DurationMicroseconds)),
    (176, "icmpTypeIPv4", Unsigned(1), Is("icmp_type")),
    (177, "icmpCodeIPv4", Unsigned(1), Is("icmp_code")),
    (178, "icmpTypeIPv6", Unsigned(1), IsElse("icmp_type")),
    (179, "icmpCodeIPv6", Unsigned(1), IsElse("icmp_code")),
    (195, "ipDiffServCodePoint", Unsigned(1), Is("dscp")),
    (225, "postNATSourceIPv4Address", Ipv4, Is("translated_source_address")),
    (226, "postNATDestinationIPv4Address", Ipv4, Is("translated_destination_address")),
    (227, "postNAPTSourceTransportPort", Unsigned(2), Is("translated_source_port")),
    (228, "postNAPTDestinationTransportPort", Unsigned(2), Is("translated_destination_port")),
    (231, "initiatorOctets", Unsigned(8), Tells("bytes", BY_ROLE)),
    (232, "responderOctets", Unsigned(8), Tells("reverse_bytes", BY_ROLE)),
    (239, "biflowDirection", Unsigned(1), Is("biflow_direction")),
    (243, "dot1qVlanId", Unsigned(2), Tells("vlan", 1)),
    (256, "ethernetType", Unsigned(2), Is("ethertype")),
    (281, "postNATSourceIPv6Address", Ipv6, IsElse("translated_source_address")),
    (282, "postNATDestinationIPv6Address", Ipv6, IsElse("translated_destination_address")),
    (298, "initiatorPackets", Unsigned(8), Tells("packets", BY_ROLE)),
    (299, "responderPackets", Unsigned(8), Tells("reverse_packets", BY_ROLE)),
    (322, "observationTimeSeconds", Seconds, Times(Observed)),
    (323, "observationTimeMilliseconds", Milliseconds, Times(Observed)),
    (324, "observationTimeMicroseconds", Microseconds, Times(Observed)),
    (325, "observationTimeNanoseconds", Nanoseconds, Times(Observed)),
    (352, "layer2OctetDeltaCount", Unsigned(8), Is("bytes")),
    (422, "minimumLayer2TotalLength", Unsigned(8), Is("min_length")),
    (423, "maximumLayer2TotalLength", Unsigned(8), Is("max_length")),
];

/// An element, how its value lies there, and what that is.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    pub element: Element,
    pub kind: Type,
    pub means: Means,
}

/// All of them: IANA's, what of these there is of the reverse direction (RFC 5103), and our own.
fn all() -> impl Iterator<Item = Known> {
    let iana = IANA.iter().map(|&(id, name, kind, means)| {
        let element = Element { enterprise: 0, id, name };
        Known { element, kind, means }
    });
    let reverse = IANA.iter().filter_map(|&(id, plain, kind, means)| {
        let of = |name: &str| field_named(&format!("reverse_{name}"));
        let (name, means) = match means {
            Is(name) => of(name).and_then(|field| Some((field.ipfix?.name, Is(field.name))))?,
            // The initiator's and the responder's are each other's reverse already.
            Tells(name, rank) if rank < BY_ROLE => (plain, Tells(of(name)?.name, rank)),
            _ => return None,
        };
        Some(Known { element: Element { enterprise: Element::REVERSE, id, name }, kind, means })
    });
    let own = FIELDS.iter().filter_map(|field| {
        let element = field.ipfix.filter(|element| element.enterprise == Element::OWN)?;
        Some(Known { element, kind: Type::of(field), means: Is(field.name) })
    });
    iana.chain(reverse).chain(own)
}

fn field_named(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}

/// The place of a field in the table.
pub fn place(name: &str) -> Option<usize> {
    FIELDS.iter().position(|field| field.name == name)
}

/// The element of this number, if it is known.
pub fn known(enterprise: u32, id: u16) -> Option<&'static Known> {
    static KNOWN: LazyLock<HashMap<(u32, u16), Known>> =
        LazyLock::new(|| all().map(|known| ((known.element.enterprise, known.element.id), known)).collect());
    KNOWN.get(&(enterprise, id))
}

/// How a field is written.
#[derive(Debug, Clone, Copy)]
pub struct Written {
    pub field: &'static Field,
    pub usual: &'static Known,
    /// Of IPv6, or of egress; the same where that makes no difference.
    pub other: &'static Known,
}

/// Every field that is written, in the order of the table.
pub fn written() -> &'static [Written] {
    static WRITTEN: LazyLock<Vec<Written>> = LazyLock::new(|| {
        let written = |field: &'static Field| {
            let usual = field.ipfix.and_then(|element| known(element.enterprise, element.id))?;
            let other = IANA.iter().find(|(.., means)| *means == IsElse(field.name));
            let other = other.and_then(|&(id, ..)| known(0, id)).unwrap_or(usual);
            Some(Written { field, usual, other })
        };
        FIELDS.iter().filter_map(written).collect()
    });
    &WRITTEN
}

/// The reference page, `docs/ipfix.md`.
pub fn elements_page() -> String {
    let mut page = format!(
        "# IPFIX elements\n\n\
         Generated from the field table (`crates/weir-record/src/fields/`) and the table of elements\n\
         (`crates/weir-ipfix/src/element.rs`) by `make generate`: do not edit. What they are for: [export.md](export.md).\n\n\
         A number by itself is of IANA's registry, under {reverse} of the reverse direction (RFC 5103), under {own} Weir's own.\n\n\
         ## Written, and read\n\n| field | element | type |\n|---|---|---|\n",
        reverse = Element::REVERSE,
        own = Element::OWN
    );
    for Written { field, usual, other } in written() {
        let (mut elements, mut types) = (usual.element.to_string(), usual.kind.registered().0.to_owned());
        if usual.element != other.element {
            elements = format!("{elements}, {}", other.element);
        }
        if usual.kind != other.kind {
            types = format!("{types}, {}", other.kind.registered().0);
        }
        let _ = writeln!(page, "| `{}` | {elements} | {types} |", field.name);
    }
    page.push_str("\n## Read only\n\n| element | type | tells |\n|---|---|---|\n");
    for Known { element, kind, means } in all() {
        let tells = match means {
            Is(_) | IsElse(_) => continue,
            Tells(name, _) => format!("`{name}`"),
            Icmp => "`icmp_type`, `icmp_code`".into(),
            ClassOfService => "`dscp`".into(),
            Times(Boot) => "when the clock of `flowStartSysUpTime` began".into(),
            Times(_) => "`start`, `end`".into(),
        };
        let _ = writeln!(page, "| {element} | {} | {tells} |", kind.registered().0);
    }
    page.push_str("\n## NetFlow 9\n\n| field | element |\n|---|---|\n");
    for (Known { element, .. }, fields) in crate::netflow::elements() {
        let _ = writeln!(page, "| `{}` | {element} |", fields.join("`, `"));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_that_has_an_element_is_written_as_that() {
        let has = FIELDS.iter().filter(|field| field.ipfix.is_some());
        assert_eq!(written().len(), has.count());
        for Written { field, usual, .. } in written() {
            assert_eq!((Some(usual.element), usual.means), (field.ipfix, Is(field.name)));
        }
    }

    #[test]
    fn what_elements_mean_is_in_the_table_of_fields() {
        for known in all() {
            if let Is(name) | IsElse(name) | Tells(name, _) = known.means {
                assert!(place(name).is_some(), "{name}");
            }
        }
        assert!(IANA.is_sorted_by_key(|row| row.0), "twice the same, or out of order");
    }
}
