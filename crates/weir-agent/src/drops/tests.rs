//! Which record tells of which drops.

use super::book::Book;
use super::loss::Loss;
use super::places::Places;
use crate::interfaces::NOWHERE;
use std::time::{Duration, Instant};
use weir_filter::generate;
use weir_record::{
    Addresses, Count, Direction, DropSource, Dropped, Evidence, FlowKey, FlowRecord, Interface,
    InterfaceKind, Reverse, Translation,
};

const LINGER: Duration = Duration::from_secs(80);

/// From 10.0.0.FROM:1000 to 10.0.0.TO:80.
fn flow(from: u8, to: u8) -> FlowKey {
    let addresses = Addresses::V4([10, 0, 0, from].into(), [10, 0, 0, to].into());
    FlowKey::Ip { vlan: None, addresses, protocol: 6, ports: Some((1000, 80)) }
}

fn loss(flow: FlowKey, netns: u32, (reason, packets): (&str, u64)) -> Loss {
    Loss {
        source: DropSource::KfreeSkb,
        reason: reason.into(),
        location: None,
        netns,
        ifindex: 2,
        direction: Direction::Ingress,
        flow: Some(flow),
        is_flowless: false,
        count: Count { packets, bytes: packets * 100 },
    }
}

/// In the namespace called so, of both directions.
fn record(key: FlowKey, netns: &str) -> FlowRecord {
    let own_netns = netns.is_empty();
    let interface = Interface {
        name: "eth0".into(),
        index: 2,
        netns: netns.into(),
        own_netns,
        kind: InterfaceKind::Veth,
    };
    let reverse =
        Reverse { count: Count::default(), tcp_flags: 0, sampling_rate: 1, evidence: Evidence::None };
    FlowRecord {
        reverse: Some(reverse),
        translation: None,
        ..generate::record(interface, Direction::Egress, key)
    }
}

fn book(losses: &[Loss]) -> Book {
    let mut book = Book::new(4, LINGER);
    losses.iter().for_each(|loss| book.add(loss, Instant::now()));
    book
}

fn dropped(packets: u64, reasons: Option<&str>) -> Dropped {
    Dropped { packets, bytes: packets * 100, reasons: reasons.map(Into::into) }
}

#[test]
fn a_drop_is_told_of_once_in_either_direction() {
    let there = flow(1, 2);
    let back = there.reversed().expect("it has ports");
    let losses = [
        loss(there, 0, ("A", 1)),
        loss(back, 0, ("B", 2)),
        loss(there, 0, ("A", 3)),
        loss(flow(3, 4), 0, ("C", 9)),
    ];
    let (mut book, places) = (book(&losses), Places::default());
    let record = record(there.with_vlan(Some(7)), "");
    let expected = dropped(6, Some("A,B"));
    assert_eq!(book.look(&record, &places), expected);
    assert_eq!(book.take(&record, &places), expected);
    assert_eq!(book.take(&record, &places), dropped(0, None));
    assert_eq!(book.len(), 1, "the other flow's");
}

#[test]
fn where_directions_are_apart_each_has_its_own() {
    let there = flow(1, 2);
    let back = there.reversed().expect("it has ports");
    let (mut book, places) = (book(&[loss(there, 0, ("A", 1)), loss(back, 0, ("B", 2))]), Places::default());
    let apart = |key| FlowRecord { reverse: None, ..record(key, "") };
    assert_eq!(book.take(&apart(there), &places), dropped(1, Some("A")));
    assert_eq!(book.take(&apart(back), &places), dropped(2, Some("B")));
}

#[test]
fn what_is_dropped_behind_a_nat_is_the_same_flow() {
    let (meant, behind) = (flow(1, 2), flow(3, 4));
    let back = behind.reversed().expect("it has ports");
    let (mut book, places) = (book(&[loss(behind, 0, ("A", 1)), loss(back, 0, ("B", 2))]), Places::default());
    let record = FlowRecord { translation: Translation::to(&behind), ..record(meant, "") };
    assert_eq!(book.take(&record, &places), dropped(3, Some("B,A")));
}

#[test]
fn a_drop_is_joined_where_its_packet_can_come_from() {
    let places = Places::made_up(&[(0, "own", 0), (5, "near", 0), (6, "far", 1)]);
    let taken = |key, from: u32, at: &str| {
        let mut book = book(&[loss(key, from, ("A", 1))]);
        book.take(&record(key, at), &places).packets
    };
    assert_eq!(taken(flow(1, 2), 5, ""), 1, "dropped in a container, counted at its host");
    assert_eq!(taken(flow(1, 2), 77, ""), 1, "in one that is not watched");
    assert_eq!(taken(flow(1, 2), NOWHERE, "far"), 1);
    assert_eq!(taken(flow(1, 2), 6, "near"), 0, "nothing gets there");
    let addresses = Addresses::V4([127, 0, 0, 1].into(), [127, 0, 0, 1].into());
    let local = FlowKey::Ip { vlan: None, addresses, protocol: 17, ports: Some((1, 2)) };
    assert_eq!((taken(local, 5, ""), taken(local, 5, "near")), (0, 1));
}

#[test]
fn what_nobody_asks_for_is_counted_and_forgotten() {
    let mut book = book(&[
        loss(flow(1, 2), 0, ("A", 5)),
        Loss { flow: None, is_flowless: true, ..loss(flow(1, 2), 0, ("A", 7)) },
    ]);
    book.expire(Instant::now());
    assert_eq!((book.len(), book.unclaimed()), (1, 7));
    book.expire(Instant::now() + LINGER);
    assert_eq!((book.len(), book.unclaimed()), (0, 12));
}

#[test]
fn there_is_room_for_so_many_flows() {
    let losses: Vec<_> = (1..=6).map(|to| loss(flow(9, to), 0, ("A", 2))).collect();
    let mut book = book(&losses);
    assert_eq!((book.len(), book.evicted()), (4, 4));
    book.add(&losses[0], Instant::now());
    assert_eq!(book.evicted(), 4, "one that is known needs no more");
}

#[test]
fn a_record_names_the_four_reasons_that_count_most() {
    let losses: Vec<_> = ["E", "D", "C", "B", "A"]
        .iter()
        .zip([1, 2, 3, 4, 4])
        .map(|(reason, packets)| loss(flow(1, 2), 0, (reason, packets)))
        .collect();
    let found = book(&losses).take(&record(flow(1, 2), ""), &Places::default());
    assert_eq!(found, dropped(14, Some("A,B,C,D")));
}
