//! One sink on its thread, and the queue before it.

use super::{Closing, QUEUE, Sink, cause_of};
use crate::{Error, Result, SinkState};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use weir_filter::Filter;
use weir_record::{Cause, FlowRecord, PeerState};

/// How often a sink that is sent nothing may look after what it has.
const IDLE: Duration = Duration::from_secs(1);
/// Batches that are written before they are made to last, at most.
const TOGETHER: usize = 32;

/// A batch, the same one for every sink.
pub(super) type Batch = Arc<Vec<FlowRecord>>;

enum Order {
    Write(u64, Batch),
    Finish(Closing),
}

/// What has become of a batch at one sink, or of its end (batch 0).
pub(super) struct Done {
    pub lane: usize,
    pub batch: u64,
    pub outcome: io::Result<()>,
}

/// The near end of a sink.
pub(super) struct Lane {
    orders: Sender<Order>,
    thread: JoinHandle<()>,
    queued: usize,
    state: SinkState,
    peer: Option<Arc<Mutex<PeerState>>>,
    filter: Option<Filter>,
    keeps: bool,
    is_output: bool,
}

impl Lane {
    /// Starts `sink` on a thread of its own, the one of this number.
    pub fn start(sink: impl Sink, number: usize, outbox: Sender<Done>) -> Result<Self> {
        let (state, keeps, peer) = (SinkState::new(sink.name(), QUEUE), sink.keeps(), sink.peer());
        let (filter, is_output) = (sink.filter(), sink.is_output());
        let (orders, inbox) = channel();
        let far = Far { sink, number, outbox, unsettled: Vec::new(), is_broken: false };
        let thread = Builder::new().name("weir-sink".into()).spawn(move || far.serve(&inbox));
        let thread = thread.map_err(Error::Thread)?;
        Ok(Self { orders, thread, queued: 0, state, peer, filter, keeps, is_output })
    }

    /// Whether its sink is the history.
    pub fn keeps(&self) -> bool {
        self.keeps
    }

    /// Whether records leave by it.
    pub fn is_output(&self) -> bool {
        self.is_output
    }

    /// Whether a batch of so many records has room.
    pub fn has_room(&self, records: usize) -> bool {
        self.queued + records <= QUEUE
    }

    /// Sends a batch.
    ///
    /// # Errors
    /// The sink is gone; it is booked as lost here.
    pub fn send(&mut self, number: u64, batch: &Batch) -> std::result::Result<(), Cause> {
        if self.orders.send(Order::Write(number, Arc::clone(batch))).is_err() {
            self.lose(batch);
            return Err(Cause::SinkFailed);
        }
        self.queued += batch.len();
        Ok(())
    }

    /// Counts a batch that is not sent.
    pub fn lose(&mut self, batch: &[FlowRecord]) {
        self.state.lose(wanted(self.filter.as_ref(), batch));
    }

    /// Counts in what has become of a batch that was sent.
    pub fn book(&mut self, batch: &[FlowRecord], outcome: &io::Result<()>) {
        self.queued -= batch.len();
        self.state.add(wanted(self.filter.as_ref(), batch), outcome.as_ref().err());
    }

    /// Sends the final accounts, after the last batch.
    pub fn finish(&self, closing: Closing) {
        let _ = self.orders.send(Order::Finish(closing));
    }

    /// Whether its thread has ended.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// What has become of the records so far, with `open` that are not sent yet.
    pub fn state(&self, open: usize) -> SinkState {
        let queued_records = (self.queued + open) as u64;
        let peer = self.peer.as_ref().map(|peer| peer.lock().unwrap_or_else(PoisonError::into_inner).clone());
        SinkState { queued_records, peer, ..self.state.clone() }
    }
}

/// Those of a batch that a sink has asked for.
fn wanted<'b>(
    filter: Option<&'b Filter>,
    batch: &'b [FlowRecord],
) -> impl Iterator<Item = &'b FlowRecord> + Clone {
    batch.iter().filter(move |record| filter.is_none_or(|filter| filter.matches(record)))
}

/// The far end: what the thread has.
struct Far<S> {
    sink: S,
    number: usize,
    outbox: Sender<Done>,
    /// Batches that were written and are not known to last.
    unsettled: Vec<u64>,
    is_broken: bool,
}

impl<S: Sink> Far<S> {
    fn serve(mut self, inbox: &Receiver<Order>) {
        loop {
            let order = match inbox.try_recv() {
                Ok(order) => order,
                Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) => {
                    self.settle();
                    self.sink.go_on();
                    let idle = if self.sink.is_behind() { Duration::ZERO } else { IDLE };
                    match inbox.recv_timeout(idle) {
                        Ok(order) => order,
                        Err(RecvTimeoutError::Timeout) => continue,
                        Err(RecvTimeoutError::Disconnected) => return,
                    }
                }
            };
            match order {
                Order::Write(number, batch) => self.write(number, batch),
                Order::Finish(closing) => {
                    self.settle();
                    let outcome = if self.is_broken { Ok(()) } else { self.sink.finish(&closing) };
                    self.done(0, outcome);
                    return;
                }
            }
        }
    }

    fn write(&mut self, number: u64, batch: Batch) {
        let outcome =
            if self.is_broken { Err(io::ErrorKind::BrokenPipe.into()) } else { self.sink.write(&batch) };
        // The near end wants it back when it hears.
        drop(batch);
        match outcome {
            Ok(()) => self.unsettled.push(number),
            Err(error) => {
                self.is_broken |= cause_of(&error) == Cause::SinkClosed;
                self.done(number, Err(error));
            }
        }
        if self.unsettled.len() >= TOGETHER {
            self.settle();
        }
    }

    fn settle(&mut self) {
        let outcome = if self.is_broken { Ok(()) } else { self.sink.settle() };
        for number in std::mem::take(&mut self.unsettled) {
            let outcome =
                outcome.as_ref().copied().map_err(|error| io::Error::new(error.kind(), error.to_string()));
            self.done(number, outcome);
        }
    }

    fn done(&self, batch: u64, outcome: io::Result<()>) {
        // An agent that does not listen any more has given the sink up.
        let _ = self.outbox.send(Done { lane: self.number, batch, outcome });
    }
}
