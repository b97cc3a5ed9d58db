//! What the agent's records say, added up as they pass by on their way to the sink.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use weir_agent::Sink;
use weir_record::{Account, Count, FlowRecord};

const SYN: u16 = 2;
const ACK: u16 = 16;

/// What a server offers, at one end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Service {
    /// The end with the lower port.
    pub server: IpAddr,
    /// That port; none where the protocol has none.
    pub port: Option<u16>,
    /// The protocol's name.
    pub protocol: String,
}

/// One way between a client and a service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    client: IpAddr,
    service: Service,
    to_server: bool,
}

/// Seen at one observation point.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    count: Count,
    tcp_flags: u16,
}

/// A client and a service, both ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Who asks.
    pub client: IpAddr,
    /// Who answers.
    pub service: Service,
    /// To the server.
    pub asked: Count,
    /// From the server.
    pub answered: Count,
    /// Whether the server took a TCP connection.
    pub accepted: bool,
}

impl Conversation {
    /// Both ways.
    pub fn total(&self) -> Count {
        let mut total = self.asked;
        total += self.answered;
        total
    }
}

/// Counts by way and observation point. It does not grow with time: clients' ports are left out.
#[derive(Debug, Default)]
pub struct Tally {
    ways: BTreeMap<Way, BTreeMap<u16, Seen>>,
}

impl Tally {
    fn add(&mut self, record: &FlowRecord) {
        let Some((source, destination)) = record.key.addresses() else { return };
        let ports = record.key.ports();
        let to_server = ports.is_none_or(|(from, to)| to <= from);
        let (client, server) = if to_server { (source, destination) } else { (destination, source) };
        let protocol = record.key.protocol_text().unwrap_or_default().into_owned();
        let service = Service { server, port: ports.map(|(from, to)| from.min(to)), protocol };
        let points = self.ways.entry(Way { client, service, to_server }).or_default();
        let seen = points.entry(record.point).or_default();
        seen.count += Count { packets: record.packets, bytes: record.bytes };
        seen.tcp_flags |= record.tcp_flags;
    }

    /// All conversations, the largest first. A packet crosses many observation points: the one that saw
    /// most of a way counts, the others saw the same packets.
    pub fn conversations(&self) -> Vec<Conversation> {
        let mut found: BTreeMap<_, Conversation> = BTreeMap::new();
        for (way, points) in &self.ways {
            let Some(most) = points.values().max_by_key(|seen| seen.count.packets) else { continue };
            let Way { client, service, to_server } = way;
            let conversation = found.entry((client, service)).or_insert_with(|| Conversation {
                client: *client,
                service: service.clone(),
                asked: Count::default(),
                answered: Count::default(),
                accepted: false,
            });
            if *to_server {
                conversation.asked = most.count;
            } else {
                conversation.answered = most.count;
                conversation.accepted = most.tcp_flags & (SYN | ACK) == SYN | ACK;
            }
        }
        let mut conversations: Vec<_> = found.into_values().collect();
        conversations.sort_by_key(|conversation| std::cmp::Reverse(conversation.total().bytes));
        conversations
    }
}

/// A sink that adds up what passes through it.
pub struct Overheard<S> {
    inner: S,
    tally: Arc<Mutex<Tally>>,
}

impl<S: Sink> Overheard<S> {
    /// Adds up in `tally` what goes to `inner`.
    pub fn new(inner: S, tally: &Arc<Mutex<Tally>>) -> Self {
        Self { inner, tally: Arc::clone(tally) }
    }
}

impl<S: Sink> Sink for Overheard<S> {
    fn write(&mut self, records: &[FlowRecord]) -> io::Result<()> {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        records.iter().for_each(|record| tally.add(record));
        drop(tally);
        self.inner.write(records)
    }

    fn finish(&mut self, accounts: &[Account]) -> io::Result<()> {
        self.inner.finish(accounts)
    }
}

/// A record for tests.
#[cfg(test)]
pub fn record(point: u16, ends: [(&str, u16); 2], packets: u64, tcp_flags: u16) -> FlowRecord {
    use weir_record::{Addresses, Direction, FlowEndReason, FlowKey, Interface};
    let address = |end: usize| ends[end].0.parse().expect("an IPv4 address");
    FlowRecord {
        point,
        interface: Arc::new(Interface { name: format!("if{point}"), index: point.into() }),
        direction: Direction::Ingress,
        key: FlowKey::Ip {
            vlan: None,
            addresses: Addresses::V4(address(0), address(1)),
            protocol: if tcp_flags == 0 { 17 } else { 6 },
            ports: Some((ends[0].1, ends[1].1)),
        },
        start: 0,
        end: 0,
        packets,
        bytes: packets * 100,
        tcp_flags,
        dscp: 0,
        dscp_seen: 0,
        ecn_seen: 0,
        ttl: (64, 64),
        length: (100, 100),
        fragmented: false,
        end_reason: FlowEndReason::ForcedEnd,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = "192.0.2.11";
    const SERVER: &str = "192.0.2.80";

    fn tally(records: &[FlowRecord]) -> Vec<Conversation> {
        let mut tally = Tally::default();
        records.iter().for_each(|record| tally.add(record));
        tally.conversations()
    }

    #[test]
    fn a_packet_counts_once_however_often_it_is_seen() {
        let there = |point, client_port| record(point, [(CLIENT, client_port), (SERVER, 80)], 5, SYN | ACK);
        let back = |point, packets| record(point, [(SERVER, 80), (CLIENT, 40_000)], packets, SYN | ACK);
        // Two connections, at two points; of the answers one was lost between them.
        let all =
            [there(0, 40_000), there(2, 40_000), there(0, 40_001), there(2, 40_001), back(3, 8), back(5, 7)];
        let [conversation] = &tally(&all)[..] else { panic!("one conversation") };
        assert_eq!((conversation.asked.packets, conversation.answered.packets), (10, 8));
        assert_eq!(conversation.service.port, Some(80));
        assert_eq!(conversation.client.to_string(), CLIENT);
        assert!(conversation.accepted);
    }

    #[test]
    fn a_port_that_resets_has_not_accepted() {
        let syn = record(0, [(CLIENT, 40_000), (SERVER, 81)], 1, SYN);
        let rst = record(0, [(SERVER, 81), (CLIENT, 40_000)], 1, 4 | ACK);
        let [conversation] = &tally(&[syn, rst])[..] else { panic!("one conversation") };
        assert!(!conversation.accepted);
        assert_eq!(conversation.total(), Count { packets: 2, bytes: 200 });
    }
}
