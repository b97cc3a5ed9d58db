//! What is sent, and by what it is known again.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::Arc;
use weir_filter::generate;
use weir_record::{Addresses, Direction, FIELDS, Field, FlowKey, FlowRecord, Interface, InterfaceKind};

/// In 2025.
pub const START: u64 = 1_764_000_000_000_000_000;

/// Identity, start and end: what tells records apart.
pub type Id = (String, String, String);

/// One of TCP.
pub fn record(number: u64) -> FlowRecord {
    let interface = Interface {
        name: "eth0".into(),
        index: 2,
        netns: "".into(),
        own_netns: true,
        kind: InterfaceKind::Physical,
    };
    let addresses = Addresses::V4(Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(198, 51, 100, 1));
    let key = FlowKey::Ip { vlan: None, addresses, protocol: 6, ports: Some((40_000, 443)) };
    let start = START + number * 1_000_003;
    let blank = FlowRecord::blank(Arc::new(interface), Direction::Egress, key);
    FlowRecord { flow_id: number, packets: 10, bytes: 1500, start, end: start + 500_000_007, ..blank }
}

pub fn records(numbers: Range<u64>) -> Vec<FlowRecord> {
    numbers.map(record).collect()
}

/// Of any kind.
pub fn any_records(count: u64) -> Vec<FlowRecord> {
    let (mut runner, strategy) = (TestRunner::deterministic(), generate::records());
    let mut any = |number| {
        let any = strategy.new_tree(&mut runner).expect("a record").current();
        FlowRecord { flow_id: number, ..any }
    };
    (0..count).map(&mut any).collect()
}

/// What its attributes are to be: what JSON has of it, by OpenTelemetry's names.
pub fn attributes(record: &FlowRecord) -> BTreeMap<String, Value> {
    let json = serde_json::to_value(record).expect("JSON");
    let attribute = |field: &Field| {
        let value = without_null(json[field.name].clone());
        Some((field.otel.to_owned(), value)).filter(|(_, value)| !value.is_null())
    };
    FIELDS.iter().filter_map(attribute).collect()
}

/// What is absent is left out, and what is no int64 is text.
fn without_null(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let map = map.into_iter().filter(|(_, value)| !value.is_null());
            map.map(|(name, value)| (name, without_null(value))).collect()
        }
        Value::Array(values) => values.into_iter().map(without_null).collect(),
        Value::Number(number) if number.as_i64().is_none() => number.to_string().into(),
        value => value,
    }
}

fn id(value: &Value, [flow, start, end]: [&str; 3]) -> Id {
    let text = |name: &str| value[name].as_str().unwrap_or_else(|| panic!("{name}: {value}")).to_owned();
    (text(flow), text(start), text(end))
}

/// How often each is to be there: once.
pub fn once<'r>(records: impl IntoIterator<Item = &'r FlowRecord>) -> BTreeMap<Id, usize> {
    let json = |record| serde_json::to_value(record).expect("JSON");
    records.into_iter().map(|record| (id(&json(record), ["flow_id", "start", "end"]), 1)).collect()
}

/// How often each is there.
pub fn count<'v>(logs: impl IntoIterator<Item = &'v Value>) -> BTreeMap<Id, usize> {
    let mut count = BTreeMap::new();
    for log in logs {
        let id = match log.get("attributes") {
            Some(attributes) => id(attributes, ["weir.flow.id", "weir.flow.start", "weir.flow.end"]),
            None => id(log, ["flow_id", "start", "end"]),
        };
        *count.entry(id).or_default() += 1;
    }
    count
}
