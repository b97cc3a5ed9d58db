//! What each conversation has moved since the view began, whatever records it came in.
//!
//! A conversation that is live is told of after each drain, one that has ended comes as its last record. Both say how
//! much the record counts by now; what it counted before is known. The agent also tells how much all of them count
//! together: what no conversation here has moved is the rest, so that nothing is left out of the sum.

#[cfg(test)]
pub(super) mod tests;

use super::fared::{Connections, Fared, Whose, begins};
use std::collections::{HashMap, VecDeque};
use weir_agent::Flows;
use weir_record::{Count, FlowEndReason, FlowKey, FlowRecord, Moved};

/// Conversations that are remembered, about 1 KB each.
const FLOWS: usize = 16_384;
/// Intervals that a conversation's past is told by.
pub const PAST: u64 = 60;
/// Records of a conversation that may be open at a time: the live one, and one on its way.
const OPEN: usize = 4;

/// A conversation.
#[derive(Debug)]
pub struct Flow {
    /// The last that was heard of it.
    pub record: FlowRecord,
    /// Since the view began.
    pub total: Moved,
    /// By the number of the interval, where something moved.
    pub past: VecDeque<(u64, Moved)>,
    /// The interval in which it ended.
    pub over: Option<u64>,
    /// Records that have not ended, by their start.
    open: Vec<(u64, Moved)>,
    /// What those counted that have.
    closed: Moved,
    /// What was counted before the view began, or before it was told of.
    before: Moved,
    /// How TCP has fared at the source and at the destination.
    ends: [Connections; 2],
}

impl Flow {
    fn new(record: &FlowRecord, before: Moved) -> Self {
        Self {
            record: record.clone(),
            total: Moved::default(),
            past: VecDeque::new(),
            over: None,
            open: Vec::new(),
            closed: Moved::default(),
            before,
            ends: Default::default(),
        }
    }

    /// Takes in what `record` counts by now.
    fn hear(&mut self, record: &FlowRecord, interval: u64) {
        if is_turned(&self.record.key, &record.key) {
            self.turn();
        }
        // After an answer that was missed any of them counts as over, until it is heard of again.
        let is_another = self.over.is_some() && self.open.iter().all(|one| one.0 != record.start);
        if is_another && begins(record) {
            self.begin();
        }
        for (end, known) in [&record.source, &record.destination].into_iter().zip(&mut self.ends) {
            end.tcp.iter().for_each(|health| known.hear(health));
        }
        let now = Moved::of(record);
        match self.open.iter_mut().find(|one| one.0 == record.start) {
            Some((_, known)) => *known = now,
            None => self.open.insert(0, (record.start, now)),
        }
        while self.open.len() > OPEN {
            self.open.pop().into_iter().for_each(|(_, last)| self.closed.add(last));
        }
        self.over = None;
        if record.end >= self.record.end {
            self.record = record.clone();
        }
        self.sum_up(interval);
    }

    /// Its record has ended, and counts no more than this.
    fn end(&mut self, record: &FlowRecord, interval: u64) {
        self.hear(record, interval);
        let ended = self.open.iter().position(|one| one.0 == record.start);
        ended.into_iter().for_each(|place| self.closed.add(self.open.remove(place).1));
        if record.end_reason != FlowEndReason::ActiveTimeout {
            self.over = Some(interval);
        }
    }

    /// A connection of it begins: all that is counted of that is new.
    fn begin(&mut self) {
        self.ends.iter_mut().for_each(Connections::begin);
    }

    /// How TCP has fared since the view began.
    pub fn fared(&self, whose: Whose) -> Fared {
        whose.sum(&self.ends)
    }

    fn sum_up(&mut self, interval: u64) {
        let mut sum = self.closed;
        self.open.iter().for_each(|(_, moved)| sum.add(*moved));
        let now = sum.since(self.before);
        let more = now.since(self.total);
        self.total = now;
        if more != Moved::default() {
            match self.past.back_mut() {
                Some((last, moved)) if *last == interval => moved.add(more),
                _ => self.past.push_back((interval, more)),
            }
        }
    }

    /// Who began it is known better now.
    fn turn(&mut self) {
        let past = self.past.iter_mut().map(|(_, moved)| moved);
        let open = self.open.iter_mut().map(|(_, moved)| moved);
        let rest = [&mut self.total, &mut self.closed, &mut self.before];
        past.chain(open).chain(rest).for_each(|moved| *moved = moved.reversed());
        self.ends.reverse();
    }

    /// What moved in an interval.
    pub fn moved_in(&self, interval: u64) -> Moved {
        let mut past = self.past.iter().rev();
        past.find(|(one, _)| *one == interval).map_or_else(Moved::default, |(_, moved)| *moved)
    }
}

fn is_turned(before: &FlowKey, now: &FlowKey) -> bool {
    let [before, now] = [before, now].map(|key| key.with_vlan(None));
    before != now && now.reversed() == Some(before)
}

/// All of them.
#[derive(Debug, Default)]
pub struct Tally {
    flows: HashMap<u64, Flow>,
    /// What all records counted when the view began, and what they count now.
    all: [Moved; 2],
    /// What of that no conversation here has moved, and how much of it in the last interval.
    rest: Moved,
    recent_rest: Moved,
    /// The interval that goes on.
    interval: u64,
    /// Records that began before have counted more than is known here; none where all were told from the beginning.
    known_from: Option<u64>,
}

impl Tally {
    /// Begins with what an agent says that has counted before.
    pub fn new(first: &Flows) -> Self {
        let known_from = ((first.live.len() as u64) < first.flows).then_some(first.until);
        let mut tally = Self { all: [first.moved; 2], known_from: Some(u64::MAX), ..Self::default() };
        for record in &first.live {
            tally.hear(record);
        }
        Self { known_from, ..tally }
    }

    /// Takes in records that have ended. Of those that were missed only the sum will be known.
    pub fn end(&mut self, flows: &Flows) {
        let interval = self.interval;
        for record in &flows.ended {
            if let Some(flow) = self.flow(record) {
                flow.end(record, interval);
            }
        }
        if flows.missed_records > 0 {
            self.known_from = Some(flows.until);
            // Any of them may have ended; those that go on will be heard of.
            for flow in self.flows.values_mut() {
                flow.over.get_or_insert(interval);
            }
        }
    }

    /// Takes in those that go on, after a drain: with them the interval ends.
    pub fn live(&mut self, flows: &Flows) {
        flows.live.iter().for_each(|record| self.hear(record));
        self.all[1] = flows.moved;
        self.recent_rest = self.not_remembered().since(self.rest);
        self.interval += 1;
        self.forget();
        self.rest = self.not_remembered();
    }

    fn hear(&mut self, record: &FlowRecord) {
        let interval = self.interval;
        if let Some(flow) = self.flow(record) {
            flow.hear(record, interval);
        }
    }

    fn flow(&mut self, record: &FlowRecord) -> Option<&mut Flow> {
        if self.flows.len() >= FLOWS && !self.flows.contains_key(&record.flow_id) {
            return None;
        }
        let is_known = self.known_from.is_none_or(|from| record.start >= from);
        let before = if is_known { Moved::default() } else { Moved::of(record) };
        Some(self.flows.entry(record.flow_id).or_insert_with(|| {
            let mut flow = Flow::new(record, before);
            if is_known && begins(record) {
                flow.begin();
            }
            flow
        }))
    }

    /// What is too long ago; and where it is crowded half of those that have ended, the first of them.
    fn forget(&mut self) {
        let oldest = self.interval.saturating_sub(PAST);
        let mut ends: Vec<_> = self.flows.values().filter_map(|flow| flow.over).collect();
        ends.sort_unstable();
        let is_crowded = self.flows.len() >= FLOWS;
        let last = ends.get(ends.len() / 2).copied().filter(|_| is_crowded);
        self.flows.retain(|_, flow| {
            while flow.past.front().is_some_and(|(when, _)| *when < oldest) {
                flow.past.pop_front();
            }
            flow.over.is_none_or(|over| last.is_none_or(|last| over > last))
        });
    }

    /// Whoever began a conversation may turn out to be the other end: then more of the rest is of one direction, and
    /// less of the other.
    fn not_remembered(&self) -> Moved {
        let mut known = self.all[0];
        self.flows.values().for_each(|flow| known.add(flow.total));
        let now = self.all[1];
        let rest = |of: fn(&Count) -> u64| {
            let [forth, back] = [(now.forth, known.forth), (now.back, known.back)]
                .map(|(now, known)| i128::from(of(&now)) - i128::from(of(&known)));
            let (forth, back) = (forth + back.min(0), back + forth.min(0));
            [forth, back].map(|rest| u64::try_from(rest).unwrap_or(0))
        };
        let [packets, bytes] = [rest(|count| count.packets), rest(|count| count.bytes)];
        let [forth, back] = [0, 1].map(|way| Count { packets: packets[way], bytes: bytes[way] });
        Moved { forth, back }
    }

    pub fn flows(&self) -> impl Iterator<Item = &Flow> {
        self.flows.values()
    }

    /// What moved in conversations that are not here, since the view began and in the last interval.
    pub fn rest(&self) -> (Moved, Moved) {
        (self.rest, self.recent_rest)
    }

    /// The last interval that has ended; the first one where none has.
    pub fn last_interval(&self) -> u64 {
        self.interval.saturating_sub(1)
    }
}
