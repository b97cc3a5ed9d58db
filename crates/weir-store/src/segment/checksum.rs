//! Checksums of a segment. Each block of its pages has one of its own, and all of them are in the footer; what comes
//! after the blocks, the footer among it, has the one that is in the file's name. So the name vouches for the footer, and
//! the footer for every block, and whatever is read can be compared without reading the rest. Parquet's own checksums, of
//! pages, are not written by its library.

use std::hash::Hasher;
use std::io::{self, Read, Write};
use std::mem::replace;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use twox_hash::XxHash64;

/// Bytes that have a checksum together: a reader of less reads as many. Of smaller ones there would be more to keep.
pub(super) const BLOCK: usize = 32 << 10;
/// Under this key they are in a segment's metadata: how many bytes they cover, as 16 hexadecimal digits, and 8 for each
/// block.
pub(super) const KEY: &str = "weir.sums";

/// What bytes add up to.
pub(super) fn sum(bytes: &[u8]) -> u32 {
    XxHash64::oneshot(0, bytes) as u32
}

/// What a whole file adds up to: segments before version 3 of the schema have this in their names.
pub(super) fn of_whole(mut file: impl Read) -> io::Result<u32> {
    let mut summed = Summed::new(io::sink());
    summed.end_blocks();
    io::copy(&mut file, &mut summed)?;
    Ok(summed.checksum())
}

/// A file that is written, and what its bytes add up to.
pub(super) struct Summed<W> {
    pub inner: W,
    hash: XxHash64,
    /// Bytes of the block that is not full yet.
    begun: usize,
    /// Blocks come no more.
    has_ended: bool,
    covered: u64,
    blocks: Vec<u32>,
}

impl<W> Summed<W> {
    pub fn new(inner: W) -> Self {
        let hash = XxHash64::with_seed(0);
        Self { inner, hash, begun: 0, has_ended: false, covered: 0, blocks: Vec::new() }
    }

    fn add(&mut self, mut bytes: &[u8]) {
        while !self.has_ended && self.begun + bytes.len() >= BLOCK {
            let (filling, rest) = bytes.split_at(BLOCK - self.begun);
            self.hash.write(filling);
            self.begun = BLOCK;
            self.end_block();
            bytes = rest;
        }
        self.hash.write(bytes);
        self.begun += bytes.len();
    }

    fn end_block(&mut self) {
        let hash = replace(&mut self.hash, XxHash64::with_seed(0));
        self.blocks.push(hash.finish() as u32);
        self.covered += replace(&mut self.begun, 0) as u64;
    }

    /// Ends the last block, as long as it is; what a footer has to say of all of them.
    pub fn end_blocks(&mut self) -> String {
        if self.begun > 0 {
            self.end_block();
        }
        self.has_ended = true;
        let blocks = self.blocks.iter().map(|sum| format!("{sum:08x}"));
        std::iter::once(format!("{:016x}", self.covered)).chain(blocks).collect()
    }

    /// Of what was written after the blocks.
    pub fn checksum(&self) -> u32 {
        self.hash.finish() as u32
    }
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.add(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// What the blocks of a file add up to, and which of them have been found to.
#[derive(Debug)]
pub(super) struct Sums {
    /// The blocks are from the file's beginning to here.
    pub covered: u64,
    blocks: Vec<Block>,
    /// Where a block is that is not what was written.
    pub damaged: OnceLock<u64>,
}

#[derive(Debug)]
struct Block {
    sum: u32,
    is_intact: AtomicBool,
}

impl Sums {
    /// Those of this footer, if it has any. Nothing vouches for it yet: it is searched and not decoded, since a decoder
    /// would believe whatever a flipped bit makes of a length.
    pub fn find(footer: &[u8]) -> Option<Self> {
        let key = footer.windows(KEY.len()).rposition(|window| window == KEY.as_bytes())?;
        // Thrift has a byte for the kind of what follows, then its length, seven bits in each byte, then the text.
        let rest = footer.get(key + KEY.len() + 1..)?;
        let text = rest.iter().position(|byte| byte & 0x80 == 0)? + 1;
        let (covered, rest) = rest[text..].split_at_checked(16)?;
        let covered = number(covered)?;
        let count = usize::try_from(covered.div_ceil(BLOCK as u64)).ok()?;
        let blocks = rest.get(..count.checked_mul(8)?)?.chunks(8);
        let block = |digits| Some(Block { sum: number(digits)? as u32, is_intact: AtomicBool::new(false) });
        Some(Self { covered, blocks: blocks.map(block).collect::<Option<_>>()?, damaged: OnceLock::new() })
    }

    fn is_intact(&self, block: u64) -> bool {
        let block = usize::try_from(block).ok().and_then(|block| self.blocks.get(block));
        block.is_some_and(|block| block.is_intact.load(Ordering::Relaxed))
    }

    /// What has to be read for a range, which is not empty and is covered: blocks that were not compared yet as a whole.
    pub fn widened(&self, range: &Range<u64>) -> Range<u64> {
        let size = BLOCK as u64;
        let (first, last) = (range.start / size, (range.end - 1) / size);
        let start = if self.is_intact(first) { range.start } else { first * size };
        let end = if self.is_intact(last) { range.end } else { ((last + 1) * size).min(self.covered) };
        start..end
    }

    /// Compares the blocks that are in these bytes as a whole; where the first is that is another.
    pub fn compare(&self, start: u64, bytes: &[u8]) -> Result<(), u64> {
        let size = BLOCK as u64;
        let first = start.div_ceil(size);
        let ahead = usize::try_from(first * size - start).unwrap_or(usize::MAX);
        let whole = bytes.get(ahead..).unwrap_or_default().chunks(BLOCK);
        let from = usize::try_from(first).unwrap_or(usize::MAX);
        for ((block, bytes), at) in self.blocks.iter().skip(from).zip(whole).zip(first..) {
            let is_whole = bytes.len() == BLOCK || at * size + bytes.len() as u64 == self.covered;
            if !is_whole || block.is_intact.load(Ordering::Relaxed) {
                continue;
            }
            if sum(bytes) != block.sum {
                return Err(*self.damaged.get_or_init(|| at * size));
            }
            block.is_intact.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A footer with these sums, as Thrift has texts.
    fn footer(text: &str) -> Vec<u8> {
        let length = [0x80 | (text.len() & 0x7f) as u8, (text.len() >> 7) as u8];
        [b"begin ", KEY.as_bytes(), &[0x18], &length, text.as_bytes(), b" end"].concat()
    }

    proptest! {
        #[test]
        fn every_byte_is_compared(length in 0..5 * BLOCK, cuts in prop::collection::vec(1..BLOCK * 2, 1..9), at: prop::sample::Index) {
            let mut bytes: Vec<_> = (0..length).map(|place| (place * 7 % 251) as u8).collect();
            let mut summed = Summed::new(Vec::new());
            let mut rest = &bytes[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (part, more) = rest.split_at((*cut).min(rest.len()));
                summed.write_all(part).expect("memory");
                rest = more;
            }
            let text = summed.end_blocks();
            summed.write_all(b"tail").expect("memory");
            prop_assert_eq!(summed.checksum(), sum(b"tail"));
            let sums = || Sums::find(&footer(&text)).expect("sums");
            prop_assert_eq!(sums().covered, length as u64);
            prop_assert_eq!(sums().compare(0, &bytes), Ok(()));
            if length > 0 {
                let at = at.index(length);
                bytes[at] ^= 4;
                let range = sums().widened(&(at as u64..at as u64 + 1));
                let read = &bytes[range.start as usize..range.end as usize];
                let block = (at / BLOCK * BLOCK) as u64;
                prop_assert_eq!(sums().compare(range.start, read), Err(block));
                prop_assert_eq!(sums().compare(0, &bytes), Err(block));
            }
        }

        #[test]
        fn any_footer_is_searched(bytes in prop::collection::vec(any::<u8>(), 0..90), digits in "[0-9a-f]{0,40}") {
            let _ = Sums::find(&bytes);
            let _ = Sums::find(&[&footer(&digits)[..], &bytes].concat());
        }
    }

    #[test]
    fn what_was_compared_once_is_not_widened_again() {
        let bytes = vec![7; 2 * BLOCK + 5];
        let mut summed = Summed::new(io::sink());
        summed.write_all(&bytes).expect("nowhere");
        let sums = Sums::find(&footer(&summed.end_blocks())).expect("sums");
        let size = BLOCK as u64;
        assert_eq!(sums.widened(&(3..4)), 0..size);
        assert_eq!(sums.compare(0, &bytes[..BLOCK]), Ok(()));
        assert_eq!(sums.widened(&(3..4)), 3..4);
        assert_eq!(sums.widened(&(3..size + 1)), 3..2 * size);
        assert_eq!(sums.compare(3, &bytes[3..2 * BLOCK]), Ok(()));
        assert_eq!(sums.widened(&(size - 1..2 * size + 1)), size - 1..2 * size + 5);
    }
}
