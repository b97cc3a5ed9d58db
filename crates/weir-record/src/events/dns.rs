//! What DNS was asked, and what it said.

use super::kind::{Actor, EventKind, Place};
use super::{Event, EventField, Happening};
use crate::field::{Kind, Unit};
use crate::value::{Text, Value};
use std::borrow::Cow;

/// A question to DNS, and what became of it. All text in it is printable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    /// The name that was asked for.
    pub question: String,
    /// The type of records that was asked for.
    pub kind: u16,
    /// Their class.
    pub class: u16,
    /// How often it was asked again.
    pub retries: u32,
    /// What was answered, unless nobody did.
    pub answer: Option<DnsAnswer>,
}

/// What DNS said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsAnswer {
    /// How it went: 0 is well.
    pub code: u16,
    /// From question to answer, in microseconds, where both came by at one interface.
    pub latency: Option<u64>,
    /// Addresses, aliases, and the types of other records.
    pub records: String,
    /// The server had more to say.
    pub is_truncated: bool,
}

/// A question to DNS.
pub static DNS: EventKind = EventKind {
    name: "dns",
    table: "dns",
    doc: "The source asked the destination, a DNS server, and was answered or not: told with the answer, or when it is overdue. `protocol` says how.",
    place: Place::Ends,
    actor: Actor::Source,
    own: &[
        EventField {
            name: "dns_question",
            kind: Kind::Text,
            nullable: false,
            unit: Unit::None,
            otel: "dns.question.name",
            doc: "The name that was asked for, in small letters; what is not printable ASCII in it is `\\DDD`.",
            read: |event| of(event, |it| text(&it.question)),
        },
        EventField {
            name: "dns_type",
            kind: Kind::Text,
            nullable: false,
            unit: Unit::None,
            otel: "weir.dns.question.type",
            doc: "The type of records that was asked for: `A`, `AAAA`, `HTTPS`; `TYPE1234` where it has no name.",
            read: |event| of(event, |it| Value::Text(type_name(it.kind).into())),
        },
        EventField {
            name: "dns_class",
            kind: Kind::Text,
            nullable: false,
            unit: Unit::None,
            otel: "weir.dns.question.class",
            doc: "Their class: `IN`, of the Internet.",
            read: |event| of(event, |it| Value::Text(class_name(it.class).into())),
        },
        EventField {
            name: "dns_response_code",
            kind: Kind::Text,
            nullable: true,
            unit: Unit::None,
            otel: "weir.dns.response_code",
            doc: "How it went: `NOERROR`, `NXDOMAIN`, `SERVFAIL`, `REFUSED`. Null if nobody has answered.",
            read: |event| answer(event).map_or(Value::Absent, |it| Value::Text(code_name(it.code).into())),
        },
        EventField {
            name: "dns_latency",
            kind: Kind::Number,
            nullable: true,
            unit: Unit::Microseconds,
            otel: "weir.dns.latency",
            doc: "From the first question to the answer, at the interface that the question came by first. Null where no interface saw both.",
            read: |event| answer(event).and_then(|it| it.latency).into(),
        },
        EventField {
            name: "dns_answers",
            kind: Kind::Text,
            nullable: true,
            unit: Unit::None,
            otel: "dns.answers",
            doc: "Addresses and aliases (CNAME) in the order of the answer, and the types of other records, with commas between. Null if there are none.",
            read: |event| {
                answer(event)
                    .filter(|it| !it.records.is_empty())
                    .map_or(Value::Absent, |it| text(&it.records))
            },
        },
        EventField {
            name: "dns_truncated",
            kind: Kind::Flag,
            nullable: true,
            unit: Unit::None,
            otel: "weir.dns.truncated",
            doc: "The answer had no room for all, and asks to come again by TCP. Null if nobody has answered.",
            read: |event| answer(event).map_or(Value::Absent, |it| Value::Flag(it.is_truncated)),
        },
        EventField {
            name: "dns_retries",
            kind: Kind::Number,
            nullable: false,
            unit: Unit::Packets,
            otel: "weir.dns.retries",
            doc: "How often the same was asked again before there was an answer.",
            read: |event| of(event, |it| Value::Number(it.retries.into())),
        },
        EventField {
            name: "error",
            kind: Kind::Text,
            nullable: true,
            unit: Unit::None,
            otel: "error.type",
            doc: "`timeout` if nobody has answered in time (`--dns-timeout`). Null otherwise.",
            read: |event| of(event, |it| if it.answer.is_some() { Value::Absent } else { text("timeout") }),
        },
    ],
    shown: &[
        "dns_type",
        "dns_question",
        "dns_response_code",
        "error",
        "dns_answers",
        "dns_latency",
        "remote",
        "local",
    ],
};

fn of<'e>(event: &'e Event, read: impl FnOnce(&'e Dns) -> Value<'e>) -> Value<'e> {
    match &event.happening {
        Happening::Dns(dns) => read(dns),
        _ => Value::Absent,
    }
}

fn answer(event: &Event) -> Option<&DnsAnswer> {
    match &event.happening {
        Happening::Dns(dns) => dns.answer.as_ref(),
        _ => None,
    }
}

fn text(text: &str) -> Value<'_> {
    Value::Text(Text::Borrowed(text))
}

/// The name of a type of records (IANA's registry), as far as it is met.
pub fn type_name(kind: u16) -> Cow<'static, str> {
    named(TYPES, kind, "TYPE")
}

fn class_name(class: u16) -> Cow<'static, str> {
    named(CLASSES, class, "CLASS")
}

fn code_name(code: u16) -> Cow<'static, str> {
    named(CODES, code, "RCODE")
}

fn named(names: &[(u16, &'static str)], number: u16, otherwise: &str) -> Cow<'static, str> {
    let found = names.iter().find(|(one, _)| *one == number);
    found.map_or_else(|| Cow::Owned(format!("{otherwise}{number}")), |(_, name)| Cow::Borrowed(*name))
}

const TYPES: &[(u16, &str)] = &[
    (1, "A"),
    (2, "NS"),
    (5, "CNAME"),
    (6, "SOA"),
    (12, "PTR"),
    (13, "HINFO"),
    (15, "MX"),
    (16, "TXT"),
    (28, "AAAA"),
    (29, "LOC"),
    (33, "SRV"),
    (35, "NAPTR"),
    (39, "DNAME"),
    (41, "OPT"),
    (43, "DS"),
    (44, "SSHFP"),
    (46, "RRSIG"),
    (47, "NSEC"),
    (48, "DNSKEY"),
    (50, "NSEC3"),
    (51, "NSEC3PARAM"),
    (52, "TLSA"),
    (59, "CDS"),
    (60, "CDNSKEY"),
    (64, "SVCB"),
    (65, "HTTPS"),
    (99, "SPF"),
    (250, "TSIG"),
    (251, "IXFR"),
    (252, "AXFR"),
    (255, "ANY"),
    (256, "URI"),
    (257, "CAA"),
];

const CLASSES: &[(u16, &str)] = &[(1, "IN"), (3, "CH"), (4, "HS"), (254, "NONE"), (255, "ANY")];

const CODES: &[(u16, &str)] = &[
    (0, "NOERROR"),
    (1, "FORMERR"),
    (2, "SERVFAIL"),
    (3, "NXDOMAIN"),
    (4, "NOTIMP"),
    (5, "REFUSED"),
    (6, "YXDOMAIN"),
    (7, "YXRRSET"),
    (8, "NXRRSET"),
    (9, "NOTAUTH"),
    (10, "NOTZONE"),
    (16, "BADVERS"),
    (23, "BADCOOKIE"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_without_a_name_are_numbers() {
        assert_eq!((type_name(28), type_name(4711)), ("AAAA".into(), "TYPE4711".into()));
        assert_eq!((code_name(3), code_name(4095)), ("NXDOMAIN".into(), "RCODE4095".into()));
    }
}
