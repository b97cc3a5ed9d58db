//! One sink, its thread and its queue: a slow reader stops the sink, never the drain.

use crate::{Books, Error, Result, SinkState};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};
use weir_record::{Account, Cause, FlowRecord, ProbeAccount};

/// Where records go. Called from a thread of its own; may block.
pub trait Sink: Send + 'static {
    /// What `weir status` calls it.
    fn name(&self) -> &'static str;

    /// Takes a batch, all or nothing.
    ///
    /// # Errors
    /// The batch could not be written: it is counted as lost. After a broken pipe nothing more is sent.
    fn write(&mut self, records: &[FlowRecord]) -> io::Result<()>;

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
}

/// Records in a batch: large enough to be worth a wake-up, small enough to be reused.
pub const BATCH: usize = 2048;
/// Records that wait for a sink at most: some seconds of a busy host, 60 MB.
const QUEUE: usize = 256 * 1024;
/// A sink that takes nothing for this long at exit is given up.
const PATIENCE: Duration = Duration::from_secs(10);

enum Order {
    Write(Vec<FlowRecord>),
    Finish(Closing),
}

struct Done {
    batch: Vec<FlowRecord>,
    outcome: io::Result<()>,
}

/// The near end of a sink.
pub struct Outlet {
    orders: Sender<Order>,
    done: Receiver<Done>,
    thread: JoinHandle<()>,
    open_batch: Vec<FlowRecord>,
    spare: Vec<Vec<FlowRecord>>,
    queued: usize,
    failure: Option<io::Error>,
    state: SinkState,
}

impl Outlet {
    /// Starts `sink` on a thread of its own.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn new(sink: impl Sink) -> Result<Self> {
        let state = SinkState::new(sink.name(), QUEUE);
        let (orders, inbox) = channel();
        let (outbox, done) = channel();
        let thread = Builder::new()
            .name("weir-sink".into())
            .spawn(move || serve(sink, &inbox, &outbox))
            .map_err(Error::Thread)?;
        let open_batch = Vec::with_capacity(BATCH);
        Ok(Self { orders, done, thread, open_batch, spare: Vec::new(), queued: 0, failure: None, state })
    }

    /// Adds a record to the batch; a full batch is sent.
    pub fn push(&mut self, record: FlowRecord, books: &mut Books) {
        self.open_batch.push(record);
        if self.open_batch.len() >= BATCH {
            self.send(books);
        }
    }

    /// Sends the batch as it is, unless the queue is full: then it is lost, and counted.
    pub fn send(&mut self, books: &mut Books) {
        if self.queued + self.open_batch.len() > QUEUE {
            self.collect(books);
        }
        if self.queued + self.open_batch.len() > QUEUE {
            books.settle(&self.open_batch, Err(Cause::SinkQueueFull));
            self.state.lost_records += self.open_batch.len() as u64;
            self.open_batch.clear();
            return;
        }
        self.send_whatever_the_queue(books);
    }

    fn send_whatever_the_queue(&mut self, books: &mut Books) {
        if self.open_batch.is_empty() {
            return;
        }
        let fresh = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(BATCH));
        let batch = std::mem::replace(&mut self.open_batch, fresh);
        self.queued += batch.len();
        if let Err(refused) = self.orders.send(Order::Write(batch))
            && let Order::Write(batch) = refused.0
        {
            self.queued -= batch.len();
            self.state.lost_records += batch.len() as u64;
            books.settle(&batch, Err(Cause::SinkFailed));
        }
    }

    /// Books what the sink has done since the last call.
    pub fn collect(&mut self, books: &mut Books) {
        while let Ok(done) = self.done.try_recv() {
            self.book(done, books);
        }
    }

    fn book(&mut self, done: Done, books: &mut Books) {
        let Done { mut batch, outcome } = done;
        self.queued -= batch.len();
        books.settle(&batch, outcome.as_ref().copied().map_err(cause_of));
        self.state.add(batch.len(), outcome.as_ref().err());
        if let Err(error) = outcome {
            self.failure.get_or_insert(error);
        }
        batch.clear();
        // A few spare batches serve the steady state; a burst's worth is given back.
        if self.spare.len() < 4 {
            self.spare.push(batch);
        }
    }

    /// What has become of the records so far.
    pub fn state(&self) -> SinkState {
        SinkState { queued_records: (self.queued + self.open_batch.len()) as u64, ..self.state.clone() }
    }

    /// The first error that the sink met.
    pub fn failure(&self) -> Option<&io::Error> {
        self.failure.as_ref()
    }

    /// Sends everything, waits for the sink, and gives it the final accounts.
    ///
    /// # Errors
    /// The sink's first error. A sink that takes nothing for a while is given up: what it was
    /// sent is booked as lost.
    pub fn finish(mut self, books: &mut Books) -> io::Result<()> {
        self.send_whatever_the_queue(books);
        while self.queued > 0 {
            match self.done.recv_timeout(PATIENCE) {
                Ok(done) => self.book(done, books),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    books.lose_held(Cause::SinkQueueFull);
                    let what = "the output takes nothing any more: given up";
                    return Err(io::Error::new(io::ErrorKind::TimedOut, what));
                }
            }
        }
        let _ = self.orders.send(Order::Finish(books.closing()));
        let deadline = Instant::now() + PATIENCE;
        while !self.thread.is_finished() && Instant::now() < deadline {
            match self.done.recv_timeout(PATIENCE) {
                Ok(done) => self.book(done, books),
                Err(_) => break,
            }
        }
        self.failure.map_or(Ok(()), Err)
    }
}

fn cause_of(error: &io::Error) -> Cause {
    if error.kind() == io::ErrorKind::BrokenPipe { Cause::SinkClosed } else { Cause::SinkFailed }
}

fn serve(mut sink: impl Sink, inbox: &Receiver<Order>, outbox: &Sender<Done>) {
    let mut broken = false;
    for order in inbox {
        let done = match order {
            Order::Write(batch) if broken => Done { batch, outcome: Err(io::ErrorKind::BrokenPipe.into()) },
            Order::Write(batch) => {
                let outcome = sink.write(&batch);
                broken = outcome.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
                Done { batch, outcome }
            }
            Order::Finish(closing) => {
                let outcome = if broken { Ok(()) } else { sink.finish(&closing) };
                let _ = outbox.send(Done { batch: Vec::new(), outcome });
                return;
            }
        };
        if outbox.send(done).is_err() {
            return;
        }
    }
}

/// A sink for tests that look elsewhere.
#[cfg(test)]
pub(crate) struct Nowhere;

#[cfg(test)]
impl Sink for Nowhere {
    fn name(&self) -> &'static str {
        "nowhere"
    }

    fn write(&mut self, _records: &[FlowRecord]) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, _closing: &Closing) -> io::Result<()> {
        Ok(())
    }
}
