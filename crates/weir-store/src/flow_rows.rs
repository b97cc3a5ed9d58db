//! Flow records to columns, column by column: the way that all records of an agent take.

mod column;

use crate::Result;
use crate::compact::{Compact, Nulls, project};
use crate::table::{Table, kept_fields};
use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::{FieldRef, SchemaRef};
use arrow_select::take::take;
use column::column;
use hashbrown::HashMap;
use std::sync::{Arc, LazyLock};
use weir_record::{DESTINATION_END, DESTINATION_TCP, Field, FlowRecord, SOURCE_END, SOURCE_TCP};

/// What of a record a field tells of.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// Itself.
    Record,
    /// The interface.
    Interface,
    /// Who is at an end.
    Source,
    Destination,
    /// What TCP keeps there.
    SourceTcp,
    DestinationTcp,
}

static FIELDS: LazyLock<Vec<(&Field, Part)>> = LazyLock::new(|| {
    let tells = |fields: &[Field], field: &Field| fields.iter().any(|one| one.name == field.name);
    let part = |field: &Field| match () {
        () if tells(SOURCE_TCP, field) => Part::SourceTcp,
        () if tells(DESTINATION_TCP, field) => Part::DestinationTcp,
        () if SOURCE_END.iter().any(|fields| tells(fields, field)) => Part::Source,
        () if DESTINATION_END.iter().any(|fields| tells(fields, field)) => Part::Destination,
        () if INTERFACE.contains(&field.name) => Part::Interface,
        () => Part::Record,
    };
    kept_fields().map(|field| (field, part(field))).collect()
});

const INTERFACE: [&str; 4] = ["interface", "interface_index", "interface_kind", "netns"];

/// A batch of these records for a [`Writer`](crate::Writer): columns in which none of them has anything are left out, and
/// the others as short as they can be. Rows are in no order but one in which they take little.
///
/// # Errors
/// There is more text in a column than Arrow can hold, 2 GiB; a batch is to be far smaller.
pub fn flow_batch(records: &[FlowRecord]) -> Result<RecordBatch> {
    compact(&alike(records))
}

/// The columns of this schema, those of the table of flows or some of them, of these records in their order.
///
/// # Errors
/// A column is none of the table's; or there is more text in it than Arrow can hold, 2 GiB.
pub fn flow_rows(schema: &SchemaRef, records: &[&FlowRecord]) -> Result<RecordBatch> {
    project(schema, &compact(records)?, &mut Nulls::default())
}

/// The columns of the table of flows that these fields have, or all.
pub(crate) fn chosen(fields: &[&Field]) -> Vec<FieldRef> {
    let is_wanted = |name: &str| fields.is_empty() || fields.iter().any(|field| field.name == name);
    Table::flows().schema().fields().iter().filter(|column| is_wanted(column.name())).cloned().collect()
}

/// Records that are alike come one after the other: whether a column has anything does not change from row to row then,
/// which is faster to read and to compress.
fn alike(records: &[FlowRecord]) -> Vec<&FlowRecord> {
    let key = |record: &FlowRecord| {
        let has_tcp = [record.source.tcp.is_some(), record.destination.tcp.is_some()].map(u32::from);
        let (protocol, port) =
            (record.key.protocol().unwrap_or(0), record.key.ports().map_or(0, |(_, port)| port));
        has_tcp[0] << 25 | has_tcp[1] << 24 | u32::from(protocol) << 16 | u32::from(port)
    };
    let mut order: Vec<_> = records.iter().enumerate().map(|(at, record)| (key(record), at)).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, at)| &records[at]).collect()
}

fn compact(records: &[&FlowRecord]) -> Result<RecordBatch> {
    let interface = Shared::of(records, |record| [Arc::as_ptr(&record.interface).addr(), 0, 0, 0, 0, 0]);
    let source = Shared::of(records, |record| record.source.places());
    let destination = Shared::of(records, |record| record.destination.places());
    let source_has_tcp = records.iter().any(|record| record.source.tcp.is_some());
    let destination_has_tcp = records.iter().any(|record| record.destination.tcp.is_some());
    let mut compact = Compact::default();
    for ((field, part), of) in FIELDS.iter().zip(Table::flows().schema().fields()) {
        let array = match part {
            Part::Interface => interface.column(field)?,
            Part::Source => source.column(field)?,
            Part::Destination => destination.column(field)?,
            Part::SourceTcp if !source_has_tcp => None,
            Part::DestinationTcp if !destination_has_tcp => None,
            _ => column(field, records.iter().copied(), records.len())?,
        };
        if let Some(array) = array {
            compact.add(of, array);
        }
    }
    compact.finish(records.len())
}

/// What records share, as most share their interface and who is at their ends: few for many, and what is to say of it
/// is said once for each.
struct Shared<'r> {
    /// A record of each.
    records: Vec<&'r FlowRecord>,
    /// Which of them is each record's; null where nothing is known.
    keys: UInt32Array,
}

impl<'r> Shared<'r> {
    fn of(records: &[&'r FlowRecord], places: impl Fn(&FlowRecord) -> Places) -> Self {
        let (mut first, mut known) = (Vec::new(), Keys::default());
        let keys = records.iter().copied().map(|record| {
            let places = Some(places(record)).filter(|places| *places != NOBODY)?;
            Some(known.key(places, || {
                first.push(record);
                first.len() as u32 - 1
            }))
        });
        let keys = keys.collect();
        Self { records: first, keys }
    }

    fn column(&self, field: &Field) -> Result<Option<ArrayRef>> {
        let of_each = column(field, self.records.iter().copied(), self.records.len())?;
        Ok(of_each.map(|of_each| take(&of_each, &self.keys, None)).transpose()?)
    }
}

/// Where in memory what is shared lies: what lies at the same places is the same.
type Places = [usize; 6];

/// There is nothing.
const NOBODY: Places = [0; 6];

/// Keys by places.
struct Keys {
    /// Those that were asked for lately.
    recent: [(Places, u32); RECENT],
    all: HashMap<Places, u32>,
}

const RECENT: usize = 64;

impl Default for Keys {
    fn default() -> Self {
        Self { recent: [(NOBODY, 0); RECENT], all: HashMap::new() }
    }
}

impl Keys {
    /// That of these, or what is made for them.
    fn key(&mut self, places: Places, make: impl FnOnce() -> u32) -> u32 {
        let sum = places.iter().fold(0, |sum: usize, place| sum.wrapping_add(*place));
        let recent = &mut self.recent[(sum >> 4 ^ sum >> 10) % RECENT];
        if recent.0.iter().zip(places).fold(0, |unlike, (one, other)| unlike | one ^ other) != 0 {
            *recent = (places, *self.all.entry(places).or_insert_with(make));
        }
        recent.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use weir_filter::generate;

    proptest! {
        /// A quiet host's batch is held for minutes, and there are hundreds of them.
        #[test]
        fn a_batch_of_one_takes_little(record in generate::records()) {
            let batch = flow_batch(std::slice::from_ref(&record)).expect("a batch");
            prop_assert!(batch.get_array_memory_size() < 20_000, "{}", batch.get_array_memory_size());
        }
    }
}
