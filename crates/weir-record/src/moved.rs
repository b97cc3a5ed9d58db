//! What a conversation has moved, both ways.

use crate::{Count, FlowRecord};
use serde::{Deserialize, Serialize};

/// What went from source to destination, and what came back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// From source to destination.
    pub forth: Count,
    /// From destination to source.
    pub back: Count,
}

impl Moved {
    /// What a record counts.
    pub fn of(record: &FlowRecord) -> Self {
        Self {
            forth: Count { packets: record.packets, bytes: record.bytes },
            back: record.reverse.map(|reverse| reverse.count).unwrap_or_default(),
        }
    }

    /// What is more than `before`; nothing where it is less.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        let more = |now: Count, before: Count| Count {
            packets: now.packets.saturating_sub(before.packets),
            bytes: now.bytes.saturating_sub(before.bytes),
        };
        Self { forth: more(self.forth, before.forth), back: more(self.back, before.back) }
    }

    /// Adds to it.
    pub fn add(&mut self, more: Self) {
        self.forth += more.forth;
        self.back += more.back;
    }

    /// As the other end has it.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { forth: self.back, back: self.forth }
    }

    /// Bytes both ways.
    pub fn bytes(self) -> u64 {
        self.forth.bytes + self.back.bytes
    }

    /// Packets both ways.
    pub fn packets(self) -> u64 {
        self.forth.packets + self.back.packets
    }
}
