//! Hashes of the kernel. Read in batches, as they stand: a program that adds to an element through a pointer
//! would lose what it adds if that were deleted under its hands, so that happens after the traffic only.

use super::super::records::{self, KEY};
use super::super::{Counters, Tally};
use super::{Losses, Reader};
use anyhow::Result;
use std::time::Duration;
use weir_kernel::{After, Batch};

/// One hash, or one for each CPU.
pub struct Hashes {
    maps: Vec<Batch>,
}

impl Hashes {
    /// Of values that begin with a number of packets.
    pub fn new(maps: Vec<Batch>) -> Self {
        Self { maps }
    }

    fn read_all(&mut self, after: After, tally: &mut Tally) -> Result<()> {
        for (number, map) in self.maps.iter_mut().enumerate() {
            let size = map.value_size();
            map.read(after, |key, values| note(tally, (number, key), values.chunks_exact(size)))?;
        }
        Ok(())
    }
}

impl Reader for Hashes {
    fn read(&mut self, _: Duration, tally: &mut Tally) -> Result<()> {
        self.read_all(After::Keep, tally)
    }

    fn finish(&mut self, tally: &mut Tally) -> Result<Losses> {
        self.read_all(After::Delete, tally)?;
        Ok(Losses::new())
    }
}

/// One value for all CPUs, or one for each.
fn note<'a>(tally: &mut Tally, (map, key): (usize, &[u8]), values: impl Iterator<Item = &'a [u8]>) {
    let mut sum = Counters::default();
    for value in values.filter_map(records::words).map(records::value) {
        sum.packets += value.packets;
        sum.bytes += value.bytes;
        sum.last = sum.last.max(value.last);
    }
    if let Some(mut key) = records::words::<KEY>(key) {
        // Of each map by itself, since a later read of one replaces an earlier one: there is room in the padding.
        key[KEY - 1] |= (map as u64) << 32;
        tally.set(key, sum);
    }
}
