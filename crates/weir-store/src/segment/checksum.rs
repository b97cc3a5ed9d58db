//! Checksums of whole files: Parquet's own are not written by its library.

use std::hash::Hasher;
use std::io::{self, Read, Write};
use twox_hash::XxHash64;

/// A file that is written, and what its bytes add up to.
pub(super) struct Summed<W> {
    pub inner: W,
    hash: XxHash64,
}

impl<W> Summed<W> {
    pub fn new(inner: W) -> Self {
        Self { inner, hash: XxHash64::with_seed(0) }
    }

    pub fn checksum(&self) -> u32 {
        self.hash.finish() as u32
    }
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.write(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// What the bytes of a file add up to.
pub(super) fn checksum(mut file: impl Read) -> io::Result<u32> {
    let mut summed = Summed::new(io::sink());
    io::copy(&mut file, &mut summed)?;
    Ok(summed.checksum())
}
