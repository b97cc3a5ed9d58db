//! What is sent, and by what it is known again: netobserv's flows have no number, so each has times of its own.

use serde_json::Value;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::Arc;
use weir_record::{Addresses, Direction, FlowKey, FlowRecord, Interface, InterfaceKind};

/// In 2025.
pub const START: u64 = 1_764_000_000_000_000_000;

pub fn interface(name: &str, index: u32) -> Arc<Interface> {
    let kind = InterfaceKind::Physical;
    Arc::new(Interface { name: name.into(), index, netns: "".into(), own_netns: true, kind })
}

/// One of TCP, one way.
pub fn record(number: u64) -> FlowRecord {
    let addresses = Addresses::V4(Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(198, 51, 100, 1));
    let key = FlowKey::Ip { vlan: None, addresses, protocol: 6, ports: Some((40_000, 443)) };
    let start = START + number * 1_000_003;
    let blank = FlowRecord::blank(interface("eth0", 2), Direction::Egress, key);
    FlowRecord { flow_id: number, packets: 10, bytes: 1500, start, end: start + 500_000_007, ..blank }
}

pub fn records(numbers: Range<u64>) -> Vec<FlowRecord> {
    numbers.map(record).collect()
}

/// How often each is to be there: once.
pub fn once(numbers: Range<u64>) -> BTreeMap<(u64, u64), usize> {
    numbers.map(record).map(|record| ((record.start, record.end), 1)).collect()
}

/// How often each is there.
pub fn count(flows: &[Value]) -> BTreeMap<(u64, u64), usize> {
    let mut count = BTreeMap::new();
    for flow in flows {
        let time = |name: &str| flow[name].as_u64().unwrap_or_else(|| panic!("{name}: {flow}"));
        *count.entry((time("time_flow_start"), time("time_flow_end"))).or_default() += 1;
    }
    count
}
