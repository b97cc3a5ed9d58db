//! What a field is, and what comes from the table of them: JSON and the reference page.

use crate::read::Draft;
use crate::{FIELDS, FlowRecord, Value};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt::{self, Write};

/// What a field's number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Nothing: a name, a number of a registry, a set of bits.
    None,
    /// Wire packets.
    Packets,
    /// Bytes.
    Bytes,
    /// Time since the Unix epoch.
    Time,
    /// A length of time.
    Microseconds,
}

impl Unit {
    /// For documents; nothing where it counts nothing.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Packets => "packets",
            Self::Bytes => "bytes",
            Self::Time => "ns since the epoch; RFC 3339 in text",
            Self::Microseconds => "µs",
        }
    }
}

/// What kind of value a field holds, the same in every record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A point in time.
    Time,
    /// A word.
    Text,
    /// A whole number.
    Number,
    /// An IP address.
    Address,
    /// Yes or no.
    Flag,
    /// A set of small numbers.
    Bits,
    /// A list of observations. A filter cannot test it.
    Observations,
}

impl Kind {
    /// Its type in JSON.
    pub fn json(self) -> &'static str {
        match self {
            Self::Time | Self::Text | Self::Address => "string",
            Self::Number => "number",
            Self::Flag => "boolean",
            Self::Bits => "array of numbers",
            Self::Observations => "array of objects",
        }
    }
}

/// An IPFIX information element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element {
    /// Private enterprise number; 0 for IANA's registry.
    pub enterprise: u32,
    /// Its number.
    pub id: u16,
    /// Its name there.
    pub name: &'static str,
}

impl Element {
    /// The enterprise number under which RFC 5103 puts what is about the reverse direction.
    pub const REVERSE: u32 = 29305;

    /// The enterprise number of what has no element in IANA's registry. A placeholder: Weir has none of its own yet,
    /// and this is the one that is set aside for examples (RFC 5612).
    pub const OWN: u32 = 32473;

    /// An element of IANA's registry (RFC 7012).
    pub const fn iana(id: u16, name: &'static str) -> Option<Self> {
        Some(Self { enterprise: 0, id, name })
    }

    /// The reverse counterpart of element `id` (RFC 5103).
    pub const fn reverse(id: u16, name: &'static str) -> Option<Self> {
        Some(Self { enterprise: Self::REVERSE, id, name })
    }
}

impl Element {
    /// An element of our own: called as the field is. Its number stays what it is for as long as there are files.
    pub const fn own(id: u16, name: &'static str) -> Option<Self> {
        Some(Self { enterprise: Self::OWN, id, name })
    }

    /// Where the numbers of the elements of one end begin: 256 for the source, 512 for the destination.
    pub(crate) const fn of_end(end: &str) -> u16 {
        if end.len() == "source".len() { 256 } else { 512 }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.enterprise != 0 {
            write!(f, "{}/", self.enterprise)?;
        }
        write!(f, "{} {}", self.id, self.name)
    }
}

/// One entry of the vocabulary.
#[derive(Clone, Copy)]
pub struct Field {
    /// Name in JSON, SQL and filters.
    pub name: &'static str,
    /// What kind of value it holds.
    pub kind: Kind,
    /// Whether it may be absent (null in JSON): it does not apply to every record.
    pub nullable: bool,
    /// What its number counts.
    pub unit: Unit,
    /// OpenTelemetry's name, or ours where it has none.
    pub otel: &'static str,
    /// IPFIX information element, where there is one.
    pub ipfix: Option<Element>,
    /// What it says.
    pub doc: &'static str,
    /// Reads it from a record.
    pub read: fn(&FlowRecord) -> Value<'_>,
    /// Enters it into a record that is read from its JSON; none where it does not fit.
    pub(crate) write: fn(&mut Draft, Value<'_>) -> Option<()>,
}

impl fmt::Debug for Field {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name)
    }
}

impl Serialize for FlowRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(FIELDS.len() + 1))?;
        map.serialize_entry("type", "flow")?;
        for field in FIELDS {
            map.serialize_entry(field.name, &(field.read)(self))?;
        }
        map.end()
    }
}

/// The reference page, `docs/fields.md`.
pub fn fields_page() -> String {
    let mut page = format!(
        "# Fields of a flow record\n\n\
         Generated from the field table (`crates/weir-record/src/fields/`) by `make generate`: do not edit.\n\n\
         In JSON each record has `\"type\": \"flow\"` and all of these, in this order; a field that does not\n\
         apply is null. OpenTelemetry names are those of its semantic conventions where it has one.\n\
         Elements under {own} in the column IPFIX are Weir's own ([export.md](export.md)).\n\
         How directions and observation points are joined in a record: [conversations.md](conversations.md).\n\n\
         | field | JSON type | unit | OpenTelemetry | IPFIX | meaning |\n|---|---|---|---|---|---|\n",
        own = Element::OWN
    );
    for field in FIELDS {
        let ipfix = field.ipfix.map_or_else(String::new, |element| element.to_string());
        let _ = writeln!(
            page,
            "| `{}` | {}{} | {} | `{}` | {} | {} |",
            field.name,
            field.kind.json(),
            if field.nullable { " or null" } else { "" },
            field.unit.as_str(),
            field.otel,
            ipfix,
            field.doc
        );
    }
    page
}
