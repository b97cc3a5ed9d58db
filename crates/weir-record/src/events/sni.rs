//! What clients say before TLS and QUIC encrypt.

use super::kind::{Actor, EventKind, Place};
use super::{Event, EventField, Happening};
use crate::field::{Kind, Unit};
use crate::value::{Text, Value};
use std::borrow::Cow;

/// A client's first message (RFC 8446, 4.1.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sni {
    /// The server that it wants.
    pub server_name: Option<String>,
    /// The protocols that it speaks, the dearest first, with commas between.
    pub protocols: Option<String>,
    /// The highest version of TLS that it offers, in TLS's own numbers.
    pub version: u16,
    /// Whether there is another message in it that only the server can read.
    pub is_encrypted: bool,
}

impl Sni {
    /// The word for the version: `1.3`; a number in hex where there is none.
    pub fn version(&self) -> Cow<'static, str> {
        match self.version {
            0x0300 => "ssl 3.0".into(),
            0x0301 => "1.0".into(),
            0x0302 => "1.1".into(),
            0x0303 => "1.2".into(),
            0x0304 => "1.3".into(),
            other => format!("0x{other:04x}").into(),
        }
    }
}

/// A client said hello.
pub static SNI: EventKind = EventKind {
    name: "sni",
    table: "sni",
    doc: "A client, the source, began to speak TLS over TCP, or QUIC over UDP: what its first message says in the clear.",
    place: Place::Ends,
    actor: Actor::Source,
    own: &[
        EventField {
            name: "server_name",
            kind: Kind::Text,
            nullable: true,
            unit: Unit::None,
            otel: "tls.client.server_name",
            doc: "The server that it wants (SNI). Null where it names none.",
            read: |event| of(event, |it| text(it.server_name.as_deref())),
        },
        EventField {
            name: "application_protocols",
            kind: Kind::Text,
            nullable: true,
            unit: Unit::None,
            otel: "weir.tls.client.application_protocols",
            doc: "The protocols that it speaks (ALPN), the dearest first: `h2,http/1.1`. Null where it names none.",
            read: |event| of(event, |it| text(it.protocols.as_deref())),
        },
        EventField {
            name: "tls_version",
            kind: Kind::Text,
            nullable: false,
            unit: Unit::None,
            otel: "weir.tls.client.version",
            doc: "The highest version of TLS that it offers: `1.3`.",
            read: |event| of(event, |it| Value::Text(it.version().into())),
        },
        EventField {
            name: "tls_encrypted_hello",
            kind: Kind::Flag,
            nullable: false,
            unit: Unit::None,
            otel: "weir.tls.client.encrypted_hello",
            doc: "Whether there is an encrypted message in it (ECH): `server_name` is then that of whoever stands before the server. Clients that have no key for one send noise that looks the same.",
            read: |event| of(event, |it| Value::Flag(it.is_encrypted)),
        },
    ],
    shown: &["server_name", "remote", "tls_version", "application_protocols", "local"],
};

fn of<'e>(event: &'e Event, read: impl FnOnce(&'e Sni) -> Value<'e>) -> Value<'e> {
    match &event.happening {
        Happening::Sni(sni) => read(sni),
        _ => Value::Absent,
    }
}

fn text(text: Option<&str>) -> Value<'_> {
    text.map_or(Value::Absent, |text| Value::Text(Text::Borrowed(text)))
}
