//! The ledger: what became of every packet, per observation point.
//!
//! `seen = exported + held + filtered + sampled out + lost`, in packets and in bytes, exactly. `seen` is counted by the
//! probe before anything else is done with a packet, and each of the others where it happens,
//! so that a sum that does not balance is a bug that shows.

mod window;

pub use window::{LedgerColumn, LedgerWindow};

use crate::{Direction, Interface, Layer};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::{AddAssign, SubAssign};
use std::sync::Arc;

/// Packets and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct Count {
    /// Wire packets.
    pub packets: u64,
    /// Wire bytes.
    pub bytes: u64,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

impl SubAssign for Count {
    fn sub_assign(&mut self, other: Self) {
        self.packets -= other.packets;
        self.bytes -= other.bytes;
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("packets", &self.packets)?;
        map.serialize_entry("bytes", &self.bytes)?;
        map.end()
    }
}

/// Where and why packets were lost on the way from the wire to the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Kernel: the flow hash was full, and so was the spill ring.
    SpillRingFull,
    /// Kernel: the CPU was busy with another packet (PREEMPT_RT) or had no part of its own, and the spill ring was full.
    NestedSpillRingFull,
    /// Output: the sink did not keep up, and its queue was full.
    SinkQueueFull,
    /// Output: the sink could not write.
    SinkFailed,
    /// Output: the reader had seen enough and closed its end.
    SinkClosed,
    /// Agent: it did not stop in order, and held them in memory or had not read them yet. The next one books them in the
    /// history.
    AgentKilled,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::SpillRingFull,
        Self::NestedSpillRingFull,
        Self::SinkQueueFull,
        Self::SinkFailed,
        Self::SinkClosed,
        Self::AgentKilled,
    ];

    /// The word for it in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SpillRingFull => "spill_ring_full",
            Self::NestedSpillRingFull => "nested_spill_ring_full",
            Self::SinkQueueFull => "sink_queue_full",
            Self::SinkFailed => "sink_failed",
            Self::SinkClosed => "sink_closed",
            Self::AgentKilled => "agent_killed",
        }
    }

    /// Which knob to turn.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::SpillRingFull | Self::NestedSpillRingFull => "raise --memory-budget or shorten --interval",
            Self::SinkQueueFull => "read the output faster, or use -o none",
            Self::SinkFailed => "see why the output could not be written",
            Self::SinkClosed => "nothing: the reader closed its end",
            Self::AgentKilled => "see what killed the agent, or shorten --active-timeout",
        }
    }

    /// Whether it needs a person's attention.
    pub fn is_alarming(self) -> bool {
        self != Self::SinkClosed
    }
}

/// The books of one observation point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Where.
    pub interface: Arc<Interface>,
    /// Which way.
    pub direction: Direction,
    /// The frame itself, or what a tunnel's frame carried.
    pub layer: Layer,
    /// Counted by the probe, before anything else.
    pub seen: Count,
    /// In records that a sink has taken.
    pub exported: Count,
    /// In the flow table or on the way to a sink.
    pub held: Count,
    /// Of `held`, what came through the spill ring ahead of the drain that will say it was seen.
    pub ahead: Count,
    /// Denied by a rule or the filter.
    pub filtered: Count,
    /// Allowed by a rule that takes one packet in so many, and not taken.
    pub sampled_out: Count,
    /// Lost, by cause.
    pub lost: BTreeMap<Cause, Count>,
}

/// Which accounts are one: an interface that comes again under its name goes on where it was.
pub type AccountIdentity = (Arc<str>, String, Direction, Layer);

impl Account {
    /// Opens the books of an observation point.
    pub fn new(interface: Arc<Interface>, direction: Direction, layer: Layer) -> Self {
        let nothing = Count::default();
        let lost = BTreeMap::new();
        Self {
            interface,
            direction,
            layer,
            seen: nothing,
            exported: nothing,
            held: nothing,
            ahead: nothing,
            filtered: nothing,
            sampled_out: nothing,
            lost,
        }
    }

    /// What is the same in all accounts that are one.
    pub fn identity(&self) -> AccountIdentity {
        let interface = &self.interface;
        (Arc::clone(&interface.netns), interface.name.clone(), self.direction, self.layer)
    }

    /// All that was lost.
    pub fn lost_total(&self) -> Count {
        let mut total = Count::default();
        self.lost.values().for_each(|count| total += *count);
        total
    }

    /// Whether every packet and byte is accounted for.
    pub fn is_balanced(&self) -> bool {
        let mut in_books = self.exported;
        in_books += self.held;
        in_books += self.filtered;
        in_books += self.sampled_out;
        in_books += self.lost_total();
        let mut known = self.seen;
        known += self.ahead;
        known == in_books
    }
}

impl AddAssign<&Account> for Account {
    /// Of the same observation point under the same name; the interface is the latest.
    fn add_assign(&mut self, other: &Account) {
        self.seen += other.seen;
        self.exported += other.exported;
        self.held += other.held;
        self.ahead += other.ahead;
        self.filtered += other.filtered;
        self.sampled_out += other.sampled_out;
        for (cause, count) in &other.lost {
            *self.lost.entry(*cause).or_default() += *count;
        }
        if self.interface.name == other.interface.name {
            self.interface = Arc::clone(&other.interface);
        }
    }
}

/// The books of a probe that tells of something else than packets: the kernel told of `events + lost_events`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename = "probe")]
pub struct ProbeAccount {
    /// Its name.
    pub probe: &'static str,
    /// What was taken in.
    pub events: u64,
    /// What the kernel had no room for.
    pub lost_events: u64,
    /// What was learned from them and had to be forgotten for want of room, while it held.
    pub evicted: u64,
}

/// An account as it is printed.
#[derive(Debug, Clone, Copy)]
pub struct Statement<'a>(pub &'a Account);

impl Serialize for Statement<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let account = self.0;
        let lost = account.lost_total();
        let by: BTreeMap<&str, Count> =
            account.lost.iter().map(|(cause, count)| (cause.as_str(), *count)).collect();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", "ledger")?;
        map.serialize_entry("interface", &account.interface.name)?;
        map.serialize_entry("interface_index", &account.interface.index)?;
        map.serialize_entry("netns", &*account.interface.netns)?;
        map.serialize_entry("direction", account.direction.as_str())?;
        map.serialize_entry("decapsulated", &(account.layer == Layer::Inner))?;
        map.serialize_entry("balanced", &account.is_balanced())?;
        map.serialize_entry("seen_packets", &account.seen.packets)?;
        map.serialize_entry("seen_bytes", &account.seen.bytes)?;
        map.serialize_entry("exported_packets", &account.exported.packets)?;
        map.serialize_entry("exported_bytes", &account.exported.bytes)?;
        map.serialize_entry("held_packets", &account.held.packets)?;
        map.serialize_entry("held_bytes", &account.held.bytes)?;
        map.serialize_entry("filtered_packets", &account.filtered.packets)?;
        map.serialize_entry("filtered_bytes", &account.filtered.bytes)?;
        map.serialize_entry("sampled_out_packets", &account.sampled_out.packets)?;
        map.serialize_entry("sampled_out_bytes", &account.sampled_out.bytes)?;
        map.serialize_entry("lost_packets", &lost.packets)?;
        map.serialize_entry("lost_bytes", &lost.bytes)?;
        map.serialize_entry("lost_by", &by)?;
        map.end()
    }
}
