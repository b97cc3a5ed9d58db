//! A frame: one batch of records, compressed, with a checksum.
//!
//! ```text
//! "WFRM" | length of the payload, u32 | length before compression, u32 | checksum, u64 | payload: Arrow IPC, LZ4
//! ```
//! All little-endian. The checksum begins with the log's number, so that what a reused block holds of another log is
//! none of this one.

use crate::{Error, Result};
use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use lz4_flex::block::{compress_into, decompress, get_maximum_output_size};
use std::hash::Hasher;
use twox_hash::XxHash64;

const MAGIC: &[u8; 4] = b"WFRM";
const HEADER: usize = 20;
/// No frame is as large as this once it is unpacked.
const LIMIT: usize = 256 << 20;

/// Makes frames; what it needs for that is kept from one to the next.
#[derive(Debug, Default)]
pub(crate) struct Framer {
    plain: Vec<u8>,
    packed: Vec<u8>,
}

impl Framer {
    /// Adds the frame of a batch to `out`.
    pub fn add(&mut self, log: u64, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        self.plain.clear();
        let mut stream = StreamWriter::try_new(&mut self.plain, &batch.schema())?;
        stream.write(batch)?;
        stream.finish()?;
        drop(stream);
        let most = get_maximum_output_size(self.plain.len());
        if self.packed.len() < most {
            self.packed.resize(most, 0);
        }
        let length = compress_into(&self.plain, &mut self.packed).unwrap_or(0);
        let payload = &self.packed[..length];
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(MAGIC);
        header[4..8].copy_from_slice(&(length as u32).to_le_bytes());
        header[8..12].copy_from_slice(&(self.plain.len() as u32).to_le_bytes());
        let sum = checksum(log, &header[..12], payload);
        header[12..].copy_from_slice(&sum.to_le_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(payload);
        Ok(())
    }
}

fn checksum(log: u64, lengths: &[u8], payload: &[u8]) -> u64 {
    let mut hash = XxHash64::with_seed(log);
    hash.write(lengths);
    hash.write(payload);
    hash.finish()
}

/// What comes next in a log.
pub(crate) enum Next {
    /// A batch, and the length of its frame.
    Batch(RecordBatch, usize),
    /// Something of this length that is no frame any more; a frame comes after it.
    Damaged(usize),
    /// No frame comes any more: the log ends, or what follows was never finished.
    End,
}

/// Reads what `bytes` begin with.
pub(crate) fn read(log: u64, bytes: &[u8]) -> Next {
    if let Some((batch, length)) = intact(log, bytes) {
        return Next::Batch(batch, length);
    }
    let marks = (1..bytes.len()).filter(|at| bytes[*at..].starts_with(MAGIC));
    let next = marks.into_iter().find(|at| intact(log, &bytes[*at..]).is_some());
    next.map_or(Next::End, Next::Damaged)
}

fn intact(log: u64, bytes: &[u8]) -> Option<(RecordBatch, usize)> {
    let (header, rest) = bytes.split_at_checked(HEADER)?;
    let number = |at: usize| Some(u32::from_le_bytes(header.get(at..at + 4)?.try_into().ok()?) as usize);
    let (length, plain) = (number(4)?, number(8)?);
    let payload = rest.get(..length)?;
    let is_whole =
        header.starts_with(MAGIC) && header[12..] == checksum(log, &header[..12], payload).to_le_bytes();
    let batch = if is_whole { unpack(payload, plain).ok()? } else { return None };
    Some((batch, HEADER + length))
}

fn unpack(payload: &[u8], length: usize) -> Result<RecordBatch> {
    let odd = |what: String| Error::Arrow(arrow_schema::ArrowError::ParseError(what));
    if length > LIMIT {
        return Err(odd(format!("a frame of {length} bytes")));
    }
    let plain = decompress(payload, length).map_err(|error| odd(error.to_string()))?;
    let mut stream = StreamReader::try_new(plain.as_slice(), None)?;
    Ok(stream.next().ok_or_else(|| odd("an empty frame".to_owned()))??)
}
