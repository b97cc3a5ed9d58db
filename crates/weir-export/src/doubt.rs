//! What was sent and may be lost if the connection breaks now.

use crate::peer::Silence;
use std::collections::VecDeque;
use std::time::Instant;
use weir_record::FlowRecord;

/// Datagrams go no faster than so many records in the time until a refusal is heard.
const MOST: usize = 50_000;

/// Batches, those first that were sent first.
#[derive(Default)]
pub struct Doubt {
    batches: VecDeque<Batch>,
    bytes: usize,
    last: Option<Instant>,
}

struct Batch {
    records: Vec<FlowRecord>,
    bytes: usize,
    sent: Instant,
}

impl Doubt {
    /// A batch was sent, in so many bytes.
    pub fn add(&mut self, records: Vec<FlowRecord>, bytes: usize, silence: Silence) {
        let sent = Instant::now();
        self.last = Some(sent);
        if matches!(silence, Silence::None) || records.is_empty() {
            return;
        }
        self.bytes += bytes;
        self.batches.push_back(Batch { records, bytes, sent });
        self.settle(silence);
    }

    /// Forgets what has arrived by now, if anything has.
    pub fn settle(&mut self, silence: Silence) {
        let is_over = |first: &Batch, bytes: usize| match silence {
            Silence::None => true,
            // What came after it fills all room that there may be on the way.
            Silence::Bytes(room) => bytes - first.bytes >= room,
            Silence::Time(time) => first.sent.elapsed() > time,
        };
        while let Some(first) = self.batches.front().filter(|first| is_over(first, self.bytes)) {
            self.bytes -= first.bytes;
            self.batches.pop_front();
        }
    }

    /// All of it has arrived.
    pub fn clear(&mut self) {
        *self = Self { last: self.last, ..Self::default() };
    }

    /// When something was sent last.
    pub fn last(&self) -> Option<Instant> {
        self.last
    }

    /// Whether everything has arrived.
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Whether there is so much that more had better wait: datagrams in numbers nobody could read in time.
    pub fn is_full(&self, silence: Silence) -> bool {
        matches!(silence, Silence::Time(_)) && self.records() > MOST
    }

    /// How many records that is.
    pub fn records(&self) -> usize {
        self.batches.iter().map(|batch| batch.records.len()).sum()
    }

    /// The batches.
    pub fn batches(&self) -> impl Iterator<Item = &[FlowRecord]> {
        self.batches.iter().map(|batch| &batch.records[..])
    }

    /// They were sent again, just now.
    pub fn renew(&mut self) {
        let now = Instant::now();
        self.batches.iter_mut().for_each(|batch| batch.sent = now);
        self.last = Some(now);
    }
}
