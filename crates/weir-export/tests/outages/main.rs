//! Peers that stall, answer nonsense, are killed and come back: each record is there then, by its number, as another
//! program has it. Kafka, HTTP and Prometheus's remote write have tests of their own.

#[path = "../common/mod.rs"]
mod common;
mod datagrams;
mod files;
mod servers;
mod stores;
mod streams;

use common::relay::{Mood, Relay};
use common::{courier, flows, go_on, state};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;
use weir_export::Courier;
use weir_record::{FlowRecord, PeerCondition};
use weir_tests::folder::Folder;
use weir_tests::wait_for;

const SOON: Duration = Duration::from_secs(60);

/// How often each record is there, by its number.
type Numbers = BTreeMap<u64, usize>;

/// Whoever is sent records.
trait Witness {
    /// What it is sent.
    fn records(&self, numbers: Range<u64>) -> Vec<FlowRecord> {
        flows::records(numbers)
    }

    /// Is killed, and starts anew in the same place.
    fn starts_anew(&mut self);

    /// All that it has ever taken, as it was sent.
    fn has(&self) -> Numbers;
}

fn counted(numbers: impl IntoIterator<Item = u64>) -> Numbers {
    let mut counted = Numbers::new();
    numbers.into_iter().for_each(|number| *counted.entry(number).or_default() += 1);
    counted
}

/// The number of a record, which has its identity, its start and its end as they were sent.
fn number(id: &flows::Id) -> u64 {
    let number = u64::from_str_radix(&id.0, 16).expect("a number");
    let sent = flows::once(number..number + 1);
    assert!(sent.contains_key(id), "{id:?} was not sent: {sent:?}");
    number
}

fn numbers<'v>(values: impl IntoIterator<Item = &'v Value>) -> Numbers {
    counted(values.into_iter().map(|value| number(&flows::id(value, ["flow_id", "start", "end"]))))
}

fn failures(courier: &mut Courier) -> u64 {
    go_on(courier).failures
}

/// Goes on until it has failed so often.
fn fails(courier: &mut Courier, times: u64) {
    wait_for("it fails", SOON, || (failures(courier) >= times).then_some(()));
}

/// Goes on until it has all of these.
fn until_it_has(courier: &mut Courier, witness: &dyn Witness, numbers: Range<u64>) {
    wait_for("all has arrived", SOON, || {
        go_on(courier);
        let has = witness.has();
        numbers.clone().all(|number| has.contains_key(&number)).then_some(())
    });
}

/// Goes on until it is connected and nothing waits.
fn settle(courier: &mut Courier) {
    wait_for("everything was sent", SOON, || {
        let state = go_on(courier);
        let is_there = state.condition == PeerCondition::Connected && state.spooled_records == 0;
        (is_there && !courier.is_behind()).then_some(())
    });
}

/// Before this peer a relay stalls until the connection is lost with what was on its way, answers nonsense and is gone, while
/// the peer is killed and starts anew. How often it has each record then: all of them, and nothing else.
fn each_record_is_there(witness: &mut dyn Witness, url: &str, relay: &dyn Fn() -> Relay) -> Numbers {
    let (first, folder) = (relay(), Folder::new("outages"));
    let mut courier = courier(&folder, url);
    let write = |courier: &mut Courier, witness: &dyn Witness, numbers| {
        courier.write(&witness.records(numbers)).expect("it is taken, or waits on disk");
    };
    write(&mut courier, witness, 0..100);
    until_it_has(&mut courier, witness, 0..100);
    assert_eq!(failures(&mut courier), 0);

    first.becomes(Mood::Stalls);
    write(&mut courier, witness, 100..200);
    wait_for("it is on its way", SOON, || {
        go_on(&mut courier);
        (first.kept() > 0).then_some(())
    });
    first.cuts(Mood::Raves);
    write(&mut courier, witness, 200..300);
    fails(&mut courier, 1);
    // Whoever is answered twice has given up once.
    wait_for("nonsense is answered", SOON, || {
        go_on(&mut courier);
        (first.raved() > 1).then_some(())
    });
    drop(first);
    witness.starts_anew();
    let failed = failures(&mut courier);
    write(&mut courier, witness, 300..400);
    fails(&mut courier, failed.max(2) + 1);

    let _second = relay();
    write(&mut courier, witness, 400..500);
    settle(&mut courier);
    courier.finish().expect("it lasts");
    wait_for("the last has arrived", SOON, || (witness.has().len() >= 500).then_some(()));
    let has = witness.has();
    assert_eq!(has.keys().copied().collect::<Vec<_>>(), (0..500).collect::<Vec<_>>());
    assert_eq!((state(&courier).refused_records, state(&courier).damaged_records), (0, 0));
    has
}
