//! Observations of a record in its columns.
//!
//! Where one point saw a conversation, the rest of the record says all that its observations could: then the column is
//! null. It would be a quarter of the record otherwise.

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{Array, RecordBatch, StructArray};
use std::sync::Arc;
use weir_record::{
    Count, Direction, FlowRecord, Interface, InterfaceKind, Layer, Observation, Observations, Value,
};

/// What its column holds of this record.
pub(crate) fn told(record: &FlowRecord) -> Value<'_> {
    if record.is_by_one_point() { Value::Absent } else { Value::Observations(&record.observations) }
}

/// The observations of a record that was read from this row.
pub(crate) fn read(batch: &RecordBatch, row: usize, record: &FlowRecord) -> Observations {
    let column = batch.column_by_name("observations").and_then(|column| column.as_list_opt::<i32>());
    let Some(lists) = column.filter(|lists| lists.is_valid(row)) else { return record.by_one_point() };
    let list = lists.value(row);
    let Some(all) = list.as_struct_opt() else { return Observations::new() };
    (0..all.len()).filter_map(|at| observation(all, at, record)).collect()
}

fn observation(all: &StructArray, at: usize, record: &FlowRecord) -> Option<Observation> {
    let text = |name| Some(all.column_by_name(name)?.as_string_opt::<i32>()?.value(at));
    let number = |name| Some(all.column_by_name(name)?.as_primitive_opt::<UInt64Type>()?.value(at));
    let flag = |name| Some(all.column_by_name(name)?.as_boolean_opt()?.value(at));
    let has_vlan = all.column_by_name("vlan").is_some_and(|column| column.is_valid(at));
    let (name, netns, index) =
        (text("interface")?, text("netns")?, number("interface_index")?.try_into().ok()?);
    let own = &record.interface;
    let is_own = own.name == name && own.index == index && *own.netns == *netns;
    let elsewhere = || {
        let (name, netns, kind) = (name.to_owned(), netns.into(), InterfaceKind::Other);
        Arc::new(Interface { name, index, netns, own_netns: own.own_netns, kind })
    };
    Some(Observation {
        point: 0,
        interface: if is_own { Arc::clone(own) } else { elsewhere() },
        direction: Direction::ALL.into_iter().find(|one| Some(one.as_str()) == text("direction"))?,
        layer: if flag("decapsulated")? { Layer::Inner } else { Layer::Outer },
        vlan: if has_vlan { number("vlan")?.try_into().ok() } else { None },
        translated: flag("translated")?,
        reverse: flag("reverse")?,
        count: Count { packets: number("packets")?, bytes: number("bytes")? },
    })
}
