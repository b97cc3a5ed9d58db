//! The newest of them, without reading all: further and further back, until there are enough.

use super::asked::Asked;
use crate::history::Sources;
use crate::records::Row;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use weir_store::flow_records;

/// How far back it looks first, in nanoseconds; each further look is as long as this many of the one before.
const FIRST: u64 = 1_000_000_000;
const LONGER: u64 = 4;

/// By end; of two that end together the one that was met first is the newer one.
struct Held {
    row: Row,
    number: Reverse<usize>,
}

impl Ord for Held {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.row.record.end, self.number).cmp(&(other.row.record.end, other.number))
    }
}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Held {}

/// The newest so far, so many at most.
struct Newest {
    most: usize,
    met: usize,
    held: BinaryHeap<Reverse<Held>>,
}

impl Newest {
    fn add(&mut self, row: Row) {
        self.met += 1;
        if self.held.len() < self.most || self.oldest().is_some_and(|oldest| row.record.end > oldest) {
            self.held.push(Reverse(Held { row, number: Reverse(self.met) }));
        }
        if self.held.len() > self.most {
            self.held.pop();
        }
    }

    fn oldest(&self) -> Option<u64> {
        self.held.peek().map(|Reverse(held)| held.row.record.end)
    }

    /// Whether nothing that ended before `time` can be among them.
    fn is_complete(&self, time: u64) -> bool {
        self.held.len() >= self.most && self.oldest().is_none_or(|oldest| oldest >= time)
    }
}

/// The newest `most` of those that are asked for, the newest last.
pub fn newest(sources: &mut Sources, asked: &Asked, most: usize) -> Vec<Row> {
    let mut newest = Newest { most, met: 0, held: BinaryHeap::new() };
    asked.open(sources).for_each(|record| newest.add(Row { record: record.clone(), is_open: true }));
    let (since, until) = (*asked.times.start(), *asked.times.end());
    let (_, last) = sources.times().unwrap_or((0, u64::MAX));
    let mut upper = until;
    // What is in the log only is newer than all files.
    let mut lower = last.min(until).min(asked.now).saturating_sub(FIRST).max(since);
    let mut step = FIRST;
    loop {
        let question = asked.question_within(lower..=upper);
        let Ok(()) = sources.read(question, |batch| {
            flow_records(batch).flatten().for_each(|record| newest.add(Row { record, is_open: false }));
            Ok::<_, std::convert::Infallible>(())
        });
        if lower <= since || newest.is_complete(lower) {
            break;
        }
        step = step.saturating_mul(LONGER);
        (upper, lower) = (lower - 1, lower.saturating_sub(step).max(since));
    }
    let mut rows: Vec<_> = newest.held.into_iter().map(|Reverse(held)| held).collect();
    rows.sort_unstable();
    rows.into_iter().map(|held| held.row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use weir_filter::generate;
    use weir_record::FlowRecord;

    proptest! {
        #[test]
        fn the_newest_are_kept(ends in prop::collection::vec(0..20_u64, 0..40), most in 0..10_usize, record in generate::records()) {
            let mut newest = Newest { most, met: 0, held: BinaryHeap::new() };
            for end in &ends {
                newest.add(Row { record: FlowRecord { end: *end, ..record.clone() }, is_open: false });
            }
            let mut kept: Vec<_> = newest.held.iter().map(|Reverse(held)| held.row.record.end).collect();
            kept.sort_unstable();
            let mut sorted = ends.clone();
            sorted.sort_unstable();
            prop_assert_eq!(&kept[..], &sorted[ends.len().saturating_sub(most)..]);
        }
    }
}
