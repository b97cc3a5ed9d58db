//! A packet socket with a mapped ring (`TPACKET_V2`): frames go to the device as they are, past routing and queues.

use super::{Done, Generator, Walk, Windows};
use crate::traffic::Frames;
use anyhow::{Context, Result, ensure};
use std::time::Instant;
use weir_kernel::packet_socket::TxRing;

/// Frames in the ring.
const FRAMES: usize = 1024;
/// Frames handed to the kernel at a time.
const BATCH: usize = 256;

/// The ring.
pub struct Packet {
    walk: Walk,
    frames: Frames,
    ring: TxRing,
}

impl Packet {
    /// Out of device `index` of the network namespace that this thread is in, in frames of at most `length` bytes.
    pub fn new(walk: Walk, frames: Frames, (index, length): (u32, u16)) -> Result<Self> {
        let ring =
            TxRing::new(index, usize::from(length), FRAMES).context("no packet socket to send from")?;
        Ok(Self { walk, frames, ring })
    }
}

impl Generator for Packet {
    fn send(&mut self, count: u32) -> Result<Done> {
        let start = Instant::now();
        let (mut sent, mut windows) = (0, Windows::default());
        windows.reach(self.walk.number());
        while sent < u64::from(count) {
            let left = Windows::left(self.walk.number());
            let most = BATCH.min(left.min(u64::from(count) - sent) as usize);
            let (walk, frames) = (&self.walk, &self.frames);
            let mut ahead = 0;
            let batch = self.ring.send(most, |frame| {
                let (step, stamp) = walk.peek(ahead);
                ahead += 1;
                frames.write(frame, step, stamp)
            })?;
            self.walk.advance(batch as u64);
            sent += batch as u64;
            windows.reach(self.walk.number());
        }
        ensure!(self.ring.refused() == 0, "the kernel has refused {} frames", self.ring.refused());
        Ok(Done { packets: sent, time: start.elapsed(), windows: windows.pairs() })
    }
}
