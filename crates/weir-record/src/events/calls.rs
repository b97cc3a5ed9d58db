//! What processes ask for: programs, ports, connections.

use super::kind::{Actor, EventKind, Place};
use super::{Event, EventField, Happening};
use crate::field::{Kind, Unit};
use crate::value::{Text, Value};
use std::borrow::Cow;

/// A process became another program.
pub static EXEC: EventKind = EventKind {
    name: "exec",
    table: "execs",
    doc: "A process became another program (execve): `source_executable` and `source_arguments` say which.",
    place: Place::Process,
    actor: Actor::Source,
    own: &[],
    shown: &["source_arguments"],
};

/// How it ended that the source wanted a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect {
    /// Why it has none, in the kernel's word (`ECONNREFUSED`).
    pub error: Option<Cow<'static, str>>,
    /// From the first SYN, or from the call, to the end of it, in microseconds.
    pub latency: u64,
}

/// A connection was asked for.
pub static CONNECT: EventKind = EventKind {
    name: "connect",
    table: "connects",
    doc: "A TCP connection that the source asked for is there, or was given up: told at the end of the attempt.",
    place: Place::Ends,
    actor: Actor::Source,
    own: &[
        EventField {
            name: "error",
            kind: Kind::Text,
            nullable: true,
            unit: Unit::None,
            otel: "error.type",
            doc: "Why there is no connection, in the kernel's word: `ECONNREFUSED`, `ETIMEDOUT`, `EHOSTUNREACH`. Null for one that is there, and for one that its own process gave up.",
            read: |event| connect(event).and_then(|it| it.error.as_deref()).map_or(Value::Absent, text),
        },
        EventField {
            name: "connect_latency",
            kind: Kind::Number,
            nullable: false,
            unit: Unit::Microseconds,
            otel: "weir.connect.latency",
            doc: "From the call of connect(2) to the connection, or to the end of the attempt.",
            read: |event| connect(event).map(|it| it.latency).into(),
        },
    ],
    shown: &["remote", "error", "connect_latency", "local"],
};

fn connect(event: &Event) -> Option<&Connect> {
    match &event.happening {
        Happening::Connect(connect) => Some(connect),
        _ => None,
    }
}

fn text(text: &str) -> Value<'_> {
    Value::Text(Text::Borrowed(text))
}

/// A connection was taken.
pub static ACCEPT: EventKind = EventKind {
    name: "accept",
    table: "accepts",
    doc: "A process took a TCP connection (accept): it is the destination, who asked for it the source.",
    place: Place::Ends,
    actor: Actor::Destination,
    own: &[],
    shown: &["remote", "local"],
};

/// How it ended that the source wanted a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// Why it has none, in the kernel's word (`EADDRINUSE`).
    pub error: Option<Cow<'static, str>>,
}

/// A port was asked for.
pub static BIND: EventKind = EventKind {
    name: "bind",
    table: "binds",
    doc: "A process asked for an address and a port (bind), and has it or not.",
    place: Place::Source,
    actor: Actor::Source,
    own: &[EventField {
        name: "error",
        kind: Kind::Text,
        nullable: true,
        unit: Unit::None,
        otel: "error.type",
        doc: "Why it was refused, in the kernel's word: `EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`. Null where it was not.",
        read: |event| match &event.happening {
            Happening::Bind(bind) => bind.error.as_deref().map_or(Value::Absent, text),
            _ => Value::Absent,
        },
    }],
    shown: &["protocol", "local", "error"],
};
