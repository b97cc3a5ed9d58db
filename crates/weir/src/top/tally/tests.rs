//! What is counted, whatever comes in which order.

use super::*;
use serde_json::{Value, json};
use weir_record::FIELDS;

/// Packets of 100 bytes, there and back.
pub fn moved(forth: u64, back: u64) -> Moved {
    let count = |packets| Count { packets, bytes: packets * 100 };
    Moved { forth: count(forth), back: count(back) }
}

/// A record of conversation `id`, by the JSON that an agent writes.
pub fn record(id: u64, start: u64, (forth, back): (u64, u64)) -> FlowRecord {
    let time = |second: u64| json!(format!("2026-11-26T12:00:{second:02}.000000000Z"));
    let fields = FIELDS.iter().map(|field| (field.name.to_owned(), Value::Null));
    let mut json: Value = fields.collect::<serde_json::Map<_, _>>().into();
    let told = json!({"flow_id": format!("{id:016x}"), "start": time(start), "end": time(start), "interface": "eth0",
        "interface_index": 1, "interface_kind": "veth", "netns": "a", "direction": "egress", "ethertype": 2048,
        "source_address": "10.0.0.1", "destination_address": "10.0.0.2", "source_port": 40_000,
        "destination_port": 80, "protocol": "udp", "packets": forth, "bytes": forth * 100,
        "reverse_packets": back, "reverse_bytes": back * 100, "dscp_seen": [], "ecn_seen": [], "fragmented": false,
        "sampling_rate": 1, "flow_end_reason": "idle_timeout", "observations": []});
    told.as_object().into_iter().flatten().for_each(|(name, value)| json[name] = value.clone());
    serde_json::from_value(json).expect("a record")
}

/// An answer of an agent whose records count `all` by now.
pub fn flows(live: Vec<FlowRecord>, ended: Vec<FlowRecord>, all: Moved) -> Flows {
    let (seen, flows) = (json!({"packets": 0, "bytes": 0}), live.len());
    let json = json!({"pid": 1, "next": {"drain": 1, "ended": 0}, "is_partial": false,
        "until": "2026-11-26T12:00:30.000000000Z", "counted_seconds": 1.0, "interval_seconds": 1.0,
        "flows": flows, "seen": seen, "lost": seen, "balanced": true, "moved": moved(0, 0),
        "missed_records": 0, "ended": [], "live": []});
    let empty: Flows = serde_json::from_value(json).expect("an answer");
    Flows { live, ended, moved: all, ..empty }
}

pub fn hear(tally: &mut Tally, flows: &Flows) {
    tally.end(flows);
    tally.live(flows);
}

fn of(tally: &Tally, id: u64) -> Moved {
    tally.flows().find(|flow| flow.record.flow_id == id).map_or_else(Moved::default, |flow| flow.total)
}

#[test]
fn what_was_counted_before_is_not_counted_again() {
    let mut tally = Tally::new(&flows(vec![record(1, 10, (5, 2))], vec![], moved(50, 20)));
    assert_eq!((of(&tally, 1), tally.rest().0), (moved(0, 0), moved(0, 0)));
    hear(&mut tally, &flows(vec![record(1, 10, (7, 2)), record(2, 31, (1, 1))], vec![], moved(53, 21)));
    assert_eq!([of(&tally, 1), of(&tally, 2), tally.rest().0], [moved(2, 0), moved(1, 1), moved(0, 0)]);
    // One that goes on in another record, and one that is over.
    let mut cut = record(1, 10, (8, 3));
    cut.end_reason = FlowEndReason::ActiveTimeout;
    let ended = vec![cut, record(2, 31, (4, 4))];
    hear(&mut tally, &flows(vec![record(1, 40, (10, 0))], ended, moved(67, 25)));
    assert_eq!([of(&tally, 1), of(&tally, 2), tally.rest().0], [moved(13, 1), moved(4, 4), moved(0, 0)]);
    let over: HashMap<_, _> = tally.flows().map(|flow| (flow.record.flow_id, flow.over)).collect();
    assert_eq!((over[&1], over[&2]), (None, Some(1)));
}

#[test]
fn what_is_not_listed_is_the_rest_and_never_twice() {
    // Two live, of which one is told.
    let first = Flows { flows: 2, ..flows(vec![record(1, 10, (5, 5))], vec![], moved(15, 5)) };
    let mut tally = Tally::new(&first);
    hear(&mut tally, &flows(vec![record(1, 10, (6, 5))], vec![], moved(20, 5)));
    assert_eq!((of(&tally, 1), tally.rest()), (moved(1, 0), (moved(4, 0), moved(4, 0))));
    // The other one is listed at last: how much of it is new is not known, the sum is.
    hear(&mut tally, &flows(vec![record(2, 11, (14, 0))], vec![], moved(20, 5)));
    assert_eq!((of(&tally, 2), tally.rest()), (moved(0, 0), (moved(4, 0), moved(0, 0))));
    hear(&mut tally, &flows(vec![record(2, 11, (17, 0))], vec![], moved(23, 5)));
    assert_eq!((of(&tally, 2), tally.rest().0), (moved(3, 0), moved(4, 0)));
    // A new one is known in full.
    hear(&mut tally, &flows(vec![record(3, 31, (9, 0))], vec![], moved(32, 5)));
    assert_eq!((of(&tally, 3), tally.rest().0), (moved(9, 0), moved(4, 0)));
}

#[test]
fn records_that_were_missed_are_in_the_rest() {
    let mut tally = Tally::new(&flows(vec![record(1, 10, (5, 0))], vec![], moved(5, 0)));
    hear(&mut tally, &Flows { missed_records: 2, ..flows(vec![], vec![], moved(25, 0)) });
    assert_eq!((of(&tally, 1), tally.rest().0), (moved(0, 0), moved(20, 0)));
    assert!(tally.flows().all(|flow| flow.over.is_some()), "it may be among them");
    hear(&mut tally, &flows(vec![record(1, 10, (6, 0))], vec![], moved(26, 0)));
    assert_eq!((of(&tally, 1), tally.rest().0), (moved(1, 0), moved(20, 0)));
    assert!(tally.flows().all(|flow| flow.over.is_none()), "it was not");
}

#[test]
fn a_conversation_that_turns_round_keeps_its_sum() {
    let mut tally = Tally::new(&flows(vec![record(1, 10, (2, 30))], vec![], moved(2, 30)));
    hear(&mut tally, &flows(vec![record(1, 10, (3, 40))], vec![], moved(3, 40)));
    let mut turned = record(1, 10, (45, 3));
    turned.key = turned.key.reversed().expect("UDP has two directions");
    hear(&mut tally, &flows(vec![turned], vec![], moved(45, 3)));
    assert_eq!(of(&tally, 1), moved(15, 1));
    let mut sum = of(&tally, 1);
    sum.add(tally.rest().0);
    assert_eq!((sum.packets(), sum.bytes()), (16, 1600));
}

#[test]
fn where_it_is_crowded_the_first_that_ended_go_and_their_sum_stays() {
    let mut tally = Tally::new(&flows(vec![], vec![], moved(0, 0)));
    let all = FLOWS as u64;
    let (old, new): (Vec<_>, Vec<_>) =
        (0..all).map(|id| record(id, 1, (1, 0))).partition(|one| one.flow_id < all / 2);
    hear(&mut tally, &flows(vec![], old, moved(all / 2, 0)));
    assert_eq!((tally.flows().count() as u64, tally.rest().0), (all / 2, moved(0, 0)));
    hear(&mut tally, &flows(new, vec![record(all, 1, (7, 0))], moved(all + 7, 0)));
    let left = tally.flows().count() as u64;
    assert!(left < all, "{left}");
    let mut sum = tally.rest().0;
    tally.flows().for_each(|flow| sum.add(flow.total));
    assert_eq!(sum, moved(all + 7, 0));
}
