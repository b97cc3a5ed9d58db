//! Roll-ups: tables of sums of flow records, which outlive the records.
//!
//! A row is the sum of the records that ended within the same minute, or hour, and have the same [`KEY`]. There may be
//! several of them, since each segment is summed up by itself: whoever reads them adds them up, and [`Sums`] does when
//! segments are merged. Why so: docs/decisions/0018-rollups.md.

mod sums;

use crate::table::{Column, Layout, Table, kept_fields};
use std::sync::LazyLock;
pub(crate) use sums::{Sums, columns_of};
use weir_record::{Kind, Unit};

const MINUTE: u64 = 60_000_000_000;
const HOUR: u64 = 60 * MINUTE;

/// When the minute or the hour began.
const TIME: &str = "time";

/// The fields that all records of a row have in common: what is asked of old times, and has few values. The client's
/// port is none of them, nor what changes with every process that is started.
const KEY: &[&str] = &[
    "interface",
    "direction",
    "source_address",
    "destination_address",
    "destination_port",
    "protocol",
    "ethertype",
    "flow_end_reason",
    "drop_reasons",
    "source_process",
    "source_unit",
    "source_container_name",
    "source_pod",
    "source_namespace",
    "source_node",
    "source_owner",
    "source_owner_kind",
    "source_service",
    "source_zone",
    "source_name",
    "source_label",
    "source_country",
    "source_as_number",
    "source_as_organization",
    "source_tcp_failure",
    "destination_process",
    "destination_unit",
    "destination_container_name",
    "destination_pod",
    "destination_namespace",
    "destination_node",
    "destination_owner",
    "destination_owner_kind",
    "destination_service",
    "destination_zone",
    "destination_name",
    "destination_label",
    "destination_country",
    "destination_as_number",
    "destination_as_organization",
    "destination_tcp_failure",
];

/// How values become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// How many there are.
    Count,
    Sum,
    Least,
    Most,
}

/// A column that is added up.
#[derive(Debug, Clone, Copy)]
struct Measure {
    name: &'static str,
    /// The field that it is made of.
    of: &'static str,
    how: How,
}

const fn measure(name: &'static str, of: &'static str, how: How) -> Measure {
    Measure { name, of, how }
}

const fn sum(name: &'static str) -> Measure {
    measure(name, name, How::Sum)
}

/// What may be made a mean of, and how far it is apart.
macro_rules! spread {
    ($end:literal, $name:literal) => {
        [
            measure(concat!($end, $name, "_count"), concat!($end, $name), How::Count),
            measure(concat!($end, $name, "_sum"), concat!($end, $name), How::Sum),
            measure(concat!($end, $name, "_min"), concat!($end, $name), How::Least),
            measure(concat!($end, $name, "_max"), concat!($end, $name), How::Most),
        ]
    };
}

/// The sums of what an end's kernel keeps of connections.
macro_rules! tcp {
    ($end:literal) => {
        [
            sum(concat!($end, "_tcp_retransmitted_segments")),
            sum(concat!($end, "_tcp_retransmitted_bytes")),
            sum(concat!($end, "_tcp_lost_segments")),
            sum(concat!($end, "_tcp_bytes_sent")),
            sum(concat!($end, "_tcp_bytes_received")),
            sum(concat!($end, "_tcp_resets_sent")),
            sum(concat!($end, "_tcp_resets_received")),
        ]
    };
}

/// What is added up, in the order of columns.
const MEASURES: &[&[Measure]] = &[
    &[
        measure("records", "end", How::Count),
        measure("start", "start", How::Least),
        measure("end", "end", How::Most),
        sum("packets"),
        sum("bytes"),
        sum("reverse_packets"),
        sum("reverse_bytes"),
        sum("dropped_packets"),
        sum("dropped_bytes"),
    ],
    &tcp!("source"),
    &spread!("source", "_tcp_rtt"),
    &spread!("source", "_tcp_handshake_time"),
    &tcp!("destination"),
    &spread!("destination", "_tcp_rtt"),
    &spread!("destination", "_tcp_handshake_time"),
];

fn measures() -> impl Iterator<Item = &'static Measure> {
    MEASURES.iter().copied().flatten()
}

/// A column as the field table has that field.
fn field(name: &str) -> Option<Column> {
    let field = kept_fields().find(|field| field.name == name)?;
    Some(Column {
        name: field.name,
        kind: field.kind,
        nullable: field.nullable,
        unit: field.unit,
        doc: field.doc,
    })
}

fn key_columns() -> impl Iterator<Item = Column> {
    KEY.iter().filter_map(|name| field(name))
}

fn measure_column(measure: &Measure) -> Option<Column> {
    let of = field(measure.of)?;
    let (kind, unit) =
        if measure.how == How::Count { (Kind::Number, Unit::None) } else { (of.kind, of.unit) };
    let doc = match measure.how {
        How::Count => "How many records there are with it.",
        How::Sum => of.doc,
        How::Least => "The smallest that there is.",
        How::Most => "The largest that there is.",
    };
    Some(Column { name: measure.name, kind, unit, doc, ..of })
}

fn table(name: &'static str, span: u64) -> Table {
    let doc = "When the minute or the hour began.";
    let time = Column { name: TIME, kind: Kind::Time, nullable: false, unit: Unit::Time, doc };
    let measures = measures().filter_map(measure_column);
    let columns = std::iter::once(time).chain(key_columns()).chain(measures);
    let layout = Layout {
        sought: &["source_address", "destination_address", "destination_port"],
        alike: &[("direction", 8), ("protocol", 8), ("destination_port", 16)],
        sorted: ["reverse_bytes", "bytes"],
        ..Layout::default()
    };
    Table::new(name, columns.collect(), TIME, layout).spanning(span)
}

static TABLES: LazyLock<[Table; 2]> = LazyLock::new(|| [table("flows_1m", MINUTE), table("flows_1h", HOUR)]);

impl Table {
    /// The sums of flow records, by the minute and by the hour.
    pub fn roll_ups() -> &'static [Self; 2] {
        &TABLES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_of_a_field() {
        for table in Table::roll_ups() {
            assert_eq!(table.columns.len(), 1 + KEY.len() + measures().count());
            let names: std::collections::BTreeSet<_> =
                table.columns.iter().map(|column| column.name).collect();
            assert_eq!(names.len(), table.columns.len(), "a name is there twice");
        }
        let kinds = [Kind::Text, Kind::Address, Kind::Number];
        assert!(key_columns().all(|column| kinds.contains(&column.kind)));
    }
}
