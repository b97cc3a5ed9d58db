//! Events: what happens to processes, sockets and packets, each at its time. Every kind is a table beside flows, with
//! fields of its own; who and where it was are the fields of flow records.

mod calls;
mod closed;
mod dns;
mod drops;
mod kind;
mod page;
mod retransmit;
mod sni;

pub use calls::{Bind, Connect};
pub use closed::Closed;
pub use dns::{Dns, DnsAnswer, type_name as dns_type_name};
pub use drops::Drops;
pub use kind::{Actor, EventColumn, EventKind, Lost, Place as EventPlace};
pub use page::events_page;
pub use retransmit::{Retransmit, Retransmitted};
pub use sni::Sni;

use crate::field::{Kind, Unit};
use crate::value::Value;
use crate::{Addresses, Direction, End, FlowKey, FlowRecord, Interface, InterfaceKind};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// Something that happened.
#[derive(Debug, Clone)]
pub struct Event {
    /// When, in nanoseconds since the Unix epoch.
    pub time: u64,
    /// To whom and where: of a flow record, what does not count.
    pub flow: FlowRecord,
    /// What.
    pub happening: Happening,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// A process became another program: the source.
    Exec,
    /// The source wanted a connection: it has it, or will not get it.
    Connect(Connect),
    /// The destination took a connection that the source had asked for.
    Accept,
    /// The source took an address and a port for its own.
    Bind(Bind),
    /// The source sent something again.
    Retransmit(Retransmit),
    /// A connection of the source is over.
    Closed(Closed),
    /// The source asked DNS.
    Dns(Dns),
    /// Packets of the source's were dropped.
    Drop(Drops),
    /// The source said hello.
    Sni(Sni),
}

impl Happening {
    /// Which table it belongs to.
    pub fn kind(&self) -> &'static EventKind {
        match self {
            Self::Exec => &calls::EXEC,
            Self::Connect(_) => &calls::CONNECT,
            Self::Accept => &calls::ACCEPT,
            Self::Bind(_) => &calls::BIND,
            Self::Retransmit(_) => &retransmit::RETRANSMIT,
            Self::Closed(_) => &closed::TCP,
            Self::Dns(_) => &dns::DNS,
            Self::Drop(_) => &drops::DROP,
            Self::Sni(_) => &sni::SNI,
        }
    }
}

/// A field that only events have.
pub struct EventField {
    /// Name in JSON and in tables.
    pub name: &'static str,
    /// What kind of value it holds.
    pub kind: Kind,
    /// Whether it may be absent.
    pub nullable: bool,
    /// What its number counts.
    pub unit: Unit,
    /// OpenTelemetry's name, or ours where it has none.
    pub otel: &'static str,
    /// What it says.
    pub doc: &'static str,
    /// Reads it from an event of its kind.
    pub read: fn(&Event) -> Value<'_>,
}

impl Event {
    /// Who is at an end.
    pub fn end(&self, which: Actor) -> &End {
        match which {
            Actor::Source => &self.flow.source,
            Actor::Destination => &self.flow.destination,
        }
    }

    /// Of a process, or of a socket, between these ends in the network namespace `netns`; none where it has no ends.
    pub fn between(
        (netns, own_netns): (Arc<str>, bool),
        ends: Option<(u8, [SocketAddr; 2])>,
        happening: Happening,
    ) -> Self {
        let interface =
            Interface { name: String::new(), index: 0, netns, own_netns, kind: InterfaceKind::Other };
        let key = ends.map_or(FlowKey::Other { vlan: None, ethertype: 0 }, |(protocol, [from, to])| {
            let addresses = match (from.ip().to_canonical(), to.ip().to_canonical()) {
                (IpAddr::V4(from), IpAddr::V4(to)) => Addresses::V4(from, to),
                _ => Addresses::V6(v6(from), v6(to)),
            };
            FlowKey::Ip { vlan: None, addresses, protocol, ports: Some((from.port(), to.port())) }
        });
        let flow = FlowRecord::blank(Arc::new(interface), Direction::Egress, key);
        Self { time: 0, flow, happening }
    }
}

fn v6(end: SocketAddr) -> Ipv6Addr {
    match end.ip() {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kind = self.happening.kind();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", kind.name)?;
        for column in kind.columns() {
            map.serialize_entry(column.name(), &column.read(self))?;
        }
        map.end()
    }
}
