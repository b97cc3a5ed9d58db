//! Records to stores of objects and to directories: as DuckDB reads what boto3 finds there, held field by field against
//! what they are.

mod between;
#[path = "../common/mod.rs"]
mod common;
mod others;
mod refusals;

use between::Between;
use common::moto::{Moto, rows_in};
use common::{authority, courier, moto, row, state, target, until};
use jiff::Timestamp;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::thread::sleep;
use std::time::{Duration, Instant};
use weir_filter::generate;
use weir_record::FlowRecord;
use weir_tests::folder::Folder;
use weir_tests::free_port;

/// Noon of 2026-11-27.
const NOON: u64 = 1_795_780_800_000_000_000;
const DAY: u64 = 86_400_000_000_000;

/// Any records, the same ones each time, every third of which ended on the day before.
fn records(first: u64, count: u64) -> Vec<FlowRecord> {
    let mut runner = TestRunner::deterministic();
    let mut record = |number: u64| {
        let record = generate::records().new_tree(&mut runner).expect("a record").current();
        let end = NOON - number % 3 / 2 * DAY + number * 1_000_001;
        FlowRecord { flow_id: number, start: end - 7, end, packets: number, bytes: 100 * number, ..record }
    };
    (first..first + count).map(&mut record).collect()
}

/// A bucket at this server, as who has a key in a file.
fn url(folder: &Folder, endpoint: &str, more: &str) -> String {
    let secret = folder.write("secret", "s3cret\n");
    format!("s3://flows/lab/a?endpoint={endpoint}&user=weir&password_file={secret}{more}")
}

/// That there is each of these records, once, with all that it has; and so many objects.
fn hold(found: &[Value], sent: &[FlowRecord], objects: usize) {
    let names: BTreeSet<_> = found.iter().map(|row| row["filename"].as_str().expect("a name")).collect();
    assert_eq!((found.len(), names.len()), (sent.len(), objects), "{names:?}");
    let found: BTreeMap<_, _> =
        found.iter().map(|row| (row["flow_id"].as_str().expect("an id"), row)).collect();
    let host = std::process::Command::new("hostname").output().expect("hostname is there").stdout;
    for record in sent {
        let (wanted, found) = (row(record), found[format!("{:016x}", record.flow_id).as_str()]);
        assert_eq!(found["host"].as_str(), Some(String::from_utf8_lossy(&host).trim()));
        assert_eq!(found["day"].as_str(), wanted["end"].as_str().map(|end| &end[..10]));
        for (name, value) in found.as_object().expect("a row") {
            match (value, &wanted.get(name)) {
                _ if ["host", "day", "filename", "observations"].contains(&name.as_str()) => {}
                // Times, in microseconds.
                (Value::Number(time), Some(Value::String(text))) => {
                    let wanted: Timestamp =
                        text.parse().unwrap_or_else(|_| panic!("{name}: {value} for {text}"));
                    assert_eq!(time.as_i64(), Some(wanted.as_microsecond()), "{name}");
                }
                (Value::Null, Some(Value::Array(none))) if none.is_empty() => {}
                (value, wanted) => assert_eq!(Some(value), *wanted, "{name} of {record:?}"),
            }
        }
    }
    let of = |row: &Value| row["packets"].as_u64().zip(row["bytes"].as_u64()).expect("numbers");
    let sums = found
        .values()
        .map(|row| of(row))
        .fold((0, 0), |sum, (packets, bytes)| (sum.0 + packets, sum.1 + bytes));
    let wanted = sent.iter().fold((0, 0), |sum, record| (sum.0 + record.packets, sum.1 + record.bytes));
    assert_eq!(sums, wanted);
}

#[test]
fn every_field_arrives_in_the_folder_of_its_day() {
    let (moto, folder) = (Moto::start(free_port()), Folder::new("objects"));
    let sent = records(1, 300);
    let mut peer = target(&url(&folder, &moto.endpoint(), "")).peer();
    for turn in 0..2 {
        peer.connect().unwrap_or_else(|error| panic!("{turn}: {error}"));
        // Once more, in another order, is in the same place.
        let sent: Vec<_> = if turn == 0 { sent.clone() } else { sent.iter().rev().cloned().collect() };
        peer.send(&sent).unwrap_or_else(|error| panic!("{turn}: {error}"));
        peer.disconnect();
    }
    hold(&moto.rows(), &sent, 2);
}

/// A server that is away, has no such bucket, and takes an object without saying so before the agent is killed.
#[test]
fn each_record_is_there_once_whatever_happens() {
    let (port, folder) = (free_port(), Folder::new("objects"));
    let between = Between::before(port);
    let url = url(&folder, &format!("http://127.0.0.1:{}", between.port), "&every=1s");
    let mut first = courier(&folder, &url);
    let sent = records(1, 90);
    sent[..40].chunks(10).for_each(|batch| first.write(batch).expect("it waits on disk"));
    sleep(Duration::from_millis(1100));
    first.go_on();
    assert_eq!(state(&first).spooled_records, 40, "{:?}", first.state());

    let moto = Moto::start(port);
    between.answers(false);
    let start = Instant::now();
    while between.kept() < 1 {
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", first.state());
        first.go_on();
        sleep(Duration::from_millis(20));
    }
    sent[40..70].chunks(10).for_each(|batch| first.write(batch).expect("it waits on disk"));
    assert_eq!((state(&first).spooled_records, moto.rows().is_empty()), (70, false));
    first.settle().expect("it lasts");
    // It is killed.
    drop(first);

    between.answers(true);
    let mut next = courier(&folder, &url);
    next.write(&sent[70..]).expect("it waits on disk");
    until(&mut next, 0);
    let state = state(&next);
    assert_eq!((state.delivered_records, state.refused_records, state.damaged_records), (90, 0, 0));
    // Three files of two days each: that of before, that of the agent that was killed, and the next one's.
    hold(&moto.rows(), &sent, 6);
}

#[test]
fn what_comes_is_collected_and_leaves_at_the_end() {
    let folder = Folder::new("objects");
    let place = folder.path("there");
    let mut courier = courier(&folder, &format!("dir:{place}/?every=24h"));
    let sent: Vec<_> = records(1, 60).into_iter().filter(|record| record.end >= NOON).collect();
    for batch in sent.chunks(5) {
        courier.write(batch).expect("it waits on disk");
        courier.settle().expect("it lasts");
        courier.go_on();
    }
    assert!(!courier.is_behind());
    assert_eq!((state(&courier).spooled_records, rows_in(&place).len()), (40, 0));
    courier.finish().expect("it lasts");
    assert_eq!(state(&courier).spooled_records, 0);
    hold(&rows_in(&place), &sent, 1);
}

#[test]
fn what_is_long_enough_leaves_at_once() {
    let folder = Folder::new("objects");
    let place = folder.path("there");
    let mut courier = courier(&folder, &format!("dir:{place}?every=24h&size=1B"));
    let sent: Vec<_> = records(1, 30).into_iter().filter(|record| record.end >= NOON).collect();
    sent.chunks(5).for_each(|batch| courier.write(batch).expect("it waits on disk"));
    until(&mut courier, 0);
    hold(&rows_in(&place), &sent, 4);
}
