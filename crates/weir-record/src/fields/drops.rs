//! What of a conversation the kernel has thrown away.

use crate::field::{Element, Field, Kind, Unit};
use crate::read::{Draft, set};
use crate::value::{Text, Value};
use crate::{Dropped, FlowRecord};

fn number(record: &FlowRecord, of: fn(&Dropped) -> u64) -> Value<'_> {
    record.dropped.as_ref().map(of).into()
}

fn dropped(draft: &mut Draft) -> &mut Dropped {
    draft.record.dropped.get_or_insert_default()
}

/// In the order of output.
pub const FIELDS: &[Field] = &[
    Field {
        name: "dropped_packets",
        kind: Kind::Number,
        nullable: true,
        unit: Unit::Packets,
        otel: "weir.dropped.packets",
        ipfix: Element::iana(133, "droppedPacketDeltaCount"),
        doc: "Packets of the flow, in both directions where they are joined, that the kernel of this host dropped since the record before, wherever that was: they may be among `packets`, or not have come so far. Null where drops are not watched.",
        read: |record| number(record, |dropped| dropped.packets),
        write: |draft, value| set(&mut dropped(draft).packets, value.number()),
    },
    Field {
        name: "dropped_bytes",
        kind: Kind::Number,
        nullable: true,
        unit: Unit::Bytes,
        otel: "weir.dropped.bytes",
        ipfix: Element::iana(132, "droppedOctetDeltaCount"),
        doc: "Their bytes from the IP header on, without the link layer: where a packet is dropped it may have none.",
        read: |record| number(record, |dropped| dropped.bytes),
        write: |draft, value| set(&mut dropped(draft).bytes, value.number()),
    },
    Field {
        name: "drop_reasons",
        kind: Kind::Text,
        nullable: true,
        unit: Unit::None,
        otel: "weir.dropped.reasons",
        ipfix: Element::own(9, "drop_reasons"),
        doc: "Why, in the kernel's words (`NO_SOCKET`, `NETFILTER_DROP`), the most frequent first, with commas between them. Null where nothing was dropped.",
        read: |record| {
            let reasons = record.dropped.as_ref().and_then(|dropped| dropped.reasons.as_deref());
            reasons.map_or(Value::Absent, |reasons| Value::Text(Text::Borrowed(reasons)))
        },
        write: |draft, value| set(&mut dropped(draft).reasons, value.text().map(Some)),
    },
];
