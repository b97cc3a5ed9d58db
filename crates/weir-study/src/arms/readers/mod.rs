//! The consumers: each takes what one kind of arm has counted out of the kernel.

mod arena;
mod arrays;
mod buffers;
mod hashes;
mod shipped;
mod socket;

pub use arena::{Arena, ENTRY};
pub use arrays::{POSITIONS, PerCpuArray, SLOT, SLOTS, SharedArray};
pub use buffers::{PerfBuffer, Ring};
pub use hashes::Hashes;
pub use shipped::Shipped;
pub use socket::Socket;

use super::Tally;
use anyhow::Result;
use std::collections::BTreeMap;
use std::time::Duration;

/// Packets lost, by cause.
pub type Losses = BTreeMap<&'static str, u64>;

/// When a reader wants to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// All the time: whatever it does not read in time is lost.
    Eager,
    /// Once an interval.
    EveryInterval,
    /// Once an interval, and in between when the kernel wakes it.
    WhenWoken,
}

/// Reads what an arm has counted.
pub trait Reader {
    /// When it wants to be called.
    fn pace(&self) -> Pace {
        Pace::EveryInterval
    }

    /// Reads what is there, as an agent would meanwhile. An eager one waits for `patience` at most if nothing is.
    fn read(&mut self, patience: Duration, tally: &mut Tally) -> Result<()>;

    /// Waits for `patience` to be woken, and takes what cannot wait for the next read.
    fn relieve(&mut self, _patience: Duration, _tally: &mut Tally) -> Result<()> {
        Ok(())
    }

    /// After the traffic: all that is left. From here on the tally holds everything, and the maps are empty. Losses
    /// that it knows of itself.
    fn finish(&mut self, tally: &mut Tally) -> Result<Losses>;
}
