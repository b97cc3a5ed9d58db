//! The same number of UDP packets in each of many flows, at full speed.

use crate::frames::{Ipv4, UDP, udp};
use crate::inject::Injector;
use crate::output::{Count, Flow};

/// Where the ports lie in a frame without VLAN tags and IP options.
const PORTS: usize = 14 + 20;
const PORTS_PER_SIDE: u64 = 1_000;
const FIRST_PORT: u64 = 1_024;

/// A number of flows, told apart by their ports, that take turns packet by packet: the order
/// that is worst for every cache.
#[derive(Clone, Copy)]
pub struct Flood {
    /// How many packets in all.
    pub packets: u64,
    /// Over how many flows, at most a million.
    pub flows: u64,
    /// The third byte of the source address: marks one flood among others.
    pub mark: u8,
}

impl Flood {
    /// Of the shortest frame that Ethernet allows: 42 bytes of headers and 18 of payload.
    pub const FRAME_LENGTH: u64 = 60;

    /// Sends it, and returns what was sent.
    pub fn send(&self, injector: &Injector) -> Count {
        let source = [10, 88, self.mark, 1].into();
        let template = Ipv4 { source, ..Ipv4::default() }.frame(UDP, &udp(0, 0, &[0; 18]));
        injector.flood(&template, self.packets, |number, frame| {
            let (source, destination) = Self::ports(number % self.flows);
            frame[PORTS..PORTS + 2].copy_from_slice(&source.to_be_bytes());
            frame[PORTS + 2..PORTS + 4].copy_from_slice(&destination.to_be_bytes());
        });
        self.total()
    }

    /// What is sent in all.
    pub fn total(&self) -> Count {
        Count { packets: self.packets, bytes: self.packets * Self::FRAME_LENGTH }
    }

    /// Whether a record is about this flood.
    pub fn owns(&self, flow: &Flow) -> bool {
        flow.source_address.as_deref() == Some(&format!("10.88.{}.1", self.mark))
    }

    /// Holds records, already merged by flow, against what was sent, flow by flow.
    pub fn assert_equals(&self, flows: &[Flow]) {
        let mut unseen: std::collections::HashMap<_, _> = (0..self.flows)
            .map(|flow| {
                (Self::ports(flow), self.packets / self.flows + u64::from(flow < self.packets % self.flows))
            })
            .collect();
        for flow in flows.iter().filter(|flow| self.owns(flow)) {
            let ports = (flow.source_port.unwrap_or_default(), flow.destination_port.unwrap_or_default());
            let packets = unseen.remove(&ports).unwrap_or_else(|| panic!("never sent: {flow:?}"));
            assert_eq!(flow.count(), Count { packets, bytes: packets * Self::FRAME_LENGTH }, "{flow:?}");
        }
        unseen.retain(|_, packets| *packets > 0);
        assert!(
            unseen.is_empty(),
            "{} flows have no record, one with ports {:?}",
            unseen.len(),
            unseen.keys().next()
        );
    }

    fn ports(flow: u64) -> (u16, u16) {
        let port = |number| u16::try_from(FIRST_PORT + number).expect("at most a million flows");
        (port(flow % PORTS_PER_SIDE), port(flow / PORTS_PER_SIDE))
    }
}
