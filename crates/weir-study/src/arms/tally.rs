//! The flow table of a consumer. Whatever an arm hands out, a record for every flow is what an agent wants: what
//! the kernel does not add up, this has to.

use crate::traffic::ports;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

/// `struct plain_key`, in words.
pub type Key = [u64; 6];

/// What is known of a flow.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counters {
    /// Packets.
    pub packets: u64,
    /// Bytes on the wire.
    pub bytes: u64,
    /// When the last packet came, on the clock of the arm.
    pub last: u64,
}

/// Flows by key. It keeps its flows from slice to slice, as an agent keeps those that go on.
#[derive(Debug, Default)]
pub struct Tally {
    flows: HashMap<Key, Counters>,
}

impl Tally {
    /// Notes what has been counted since the last time.
    pub fn add(&mut self, key: Key, more: Counters) {
        match self.flows.entry(key) {
            Entry::Occupied(mut found) => {
                let sum = found.get_mut();
                sum.packets += more.packets;
                sum.bytes += more.bytes;
                sum.last = more.last;
            }
            Entry::Vacant(place) => {
                place.insert(more);
            }
        }
    }

    /// Notes all that has been counted so far.
    pub fn set(&mut self, key: Key, all: Counters) {
        self.flows.insert(key, all);
    }

    /// Begins anew, with the flows that it knows.
    pub fn reset(&mut self) {
        self.flows.values_mut().for_each(|counters| *counters = Counters::default());
    }

    /// Packets of each flow of ours, by number; what else the host has sent is left out.
    pub fn packets(&self, flows: u32) -> Vec<u64> {
        let mut packets = vec![0; flows as usize];
        for (key, counters) in &self.flows {
            let (source, destination) = ports_of(key);
            let flow = ports::flow(source, destination);
            if let Some(sum) = flow.and_then(|flow| packets.get_mut(flow as usize)) {
                *sum += counters.packets;
            }
        }
        packets
    }
}

/// Source and destination port, in host byte order: the first four bytes of the fifth word.
fn ports_of(key: &Key) -> (u16, u16) {
    let bytes = key[4].to_ne_bytes();
    (u16::from_be_bytes([bytes[0], bytes[1]]), u16::from_be_bytes([bytes[2], bytes[3]]))
}
