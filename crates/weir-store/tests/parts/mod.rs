//! What the tests of the store have in common.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use weir_record::{Addresses, Direction, FlowKey, FlowRecord, Interface, InterfaceKind};
use weir_store::{Keeper, Opened, Question, Retention, Store, Table, Writer, flow_batch, flow_records};

/// Noon of a day that is not over: 2100-01-01.
pub const NOON: u64 = 4_102_488_000_000_000_000;
/// On a day that is: 2023-11-14.
pub const PAST: u64 = 1_700_000_000_000_000_000;
pub const SECOND: u64 = 1_000_000_000;

/// A store that is written.
pub struct Written {
    pub writer: Writer,
    pub remarks: Vec<String>,
    pub told: Receiver<String>,
    // The last to go: the directory is free then.
    _keeper: Keeper,
}

impl Written {
    pub fn open(directory: &Path) -> Self {
        Self::keeping(directory, Retention::default())
    }

    pub fn keeping(directory: &Path, retention: Retention) -> Self {
        Self::with(directory, vec![Table::flows()], retention)
    }

    /// With roll-ups.
    pub fn summing(directory: &Path, retention: Retention) -> Self {
        Self::with(directory, std::iter::once(Table::flows()).chain(Table::roll_ups()).collect(), retention)
    }

    fn with(directory: &Path, tables: Vec<&'static Table>, retention: Retention) -> Self {
        let (tell, told) = channel();
        let tell = Box::new(move |line| drop(tell.send(line)));
        let opened = Keeper::open(directory, tables, retention, tell).expect("a store");
        let Opened { mut writers, remarks, keeper } = opened;
        Self { writer: writers.remove(0), remarks, told, _keeper: keeper }
    }

    /// Lets go of the directory; all that there was to say.
    pub fn close(self) -> Vec<String> {
        let Self { writer, remarks, told, _keeper: keeper } = self;
        drop((writer, keeper));
        remarks.into_iter().chain(told).collect()
    }

    /// Adds records that last.
    pub fn add(&mut self, records: &[FlowRecord]) {
        let batch = flow_batch(records).expect("a batch");
        self.writer.append(batch).expect("appended");
        self.writer.commit().expect("committed");
    }

    /// Adds a segment of these records.
    pub fn segment(&mut self, records: &[FlowRecord]) {
        self.add(records);
        self.writer.write_segment().expect("a segment");
    }
}

/// A record with this id that ended then.
pub fn record(id: u64, end: u64) -> FlowRecord {
    let interface = Interface {
        name: "eth0".into(),
        index: 2,
        netns: "1".into(),
        own_netns: true,
        kind: InterfaceKind::Other,
    };
    let addresses =
        Addresses::V4(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::from(0x0a01_0000 + (id as u32 & 0xffff)));
    let key = FlowKey::Ip { vlan: None, addresses, protocol: 6, ports: Some((40_000, (id % 60_000) as u16)) };
    let blank = FlowRecord::blank(Arc::new(interface), Direction::Egress, key);
    FlowRecord { flow_id: id, start: end, end, packets: 1, bytes: 60, ..blank }
}

/// Records with these ids, a second apart.
pub fn records(ids: std::ops::Range<u64>) -> Vec<FlowRecord> {
    ids.map(|id| record(id, NOON + id * SECOND)).collect()
}

/// All records that a question finds, or what is damaged.
pub fn ask(directory: &Path, question: Question) -> Vec<Result<FlowRecord, String>> {
    let store = Store::open(directory).expect("a store");
    let snapshot = store.snapshot(Table::flows()).expect("a snapshot");
    let mut found = Vec::new();
    for batch in snapshot.scan(question) {
        match batch {
            Ok(batch) => found.extend(flow_records(&batch).map(|record| Ok(record.expect("a record")))),
            Err(error) => found.push(Err(error.to_string())),
        }
    }
    found
}

/// The ids of all records that there are, sorted.
pub fn ids(directory: &Path) -> Vec<u64> {
    let found = ask(directory, Question::default()).into_iter();
    let mut ids: Vec<_> = found.map(|record| record.expect("readable").flow_id).collect();
    ids.sort_unstable();
    ids
}

/// The files of segments, in order.
pub fn segments(directory: &Path) -> Vec<PathBuf> {
    segments_of(directory, Table::flows())
}

/// Those of this table.
pub fn segments_of(directory: &Path, table: &'static Table) -> Vec<PathBuf> {
    let store = Store::open(directory).expect("a store");
    let snapshot = store.snapshot(table).expect("a snapshot");
    snapshot.segments().iter().map(|segment| segment.path.clone()).collect()
}

/// Words that a field takes which does not take every word.
pub fn words(field: &str) -> Option<&'static [&'static str]> {
    Some(match field {
        "interface_kind" => &["veth", "bridge"],
        "direction" => &["egress", "ingress"],
        "protocol" => &["tcp", "udp"],
        "biflow_evidence" => &["syn", "ports"],
        "tcp_state" => &["closed", "reset"],
        name if name.ends_with("container_runtime") => &["cri-o", "docker"],
        name if name.ends_with("name_origin") => &["reverse_dns", "dns"],
        name if name.ends_with("tcp_failure") => &["refused", "timed_out"],
        _ => return None,
    })
}
