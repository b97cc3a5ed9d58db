//! A packet socket with a mapped ring (`TPACKET_V3`), every packet of which is read: libpcap's way, at its best.

use super::super::tally::{Counters, Tally};
use super::{Losses, Pace, Reader};
use crate::traffic::key_of;
use anyhow::Result;
use std::time::Duration;
use weir_kernel::packet_socket::RxRing;

/// The receiving ring of one device.
pub struct Socket {
    ring: RxRing,
}

impl Socket {
    /// What its ring takes, in bytes.
    pub const MEMORY: u64 = weir_kernel::packet_socket::RxRing::BYTES;

    /// On device `index` of the network namespace that this thread is in.
    pub fn new(index: u32) -> Result<Self> {
        Ok(Self { ring: RxRing::incoming(index)? })
    }

    fn consume(&mut self, tally: &mut Tally) -> Result<usize> {
        Ok(self.ring.consume(|frame| {
            if let Some(key) = key_of(frame) {
                tally.add(key, Counters { packets: 1, bytes: frame.len() as u64, last: 0 });
            }
        })?)
    }
}

impl Reader for Socket {
    fn pace(&self) -> Pace {
        Pace::Eager
    }

    fn read(&mut self, patience: Duration, tally: &mut Tally) -> Result<()> {
        if self.consume(tally)? == 0 {
            self.ring.wait(patience);
        }
        Ok(())
    }

    /// The last block is handed out when its time is up.
    fn finish(&mut self, tally: &mut Tally) -> Result<Losses> {
        for _ in 0..3 {
            while self.consume(tally)? > 0 {}
            self.ring.wait(Duration::from_millis(20));
        }
        let statistics = self.ring.statistics()?;
        let dropped = statistics.drops;
        Ok(if dropped > 0 { Losses::from([("ring full", dropped)]) } else { Losses::new() })
    }
}
