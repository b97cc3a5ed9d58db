//! When conversations end, and what their records say then.

use super::*;
use crate::Books;
use crate::conversations::samples::{books, entry, settings, tcp_between};
use crate::conversations::{Dedup, moved, record};
use weir_kernel::{FlowEntry, LINK_VLAN};
use weir_record::{FlowRecord, Moved};

const SECOND: u64 = 1_000_000_000;
const FIN: u16 = 1;
const SYN: u16 = 2;
const ACK: u16 = 16;
const THERE: (u16, u16) = (40_000, 80);
const BACK: (u16, u16) = (80, 40_000);

/// A table, and the books beside it.
struct Stage {
    table: Table,
    books: Books,
}

impl Stage {
    fn new(joining: Joining, max_flows: usize) -> Self {
        Self { table: Table::new(&settings(joining, max_flows)), books: books() }
    }

    /// What a CPU has counted by `second`.
    fn add(&mut self, second: u64, entry: FlowEntry) {
        let seen = Seen { entry: &entry, addresses: None, parent: 0 };
        self.table.add(Counted { seen, digester: Digester::default(), rate: 1 }, &Ticks::at(second * SECOND));
    }

    fn expire(&mut self, second: u64) -> Vec<FlowRecord> {
        let Self { table, books } = self;
        let mut records = Vec::new();
        table.expire(second * SECOND, |ending| records.extend(record(ending, books)));
        records
    }

    fn force(&mut self, gone: impl Fn(u16) -> bool) -> Vec<FlowRecord> {
        let Self { table, books } = self;
        let mut records = Vec::new();
        table.force(gone, |ending| records.extend(record(ending, books)));
        records
    }
}

/// What a NAT makes of the ports.
const BEHIND: (u16, u16) = (50_000, 8080);

fn translation() -> Tuples {
    let [original, translated] = [THERE, BEHIND].map(|(from, to)| tcp_between([0; 4], [0; 4], from, to));
    Tuples { original, translated }
}

const JOINED: Joining = Joining { biflow: true, dedup: Dedup::First };
const APART: Joining = Joining { biflow: false, dedup: Dedup::Off };

fn told(records: &[FlowRecord]) -> Vec<(u64, Option<u64>, FlowEndReason)> {
    let back = |record: &FlowRecord| record.reverse.map(|reverse| reverse.count.packets);
    records.iter().map(|record| (record.packets, back(record), record.end_reason)).collect()
}

#[test]
fn parts_of_a_conversation_are_one_record() {
    let mut stage = Stage::new(JOINED, 10);
    for (point, ports, packets) in [(2, THERE, 1), (2, THERE, 2), (3, BACK, 4), (5, THERE, 3), (7, THERE, 2)]
    {
        stage.add(100, entry(point, ports, packets, ACK));
    }
    assert_eq!(stage.table.len(), 1);
    assert!(stage.expire(101).is_empty());
    let mut recent = Vec::new();
    stage.table.busiest(None, 5, |_, bytes| recent.push(bytes));
    assert_eq!(recent, [700], "no packet twice");
    let records = stage.expire(115);
    assert_eq!(told(&records), [(3, Some(4), FlowEndReason::IdleTimeout)]);
    assert_eq!(records[0].key.ports(), Some(THERE));
    let observed: Vec<_> = records[0].observations.iter().map(|o| (o.point, o.count.packets)).collect();
    assert_eq!(observed, [(2, 3), (5, 3), (7, 2), (3, 4)]);
}

#[test]
fn apart_each_point_and_direction_has_a_record() {
    let mut stage = Stage::new(APART, 10);
    for (point, ports) in [(2, THERE), (2, BACK), (5, THERE)] {
        stage.add(100, entry(point, ports, 1, 0));
    }
    assert!(stage.expire(100).is_empty());
    assert_eq!(told(&stage.expire(115)), [(1, None, FlowEndReason::IdleTimeout); 3]);
}

#[test]
fn fin_of_both_ends_it_after_a_quiet_interval() {
    let mut stage = Stage::new(JOINED, 10);
    stage.add(100, entry(2, THERE, 5, FIN | ACK));
    stage.add(100, entry(3, BACK, 5, ACK));
    assert!(stage.expire(100).is_empty());
    assert!(stage.expire(101).is_empty(), "the other end may have much to say yet");
    stage.add(102, entry(3, BACK, 5, FIN | ACK));
    assert!(stage.expire(102).is_empty(), "the last acknowledgements may follow");
    assert_eq!(told(&stage.expire(103)), [(5, Some(10), FlowEndReason::EndOfFlowDetected)]);
}

#[test]
fn fin_ends_a_flow_whose_other_direction_is_not_seen() {
    for joining in [JOINED, APART] {
        let mut stage = Stage::new(joining, 10);
        stage.add(100, entry(2, THERE, 5, FIN | ACK));
        assert!(stage.expire(100).is_empty());
        assert_eq!(told(&stage.expire(101))[0].2, FlowEndReason::EndOfFlowDetected);
    }
}

#[test]
fn a_conversation_that_goes_on_gets_records_with_one_id() {
    let mut stage = Stage::new(JOINED, 10);
    for second in 100..160 {
        stage.add(second, entry(2, THERE, 1, SYN | ACK));
        assert!(stage.expire(second).is_empty());
    }
    stage.add(160, entry(2, THERE, 1, 0));
    let first = stage.expire(160);
    assert_eq!(told(&first), [(61, Some(0), FlowEndReason::ActiveTimeout)]);
    stage.add(161, entry(3, BACK, 2, ACK));
    assert!(stage.expire(161).is_empty());
    let second = stage.expire(176);
    assert_eq!(told(&second), [(0, Some(2), FlowEndReason::IdleTimeout)]);
    assert_eq!((first[0].flow_id, first[0].key), (second[0].flow_id, second[0].key));
    assert_eq!(stage.table.len(), 0);
    stage.add(200, entry(2, THERE, 1, 0));
    assert!(stage.expire(200).is_empty());
    assert_ne!(stage.expire(215)[0].flow_id, first[0].flow_id, "the next one between these ends");
}

#[test]
fn a_conversation_that_falls_silent_after_its_record_leaves_no_empty_one() {
    let mut stage = Stage::new(JOINED, 10);
    stage.add(100, entry(2, THERE, 1, 0));
    stage.expire(100);
    stage.add(159, entry(2, THERE, 1, 0));
    assert!(stage.expire(159).is_empty());
    assert_eq!(told(&stage.expire(160)), [(2, Some(0), FlowEndReason::ActiveTimeout)]);
    assert!(stage.expire(174).is_empty() && stage.table.len() == 0);
}

#[test]
fn what_finds_the_table_full_is_exported_at_the_next_drain() {
    let mut stage = Stage::new(JOINED, 1);
    stage.add(100, entry(2, THERE, 1, 0));
    stage.add(100, entry(2, (7, 8), 4, 0));
    stage.add(100, entry(5, (7, 8), 4, 0));
    stage.add(100, entry(2, THERE, 1, 0));
    let records = stage.expire(100);
    assert_eq!(told(&records), [(4, Some(0), FlowEndReason::LackOfResources)]);
    assert_eq!(told(&stage.expire(115)), [(2, Some(0), FlowEndReason::IdleTimeout)]);
}

#[test]
fn a_trunk_and_the_interface_on_top_of_it_see_one_conversation() {
    let tagged = |id: u16, packets| {
        let mut entry = entry(2, THERE, packets, 0);
        entry.link |= LINK_VLAN as u16 | id;
        entry
    };
    let mut stage = Stage::new(JOINED, 10);
    for seen in [tagged(5, 3), entry(4, THERE, 3, 0)] {
        stage.add(100, seen);
    }
    let records = stage.force(|_| true);
    let vlans: Vec<_> = records[0].observations.iter().map(|seen| seen.vlan).collect();
    assert_eq!((told(&records), vlans), (vec![(3, Some(0), FlowEndReason::ForcedEnd)], vec![Some(5), None]));
    assert_eq!(records[0].key.vlan(), Some(5));
    // A priority tag is no VLAN.
    for seen in [tagged(0, 3), entry(2, THERE, 4, 0)] {
        stage.add(200, seen);
    }
    assert_eq!(told(&stage.force(|_| true)), [(7, Some(0), FlowEndReason::ForcedEnd)]);
}

#[test]
fn a_point_that_goes_ends_the_record_and_the_last_one_the_conversation() {
    let mut stage = Stage::new(JOINED, 10);
    stage.add(100, entry(2, THERE, 3, 0));
    stage.add(100, entry(5, THERE, 3, 0));
    assert!(stage.expire(100).is_empty());
    assert!(stage.force(|point| point >= 6).is_empty());
    assert_eq!(told(&stage.force(|point| point == 2)), [(3, Some(0), FlowEndReason::ActiveTimeout)]);
    stage.add(101, entry(5, THERE, 7, 0));
    stage.expire(101);
    assert_eq!(told(&stage.force(|point| point == 5)), [(7, Some(0), FlowEndReason::ForcedEnd)]);
    assert_eq!(stage.table.len(), 0);
}

#[test]
fn the_same_ends_in_two_domains_are_two_conversations() {
    let mut stage = Stage::new(JOINED, 10);
    stage.table.set_domain(5, 7);
    stage.add(100, entry(2, THERE, 3, 0));
    stage.add(100, entry(4, THERE, 2, 0));
    assert_eq!(stage.table.len(), 2);
    // Connected now: what comes is one conversation, that of point 2 goes on and the other one ends.
    stage.table.set_domain(4, 0);
    stage.add(101, entry(2, THERE, 1, 0));
    stage.add(101, entry(4, THERE, 1, 0));
    assert_eq!(stage.table.len(), 2);
    let mut records = told(&stage.force(|_| true));
    records.sort_by_key(|(packets, ..)| *packets);
    assert_eq!(records, [2, 4].map(|packets| (packets, Some(0), FlowEndReason::ForcedEnd)));
}

#[test]
fn the_busiest_come_first() {
    let mut stage = Stage::new(JOINED, 10);
    for port in [3, 9, 5] {
        stage.add(100, entry(2, (port, 80), u64::from(port), 0));
    }
    stage.expire(100);
    let mut packets = Vec::new();
    stage.table.busiest(None, 2, |ending, _| packets.push(ending.tallies[0].count.packets));
    assert_eq!(packets, [9, 5]);
}

#[test]
fn those_that_were_seen_since_are_shown() {
    let mut stage = Stage::new(JOINED, 10);
    let shown = |stage: &Stage, since| {
        let mut ports = Vec::new();
        stage.table.busiest(Some(since), 9, |ending, _| ports.extend(ending.key.flow.ports()));
        ports.into_iter().map(|(from, to)| from.min(to)).collect::<Vec<_>>()
    };
    stage.add(100, entry(2, (3, 80), 1, 0));
    let first = stage.table.interval();
    stage.expire(100);
    let second = stage.table.interval();
    stage.add(101, entry(2, (5, 80), 1, 0));
    assert_eq!((shown(&stage, second), shown(&stage, first).len()), (vec![5], 2), "before the drain");
    stage.expire(101);
    assert_eq!((shown(&stage, second), shown(&stage, first).len()), (vec![5], 2), "after it");
    assert!(shown(&stage, stage.table.interval()).is_empty());
}

#[test]
fn what_has_moved_is_what_records_will_count() {
    let mut stage = Stage::new(JOINED, 10);
    for (point, ports, packets) in [(2, THERE, 3), (3, BACK, 4), (5, THERE, 3), (2, (7, 80), 9)] {
        stage.add(100, entry(point, ports, packets, ACK));
    }
    let mut sum = Moved::default();
    stage.table.look(|ending| sum.add(moved(ending, &stage.books)));
    let mut records = Moved::default();
    stage.force(|_| true).iter().for_each(|record| records.add(Moved::of(record)));
    assert_eq!((sum, sum.packets()), (records, 16));
}

#[test]
fn both_sides_of_a_nat_are_one_record() {
    let mut stage = Stage::new(JOINED, 10);
    stage.table.translate(translation(), Place { netns: 0, domain: 0 });
    stage.add(1, entry(2, THERE, 3, SYN));
    stage.add(1, entry(5, BEHIND, 3, SYN));
    stage.add(1, entry(4, (BEHIND.1, BEHIND.0), 2, SYN | ACK));
    let records = stage.force(|_| true);
    assert_eq!(told(&records), [(3, Some(2), FlowEndReason::ForcedEnd)]);
    let [record] = &records[..] else { panic!("{records:?}") };
    assert_eq!(record.key, translation().original);
    assert_eq!(record.translation.map(|ends| (ends.source.1, ends.destination.1)), Some(BEHIND));
    let seen: Vec<_> = record.observations.iter().map(|seen| (seen.point, seen.translated)).collect();
    assert_eq!(seen, [(2, false), (5, true), (4, true)]);
    assert_eq!(stage.table.late_translations(), 0);
}

/// What is in the table under the translated name stays there, and is told of.
#[test]
fn a_translation_that_comes_late_is_counted() {
    let mut stage = Stage::new(JOINED, 10);
    stage.add(1, entry(5, BEHIND, 1, SYN));
    stage.table.translate(translation(), Place { netns: 0, domain: 0 });
    stage.add(1, entry(5, BEHIND, 2, ACK));
    assert_eq!((stage.table.late_translations(), stage.force(|_| true).len()), (1, 2));
}
