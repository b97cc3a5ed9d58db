//! Reading a BPF ring buffer of fixed-size records.

use crate::error::from_libbpf;
use crate::{Error, Loaded, Pod, Result};
use libbpf_rs::{RingBuffer, RingBufferBuilder};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// The reading end of a ring that carries `T`s (5.8).
pub struct Ring<T> {
    ring: RingBuffer<'static>,
    read: Rc<RefCell<Vec<T>>>,
}

/// Records taken at a time, so that memory stays bounded while producers keep up.
const BATCH: usize = 4096;

impl<T: Pod> Ring<T> {
    /// Opens the ring `map` of `loaded`.
    ///
    /// # Errors
    /// There is no such map, or it is not a ring.
    pub fn new(loaded: &Loaded, map: &str) -> Result<Self> {
        let read = Rc::new(RefCell::new(Vec::with_capacity(BATCH)));
        let written = Rc::clone(&read);
        let map = loaded.find_map(map)?;
        let mut builder = RingBufferBuilder::new();
        builder
            .add(&map, move |bytes| {
                if bytes.len() >= size_of::<T>() {
                    // SAFETY: at least the size of T, and any bytes are a value of a Pod.
                    written.borrow_mut().push(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() });
                }
                0
            })
            .map_err(|e| from_libbpf("cannot map the ring buffer", &e))?;
        let ring = builder.build().map_err(|e| from_libbpf("cannot read the ring buffer", &e))?;
        Ok(Self { ring, read })
    }

    /// Hands what is there to `visit`, until the ring is empty or `limit` records were read. How many.
    ///
    /// # Errors
    /// The kernel refuses to be read.
    pub fn consume(&self, limit: usize, mut visit: impl FnMut(&T)) -> Result<usize> {
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
            read.iter().for_each(&mut visit);
            read.clear();
            total += count as usize;
        }
        Ok(total)
    }

    /// A descriptor that is readable after a wake-up; waits for it at most `timeout`.
    pub fn wait(&self, timeout: Duration) {
        let mut poll = libc::pollfd { fd: self.ring.epoll_fd(), events: libc::POLLIN, revents: 0 };
        let timeout = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: one pollfd, which outlives the call. EINTR only ends the wait early.
        unsafe { libc::poll(&mut poll, 1, timeout) };
    }
}
