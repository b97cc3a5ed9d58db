//! What an arm reports, flow by flow.

use crate::traffic::ports;

/// Packets by flow.
#[derive(Debug, Default)]
pub struct Tally {
    packets: Vec<u64>,
    strangers: u64,
}

impl Tally {
    /// For `flows` flows.
    pub fn new(flows: u32) -> Self {
        Self { packets: vec![0; flows as usize], strangers: 0 }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.packets.fill(0);
        self.strangers = 0;
    }

    /// Notes `packets` of the flow with these ports, in host byte order.
    pub fn add(&mut self, source_port: u16, destination_port: u16, packets: u64) {
        let flow = ports::flow(source_port, destination_port);
        match flow.and_then(|flow| self.packets.get_mut(flow as usize)) {
            Some(sum) => *sum += packets,
            // What the host itself has sent: neighbour discovery, say.
            None => self.strangers += packets,
        }
    }

    /// Packets of all flows.
    pub fn packets(&self) -> u64 {
        self.packets.iter().sum()
    }

    /// Flows with a packet at least.
    pub fn flows(&self) -> u64 {
        self.packets.iter().filter(|packets| **packets > 0).count() as u64
    }

    /// Packets of each flow, by number.
    pub fn each(&self) -> &[u64] {
        &self.packets
    }

    /// Adds what another tally has.
    pub fn merge(&mut self, other: &Self) {
        self.packets.iter_mut().zip(&other.packets).for_each(|(sum, packets)| *sum += packets);
        self.strangers += other.strangers;
    }
}
