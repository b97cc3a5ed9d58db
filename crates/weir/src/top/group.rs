//! Conversations by who they belong to.

use super::fared::{Fared, Whose};
use super::tally::{Flow, PAST, Tally};
use crate::columns;
use clap::ValueEnum;
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::HashMap;
use weir_filter::Filter;
use weir_record::{Container, Direction, End, FlowRecord, Moved};

/// Intervals that a row stays for when all of it has ended, last of all.
const STAY: usize = 10;

/// What a row stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// A process of this host
    Process,
    /// A container of this host
    Container,
    /// An address and port that somebody talks to
    Destination,
}

/// What rows are told apart by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub name: String,
    pub pid: Option<u32>,
    /// The unit or container of a process, the runtime of a container, who serves a destination.
    pub place: Option<String>,
}

/// Everything of one of them.
#[derive(Debug, Clone, Default)]
pub struct Row {
    pub key: Key,
    /// Conversations that have moved something since the view began.
    pub flows: usize,
    /// Those that go on.
    pub live: usize,
    /// Since the view began; forth is what it sent.
    pub total: Moved,
    /// In the last interval.
    pub recent: Moved,
    /// Bytes of each of the last intervals, the last one last.
    pub past: Vec<u64>,
    /// How its connections have fared since the view began.
    pub fared: Fared,
    /// The longest smoothed round-trip time: of those that go on, and only where none does of the others.
    rtt: Option<(bool, u64)>,
}

impl Row {
    /// The longest smoothed round-trip time, in microseconds.
    pub fn rtt(&self) -> Option<u64> {
        self.rtt.map(|(_, rtt)| rtt)
    }
}

/// What rows are in the order of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    Name,
    Pid,
    Flows,
    In,
    Out,
    Rate,
    Packets,
    Total,
    Rtt,
    Retransmitted,
    Failed,
}

impl Sort {
    pub const ALL: [Self; 11] = [
        Self::Name,
        Self::Pid,
        Self::Flows,
        Self::In,
        Self::Out,
        Self::Rate,
        Self::Packets,
        Self::Total,
        Self::Rtt,
        Self::Retransmitted,
        Self::Failed,
    ];

    /// Words begin with A, numbers with the largest.
    fn compare(self, one: &Row, other: &Row) -> Ordering {
        let larger = |of: fn(&Row) -> u64| of(other).cmp(&of(one));
        match self {
            Self::Name => one.key.cmp(&other.key),
            Self::Pid => one.key.pid.cmp(&other.key.pid),
            Self::Flows => larger(|row| row.live as u64),
            Self::In => larger(|row| row.recent.back.bytes),
            Self::Out => larger(|row| row.recent.forth.bytes),
            Self::Rate => larger(|row| row.recent.bytes()),
            Self::Packets => larger(|row| row.recent.packets()),
            Self::Total => larger(|row| row.total.bytes()),
            Self::Rtt => larger(|row| row.rtt().unwrap_or(0)),
            Self::Retransmitted => larger(|row| row.fared.retransmitted_segments),
            Self::Failed => larger(|row| row.fared.failures),
        }
    }

    pub fn apply(self, rows: &mut [Row]) {
        rows.sort_by(|one, other| {
            self.compare(one, other)
                .then_with(|| (one.live == 0).cmp(&(other.live == 0)))
                .then_with(|| Self::Total.compare(one, other))
                .then_with(|| one.key.cmp(&other.key))
        });
    }
}

/// The rows that a conversation belongs to, each with whether it is the source there: of one between two local
/// processes both, of one that is nobody's here the row without a name.
pub fn keys(group: Group, record: &FlowRecord) -> Vec<(Key, bool)> {
    let of = match group {
        Group::Process => process,
        Group::Container => container,
        Group::Destination => return vec![(destination(record), true)],
    };
    let ends = [(&record.source, true), (&record.destination, false)];
    let mut keys: Vec<_> =
        ends.into_iter().filter_map(|(end, is_source)| Some((of(end)?, is_source))).collect();
    if keys.is_empty() {
        // What leaves the host is what nobody here has sent.
        keys.push((Key { name: "-".into(), ..Key::default() }, record.direction == Direction::Egress));
    }
    keys
}

/// Whose figures of TCP's a row has: a process its own, a destination those of who talks to it too.
pub fn whose(group: Group, is_source: bool) -> Whose {
    match (group, is_source) {
        (Group::Destination, _) => Whose::Both,
        (_, true) => Whose::Source,
        (_, false) => Whose::Destination,
    }
}

fn process(end: &End) -> Option<Key> {
    let process = end.process.as_deref()?;
    let container = process.container.as_ref().map(Container::short_id);
    let place = container.or_else(|| process.unit.clone());
    Some(Key { name: process.command.clone(), pid: Some(process.pid), place })
}

fn container(end: &End) -> Option<Key> {
    let container = end.process.as_deref()?.container.as_ref()?;
    let place = Some(container.runtime.as_str().into());
    Some(Key { name: end.container_name()?, pid: None, place })
}

fn destination(record: &FlowRecord) -> Key {
    let (_, name) = columns::ends(record);
    let name = if name == "-" { columns::protocol(&record.key) } else { name };
    Key { name, pid: None, place: record.destination.process.as_ref().map(|process| process.command.clone()) }
}

/// All rows, of the conversations that fit.
pub fn rows(tally: &Tally, group: Group, filter: Option<&Filter>) -> Vec<Row> {
    let last = tally.last_interval();
    let mut rows: HashMap<Key, Row> = HashMap::new();
    for flow in wanted(tally, filter) {
        let keys = keys(group, &flow.record);
        let talks_to_itself = keys.len() == 2 && keys[0].0 == keys[1].0;
        for (number, (key, is_source)) in keys.into_iter().enumerate() {
            let row = rows.entry(key).or_insert_with_key(|key| Row { key: key.clone(), ..Row::default() });
            if number == 0 || !talks_to_itself {
                row.flows += usize::from(flow.total != Moved::default());
                row.live += usize::from(flow.over.is_none());
            }
            add(row, flow, is_source, last);
            fare(row, flow, whose(group, is_source));
        }
    }
    let (shown, gone): (Vec<_>, Vec<_>) = rows
        .into_values()
        .partition(|row| row.live > 0 || row.past.iter().rev().take(STAY).any(|past| *past > 0));
    shown.into_iter().chain(other(tally, filter, &gone)).collect()
}

/// What is in no row: those that ended some time ago, and what no conversation is known for. That fits no filter.
fn other(tally: &Tally, filter: Option<&Filter>, gone: &[Row]) -> Option<Row> {
    let (total, recent) = if filter.is_none() { tally.rest() } else { Default::default() };
    let key = Key { name: "(other)".into(), ..Key::default() };
    let mut row = Row { key, total, recent, past: vec![0; PAST as usize], ..Row::default() };
    for gone in gone {
        row.total.add(gone.total);
        row.fared.add(gone.fared);
    }
    (row.total != Moved::default()).then_some(row)
}

fn add(row: &mut Row, flow: &Flow, is_source: bool, last: u64) {
    let turned = |moved: Moved| if is_source { moved } else { moved.reversed() };
    row.total.add(turned(flow.total));
    row.recent.add(turned(flow.moved_in(last)));
    row.past.resize(PAST as usize, 0);
    for (when, moved) in &flow.past {
        let ago = last.checked_sub(*when).filter(|ago| *ago < PAST);
        if let Some(cell) = ago.and_then(|ago| row.past.get_mut((PAST - 1 - ago) as usize)) {
            *cell += moved.bytes();
        }
    }
}

fn fare(row: &mut Row, flow: &Flow, whose: Whose) {
    row.fared.add(flow.fared(whose));
    row.rtt = row.rtt.max(whose.rtt(&flow.record).map(|rtt| (flow.over.is_none(), rtt)));
}

/// The conversations that fit.
pub fn wanted<'a>(tally: &'a Tally, filter: Option<&Filter>) -> impl Iterator<Item = &'a Flow> {
    tally.flows().filter(move |flow| filter.is_none_or(|filter| filter.matches(&flow.record)))
}

#[cfg(test)]
mod tests {
    use super::super::tally::tests::{flows, hear, moved, record};
    use super::*;

    #[test]
    fn what_has_ended_stays_a_while_and_is_never_lost() {
        let mut tally = Tally::new(&flows(vec![], vec![], moved(0, 0)));
        let mut other = record(2, 31, (9, 9));
        other.key = other.key.reversed().expect("UDP has two directions");
        hear(&mut tally, &flows(vec![other], vec![record(1, 31, (3, 1))], moved(12, 10)));
        for interval in 0..=STAY + 1 {
            let mut rows = rows(&tally, Group::Destination, None);
            Sort::Rate.apply(&mut rows);
            let names: Vec<_> = rows.iter().map(|row| (row.key.name.as_str(), row.live)).collect();
            let last = if interval < STAY { "10.0.0.2:80" } else { "(other)" };
            assert_eq!(names, [("10.0.0.1:40000", 1), (last, 0)], "{interval}");
            let mut sum = Moved::default();
            rows.iter().for_each(|row| sum.add(row.total));
            assert_eq!(sum, moved(12, 10));
            hear(&mut tally, &flows(vec![], vec![], moved(12, 10)));
        }
        let filter = "port == 80".parse().expect("a filter");
        let gone = rows(&tally, Group::Destination, Some(&filter));
        assert_eq!((gone[0].live, gone.last().map(|row| row.total)), (1, Some(moved(3, 1))));
    }
}
