//! Looking into an mmap-able array map without a system call per element.

use crate::{Error, Pod, Result};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut, Range};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A mapping, unmapped on drop.
#[derive(Debug)]
struct Mapping {
    start: NonNull<libc::c_void>,
    length: usize,
}

// SAFETY: the mapping belongs to the process, not to the thread that made it.
unsafe impl Send for Mapping {}
// SAFETY: shared references to it give out atomics, or slices of what nobody writes.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(map: BorrowedFd<'_>, offset: usize, length: usize) -> Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choice; nothing is replaced.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                map.as_raw_fd(),
                offset as libc::off_t,
            )
        };
        match NonNull::new(start) {
            Some(start) if start.as_ptr() != libc::MAP_FAILED => Ok(Self { start, length }),
            _ => Err(Error::last_os_error("cannot map a BPF array")),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly what `new` mapped, and no borrow of it outlives self.
        unsafe { libc::munmap(self.start.as_ptr(), self.length) };
    }
}

/// Elements `range` of an array map with `BPF_F_MMAPABLE` (5.5), as a slice.
///
/// Mapped pages count as resident memory of the process, so a window is kept as small and
/// as short-lived as its use.
///
/// The caller sees to it that nobody writes these elements meanwhile: they are of the
/// generation that the probes have left (see [`GracePeriod`](crate::GracePeriod)).
#[derive(Debug)]
pub struct Window<T> {
    mapping: Option<Mapping>,
    skip: usize,
    count: usize,
    element: PhantomData<T>,
}

impl<T: Pod> Window<T> {
    /// Maps elements `range` of `map`, whose value size is that of `T`.
    ///
    /// # Errors
    /// The map is not mmap-able, or shorter than that.
    pub fn new(map: BorrowedFd<'_>, range: Range<usize>) -> Result<Self> {
        const { assert!(size_of::<T>().is_multiple_of(8), "array elements are padded to 8 bytes") };
        let (begin, end) = (range.start * size_of::<T>(), range.end * size_of::<T>());
        if end <= begin {
            return Ok(Self { mapping: None, skip: 0, count: 0, element: PhantomData });
        }
        let skip = begin % page_size();
        let mapping = Mapping::new(map, begin - skip, end - begin + skip)?;
        Ok(Self { mapping: Some(mapping), skip, count: range.len(), element: PhantomData })
    }

    /// Sets every byte to zero.
    pub fn clear(&mut self) {
        if let Some(mapping) = &self.mapping {
            // SAFETY: inside the mapping, which is ours to write; zero is a value of every Pod.
            unsafe {
                let first = mapping.start.as_ptr().cast::<u8>().add(self.skip);
                first.write_bytes(0, self.count * size_of::<T>());
            }
        }
    }
}

impl<T: Pod> Deref for Window<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.mapping {
            // SAFETY: `new` mapped skip + count elements; pages are aligned beyond any T, and
            // nobody writes a generation that has been left.
            Some(mapping) => unsafe {
                let first = mapping.start.as_ptr().cast::<u8>().add(self.skip).cast::<T>();
                std::slice::from_raw_parts(first, self.count)
            },
            None => &[],
        }
    }
}

impl<T: Pod> DerefMut for Window<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match &self.mapping {
            // SAFETY: as in `deref`; two windows on the same elements are never held at once.
            Some(mapping) => unsafe {
                let first = mapping.start.as_ptr().cast::<u8>().add(self.skip).cast::<T>();
                std::slice::from_raw_parts_mut(first, self.count)
            },
            None => &mut [],
        }
    }
}

/// An array map with `BPF_F_MMAPABLE` as 64-bit words that both sides may touch at any time.
#[derive(Debug)]
pub struct Shared {
    mapping: Mapping,
    words: usize,
}

impl Shared {
    /// Maps the first `words` words of `map`.
    ///
    /// # Errors
    /// The map is not mmap-able, or shorter than that.
    pub fn new(map: BorrowedFd<'_>, words: usize) -> Result<Self> {
        Ok(Self { mapping: Mapping::new(map, 0, words * size_of::<u64>())?, words })
    }
}

impl Deref for Shared {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: `new` mapped that many words, pages are aligned, and both sides access whole words.
        unsafe { std::slice::from_raw_parts(self.mapping.start.as_ptr().cast(), self.words) }
    }
}

/// The globals of an object (`.bss`), as words that both sides may touch at any time.
#[derive(Debug)]
pub struct Words {
    mapping: Mapping,
}

impl Words {
    pub(crate) fn new(map: BorrowedFd<'_>, length: usize) -> Result<Self> {
        Ok(Self { mapping: Mapping::new(map, 0, length)? })
    }

    pub(crate) fn word(&self, offset: usize) -> &AtomicU32 {
        assert!(offset.is_multiple_of(4) && offset + 4 <= self.mapping.length);
        // SAFETY: inside the mapping, aligned, and both sides access it as a whole word.
        unsafe { AtomicU32::from_ptr(self.mapping.start.as_ptr().cast::<u8>().add(offset).cast()) }
    }

    pub(crate) fn read<T: Pod>(&self, offset: usize) -> T {
        const { assert!(size_of::<T>().is_multiple_of(4)) };
        let mut value = MaybeUninit::<T>::uninit();
        for number in 0..size_of::<T>() / 4 {
            let word = self.word(offset + 4 * number).load(Ordering::Relaxed);
            // SAFETY: within the value, which need not be aligned for a word.
            unsafe { value.as_mut_ptr().cast::<u32>().add(number).write_unaligned(word) };
        }
        // SAFETY: all of its bytes are written; any are a value of a Pod.
        unsafe { value.assume_init() }
    }
}

/// Bytes of a page.
pub fn page_size() -> usize {
    // SAFETY: takes no pointers.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}
