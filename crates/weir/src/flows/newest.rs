//! The newest of them, without reading all: further and further back, until there are enough.

use super::asked::Asked;
use crate::history::Sources;
use crate::records::Row;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::convert::Infallible;
use weir_record::FlowRecord;

/// How far back it looks first, in nanoseconds; each further look is as long as this many of the one before.
const FIRST: u64 = 1_000_000_000;
const LONGER: u64 = 4;

/// What a record is ordered by: when it ended, when it began, its conversation. Two that are alike in that are alike.
pub type Place = (u64, u64, u64);

/// Where a record stands.
pub fn place(record: &FlowRecord) -> Place {
    (record.end, record.start, record.flow_id)
}

/// Up to which record somebody has them: the last one, and how many there were like it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    pub place: Place,
    pub alike: usize,
}

impl Before {
    /// After a page that ends with `last` and came itself after another one.
    pub fn after(last: Place, page: &[Place], earlier: Option<Self>) -> Self {
        let alike = page.iter().filter(|place| **place == last).count();
        let earlier = earlier.filter(|earlier| earlier.place == last).map_or(0, |earlier| earlier.alike);
        Self { place: last, alike: alike + earlier }
    }
}

/// By its place; of two that are alike the one that was met first is the newer one.
struct Held {
    row: Row,
    number: Reverse<usize>,
}

impl Ord for Held {
    fn cmp(&self, other: &Self) -> Ordering {
        (place(&self.row.record), self.number).cmp(&(place(&other.row.record), other.number))
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
    /// Only those are wanted that are older.
    before: Option<Before>,
}

impl Newest {
    fn new(most: usize, before: Option<Before>) -> Self {
        Self { most, met: 0, held: BinaryHeap::new(), before }
    }

    fn add(&mut self, row: Row) {
        let own = place(&row.record);
        if let Some(before) = &mut self.before {
            if own > before.place {
                return;
            }
            if own == before.place && before.alike > 0 {
                before.alike -= 1;
                return;
            }
        }
        self.met += 1;
        let oldest = self.held.peek().map(|Reverse(held)| place(&held.row.record));
        if self.held.len() < self.most || oldest.is_some_and(|oldest| own > oldest) {
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
    let mut newest = Newest::new(most, None);
    asked.open(sources).for_each(|record| newest.add(Row { record: record.clone(), is_open: true }));
    look_back(sources, asked, newest)
}

/// The newest `most` of those that are asked for, have ended, and stand before this one; the newest last.
pub fn newest_before(sources: &mut Sources, asked: &Asked, most: usize, before: Option<Before>) -> Vec<Row> {
    look_back(sources, asked, Newest::new(most, before))
}

fn look_back(sources: &mut Sources, asked: &Asked, mut newest: Newest) -> Vec<Row> {
    let since = *asked.times.start();
    let until = newest.before.map_or(u64::MAX, |before| before.place.0).min(*asked.times.end());
    let (_, last) = sources.times().unwrap_or((0, u64::MAX));
    let mut upper = until;
    // What is in the log only is newer than all files.
    let mut lower = last.min(until).min(asked.now).saturating_sub(FIRST).max(since);
    let mut step = FIRST;
    loop {
        let question = asked.question_within(lower..=upper);
        let Ok(()) = sources.read_records(question, |record| {
            newest.add(Row { record, is_open: false });
            Ok::<_, Infallible>(())
        });
        if lower <= since || newest.is_complete(lower) || sources.has_stopped() {
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

    proptest! {
        #[test]
        fn the_newest_are_kept(ends in prop::collection::vec(0..20_u64, 0..40), most in 0..10_usize, record in generate::records()) {
            let mut newest = Newest::new(most, None);
            for end in &ends {
                newest.add(Row { record: FlowRecord { end: *end, ..record.clone() }, is_open: false });
            }
            let mut kept: Vec<_> = newest.held.iter().map(|Reverse(held)| held.row.record.end).collect();
            kept.sort_unstable();
            let mut sorted = ends.clone();
            sorted.sort_unstable();
            prop_assert_eq!(&kept[..], &sorted[ends.len().saturating_sub(most)..]);
        }

        /// However many a page has, all pages together have each of them once, in order.
        #[test]
        fn pages_have_each_record_once(
            records in prop::collection::vec((0..6_u64, 0..3_u64), 0..40),
            most in 1..7_usize,
            record in generate::records(),
        ) {
            let mut all: Vec<_> = records
                .iter()
                .map(|(end, flow_id)| FlowRecord { end: *end, start: 0, flow_id: *flow_id, ..record.clone() })
                .collect();
            let (mut told, mut before) = (Vec::new(), None);
            loop {
                let mut newest = Newest::new(most, before);
                all.iter().for_each(|record| newest.add(Row { record: record.clone(), is_open: false }));
                let mut page: Vec<_> = newest.held.iter().map(|Reverse(held)| place(&held.row.record)).collect();
                page.sort_unstable_by_key(|place| Reverse(*place));
                before = page.last().map(|last| Before::after(*last, &page, before));
                if page.is_empty() {
                    break;
                }
                told.extend(page);
            }
            all.sort_by_key(|record| Reverse(place(record)));
            prop_assert_eq!(told, all.iter().map(place).collect::<Vec<_>>());
        }
    }
}
