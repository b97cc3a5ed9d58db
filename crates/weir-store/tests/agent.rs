//! What an agent that runs has taken, as readers see it before there is a single segment.

mod parts;

use parts::{ids, segments};
use std::time::Duration;
use weir_store::{Question, Store, Table, flow_records};
use weir_tests::agent::Agent;
use weir_tests::flood::Flood;
use weir_tests::folder::Folder;
use weir_tests::inject::Injector;
use weir_tests::output::Count;
use weir_tests::pair::{INTERFACE, Pair};
use weir_tests::wait_for;

const FLOOD: Flood = Flood { packets: 20_000, flows: 2_000, mark: 1 };

/// What readers see of the packets that were sent; nothing else has ports.
fn seen(folder: &Folder) -> Count {
    let store = Store::open(folder.place()).expect("a store");
    let snapshot = store.snapshot(Table::flows()).expect("a snapshot");
    let mut seen = Count::default();
    for batch in snapshot.scan(Question { filter: Some(filter()), ..Question::default() }) {
        for record in flow_records(&batch.expect("intact")) {
            let record = record.expect("a record");
            seen.packets += record.packets;
            seen.bytes += record.bytes;
        }
    }
    seen
}

fn filter() -> std::sync::Arc<weir_filter::Filter> {
    std::sync::Arc::new("source_port > 0".parse().expect("a filter"))
}

#[test]
fn root_what_a_running_agent_has_taken_is_seen() {
    let (pair, folder) = (Pair::new(), Folder::new("store"));
    let injector = Injector::open(&pair.left, INTERFACE);
    let directory = folder.path("");
    let args = ["-i", INTERFACE, "-o", "json", "--interval", "100ms", "--idle-timeout", "200ms"];
    let agent = Agent::start(&pair.left, &[&args[..], &["--data-dir", &directory]].concat());
    let sent = FLOOD.send(&injector);
    wait_for("readers see it all", Duration::from_secs(30), || (seen(&folder) == sent).then_some(()));
    assert!(segments(folder.place()).is_empty(), "it is in the log");
    let before = ids(folder.place());
    agent.kill();
    // And once more where nobody writes any more.
    assert_eq!(seen(&folder), sent);
    assert!(ids(folder.place()).len() >= before.len());
}
