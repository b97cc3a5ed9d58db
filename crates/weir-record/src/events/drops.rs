//! What the kernel throws away.

use super::kind::{Actor, EventKind, Place};
use super::{Event, EventField, Happening};
use crate::DropSource;
use crate::field::{Kind, Unit};
use crate::value::{Text, Value};
use std::sync::Arc;

/// Packets of one flow were dropped for one reason at one place. How many, and why, is in the event's flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drops {
    /// Which of the kernel's books says so.
    pub source: DropSource,
    /// The place in its code.
    pub location: Option<Arc<str>>,
}

/// Packets were dropped.
pub static DROP: EventKind = EventKind {
    name: "drop",
    table: "drops",
    doc: "The kernel dropped packets: what it dropped of one flow, for one reason, at one place in its code and one interface, within a quarter of a second, is one event with its number. Counters of the kernel that no packet tells of are read every half a second: those events have no flow, and no bytes (0).",
    place: Place::Packet,
    actor: Actor::Source,
    own: &[
        EventField {
            name: "drop_source",
            kind: Kind::Text,
            nullable: false,
            unit: Unit::None,
            otel: "weir.drop.source",
            doc: "Which of the kernel's books says so: `kfree_skb` (the packet itself), `qdisc`, `listen_queue`, `conntrack`, `interface`. One drop may be in several of them.",
            read: |event| of(event, |it| Value::Text(Text::Borrowed(it.source.as_str()))),
        },
        EventField {
            name: "drop_location",
            kind: Kind::Text,
            nullable: true,
            unit: Unit::None,
            otel: "weir.drop.location",
            doc: "The place in the kernel's code, by function: `icmp_rcv+0x1a4`. Null for counters.",
            read: |event| {
                of(event, |it| it.location.as_deref().map_or(Value::Absent, |it| Value::Text(it.into())))
            },
        },
    ],
    shown: &[
        "drop_reasons",
        "dropped_packets",
        "protocol",
        "remote",
        "local",
        "interface",
        "drop_location",
        "drop_source",
    ],
};

fn of<'e>(event: &'e Event, read: impl FnOnce(&'e Drops) -> Value<'e>) -> Value<'e> {
    match &event.happening {
        Happening::Drop(drops) => read(drops),
        _ => Value::Absent,
    }
}
