//! Buffers of records: the ring buffer, and the older perf buffer.

use super::super::{Tally, records};
use super::{Losses, Pace, Reader};
use anyhow::{Context, Result};
use libbpf_rs::{MapHandle, PerfBufferBuilder, RingBuffer, RingBufferBuilder};
use std::cell::RefCell;
use std::mem;
use std::rc::Rc;
use std::time::Duration;

/// Pages of each CPU's perf buffer: 8 MiB.
const PAGES: usize = 2048;

/// Both callbacks and reader have it at hand.
type SharedTally = Rc<RefCell<Tally>>;

/// Has the callbacks count in the caller's tally while `work` is done.
fn with(tally: &mut Tally, shared: &SharedTally, work: impl FnOnce() -> Result<()>) -> Result<()> {
    mem::swap(tally, &mut shared.borrow_mut());
    let result = work();
    mem::swap(tally, &mut shared.borrow_mut());
    result
}

fn note(tally: &SharedTally, card: &[u8]) {
    if let Some(card) = records::words(card) {
        let (key, counters) = records::postcard(&card);
        tally.borrow_mut().add(key, counters);
    }
}

/// A ring buffer.
pub struct Ring {
    ring: RingBuffer<'static>,
    tally: SharedTally,
}

impl Ring {
    /// Opens `map`.
    pub fn new(map: &MapHandle) -> Result<Self> {
        let tally = SharedTally::default();
        let counted = Rc::clone(&tally);
        let mut builder = RingBufferBuilder::new();
        builder.add(map, move |card| {
            note(&counted, card);
            0
        })?;
        Ok(Self { ring: builder.build().context("cannot read the ring buffer")?, tally })
    }
}

impl Reader for Ring {
    fn pace(&self) -> Pace {
        Pace::Eager
    }

    fn read(&mut self, patience: Duration, tally: &mut Tally) -> Result<()> {
        with(tally, &self.tally, || Ok(self.ring.poll(patience)?))
    }

    fn finish(&mut self, tally: &mut Tally) -> Result<Losses> {
        with(tally, &self.tally, || Ok(self.ring.consume()?))?;
        Ok(Losses::new())
    }
}

/// A perf buffer for every CPU.
pub struct PerfBuffer {
    buffer: libbpf_rs::PerfBuffer<'static>,
    tally: SharedTally,
}

impl PerfBuffer {
    /// Opens `map`.
    pub fn new(map: &MapHandle) -> Result<Self> {
        let tally = SharedTally::default();
        let counted = Rc::clone(&tally);
        let builder = PerfBufferBuilder::new(map)
            .pages(PAGES)
            // The program is told when a buffer is full, and counts that.
            .sample_cb(move |_, card: &[u8]| note(&counted, card));
        let buffer = builder.build().context("cannot open perf buffers")?;
        Ok(Self { buffer, tally })
    }

    /// Kernel memory of all buffers.
    pub fn bytes(&self) -> u64 {
        (self.buffer.buffer_cnt() * PAGES * 4096) as u64
    }
}

impl Reader for PerfBuffer {
    fn pace(&self) -> Pace {
        Pace::Eager
    }

    fn read(&mut self, patience: Duration, tally: &mut Tally) -> Result<()> {
        with(tally, &self.tally, || Ok(self.buffer.poll(patience)?))
    }

    fn finish(&mut self, tally: &mut Tally) -> Result<Losses> {
        with(tally, &self.tally, || Ok(self.buffer.consume()?))?;
        Ok(Losses::new())
    }
}
