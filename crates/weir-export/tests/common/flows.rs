//! What is sent, and by what it is known again.

use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::Arc;
use weir_record::{Addresses, Direction, FlowKey, FlowRecord, Interface, InterfaceKind};

/// In 2025.
pub const START: u64 = 1_764_000_000_000_000_000;

/// Identity, start and end: what tells records apart.
pub type Id = (String, String, String);

pub fn records(numbers: Range<u64>) -> Vec<FlowRecord> {
    let interface = Interface {
        name: "eth0".into(),
        index: 2,
        netns: "".into(),
        own_netns: true,
        kind: InterfaceKind::Other,
    };
    let interface = Arc::new(interface);
    let addresses = Addresses::V4(Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(198, 51, 100, 1));
    let key = FlowKey::Ip { vlan: None, addresses, protocol: 6, ports: Some((40_000, 443)) };
    let record = |number| {
        let mut record = FlowRecord::blank(Arc::clone(&interface), Direction::Egress, key);
        (record.flow_id, record.packets, record.bytes) = (number, 1, 100);
        (record.start, record.end) = times(number);
        record
    };
    numbers.map(record).collect()
}

/// Its start and its end.
pub fn times(number: u64) -> (u64, u64) {
    let start = START + number * 1_000_003;
    (start, start + 500_000_007)
}

/// How often each is to be there: once.
pub fn once(numbers: Range<u64>) -> BTreeMap<Id, usize> {
    let text = |time: u64| format!("{:.9}", Timestamp::from_nanosecond(time.into()).expect("a time"));
    let id = |number| {
        let (start, end) = times(number);
        ((format!("{number:016x}"), text(start), text(end)), 1)
    };
    numbers.map(id).collect()
}

pub fn id(value: &Value, [flow, start, end]: [&str; 3]) -> Id {
    let text = |name: &str| value[name].as_str().unwrap_or_else(|| panic!("{name}: {value}")).to_owned();
    (text(flow), text(start), text(end))
}

/// How often each is there.
pub fn count<'v>(values: impl IntoIterator<Item = &'v Value>) -> BTreeMap<Id, usize> {
    let mut count = BTreeMap::new();
    for value in values {
        *count.entry(id(value, ["flow_id", "start", "end"])).or_default() += 1;
    }
    count
}

/// One in each line.
pub fn parsed(lines: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    lines.lines().map(parse).collect()
}
