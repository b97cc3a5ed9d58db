//! Reading a hash or a per-CPU array many elements at a time.

use crate::object::copied;
use crate::{Error, Loaded, Pod, Result};
use libbpf_rs::{MapCore, MapHandle, MapType};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};

/// Elements asked for at a time, at first.
const CHUNK: usize = 4096;

/// What becomes of elements that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// They stay.
    Keep,
    /// They are deleted. What a program adds through a pointer that it got before is lost with them.
    Delete,
}

/// Reads a map with `BPF_MAP_LOOKUP_BATCH` and `BPF_MAP_LOOKUP_AND_DELETE_BATCH` (5.6; per-CPU arrays 5.13).
///
/// libbpf-rs's own reader refuses per-CPU maps, and takes ENOSPC (a bucket with more elements than asked for)
/// for the end.
#[derive(Debug)]
pub struct Batch {
    map: MapHandle,
    key_size: usize,
    /// Of one element: for per-CPU maps, of all CPUs together.
    value_size: usize,
    keys: Vec<u8>,
    values: Vec<u8>,
}

impl Batch {
    /// Of the map `name` of `loaded`.
    ///
    /// # Errors
    /// There is no such map.
    pub fn of(loaded: &Loaded, name: &str) -> Result<Self> {
        let map = loaded.find_map(name)?;
        let handle = MapHandle::try_from(&map);
        Self::new(handle.map_err(|e| crate::error::from_libbpf(format!("cannot use map {name}"), &e))?)
    }

    /// Of `map`.
    ///
    /// # Errors
    /// The number of CPUs cannot be told.
    pub fn new(map: MapHandle) -> Result<Self> {
        let per_cpu =
            matches!(map.map_type(), MapType::PercpuHash | MapType::LruPercpuHash | MapType::PercpuArray);
        let value_size = if per_cpu {
            let cpus = libbpf_rs::num_possible_cpus()
                .map_err(|e| crate::error::from_libbpf("cannot tell the number of CPUs", &e))?;
            (map.value_size() as usize).next_multiple_of(8) * cpus
        } else {
            map.value_size() as usize
        };
        let key_size = map.key_size() as usize;
        Ok(Self { map, key_size, value_size, keys: Vec::new(), values: Vec::new() })
    }

    /// Bytes of one value, padded: what the values of the CPUs lie apart.
    pub fn value_size(&self) -> usize {
        (self.map.value_size() as usize).next_multiple_of(8)
    }

    /// Hands every element of a hash to `visit`: its key, and its value, or those of all CPUs one after another.
    /// How many there were.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn read(&mut self, after: After, mut visit: impl FnMut(&[u8], &[u8])) -> Result<usize> {
        let mut chunk = CHUNK;
        let mut cursor = Vec::new();
        let mut total = 0;
        loop {
            let (count, outcome) = self.call(&mut cursor, chunk, after);
            self.visit(count, &mut visit);
            total += count;
            match outcome {
                Outcome::More => {}
                Outcome::End => return Ok(total),
                Outcome::TooSmall => chunk *= 2,
                Outcome::Refused(error) => return Err(error),
            }
        }
    }

    /// As [`read`](Self::read), of a hash with one value for all CPUs.
    ///
    /// # Errors
    /// The kernel refuses, or keys and values are of other sizes.
    pub fn read_as<K: Pod, V: Pod>(&mut self, after: After, mut visit: impl FnMut(&K, &V)) -> Result<usize> {
        if (self.key_size, self.value_size) != (size_of::<K>(), size_of::<V>()) {
            return Err(Error::Missing("map of such elements".into()));
        }
        self.read(after, |key, value| {
            if let (Some(key), Some(value)) = (copied(key), copied(value)) {
                visit(&key, &value);
            }
        })
    }

    /// As [`read`](Self::read), of the elements `range` of an array.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn read_range(&mut self, range: Range<u32>, mut visit: impl FnMut(&[u8], &[u8])) -> Result<()> {
        // The cursor is the last index that was read.
        let mut cursor =
            range.start.checked_sub(1).map(|last| last.to_ne_bytes().to_vec()).unwrap_or_default();
        let mut left = range.len();
        while left > 0 {
            let (count, outcome) = self.call(&mut cursor, left.min(CHUNK), After::Keep);
            self.visit(count, &mut visit);
            left -= count.min(left);
            match outcome {
                Outcome::More if count > 0 => {}
                Outcome::Refused(error) => return Err(error),
                _ => break,
            }
        }
        Ok(())
    }

    fn visit(&self, count: usize, visit: &mut impl FnMut(&[u8], &[u8])) {
        let keys = self.keys.chunks_exact(self.key_size);
        for (key, value) in keys.zip(self.values.chunks_exact(self.value_size)).take(count) {
            visit(key, value);
        }
    }

    /// One system call: how many elements are in the buffers now. `cursor` is empty at the beginning.
    fn call(&mut self, cursor: &mut Vec<u8>, chunk: usize, after: After) -> (usize, Outcome) {
        self.keys.resize(self.keys.len().max(chunk * self.key_size), 0);
        self.values.resize(self.values.len().max(chunk * self.value_size), 0);
        let function = match after {
            After::Keep => libbpf_sys::bpf_map_lookup_batch,
            After::Delete => libbpf_sys::bpf_map_lookup_and_delete_batch,
        };
        // A hash's cursor is 32 bits wide whatever its key, an array's is its key.
        let mut next = vec![0_u8; self.key_size.max(size_of::<u32>())];
        let begin = if cursor.is_empty() { std::ptr::null_mut() } else { cursor.as_mut_ptr() };
        let options = libbpf_sys::bpf_map_batch_opts {
            sz: size_of::<libbpf_sys::bpf_map_batch_opts>() as libbpf_sys::size_t,
            ..Default::default()
        };
        let mut count = chunk as u32;
        // SAFETY: the buffers have room for `chunk` keys and values, the cursors for what the kernel keeps in them,
        // and all of them outlive the call.
        let answer = unsafe {
            function(
                self.map.as_fd().as_raw_fd(),
                begin.cast(),
                next.as_mut_ptr().cast(),
                self.keys.as_mut_ptr().cast(),
                self.values.as_mut_ptr().cast(),
                &mut count,
                &options,
            )
        };
        let outcome = match -answer {
            0 => Outcome::More,
            libc::ENOENT => Outcome::End,
            libc::ENOSPC => return (0, Outcome::TooSmall),
            errno => {
                let source = std::io::Error::from_raw_os_error(errno);
                return (0, Outcome::Refused(Error::kernel("cannot read a map in batches", source)));
            }
        };
        *cursor = next;
        (count as usize, outcome)
    }
}

enum Outcome {
    More,
    End,
    TooSmall,
    Refused(Error),
}
