//! What was dropped altogether, by reason.

use super::loss::Loss;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use weir_record::{Count, DropSource};

/// What can be said of drops.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DropsState {
    /// How the kernel tells: `tracepoint`; empty where nobody listens.
    pub hooks: String,
    /// Packets that were dropped, as the packets themselves tell.
    pub packets: u64,
    /// Their bytes, from the network header on.
    pub bytes: u64,
    /// Packets that no record tells of: their flows have none, are not of IP, or there was no room for them.
    pub unclaimed_packets: u64,
    /// Of these, packets whose flows there was no room for.
    pub evicted_packets: u64,
    /// Packets that could not be counted.
    pub lost_packets: u64,
    /// Flows whose drops wait for a record.
    pub waiting_flows: u64,
    /// Why, in the order of numbers; whichever of the kernel's books says so.
    pub reasons: Vec<DropReason>,
}

/// Drops of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DropReason {
    /// Which of the kernel's books says so. One drop may be in several.
    pub source: String,
    /// Its word for it.
    pub reason: String,
    /// How many packets.
    pub packets: u64,
}

/// All losses since the start. There are as many kinds as the kernel has words.
#[derive(Debug, Default)]
pub struct Sums {
    by_reason: BTreeMap<(DropSource, Arc<str>), Count>,
    flowless: u64,
}

impl Sums {
    /// Adds one.
    pub fn add(&mut self, loss: &Loss) {
        *self.by_reason.entry((loss.source, Arc::clone(&loss.reason))).or_default() += loss.count;
        if loss.source == DropSource::KfreeSkb && loss.is_flowless {
            self.flowless += loss.count.packets;
        }
    }

    /// Packets whose flows the kernel had no room for.
    pub fn flowless(&self) -> u64 {
        self.flowless
    }

    /// All of them.
    pub fn state(&self) -> DropsState {
        let of_packets = self.by_reason.iter().filter(|((source, _), _)| *source == DropSource::KfreeSkb);
        let mut total = Count::default();
        of_packets.for_each(|(_, count)| total += *count);
        let reason = |((source, reason), count): (&(DropSource, Arc<str>), &Count)| DropReason {
            source: source.as_str().into(),
            reason: reason.to_string(),
            packets: count.packets,
        };
        let mut reasons: Vec<_> = self.by_reason.iter().map(reason).collect();
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.packets));
        DropsState { packets: total.packets, bytes: total.bytes, reasons, ..DropsState::default() }
    }
}
