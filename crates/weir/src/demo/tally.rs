//! What the agent's records say, added up as they pass by on their way to the sink.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use weir_agent::{Closing, Sink};
use weir_record::{Count, FlowRecord};

const SYN: u16 = 2;
const ACK: u16 = 16;

/// What a server offers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Service {
    /// Who answers.
    pub server: IpAddr,
    /// The port that it answers at; none where the protocol has none.
    pub port: Option<u16>,
    /// The protocol's name.
    pub protocol: String,
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

/// Conversations by client and service. It does not grow with time: clients' ports are left out.
#[derive(Debug, Default)]
pub struct Tally {
    conversations: BTreeMap<(IpAddr, Service), Conversation>,
}

impl Tally {
    /// A record's source is who began the conversation: the client.
    fn add(&mut self, record: &FlowRecord) {
        let Some((client, server)) = record.key.addresses() else { return };
        let protocol = record.key.protocol_text().unwrap_or_default().to_owned();
        let service = Service { server, port: record.key.ports().map(|ports| ports.1), protocol };
        let conversation =
            self.conversations.entry((client, service.clone())).or_insert_with(|| Conversation {
                client,
                service,
                asked: Count::default(),
                answered: Count::default(),
                accepted: false,
            });
        conversation.asked += Count { packets: record.packets, bytes: record.bytes };
        if let Some(reverse) = record.reverse {
            conversation.answered += reverse.count;
            conversation.accepted |= reverse.tcp_flags & (SYN | ACK) == SYN | ACK;
        }
    }

    /// All conversations, the largest first.
    pub fn conversations(&self) -> Vec<Conversation> {
        let mut conversations: Vec<_> = self.conversations.values().cloned().collect();
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
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn write(&mut self, records: &[FlowRecord]) -> io::Result<()> {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        records.iter().for_each(|record| tally.add(record));
        drop(tally);
        self.inner.write(records)
    }

    fn finish(&mut self, closing: &Closing) -> io::Result<()> {
        self.inner.finish(closing)
    }
}

/// A record for tests: what was asked, and what came back with which flags.
#[cfg(test)]
pub fn record(ends: [(&str, u16); 2], packets: [u64; 2], tcp_flags: [u16; 2]) -> FlowRecord {
    use weir_record::{Addresses, Direction, Evidence, FlowKey, Interface, InterfaceKind, Reverse};
    let address = |end: usize| ends[end].0.parse().expect("an IPv4 address");
    let count = |packets| Count { packets, bytes: packets * 100 };
    let (netns, kind) = ("router".into(), InterfaceKind::Veth);
    let interface = Interface { name: "port-1".into(), index: 1, netns, own_netns: false, kind };
    let key = FlowKey::Ip {
        vlan: None,
        addresses: Addresses::V4(address(0), address(1)),
        protocol: if tcp_flags[0] == 0 { 17 } else { 6 },
        ports: Some((ends[0].1, ends[1].1)),
    };
    FlowRecord {
        packets: packets[0],
        bytes: packets[0] * 100,
        tcp_flags: tcp_flags[0],
        reverse: Some(Reverse {
            sampling_rate: 1,
            count: count(packets[1]),
            tcp_flags: tcp_flags[1],
            evidence: Evidence::Ports,
        }),
        ..FlowRecord::blank(Arc::new(interface), Direction::Ingress, key)
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
    fn connections_of_a_client_to_a_service_add_up() {
        let one = |port| record([(CLIENT, port), (SERVER, 80)], [5, 4], [SYN | ACK; 2]);
        let [conversation] = &tally(&[one(40_000), one(40_001)])[..] else { panic!("one conversation") };
        assert_eq!((conversation.asked.packets, conversation.answered.packets), (10, 8));
        assert_eq!(conversation.service.port, Some(80));
        assert_eq!(conversation.client.to_string(), CLIENT);
        assert!(conversation.accepted);
    }

    #[test]
    fn a_port_that_resets_has_not_accepted() {
        let refused = record([(CLIENT, 40_000), (SERVER, 81)], [1, 1], [SYN, 4 | ACK]);
        let [conversation] = &tally(&[refused])[..] else { panic!("one conversation") };
        assert!(!conversation.accepted);
        assert_eq!(conversation.total(), Count { packets: 2, bytes: 200 });
    }
}
