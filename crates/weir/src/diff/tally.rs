//! Who is there in a period, and how they fare.

use super::relation::{Relation, Role};
use super::spread::Spread;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::net::IpAddr;
use weir_record::{End, FlowEndReason, FlowRecord, TcpState};

/// Of each kind at most, about 300 bytes each.
const MOST: usize = 1_000_000;

/// Who is elsewhere, and at which service.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Peer {
    pub role: Role,
    pub address: IpAddr,
    pub name: Option<String>,
    /// That of the service, here or there; none where the protocol has none, or nothing tells which one it is.
    pub port: Option<u16>,
    pub protocol: u8,
}

/// Where a port is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// Here: somebody answered.
    Served,
    /// Elsewhere: it was talked to from here.
    Used,
}

impl Place {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Used => "used",
        }
    }
}

/// A port that is served here, or used elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Port {
    pub place: Place,
    pub port: u16,
    pub protocol: u8,
}

/// Whose figures are compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    Process(String),
    /// By its name where it has one, else its address.
    Service {
        host: Host,
        port: Option<u16>,
        protocol: u8,
    },
}

/// A host: what it is called, or its address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    Name(String),
    Address(IpAddr),
}

/// What was seen of one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Those that ended, or go on.
    pub conversations: u64,
    /// Both ways.
    pub bytes: u64,
    /// When the first packet came, in nanoseconds since the epoch.
    pub first: u64,
    /// The processes here that had to do with it.
    pub processes: BTreeSet<String>,
}

impl Default for Seen {
    fn default() -> Self {
        Self { conversations: 0, bytes: 0, first: u64::MAX, processes: BTreeSet::new() }
    }
}

impl Seen {
    /// Adds another one.
    pub fn add(&mut self, more: &Self) {
        self.conversations = self.conversations.saturating_add(more.conversations);
        self.bytes = self.bytes.saturating_add(more.bytes);
        self.first = self.first.min(more.first);
        self.processes.extend(more.processes.iter().cloned());
    }
}

/// How one of them fares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fared {
    pub conversations: u64,
    pub bytes: u64,
    /// TCP connections that are over, and those of them that failed.
    pub connections: u64,
    pub failed: u64,
    /// Smoothed round-trip times, in microseconds: one of each record that has one.
    pub rtt: Spread,
}

/// A period.
#[derive(Debug, Default)]
pub struct Tally {
    pub records: u64,
    pub total: Seen,
    pub peers: HashMap<Peer, Seen>,
    pub ports: HashMap<Port, Seen>,
    pub processes: HashMap<String, Seen>,
    pub fared: HashMap<Subject, Fared>,
}

/// Whether more will follow of a record's conversation: then it is counted with what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// As it was kept.
    Kept,
    /// It goes on now.
    Open,
}

impl Tally {
    /// Counts a record of the period.
    ///
    /// # Errors
    /// There are more of something than fit.
    pub fn add(&mut self, record: &FlowRecord, state: State) -> Result<(), String> {
        let is_over = record.end_reason != FlowEndReason::ActiveTimeout;
        let back = record.reverse.map_or(0, |back| back.count.bytes);
        let seen = Seen {
            conversations: (state == State::Open || is_over).into(),
            bytes: record.bytes.saturating_add(back),
            first: record.start,
            processes: BTreeSet::new(),
        };
        self.records += 1;
        self.total.add(&seen);
        let Some(relation) = Relation::of(record) else { return Ok(()) };
        self.see(&relation, &seen)?;
        self.fare(&relation, &seen, state == State::Kept && is_over)
    }

    /// Notes that they were there, and counts nothing: the record is another period's, but began in this one.
    ///
    /// # Errors
    /// As of [`add`](Self::add).
    pub fn note(&mut self, record: &FlowRecord) -> Result<(), String> {
        Relation::of(record).map_or(Ok(()), |relation| self.see(&relation, &Seen::default()))
    }

    fn see(&mut self, relation: &Relation<'_>, seen: &Seen) -> Result<(), String> {
        let (port, protocol) = (relation.service_port(), relation.protocol);
        let record = relation.record;
        let names =
            |ends: &[&End]| ends.iter().filter_map(|end| process(end)).map(ToOwned::to_owned).collect();
        let all: BTreeSet<_> = names(&[&record.source, &record.destination]);
        for name in all.iter().filter(|name| !is_kernel(record, name)) {
            entry(&mut self.processes, name.clone())?.add(seen);
        }
        let with = |processes| Seen { processes, ..seen.clone() };
        if let Some((end, address)) = relation.peer() {
            let peer = Peer { role: relation.role, address, name: name(end), port, protocol };
            entry(&mut self.peers, peer)?.add(&with(all));
        }
        let place = match relation.role {
            Role::To => Some((Place::Used, &record.source)),
            Role::From | Role::Within if relation.is_served() => Some((Place::Served, &record.destination)),
            _ => None,
        };
        if let Some(((place, end), port)) = place.zip(port) {
            entry(&mut self.ports, Port { place, port, protocol })?.add(&with(names(&[end])));
        }
        Ok(())
    }

    fn fare(&mut self, relation: &Relation<'_>, seen: &Seen, is_over: bool) -> Result<(), String> {
        let record = relation.record;
        let is_connection = is_over && record.key.is_tcp();
        let one = Fared {
            conversations: seen.conversations,
            bytes: seen.bytes,
            connections: is_connection.into(),
            failed: (is_connection && has_failed(record)).into(),
            rtt: Spread::default(),
        };
        let rtt = |end: &End| end.tcp.as_ref().and_then(|tcp| tcp.rtt);
        let (source, destination) = (rtt(&record.source), rtt(&record.destination));
        let mut told = None;
        for (name, end) in processes(record) {
            // One that talks to itself is one.
            if told.replace(name) != Some(name) {
                entry(&mut self.fared, Subject::Process(name.into()))?.add(&one, rtt(end));
            }
        }
        if relation.has_service() {
            let (end, address) = relation.service();
            let host = name(end).map_or(Host::Address(address), Host::Name);
            let (port, protocol) = (relation.service_port(), relation.protocol);
            let service = Subject::Service { host, port, protocol };
            entry(&mut self.fared, service)?.add(&one, source.max(destination));
        }
        Ok(())
    }
}

impl Fared {
    fn add(&mut self, more: &Self, rtt: Option<u64>) {
        self.join(more);
        rtt.into_iter().for_each(|rtt| self.rtt.add(rtt));
    }

    /// Adds another one.
    pub fn join(&mut self, more: &Self) {
        self.conversations = self.conversations.saturating_add(more.conversations);
        self.bytes = self.bytes.saturating_add(more.bytes);
        self.connections += more.connections;
        self.failed += more.failed;
        self.rtt.join(&more.rtt);
    }
}

fn entry<K: Eq + Hash, V: Default>(map: &mut HashMap<K, V>, key: K) -> Result<&mut V, String> {
    if map.len() >= MOST && !map.contains_key(&key) {
        return Err(format!(
            "more than {MOST} peers or services: ask for less, with --port, --process or --filter"
        ));
    }
    Ok(map.entry(key).or_default())
}

fn name(end: &End) -> Option<String> {
    end.name.as_ref().map(|name| name.text.clone())
}

fn process(end: &End) -> Option<&str> {
    end.process.as_ref().map(|process| process.command.as_str())
}

/// Of both ends.
fn processes(record: &FlowRecord) -> impl Iterator<Item = (&str, &End)> {
    let ends = [&record.source, &record.destination];
    ends.into_iter().filter_map(|end| Some((process(end)?, end)))
}

/// Whether this is the kernel's own work: its number tells, since any process can take its name.
fn is_kernel(record: &FlowRecord, name: &str) -> bool {
    let processes = [&record.source, &record.destination].map(|end| end.process.as_ref());
    processes.into_iter().flatten().filter(|process| process.command == name).all(|process| process.pid == 0)
}

/// As the kernel of an end that is here says; where none does, as the flags look.
fn has_failed(record: &FlowRecord) -> bool {
    let kernels = [&record.source, &record.destination].map(|end| end.tcp.as_deref());
    if kernels.iter().any(Option::is_some) {
        return kernels.into_iter().flatten().any(|tcp| tcp.failure.is_some());
    }
    matches!(record.tcp_state, Some(TcpState::Attempted | TcpState::Reset))
}

#[cfg(test)]
mod tests {
    use super::super::relation::tests::{here, record};
    use super::*;
    use std::sync::Arc;
    use weir_record::{Direction, TcpFailure, TcpHealth};

    #[test]
    fn a_record_is_counted_where_it_belongs() {
        let mut tally = Tally::default();
        let out = FlowRecord { source: here("curl"), ..record(Direction::Egress, "10.0.0.2", 80) };
        tally.add(&out, State::Kept).expect("room");
        let interim = FlowRecord { end_reason: FlowEndReason::ActiveTimeout, ..out.clone() };
        tally.add(&interim, State::Kept).expect("room");
        let seen = tally.processes.get("curl").expect("seen");
        assert_eq!((seen.conversations, seen.bytes), (1, 240));
        let port = Port { place: Place::Used, port: 80, protocol: 6 };
        assert_eq!(tally.ports.get(&port).map(|seen| seen.bytes), Some(240));
        assert_eq!(tally.peers.len(), 1);
        tally.add(&interim, State::Open).expect("room");
        assert_eq!((tally.records, tally.total.conversations), (3, 2));

        let mut noted = Tally::default();
        noted.note(&out).expect("room");
        assert_eq!((noted.records, noted.total.bytes, noted.fared.len()), (0, 0, 0));
        assert!(noted.peers.keys().eq(tally.peers.keys()) && noted.ports.contains_key(&port));
    }

    #[test]
    fn the_kernel_is_no_process() {
        let mut tally = Tally::default();
        let ping = |pid| {
            let process = weir_record::Process { pid, command: "kernel".into(), ..Default::default() };
            let end = End { process: Some(Arc::new(process)), ..End::default() };
            FlowRecord { destination: end, ..record(Direction::Ingress, "10.0.0.2", 80) }
        };
        tally.add(&ping(0), State::Kept).expect("room");
        assert!(tally.processes.is_empty());
        tally.add(&ping(7), State::Kept).expect("room");
        assert_eq!(tally.processes.len(), 1, "one that calls itself so");
    }

    #[test]
    fn one_that_talks_to_itself_is_counted_once() {
        let mut tally = Tally::default();
        let own = record(Direction::Egress, "127.0.0.1", 80);
        tally
            .add(&FlowRecord { source: here("db"), destination: here("db"), ..own }, State::Kept)
            .expect("room");
        assert_eq!(tally.fared.get(&Subject::Process("db".into())).map(|fared| fared.bytes), Some(120));
        assert_eq!((tally.peers.len(), tally.ports.len()), (0, 1));
    }

    #[test]
    fn failures_are_what_the_kernel_says() {
        let failed = |state, tcp: Option<Option<TcpFailure>>| {
            let mut record = record(Direction::Egress, "10.0.0.2", 80);
            record.tcp_state = Some(state);
            record.source.tcp = tcp.map(|failure| Arc::new(TcpHealth { failure, ..TcpHealth::default() }));
            has_failed(&record)
        };
        assert!(failed(TcpState::Attempted, None) && failed(TcpState::Reset, None));
        assert!(!failed(TcpState::Closed, None));
        assert!(!failed(TcpState::Reset, Some(None)), "some close with a reset");
        assert!(failed(TcpState::Closed, Some(Some(TcpFailure::TimedOut))));
    }
}
