//! What the tests of all peers share.
#![allow(dead_code, reason = "each has its use for some of it")]

pub mod authority;
pub mod clickhouse;
pub mod collector;
pub mod flows;
pub mod full;
pub mod messages;
pub mod moto;
pub mod nfcapd;
pub mod openssl;
pub mod process;
pub mod relay;
pub mod rsyslog;
pub mod sink;
pub mod stores;
pub mod udp;
pub mod web;

use serde_json::{Map, Value};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};
use weir_export::{Courier, Target};
use weir_record::{FlowRecord, PeerState};
use weir_store::Spool;
use weir_tests::folder::Folder;
use weir_tests::netns::succeed;

pub fn target(url: &str) -> Target {
    url.parse().unwrap_or_else(|mistake| panic!("{url}: {mistake}"))
}

/// Tries it once: what it says that is wrong, in one line.
pub fn mistake(url: &str) -> String {
    let said = target(url).test(flows::START).expect_err(url).to_string();
    assert!(!said.contains('\n'), "{said}");
    said
}

/// One with a spool in this folder.
pub fn courier(folder: &Folder, url: &str) -> Courier {
    let target = target(url);
    let spool = Spool::open(folder.path("spool").as_ref(), 1 << 30).expect("a spool");
    Courier::new(target.name.clone(), target.peer(), None, Some(spool), Box::new(drop)).expect("a thread")
}

pub fn state(courier: &Courier) -> PeerState {
    courier.state().lock().expect("nobody panics").clone()
}

pub fn go_on(courier: &mut Courier) -> PeerState {
    courier.settle().expect("it lasts");
    courier.go_on();
    state(courier)
}

/// Lets it go on until no more than so many wait.
pub fn until(courier: &mut Courier, left: u64) {
    let start = Instant::now();
    while state(courier).spooled_records > left {
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", courier.state());
        courier.go_on();
        sleep(Duration::from_millis(20));
    }
}

/// Has Google's compiler read what netobserv's collectors are sent, and more of the gRPC tests' own: `descriptors` in this
/// folder is what it makes of them.
pub fn read_protos(folder: &Folder, more: &[&str]) {
    let here = env!("CARGO_MANIFEST_DIR");
    let set = folder.path("descriptors");
    let mut protoc = Command::new("protoc");
    protoc.arg(format!("-I{here}/../../deploy/netobserv")).arg(format!("-I{here}/tests/grpc"));
    succeed(protoc.arg(format!("--descriptor_set_out={set}")).arg("flow.proto").args(more));
}

/// What a record has, as rows have it.
pub fn row(record: &FlowRecord) -> Map<String, Value> {
    match serde_json::to_value(record).expect("JSON") {
        Value::Object(members) => members,
        other => panic!("{other}"),
    }
}
