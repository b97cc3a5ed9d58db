//! A walk through one sender's part of the schedule.

use crate::traffic::{STAMP, Schedule, Step, stamp};
use std::sync::Arc;

/// Where a sender is.
pub struct Walk {
    schedule: Arc<Schedule>,
    sender: u32,
    sequence: u64,
}

impl Walk {
    /// From the beginning of `sender`'s part.
    pub fn new(schedule: Arc<Schedule>, sender: u32) -> Self {
        Self { schedule, sender, sequence: 0 }
    }

    /// The packet `ahead` of the next one, and its stamp.
    pub fn peek(&self, ahead: u64) -> (Step, [u8; STAMP]) {
        let part = &self.schedule.parts[self.sender as usize];
        let sequence = self.sequence + ahead;
        let step = part.start + (sequence % u64::from(part.end - part.start)) as u32;
        (self.schedule.steps[step as usize], stamp(self.sender, sequence))
    }

    /// The number of the next packet.
    pub fn number(&self) -> u64 {
        self.sequence
    }

    /// So many have been sent.
    pub fn advance(&mut self, packets: u64) {
        self.sequence += packets;
    }
}
