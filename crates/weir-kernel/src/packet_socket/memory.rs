//! The memory of a ring.

use super::PacketSocket;
use crate::{Error, Result};
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU32;

/// All frames of a ring, one after the other, unmapped on drop. Who may touch a frame is said by its status word.
#[derive(Debug)]
pub(super) struct Memory {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to the process, not to the thread that made it.
unsafe impl Send for Memory {}

impl Memory {
    /// Maps the ring that `socket` has been given, of `length` bytes.
    pub(super) fn new(socket: &PacketSocket, length: usize) -> Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choice; nothing is replaced.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                socket.0.as_raw_fd(),
                0,
            )
        };
        match NonNull::new(start) {
            Some(start) if start.as_ptr() != libc::MAP_FAILED => Ok(Self { start: start.cast(), length }),
            _ => Err(Error::last_os_error("cannot map the ring of a packet socket")),
        }
    }

    /// The word at `offset`, which both sides access as a whole.
    pub(super) fn word(&self, offset: usize) -> &AtomicU32 {
        let first = self.at(offset, 4);
        assert!(first.cast::<AtomicU32>().is_aligned());
        // SAFETY: inside the mapping, aligned, and both sides access it as a whole word.
        unsafe { AtomicU32::from_ptr(first.cast()) }
    }

    /// A header at `offset`: a struct of integers.
    ///
    /// # Safety
    /// Any bytes are a value of `T`, and the kernel does not write them: they are ours by their status word.
    pub(super) unsafe fn read<T: Copy>(&self, offset: usize) -> T {
        // SAFETY: inside the mapping; the rest is the caller's.
        unsafe { self.at(offset, size_of::<T>()).cast::<T>().read_unaligned() }
    }

    /// Writes a header at `offset`.
    ///
    /// # Safety
    /// The kernel does not touch these bytes meanwhile: they are ours by their status word.
    pub(super) unsafe fn write<T: Copy>(&mut self, offset: usize, value: T) {
        // SAFETY: inside the mapping; the rest is the caller's.
        unsafe { self.at(offset, size_of::<T>()).cast::<T>().write_unaligned(value) }
    }

    /// `length` bytes at `offset`.
    ///
    /// # Safety
    /// The kernel does not write them as long as the slice lives: they are ours by their status word.
    pub(super) unsafe fn bytes(&self, offset: usize, length: usize) -> &[u8] {
        // SAFETY: inside the mapping; the rest is the caller's.
        unsafe { std::slice::from_raw_parts(self.at(offset, length), length) }
    }

    /// `length` bytes at `offset`, to be written.
    ///
    /// # Safety
    /// The kernel does not touch them as long as the slice lives: they are ours by their status word.
    pub(super) unsafe fn bytes_mut(&mut self, offset: usize, length: usize) -> &mut [u8] {
        // SAFETY: inside the mapping, borrowed as a whole; the rest is the caller's.
        unsafe { std::slice::from_raw_parts_mut(self.at(offset, length), length) }
    }

    fn at(&self, offset: usize, length: usize) -> *mut u8 {
        assert!(offset <= self.length && length <= self.length - offset, "outside of the ring");
        // SAFETY: inside the mapping.
        unsafe { self.start.as_ptr().add(offset) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: exactly what `new` mapped, and no borrow of it outlives self.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}
