//! Records to ClickHouse: as its own engine reads them, held field by field against what they are.

#[path = "../common/mod.rs"]
mod common;
mod proxy;
mod reading;
mod secured;

use common::clickhouse::ClickHouse;
use common::{courier, row, state, target, until};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};
use weir_export::Target;
use weir_filter::generate;
use weir_record::FlowRecord;
use weir_tests::folder::Folder;

/// Any records, the same ones each time, that have ended lately.
fn records(first: u64, count: u64) -> Vec<FlowRecord> {
    let mut runner = TestRunner::deterministic();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64;
    let mut record = |number: u64| {
        let record = generate::records().new_tree(&mut runner).expect("a record").current();
        let end = now - 1_000_000_000 * (number % 100) - number;
        FlowRecord { flow_id: number, start: end - 7, end, packets: number, bytes: 100 * number, ..record }
    };
    (first..first + count).map(&mut record).collect()
}

#[test]
fn every_field_arrives() {
    let mut server = ClickHouse::new();
    server.start();
    let sent = records(1, 500);
    let mut peer = target(&server.url("/weir")).peer();
    peer.connect().expect("it is there");
    peer.send(&sent).expect("it takes them");
    let found: BTreeMap<_, _> = server
        .ask("SELECT * FROM weir.flows FINAL")
        .into_iter()
        .map(|row| (row["flow_id"].as_str().expect("an id").to_owned(), row))
        .collect();
    assert_eq!(found.len(), sent.len());
    let host = std::process::Command::new("hostname").output().expect("hostname is there").stdout;
    for record in &sent {
        let (wanted, found) = (row(record), &found[&format!("{:016x}", record.flow_id)]);
        assert_eq!(found["host"].as_str(), Some(String::from_utf8_lossy(&host).trim()));
        for (name, value) in found.as_object().expect("a row") {
            match (name.as_str(), &wanted.get(name)) {
                // Observations that follow from the rest are left out, as in the history.
                ("host" | "observations", _) => {}
                (_, Some(Value::Null)) if *value == Value::Array(Vec::new()) => {}
                (_, wanted) => assert_eq!(Some(value), *wanted, "{name} of {record:?}"),
            }
        }
        assert_eq!(
            found.as_object().expect("a row").len(),
            wanted.len() - 1,
            "type and community_id are not kept, host is"
        );
    }
}

/// Sums by the minute are those of the records, and an insert that is repeated does nothing to either.
#[test]
fn repeats_do_nothing() {
    let mut server = ClickHouse::new();
    server.start();
    let sent = records(1, 300);
    let mut peer = target(&server.url("/net-work")).peer();
    for turn in 0..3 {
        peer.connect().unwrap_or_else(|error| panic!("{turn}: {error}"));
        peer.send(&sent).unwrap_or_else(|error| panic!("{turn}: {error}"));
        peer.disconnect();
    }
    assert_eq!(server.rows("`net-work`"), [300, 300]);
    let sums = |table: &str, records: &str| {
        server.ask(&format!(
            "SELECT {records} AS records, sum(packets) AS packets, sum(bytes) AS bytes, sum(ifNull(reverse_bytes, 0)) AS reverse_bytes, \
             sum(ifNull(dropped_packets, 0)) AS dropped_packets FROM `net-work`.{table}"
        ))
    };
    assert_eq!(sums("flows_1m", "sum(records)"), sums("flows FINAL", "count()"));
    let packets: u64 = sent.iter().map(|record| record.packets).sum();
    assert_eq!(server.number("(SELECT sum(packets) FROM `net-work`.flows_1m)"), packets);
}

/// A server that is away, dies with an insert that it has done, and is there again: each record once.
#[test]
fn each_record_is_there_once_whatever_happens() {
    let (mut server, folder) = (ClickHouse::new(), Folder::new("clickhouse_spool"));
    let mut courier = courier(&folder, &server.url("/weir"));
    courier.write(&records(1, 200)).expect("it waits on disk");
    assert_eq!(courier.state().lock().expect("nobody panics").spooled_records, 200);
    server.start();
    until(&mut courier, 0);
    assert_eq!(server.rows("weir"), [200, 200]);

    server.dies_at_the_next_insert();
    courier.write(&records(201, 100)).expect("it waits on disk");
    server.wait_for_death(|| courier.go_on());
    courier.write(&records(301, 50)).expect("it waits on disk");
    let state = state(&courier);
    assert_eq!((state.spooled_records, state.refused_records), (150, 0), "{state:?}");
    server.start();
    until(&mut courier, 0);
    assert_eq!(server.rows("weir"), [350, 350]);
    assert_eq!(server.number("(SELECT sum(packets) FROM weir.flows FINAL)"), (1..=350).sum::<u64>());
    assert_eq!(server.number("(SELECT sum(packets) FROM weir.flows_1m)"), (1..=350).sum::<u64>());
}

/// Tables that somebody else has made get what they have columns for; what is missing is said as the server says it.
#[test]
fn tables_of_ones_own() {
    let mut server = ClickHouse::new();
    server.start();
    let own = target(&server.url("/own?create=no&fields=flow_id,start,end,packets,protocol,source_tcp_rtt"));
    let said = own.test(1).expect_err("there is no such table").to_string();
    assert!(said.contains("500") && said.contains("own") && said.contains("DB::Exception"), "{said}");
    server.ask("CREATE DATABASE own");
    server.ask("CREATE TABLE own.flows (flow_id String, packets UInt64, protocol String) ENGINE = Memory");
    let sent = records(1, 20);
    let mut peer = own.peer();
    peer.connect().expect("it is there");
    peer.send(&sent).expect("it takes them");
    assert_eq!(server.number("(SELECT sum(packets) FROM own.flows)"), (1..=20).sum::<u64>());
    let mistake = |more: &str| server.url(more).parse::<Target>().map(drop).expect_err(more);
    assert!(mistake("/a/b").contains("nothing behind it"));
    assert!(mistake("/a?create=maybe").contains("yes or no"));
    assert!(mistake("/a?fields=flow_id,start,bytes").contains("without end"));
}
