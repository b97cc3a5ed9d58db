//! Programs that follow what the kernel does, rather than packets; and iterators over what it holds.

use crate::error::from_libbpf;
use crate::{Error, Loaded, Pod, Result};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

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
    pub fn iterate<T: Pod>(&self, program: &'static str) -> Result<Vec<T>> {
        self.iterator(program)?.all()
    }

    /// The iterator `program`, to be run several times.
    ///
    /// # Errors
    /// There is no such program, or the kernel refuses.
    pub fn iterator(&self, program: &'static str) -> Result<Iterator> {
        let refused = |error: &libbpf_rs::Error| from_libbpf(format!("cannot run {program}"), error);
        let link = self.program(program)?.attach().map_err(|error| refused(&error))?;
        let link = link.as_fd().try_clone_to_owned();
        let link = link.map_err(|error| Error::kernel(format!("cannot run {program}"), error))?;
        Ok(Iterator { program, link })
    }
}

/// An iterator that can be run in any thread: what it goes through is that of the thread's network namespace, where it
/// is of one.
#[derive(Debug)]
pub struct Iterator {
    program: &'static str,
    link: OwnedFd,
}

impl Iterator {
    /// Has the kernel go through all that it holds; the program writes a `T` for each.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn all<T: Pod>(&self) -> Result<Vec<T>> {
        // SAFETY: the link is open.
        let fd = unsafe { libbpf_sys::bpf_iter_create(self.link.as_raw_fd()) };
        if fd < 0 {
            let source = std::io::Error::from_raw_os_error(-fd);
            return Err(Error::kernel(format!("cannot run {}", self.program), source));
        }
        // SAFETY: a fresh descriptor that nobody else knows.
        let mut file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(|error| Error::kernel(format!("cannot read what {} writes", self.program), error))?;
        // SAFETY: each chunk has the size of T, and any bytes are a value of a Pod.
        let read = |chunk: &[u8]| unsafe { chunk.as_ptr().cast::<T>().read_unaligned() };
        Ok(bytes.chunks_exact(size_of::<T>()).map(read).collect())
    }
}
