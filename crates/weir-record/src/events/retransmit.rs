//! What TCP sends again.

use super::kind::{Actor, EventKind, Place};
use super::{Event, EventField, Happening};
use crate::field::{Kind, Unit};
use crate::value::{Text, Value};

/// A segment was sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retransmit {
    /// What it was.
    pub what: Retransmitted,
    /// Bytes of data in it.
    pub bytes: u32,
    /// The state of the connection, in the kernel's word.
    pub state: &'static str,
    /// How many segments the connection had sent again by then, with this one. Not known of one that is not open yet.
    pub total: Option<u32>,
}

/// What can be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retransmitted {
    /// The wish for a connection.
    Syn,
    /// The answer to it.
    SynAck,
    /// Data, or the end of it.
    Data,
}

impl Retransmitted {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Syn, Self::SynAck, Self::Data];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Syn => "syn",
            Self::SynAck => "syn_ack",
            Self::Data => "data",
        }
    }
}

/// TCP sent something again.
pub static RETRANSMIT: EventKind = EventKind {
    name: "retransmit",
    table: "retransmits",
    doc: "TCP sent a segment again: the source.",
    place: Place::Ends,
    actor: Actor::Source,
    own: &[
        EventField {
            name: "retransmitted",
            kind: Kind::Text,
            nullable: false,
            unit: Unit::None,
            otel: "weir.retransmit.what",
            doc: "What was sent again: `syn`, `syn_ack`, or `data` (which may be no more than a FIN).",
            read: |event| of(event, |it| Value::Text(Text::Borrowed(it.what.as_str()))),
        },
        EventField {
            name: "retransmitted_bytes",
            kind: Kind::Number,
            nullable: false,
            unit: Unit::Bytes,
            otel: "weir.retransmit.size",
            doc: "Bytes of data that it carries.",
            read: |event| of(event, |it| Value::Number(it.bytes.into())),
        },
        EventField {
            name: "socket_state",
            kind: Kind::Text,
            nullable: false,
            unit: Unit::None,
            otel: "weir.socket.state",
            doc: "The state of its connection, as in `weir snapshot sockets`.",
            read: |event| of(event, |it| Value::Text(Text::Borrowed(it.state))),
        },
        EventField {
            name: "connection_retransmits",
            kind: Kind::Number,
            nullable: true,
            unit: Unit::Packets,
            otel: "weir.connection.retransmits",
            doc: "How many segments the connection has sent again so far, with this one. Null before it is open at this end.",
            read: |event| of(event, |it| it.total.into()),
        },
    ],
    shown: &[
        "remote",
        "retransmitted",
        "retransmitted_bytes",
        "socket_state",
        "connection_retransmits",
        "local",
    ],
};

fn of<'e>(event: &'e Event, read: impl FnOnce(&'e Retransmit) -> Value<'e>) -> Value<'e> {
    match &event.happening {
        Happening::Retransmit(retransmit) => read(retransmit),
        _ => Value::Absent,
    }
}
