//! A record with everything in it.

use super::flows::START;
use std::net::Ipv4Addr;
use weir_record::{FIELDS, Field, FlowRecord, Kind, Value};

/// As `record`, with a value in every field that takes one of these; and the fields that have none.
pub fn full(record: &FlowRecord) -> (FlowRecord, Vec<&'static str>) {
    let mut full = record.clone();
    for (at, field) in FIELDS.iter().enumerate().filter(|(_, field)| is_absent(field, record)) {
        let with = |value| FlowRecord::from_values(values(&full).chain([(field, value)]));
        let more = samples(field.kind, at).into_iter().find_map(with);
        full = more.unwrap_or(full);
    }
    let without = FIELDS.iter().filter(|field| is_absent(field, &full));
    let without = without.map(|field| field.name).collect();
    (full, without)
}

fn is_absent(field: &Field, record: &FlowRecord) -> bool {
    (field.read)(record) == Value::Absent
}

fn values(record: &FlowRecord) -> impl Iterator<Item = (&'static Field, Value<'_>)> {
    FIELDS.iter().map(|field| (field, (field.read)(record)))
}

/// Each field has another one, as far as it takes any.
fn samples(kind: Kind, at: usize) -> Vec<Value<'static>> {
    let any = format!("größe {at}");
    let words = [&any, "00000000000000ff", "established", "podman", "dns", "refused"];
    match kind {
        Kind::Time => vec![Value::Time(START + at as u64)],
        Kind::Text => words.map(|word| Value::Text(word.to_owned().into())).into(),
        Kind::Number => vec![Value::Number(at as u64)],
        Kind::Address => vec![Value::Address(Ipv4Addr::new(203, 0, 113, 9).into())],
        Kind::Flag => vec![Value::Flag(true)],
        Kind::Bits => vec![Value::Bits(0b1001)],
        Kind::Observations => Vec::new(),
    }
}
