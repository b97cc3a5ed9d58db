//! The kinds of events, and the columns of each.

use super::{Event, EventField, calls, closed, dns, drops, retransmit, sni};
use crate::FIELDS;
use crate::field::{Field, Kind, Unit};
use crate::fields::{DESTINATION_END, SOURCE_END, SOURCE_TCP};
use crate::value::Value;
use serde::Serialize;

/// A table of events.
pub struct EventKind {
    /// Its name: what `weir trace` calls it, `type` in JSON.
    pub name: &'static str,
    /// The table of it, where events are kept: `drop` is a word of SQL.
    pub table: &'static str,
    /// What an event of it says.
    pub doc: &'static str,
    /// What is known of who and where.
    pub place: Place,
    /// Whose doing it is.
    pub actor: Actor,
    /// The fields that only it has.
    pub own: &'static [EventField],
    /// What a person wants to see of it beside the process whose doing it is, what matters most first: fields, and
    /// `local` and `remote` for the ends as that process sees them.
    pub shown: &'static [&'static str],
}

/// What is known of who and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A process: it is the source, without an address.
    Process,
    /// A socket of the source that is connected to nobody.
    Source,
    /// Both ends.
    Ends,
    /// Packets at an interface; who sends them is the source.
    Packet,
    /// Both ends, and what TCP keeps at the source.
    Connection,
}

/// Whose doing an event is; an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// The source's.
    Source,
    /// The destination's.
    Destination,
}

impl Actor {
    /// The other end.
    pub fn other(self) -> Self {
        match self {
            Self::Source => Self::Destination,
            Self::Destination => Self::Source,
        }
    }
}

impl Place {
    /// Fields of flow records that do not belong to an end.
    fn common(self) -> &'static [&'static str] {
        match self {
            Self::Process => &[],
            Self::Source => &["netns", "protocol", "source_address", "source_port"],
            Self::Ends | Self::Connection => &[
                "netns",
                "protocol",
                "source_address",
                "source_port",
                "destination_address",
                "destination_port",
                "community_id",
            ],
            Self::Packet => &[
                "netns",
                "interface",
                "interface_index",
                "direction",
                "ethertype",
                "protocol",
                "source_address",
                "source_port",
                "destination_address",
                "destination_port",
                "icmp_type",
                "icmp_code",
                "community_id",
                "dropped_packets",
                "dropped_bytes",
                "drop_reasons",
            ],
        }
    }

    /// Whether there is a destination, too.
    pub fn has_both_ends(self) -> bool {
        matches!(self, Self::Ends | Self::Packet | Self::Connection)
    }

    fn ends(self) -> impl Iterator<Item = &'static Field> {
        let destination = if self.has_both_ends() { DESTINATION_END } else { &[] };
        let kept = if self == Self::Connection { SOURCE_TCP } else { &[] };
        SOURCE_END.iter().chain(destination).copied().flatten().chain(kept)
    }
}

static TIME: EventField = EventField {
    name: "time",
    kind: Kind::Time,
    nullable: false,
    unit: Unit::Time,
    otel: "weir.event.time",
    doc: "When it happened, by the kernel's fine clock.",
    read: |event| Value::Time(event.time),
};

/// A column of a table of events.
#[derive(Clone, Copy)]
pub enum EventColumn {
    /// One that flow records have too.
    Flow(&'static Field),
    /// One of events.
    Own(&'static EventField),
}

impl EventColumn {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Flow(field) => field.name,
            Self::Own(field) => field.name,
        }
    }

    /// What kind of value it holds.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Flow(field) => field.kind,
            Self::Own(field) => field.kind,
        }
    }

    /// What it says.
    pub fn doc(&self) -> &'static str {
        match self {
            Self::Flow(field) => field.doc,
            Self::Own(field) => field.doc,
        }
    }

    /// What its number counts.
    pub fn unit(&self) -> Unit {
        match self {
            Self::Flow(field) => field.unit,
            Self::Own(field) => field.unit,
        }
    }

    /// What an event holds in it.
    pub fn read<'e>(&self, event: &'e Event) -> Value<'e> {
        match self {
            Self::Flow(field) => (field.read)(&event.flow),
            Self::Own(field) => (field.read)(event),
        }
    }
}

impl EventKind {
    /// Every kind, in the order of the page.
    pub const ALL: [&'static Self; 9] = [
        &calls::EXEC,
        &calls::BIND,
        &calls::CONNECT,
        &calls::ACCEPT,
        &retransmit::RETRANSMIT,
        &closed::TCP,
        &dns::DNS,
        &drops::DROP,
        &sni::SNI,
    ];

    /// The one of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::ALL.into_iter().find(|kind| kind.name == name)
    }

    /// Its columns, in the order of output.
    pub fn columns(&self) -> impl Iterator<Item = EventColumn> {
        let common = self.place.common();
        let of_flows = FIELDS.iter().filter(|field| common.contains(&field.name));
        std::iter::once(EventColumn::Own(&TIME))
            .chain(self.own.iter().map(EventColumn::Own))
            .chain(of_flows.chain(self.place.ends()).map(EventColumn::Flow))
    }

    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<EventColumn> {
        self.columns().find(|column| column.name() == name)
    }
}

impl PartialEq for EventKind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl std::fmt::Debug for EventKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Events that did not get through, where they are missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename = "lost")]
pub struct Lost {
    /// The probe whose they are.
    pub probe: &'static str,
    /// How many.
    pub events: u64,
    /// Where they were lost.
    pub cause: &'static str,
}
