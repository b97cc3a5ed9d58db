//! Programs that follow what the kernel does, rather than packets; and iterators over what it holds.

use crate::error::from_libbpf;
use crate::{Error, Loaded, Pod, Result};
use libbpf_rs::Iter;
use std::io::Read;

/// A program at a tracepoint or a function of the kernel; taken off on drop.
#[derive(Debug)]
pub struct Traced {
    _link: libbpf_rs::Link,
}

impl Loaded {
    /// Hangs `program` where its section says.
    ///
    /// # Errors
    /// There is no such program, or the kernel refuses.
    pub fn trace(&self, program: &str) -> Result<Traced> {
        let link = self.program(program)?.attach();
        link.map(|link| Traced { _link: link })
            .map_err(|error| from_libbpf(format!("cannot attach {program}"), &error))
    }

    /// Has the kernel go through all that it holds with the iterator `program`, which writes a `T` for each (5.8).
    ///
    /// # Errors
    /// There is no such program, or the kernel refuses.
    pub fn iterate<T: Pod>(&self, program: &str) -> Result<Vec<T>> {
        let refused = |error: &libbpf_rs::Error| from_libbpf(format!("cannot run {program}"), error);
        let link = self.program(program)?.attach().map_err(|error| refused(&error))?;
        let mut bytes = Vec::new();
        let mut iterator = Iter::new(&link).map_err(|error| refused(&error))?;
        iterator
            .read_to_end(&mut bytes)
            .map_err(|error| Error::kernel(format!("cannot read what {program} writes"), error))?;
        // SAFETY: each chunk has the size of T, and any bytes are a value of a Pod.
        let read = |chunk: &[u8]| unsafe { chunk.as_ptr().cast::<T>().read_unaligned() };
        Ok(bytes.chunks_exact(size_of::<T>()).map(read).collect())
    }
}
