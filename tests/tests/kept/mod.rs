//! Records of a test's own, kept as the agent keeps them.

use std::path::Path;
use std::sync::Arc;
use weir_record::{FlowRecord, Interface, InterfaceKind};
use weir_store::{Keeper, Opened, Retention, Table, flow_batch};

/// Keeps them, in files or in a log that was left behind.
pub fn keep(directory: &Path, records: &[FlowRecord], into_files: bool) {
    let opened = Keeper::open(directory, vec![Table::flows()], Retention::default(), Box::new(drop));
    let Opened { mut writers, keeper, .. } = opened.expect("a store");
    let batch = flow_batch(records).expect("a batch");
    writers[0].append(batch).expect("appended");
    writers[0].commit().expect("committed");
    if into_files {
        writers[0].write_segment().expect("a segment");
    }
    drop((writers, keeper));
}

/// Where they were counted.
pub fn interface() -> Arc<Interface> {
    Arc::new(Interface {
        name: "eth0".into(),
        index: 2,
        netns: "1".into(),
        own_netns: true,
        kind: InterfaceKind::Physical,
    })
}
