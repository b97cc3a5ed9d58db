//! Which values a field takes.

use super::operator::Operator;
use crate::subject::Sort;
use weir_record::{
    Direction, DropSource, Evidence, FlowEndReason, InterfaceKind, Kind, NameOrigin, Retransmitted,
    TcpFailure, TcpState, Unit,
};

/// What the values of a field are, as far as the language tells them apart.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Domain {
    Time,
    Text,
    /// One of these words.
    Words(Vec<&'static str>),
    /// A number up to the largest that there is; its unit says which suffixes it takes.
    Number(u64, Unit),
    Protocol,
    Address,
    Flag,
    TcpFlags,
    /// Numbers from 0 to 63, several at a time.
    Bits,
}

/// TCP flags by name, as in RFC 9293 and RFC 9768, and their bits.
pub(super) const TCP_FLAGS: [(&str, u64); 9] = [
    ("fin", 0x01),
    ("syn", 0x02),
    ("rst", 0x04),
    ("psh", 0x08),
    ("ack", 0x10),
    ("urg", 0x20),
    ("ece", 0x40),
    ("cwr", 0x80),
    ("ae", 0x100),
];

/// The largest number that TCP's twelve flags make.
pub(super) const TCP_FLAGS_MOST: u64 = 0xfff;

impl Domain {
    pub(super) fn of(Sort { field, kind, unit }: Sort) -> Self {
        match kind {
            _ if field == "protocol" => Self::Protocol,
            _ if field.ends_with("tcp_flags") => Self::TcpFlags,
            Kind::Time => Self::Time,
            Kind::Text => words(field).map_or(Self::Text, Self::Words),
            Kind::Number => Self::Number(most(field), unit),
            Kind::Address => Self::Address,
            Kind::Flag => Self::Flag,
            Kind::Bits => Self::Bits,
            // Never asked: the language has no such name.
            Kind::Observations => Self::Text,
        }
    }

    /// What to write, for a message.
    pub(super) fn takes(&self) -> String {
        match self {
            Self::Time => "a time such as 2026-01-31T12:00:00Z".into(),
            Self::Text => "a text or a glob".into(),
            Self::Words(words) => words.join(", "),
            Self::Number(u64::MAX, Unit::Bytes) => "a number such as 1500, 10k or 10MiB".into(),
            Self::Number(u64::MAX, Unit::Microseconds) => {
                "a length of time such as 1500us, 20ms or 3s".into()
            }
            Self::Number(u64::MAX, Unit::Packets) => "a number such as 1500 or 10k".into(),
            Self::Number(u64::MAX, _) => "a number".into(),
            Self::Number(most, _) => format!("a number from 0 to {most}"),
            Self::Protocol => "a protocol's name or its number, from 0 to 255".into(),
            Self::Address => {
                "an IP address, a network such as 10.0.0.0/8 or a range such as 10.0.0.1-10.0.0.9".into()
            }
            Self::Flag => "true or false".into(),
            Self::TcpFlags => {
                format!("{} or a number from 0 to {TCP_FLAGS_MOST}", TCP_FLAGS.map(|flag| flag.0).join(", "))
            }
            Self::Bits => "numbers from 0 to 63".into(),
        }
    }

    pub(super) fn operators(&self) -> &'static [Operator] {
        match self {
            Self::Time | Self::Number(..) => Operator::ORDER,
            Self::Text | Self::Words(_) | Self::Protocol | Self::Address => Operator::MEMBERSHIP,
            Self::Flag => Operator::FLAG,
            Self::TcpFlags | Self::Bits => Operator::BITS,
        }
    }
}

/// All that a field of text can say, where that is known.
pub(crate) fn words(field: &str) -> Option<Vec<&'static str>> {
    match field {
        "direction" => Some(Direction::ALL.map(Direction::as_str).to_vec()),
        "flow_end_reason" => Some(FlowEndReason::ALL.map(FlowEndReason::as_str).to_vec()),
        "biflow_direction" => Some(vec!["arbitrary", "initiator"]),
        "biflow_evidence" => Some(Evidence::ALL.map(Evidence::as_str).to_vec()),
        "interface_kind" => Some(InterfaceKind::words().collect()),
        "tcp_state" => Some(TcpState::ALL.map(TcpState::as_str).to_vec()),
        "source_name_origin" | "destination_name_origin" => {
            Some(NameOrigin::ALL.map(NameOrigin::as_str).to_vec())
        }
        "source_tcp_failure" | "destination_tcp_failure" => {
            Some(TcpFailure::ALL.map(TcpFailure::as_str).to_vec())
        }
        "drop_source" => Some(DropSource::ALL.map(DropSource::as_str).to_vec()),
        "retransmitted" => Some(Retransmitted::ALL.map(Retransmitted::as_str).to_vec()),
        _ => None,
    }
}

/// The largest number that a field can hold.
fn most(field: &str) -> u64 {
    match field {
        "source_port" | "destination_port" | "ethertype" => 0xffff,
        "vlan" => 0xfff,
        "icmp_type" | "icmp_code" | "min_ttl" | "max_ttl" => 0xff,
        "dscp" => 0x3f,
        "interface_index" | "source_as_number" | "destination_as_number" => u32::MAX.into(),
        _ => u64::MAX,
    }
}
