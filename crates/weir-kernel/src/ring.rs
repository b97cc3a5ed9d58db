//! Reading a BPF ring buffer of records of one kind.

use crate::error::from_libbpf;
use crate::{Error, Loaded, Pod, Result};
use libbpf_rs::{MapCore, RingBuffer, RingBufferBuilder};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// The reading end of a ring that carries `T`s, and text of any length behind them (5.8).
pub struct Ring<T> {
    ring: RingBuffer<'static>,
    read: Rc<RefCell<Read<T>>>,
    /// Its size in bytes.
    size: usize,
    /// What was found in it since it was last asked for, in bytes.
    found: Cell<usize>,
}

/// What has been read and not yet handed on.
struct Read<T> {
    records: Vec<T>,
    /// Where the text of each ends.
    ends: Vec<usize>,
    text: Vec<u8>,
}

/// What the kernel writes before each record (`BPF_RINGBUF_HDR_SZ`).
const HEADER: usize = 8;
/// Records taken at a time: few enough that they are still in the nearest cache when they are handed on.
const BATCH: usize = 64;

impl<T: Pod> Ring<T> {
    /// Opens the ring `map` of `loaded`.
    ///
    /// # Errors
    /// There is no such map, or it is not a ring.
    pub fn new(loaded: &Loaded, map: &str) -> Result<Self> {
        let (records, ends) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        let read = Rc::new(RefCell::new(Read { records, ends, text: Vec::new() }));
        let written = Rc::clone(&read);
        let map = loaded.find_map(map)?;
        let size = map.max_entries() as usize;
        let mut builder = RingBufferBuilder::new();
        builder
            .add(&map, move |bytes| {
                if let Some((record, text)) = bytes.split_at_checked(size_of::<T>()) {
                    let mut written = written.borrow_mut();
                    written.text.extend_from_slice(text);
                    let end = written.text.len();
                    // SAFETY: of the size of T, and any bytes are a value of a Pod.
                    written.records.push(unsafe { record.as_ptr().cast::<T>().read_unaligned() });
                    written.ends.push(end);
                }
                0
            })
            .map_err(|e| from_libbpf("cannot map the ring buffer", &e))?;
        let ring = builder.build().map_err(|e| from_libbpf("cannot read the ring buffer", &e))?;
        Ok(Self { ring, read, size, found: Cell::new(0) })
    }

    /// Hands what is there to `visit`, until the ring is empty or `limit` records were read. How many.
    ///
    /// # Errors
    /// The kernel refuses to be read.
    pub fn consume(&self, limit: usize, mut visit: impl FnMut(&T)) -> Result<usize> {
        self.consume_in_parts(limit, |records| {
            records.iter().for_each(&mut visit);
            Ok(())
        })
    }

    /// As [`consume`](Self::consume), a few records at a time: none of these parts is empty.
    ///
    /// # Errors
    /// The kernel refuses to be read, or `visit` fails.
    pub fn consume_in_parts(&self, limit: usize, mut visit: impl FnMut(&[T]) -> Result<()>) -> Result<usize> {
        self.read_in_parts(limit, |read| visit(&read.records))
    }

    /// As [`consume`](Self::consume), with what follows each record.
    ///
    /// # Errors
    /// The kernel refuses to be read.
    pub fn consume_with_text(&self, limit: usize, mut visit: impl FnMut(&T, &[u8])) -> Result<usize> {
        self.read_in_parts(limit, |read| {
            let mut start = 0;
            for (record, end) in read.records.iter().zip(&read.ends) {
                visit(record, &read.text[start..*end]);
                start = *end;
            }
            Ok(())
        })
    }

    fn read_in_parts(&self, limit: usize, mut visit: impl FnMut(&Read<T>) -> Result<()>) -> Result<usize> {
        let mut total = 0;
        while total < limit {
            let count = self.ring.consume_raw_n(BATCH.min(limit - total));
            if count < 0 {
                let source = std::io::Error::from_raw_os_error(-count);
                return Err(Error::kernel("cannot read the ring buffer", source));
            }
            if count == 0 {
                break;
            }
            let mut read = self.read.borrow_mut();
            let bytes = read.records.len() * (HEADER + size_of::<T>()) + read.text.len();
            self.found.set(self.found.get() + bytes);
            let visited = visit(&read);
            read.records.clear();
            read.ends.clear();
            read.text.clear();
            visited?;
            total += count as usize;
        }
        Ok(total)
    }

    /// How much of it was full when it was read, since this was last asked for: more than 1 where more came meanwhile.
    pub fn take_fill(&self) -> f64 {
        self.found.take() as f64 / self.size as f64
    }

    /// A descriptor that is readable after a wake-up; waits for it at most `timeout`.
    pub fn wait(&self, timeout: Duration) {
        let mut poll = libc::pollfd { fd: self.ring.epoll_fd(), events: libc::POLLIN, revents: 0 };
        // poll(2) counts in milliseconds: rounded down, who waits for less would spin.
        let timeout = i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        // SAFETY: one pollfd, which outlives the call. EINTR only ends the wait early.
        unsafe { libc::poll(&mut poll, 1, timeout) };
    }
}
