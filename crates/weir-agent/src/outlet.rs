//! Sinks, each with its thread and its queue: a slow one stops itself, never the drain nor another.

mod lane;
#[cfg(test)]
mod tests;

use crate::{Books, Kept, Result, SinkState};
use lane::{Batch, Done, Lane};
use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use weir_filter::Filter;
use weir_record::{Account, Cause, FlowRecord, PeerState, ProbeAccount};

/// Where records go. Called from a thread of its own; may block.
pub trait Sink: Send + 'static {
    /// What `weir status` calls it.
    fn name(&self) -> &str;

    /// How it stands with the program that it sends to, where it sends to one; looked at from other threads.
    fn peer(&self) -> Option<Arc<Mutex<PeerState>>> {
        None
    }

    /// Whether it has more to do as soon as nothing waits.
    fn is_behind(&self) -> bool {
        false
    }

    /// Whether records leave by it. What only adds them up leaves it to the others whether they are exported or lost.
    fn is_output(&self) -> bool {
        true
    }

    /// Which records it wants: only these are counted as its own; all without.
    fn filter(&self) -> Option<Filter> {
        None
    }

    /// Does what nobody waits for, once all that was sent is settled; called about once a second, and at once again
    /// where it [is behind](Self::is_behind).
    fn go_on(&mut self) {}

    /// Whether it is the history: what that has is known even if nobody comes to book it.
    fn keeps(&self) -> bool {
        false
    }

    /// Takes a batch, all or nothing.
    ///
    /// # Errors
    /// The batch could not be written: it is counted as lost. After a broken pipe nothing more is sent.
    fn write(&mut self, records: &[FlowRecord]) -> io::Result<()>;

    /// Makes what was written last. Called when nothing waits, and about once a second while nothing comes.
    ///
    /// # Errors
    /// What was written since the last call is counted as lost.
    fn settle(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Takes the final accounts, after the last batch.
    ///
    /// # Errors
    /// They could not be written.
    fn finish(&mut self, closing: &Closing) -> io::Result<()>;
}

/// The books at the end.
#[derive(Debug, Clone, Default)]
pub struct Closing {
    /// Of every observation point.
    pub accounts: Vec<Account>,
    /// Of every probe that tells of something else than packets.
    pub probes: Vec<ProbeAccount>,
    /// Of the other sinks.
    pub sinks: Vec<SinkState>,
}

/// Records in a batch: large enough to be worth a wake-up, small enough to be reused.
pub const BATCH: usize = 2048;
/// Records that wait for a sink at most: some seconds of a busy host, 60 MB.
const QUEUE: usize = 256 * 1024;
/// A sink that takes nothing for this long at exit is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// A batch on its way.
struct Pending {
    batch: Batch,
    /// Sinks that have not answered yet.
    left: usize,
    /// Whether one of them has it: then it is exported.
    is_taken: bool,
    /// Whether the history has.
    is_kept: bool,
    /// Why the first one has not that does not have it.
    cause: Option<Cause>,
}

impl Pending {
    fn answer(&mut self, outcome: std::result::Result<(), Cause>) {
        match outcome {
            Ok(()) => self.is_taken = true,
            Err(cause) => drop(self.cause.get_or_insert(cause)),
        }
    }

    fn outcome(&self) -> std::result::Result<(), Cause> {
        if self.is_taken { Ok(()) } else { Err(self.cause.unwrap_or(Cause::SinkFailed)) }
    }
}

/// The near end of all sinks.
pub struct Outlet {
    lanes: Vec<Lane>,
    outbox: Sender<Done>,
    done: Receiver<Done>,
    open_batch: Vec<FlowRecord>,
    spare: Vec<Vec<FlowRecord>>,
    pending: BTreeMap<u64, Pending>,
    next_batch: u64,
    failure: Option<io::Error>,
    is_closed: bool,
}

impl Outlet {
    /// Starts `sink` on a thread of its own.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn new(sink: impl Sink) -> Result<Self> {
        let (outbox, done) = channel();
        let outlet = Self {
            lanes: Vec::new(),
            outbox,
            done,
            open_batch: Vec::with_capacity(BATCH),
            spare: Vec::new(),
            pending: BTreeMap::new(),
            next_batch: 1,
            failure: None,
            is_closed: false,
        };
        outlet.and(sink)
    }

    /// Starts another sink beside those that there are: each gets every record.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn and(mut self, sink: impl Sink) -> Result<Self> {
        self.lanes.push(Lane::start(sink, self.lanes.len(), self.outbox.clone())?);
        Ok(self)
    }

    /// Starts a sink beside those that there are, if there are any: see [`new`](Self::new) and [`and`](Self::and).
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn with(outlet: Option<Self>, sink: impl Sink) -> Result<Self> {
        match outlet {
            Some(outlet) => outlet.and(sink),
            None => Self::new(sink),
        }
    }

    /// Adds a record to the batch; a full batch is sent.
    pub fn push(&mut self, record: FlowRecord, books: &mut Books) {
        self.open_batch.push(record);
        if self.open_batch.len() >= BATCH {
            self.send(books);
        }
    }

    /// Sends the batch as it is to every sink but those whose queue is full: they lose it, and that is counted.
    pub fn send(&mut self, books: &mut Books) {
        if !self.lanes.iter().all(|lane| lane.has_room(self.open_batch.len())) {
            self.collect(books);
        }
        self.send_where(Lane::has_room, books);
    }

    fn send_where(&mut self, wanted: impl Fn(&Lane, usize) -> bool, books: &mut Books) {
        if self.open_batch.is_empty() {
            return;
        }
        let fresh = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(BATCH));
        let batch = Arc::new(std::mem::replace(&mut self.open_batch, fresh));
        let number = self.next_batch;
        self.next_batch += 1;
        let mut pending = Pending { batch, left: 0, is_taken: false, is_kept: false, cause: None };
        for lane in &mut self.lanes {
            let sent = if wanted(lane, pending.batch.len()) {
                lane.send(number, &pending.batch)
            } else {
                lane.lose(&pending.batch);
                Err(Cause::SinkQueueFull)
            };
            match sent {
                Ok(()) => pending.left += 1,
                Err(cause) if lane.is_output() => pending.answer(Err(cause)),
                Err(_) => {}
            }
        }
        self.pending.insert(number, pending);
        self.settle(number, books);
    }

    /// Books what the sinks have done since the last call.
    pub fn collect(&mut self, books: &mut Books) {
        while let Ok(done) = self.done.try_recv() {
            self.book(done, books);
        }
    }

    fn book(&mut self, done: Done, books: &mut Books) {
        let Done { lane, batch, outcome } = done;
        if let Some(pending) = self.pending.get_mut(&batch) {
            pending.left -= 1;
            if let Some(lane) = self.lanes.get_mut(lane) {
                lane.book(&pending.batch, &outcome);
                pending.is_kept |= lane.keeps() && outcome.is_ok();
                if lane.is_output() {
                    pending.answer(outcome.as_ref().copied().map_err(cause_of));
                }
            }
        }
        if let Err(error) = outcome {
            self.is_closed |= cause_of(&error) == Cause::SinkClosed;
            self.failure.get_or_insert(error);
        }
        self.settle(batch, books);
    }

    /// Books a batch that every sink has answered for.
    fn settle(&mut self, number: u64, books: &mut Books) {
        if self.pending.get(&number).is_none_or(|pending| pending.left > 0) {
            return;
        }
        let Some(pending) = self.pending.remove(&number) else { return };
        books.settle(&pending.batch, pending.outcome());
        // A few spare batches serve the steady state; a burst's worth is given back.
        if let Some(mut batch) = Arc::into_inner(pending.batch).filter(|_| self.spare.len() < 4) {
            batch.clear();
            self.spare.push(batch);
        }
    }

    /// What has become of the records so far, sink by sink.
    pub fn states(&self) -> Vec<SinkState> {
        self.lanes.iter().map(|lane| lane.state(self.open_batch.len())).collect()
    }

    /// What the history has, and what of that another sink has yet to answer for.
    pub fn kept(&self) -> Kept {
        let history = self.lanes.iter().find(|lane| lane.keeps());
        let records = history.map_or(0, |lane| lane.state(0).written_records);
        let mut unbooked = BTreeMap::new();
        let waiting = self.pending.values().filter(|pending| pending.is_kept);
        for one in waiting.flat_map(|pending| pending.batch.iter()).flat_map(|record| &record.observations) {
            *unbooked.entry(one.point).or_default() += one.count;
        }
        Kept { records, unbooked }
    }

    /// Whether a reader has seen enough and closed its end.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Sends everything, waits for the sinks, and gives them the final accounts.
    ///
    /// # Errors
    /// The sinks' first error. A sink that takes nothing for a while is given up: what it was
    /// sent is booked as lost.
    pub fn finish(mut self, books: &mut Books) -> io::Result<()> {
        self.send_where(|_, _| true, books);
        while !self.pending.is_empty() {
            match self.done.recv_timeout(PATIENCE) {
                Ok(done) => self.book(done, books),
                Err(_) => {
                    books.lose_held(Cause::SinkQueueFull);
                    let what = "the output takes nothing any more: given up";
                    return Err(io::Error::new(io::ErrorKind::TimedOut, what));
                }
            }
        }
        for (number, lane) in self.lanes.iter().enumerate() {
            let others = self.lanes.iter().enumerate().filter(|(other, _)| *other != number);
            let sinks = others.map(|(_, lane)| lane.state(0)).collect();
            lane.finish(Closing { sinks, ..books.closing() });
        }
        let deadline = Instant::now() + PATIENCE;
        let mut left = self.lanes.len();
        while left > 0 && !self.lanes.iter().all(Lane::is_finished) && Instant::now() < deadline {
            match self.done.recv_timeout(PATIENCE) {
                Ok(done) => self.book(done, books),
                Err(_) => break,
            }
            left -= 1;
        }
        self.collect(books);
        self.failure.map_or(Ok(()), Err)
    }
}

fn cause_of(error: &io::Error) -> Cause {
    if error.kind() == io::ErrorKind::BrokenPipe { Cause::SinkClosed } else { Cause::SinkFailed }
}

/// A sink for tests that look elsewhere.
#[cfg(test)]
pub(crate) struct Nowhere;

#[cfg(test)]
impl Sink for Nowhere {
    fn name(&self) -> &str {
        "nowhere"
    }

    fn write(&mut self, _records: &[FlowRecord]) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, _closing: &Closing) -> io::Result<()> {
        Ok(())
    }
}
