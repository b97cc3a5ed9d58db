//! What each conversation has moved since the view began, whatever records it came in.
//!
//! A conversation that is live is looked at after each drain, one that has ended comes as its last record, on another
//! thread and maybe a moment late. Both say how much the record counts by now; what it counted before is known.

use std::collections::HashMap;
use std::collections::VecDeque;
use weir_record::{Count, FlowEndReason, FlowRecord};

/// Conversations that are remembered, about 1 KB each; what else moves is kept as a sum.
const FLOWS: usize = 16_384;
/// Intervals that a conversation's past is told by, and that it stays for when it has ended.
pub const PAST: u64 = 60;
/// Records of a conversation that may be open at a time: the live one, and one on its way.
const OPEN: usize = 4;

/// What went from source to destination, and what came back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    pub forth: Count,
    pub back: Count,
}

impl Moved {
    fn of(record: &FlowRecord) -> Self {
        Self {
            forth: Count { packets: record.packets, bytes: record.bytes },
            back: record.reverse.map(|reverse| reverse.count).unwrap_or_default(),
        }
    }

    fn since(self, before: Self) -> Self {
        let more = |now: Count, before: Count| Count {
            packets: now.packets.saturating_sub(before.packets),
            bytes: now.bytes.saturating_sub(before.bytes),
        };
        Self { forth: more(self.forth, before.forth), back: more(self.back, before.back) }
    }

    pub fn add(&mut self, more: Self) {
        self.forth += more.forth;
        self.back += more.back;
    }

    /// As the other end has it.
    pub fn reversed(self) -> Self {
        Self { forth: self.back, back: self.forth }
    }

    pub fn bytes(self) -> u64 {
        self.forth.bytes + self.back.bytes
    }

    pub fn packets(self) -> u64 {
        self.forth.packets + self.back.packets
    }
}

/// A conversation.
#[derive(Debug)]
pub struct Flow {
    /// The last that was heard of it.
    pub record: FlowRecord,
    /// Since the view began.
    pub total: Moved,
    /// By the number of the interval, where something moved.
    pub past: VecDeque<(u64, Moved)>,
    /// Records that have not ended, by their start.
    open: Vec<(u64, Moved)>,
    over: Option<u64>,
}

impl Flow {
    fn new(record: &FlowRecord) -> Self {
        Self {
            record: record.clone(),
            total: Moved::default(),
            past: VecDeque::new(),
            open: Vec::new(),
            over: None,
        }
    }

    /// Takes in what `record` counts beyond what it did.
    fn hear(&mut self, record: &FlowRecord, interval: u64) {
        let now = Moved::of(record);
        let known = self.open.iter_mut().find(|one| one.0 == record.start);
        let before = match known {
            Some((_, known)) => std::mem::replace(known, now),
            None => {
                self.open.truncate(OPEN - 1);
                self.open.insert(0, (record.start, now));
                Moved::default()
            }
        };
        let more = now.since(before);
        if more != Moved::default() {
            self.total.add(more);
            match self.past.back_mut() {
                Some((last, moved)) if *last == interval => moved.add(more),
                _ => self.past.push_back((interval, more)),
            }
        }
        if record.end >= self.record.end {
            self.record = record.clone();
        }
    }

    /// What moved in an interval.
    pub fn moved_in(&self, interval: u64) -> Moved {
        self.past
            .iter()
            .rev()
            .find(|(one, _)| *one == interval)
            .map_or_else(Moved::default, |(_, moved)| *moved)
    }
}

/// All of them.
#[derive(Debug, Default)]
pub struct Tally {
    flows: HashMap<u64, Flow>,
    /// What moved in conversations that are not remembered any more.
    forgotten: Moved,
    /// The interval that goes on.
    interval: u64,
}

impl Tally {
    /// A record that leaves the agent.
    pub fn end(&mut self, record: &FlowRecord) {
        let interval = self.interval;
        let Some(flow) = self.flow(record) else {
            self.forgotten.add(Moved::of(record));
            return;
        };
        flow.hear(record, interval);
        flow.open.retain(|one| one.0 != record.start);
        if record.end_reason != FlowEndReason::ActiveTimeout {
            flow.over = Some(interval);
        }
    }

    /// Those that go on, after a drain: with them the interval ends.
    pub fn live<'a>(&mut self, records: impl Iterator<Item = &'a FlowRecord>) {
        let interval = self.interval;
        for record in records {
            if let Some(flow) = self.flow(record) {
                flow.hear(record, interval);
            }
        }
        self.interval += 1;
        self.forget();
    }

    fn flow(&mut self, record: &FlowRecord) -> Option<&mut Flow> {
        if self.flows.len() >= FLOWS && !self.flows.contains_key(&record.flow_id) {
            return None;
        }
        Some(self.flows.entry(record.flow_id).or_insert_with(|| Flow::new(record)))
    }

    fn forget(&mut self) {
        let Self { flows, forgotten, interval, .. } = self;
        let oldest = interval.saturating_sub(PAST);
        let crowded = flows.len() >= FLOWS;
        flows.retain(|_, flow| {
            while flow.past.front().is_some_and(|(when, _)| *when < oldest) {
                flow.past.pop_front();
            }
            let stays = flow.over.is_none_or(|over| over >= oldest && !crowded);
            if !stays {
                forgotten.add(flow.total);
            }
            stays
        });
    }

    pub fn flows(&self) -> impl Iterator<Item = &Flow> {
        self.flows.values()
    }

    pub fn forgotten(&self) -> Moved {
        self.forgotten
    }

    /// The last interval that has ended; the first one where none has.
    pub fn last_interval(&self) -> u64 {
        self.interval.saturating_sub(1)
    }
}
