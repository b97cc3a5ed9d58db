//! Hashes of the kernel. Read in batches, as they stand: a program that adds to an element through a pointer
//! would lose what it adds if that were deleted under its hands, so that happens after the traffic only.

use super::super::{Tally, records};
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
        tally.clear();
        for map in &mut self.maps {
            let size = map.value_size();
            map.read(after, |key, values| records::add_values(tally, key, values, size))?;
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
