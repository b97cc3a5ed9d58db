//! Conversations: what joining two directions and many observation points adds to a record.

use crate::{Count, Direction, FlowRecord, Interface, Layer};
use serde::ser::{Serialize, SerializeMap, Serializer};
use smallvec::SmallVec;
use std::sync::Arc;

/// What tells who began a conversation; the later ones outweigh those before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// Nothing: the direction is arbitrary.
    None,
    /// It was seen first.
    Time,
    /// The other end's port is a server's.
    Ports,
    /// It sent the ICMP request.
    Request,
    /// It sent a SYN, or was sent a SYN-ACK.
    Syn,
}

impl Evidence {
    /// All of it.
    pub const ALL: [Self; 5] = [Self::None, Self::Time, Self::Ports, Self::Request, Self::Syn];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Time => "time",
            Self::Ports => "ports",
            Self::Request => "request",
            Self::Syn => "syn",
        }
    }

    /// What it makes of the record's source (RFC 5103, `biflowDirection`).
    pub fn biflow_direction(self) -> &'static str {
        if self == Self::None { "arbitrary" } else { "initiator" }
    }
}

/// What came back, in a record of both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reverse {
    /// Wire packets and bytes from the destination to the source.
    pub count: Count,
    /// All their TCP flags.
    pub tcp_flags: u16,
    /// One in so many of them was counted.
    pub sampling_rate: u32,
    /// Why the source is held to be the one that began.
    pub evidence: Evidence,
}

/// What one observation point has counted of one direction of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Number of the observation point in the ledger.
    pub point: u16,
    /// Where.
    pub interface: Arc<Interface>,
    /// Which way the packets crossed the interface.
    pub direction: Direction,
    /// The frame itself, or what a tunnel's frame carried.
    pub layer: Layer,
    /// Outer VLAN id there.
    pub vlan: Option<u16>,
    /// Whether the packets had the translated addresses there.
    pub translated: bool,
    /// Whether they went from the record's destination to its source.
    pub reverse: bool,
    /// How many.
    pub count: Count,
}

/// The observations of a record. Both directions at one interface need no memory of their own.
pub type Observations = SmallVec<[Observation; 2]>;

impl FlowRecord {
    /// What its observations are if one point saw all of it.
    pub fn by_one_point(&self) -> Observations {
        let one = |(direction, count)| Observation {
            point: 0,
            interface: Arc::clone(&self.interface),
            direction,
            layer: Layer::Outer,
            vlan: self.key.vlan(),
            translated: false,
            reverse: direction != self.direction,
            count,
        };
        self.ways().map(one).collect()
    }

    /// Whether its observations are [those](Self::by_one_point).
    pub fn is_by_one_point(&self) -> bool {
        let is = |(one, (direction, count)): (&Observation, _)| {
            one.direction == direction
                && one.count == count
                && one.reverse == (direction != self.direction)
                && one.layer == Layer::Outer
                && !one.translated
                && one.vlan == self.key.vlan()
                && (Arc::ptr_eq(&one.interface, &self.interface) || one.interface == self.interface)
        };
        self.observations.len() == self.ways().count() && self.observations.iter().zip(self.ways()).all(is)
    }

    /// Each way that packets went, and how many.
    fn ways(&self) -> impl Iterator<Item = (Direction, Count)> {
        let there = Count { packets: self.packets, bytes: self.bytes };
        let back = self.reverse.map(|reverse| (self.direction.opposite(), reverse.count));
        std::iter::once((self.direction, there)).chain(back).filter(|(_, count)| count.packets > 0)
    }
}

impl Serialize for Observation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(10))?;
        map.serialize_entry("netns", &*self.interface.netns)?;
        map.serialize_entry("interface", &self.interface.name)?;
        map.serialize_entry("interface_index", &self.interface.index)?;
        map.serialize_entry("direction", self.direction.as_str())?;
        map.serialize_entry("decapsulated", &(self.layer == Layer::Inner))?;
        map.serialize_entry("vlan", &self.vlan)?;
        map.serialize_entry("translated", &self.translated)?;
        map.serialize_entry("reverse", &self.reverse)?;
        map.serialize_entry("packets", &self.count.packets)?;
        map.serialize_entry("bytes", &self.count.bytes)?;
        map.end()
    }
}
