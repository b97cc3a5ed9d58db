//! For programs: one object.

use super::compare::{Change, Changed, Found, Met};
use super::tally::{Host, Port, Seen, Subject};
use super::{Difference, Side};
use crate::output;
use serde::Serialize;
use std::io::{self, Write};
use weir_record::{Value, protocol_text};

/// Prints it, at most `top` of each list.
pub fn write(difference: &Difference, top: Option<usize>, mut out: impl Write) -> io::Result<()> {
    let top = top.unwrap_or(usize::MAX);
    let object = Object {
        kind: "diff",
        before: Period::of(&difference.before),
        after: Period::of(&difference.after),
        new: Lists::of(&difference.new, top),
        vanished: Lists::of(&difference.vanished, top),
        changed: Changes::of(&difference.changed, top),
    };
    output::json_line(&mut out, &object)?;
    out.flush()
}

#[derive(Serialize)]
struct Object<'d> {
    #[serde(rename = "type")]
    kind: &'static str,
    before: Period<'d>,
    after: Period<'d>,
    new: Lists<'d>,
    vanished: Lists<'d>,
    changed: Changes<'d>,
}

#[derive(Serialize)]
struct Period<'d> {
    period: &'d str,
    from: Value<'d>,
    to: Value<'d>,
    covered_from: Value<'d>,
    covered_to: Value<'d>,
    covered: bool,
    conversations: u64,
    records: u64,
    bytes: u64,
}

impl<'d> Period<'d> {
    fn of(side: &'d Side) -> Self {
        let (times, coverage, tally) = (&side.period.times, &side.coverage, &side.tally);
        Self {
            period: &side.period.word,
            from: Value::Time(*times.start()),
            to: Value::Time(times.end() + 1),
            covered_from: Value::Time(coverage.from),
            covered_to: Value::Time(coverage.to + 1),
            covered: coverage.is_whole,
            conversations: tally.total.conversations,
            records: tally.records,
            bytes: tally.total.bytes,
        }
    }
}

/// The first of a list, and what the others come to.
#[derive(Serialize)]
struct List<T, O> {
    count: usize,
    list: Vec<T>,
    others: Option<O>,
}

#[derive(Serialize)]
struct Lists<'d> {
    peers: List<Peer<'d>, Sum<'d>>,
    ports: List<At<'d>, Sum<'d>>,
    processes: List<Process<'d>, Sum<'d>>,
}

impl<'d> Lists<'d> {
    fn of(found: &'d Found, top: usize) -> Self {
        Self {
            peers: list(&found.peers, top, Peer::of),
            ports: list(&found.ports, top, At::of),
            processes: list(&found.processes, top, |process, seen| Process { process, sum: Sum::of(seen) }),
        }
    }
}

fn list<'d, K, T>(all: &'d [(K, Seen)], top: usize, of: fn(&'d K, &'d Seen) -> T) -> List<T, Sum<'d>> {
    let (first, rest) = all.split_at(top.min(all.len()));
    let mut others = Seen::default();
    rest.iter().for_each(|(_, seen)| others.add(seen));
    List {
        count: all.len(),
        list: first.iter().map(|(key, seen)| of(key, seen)).collect(),
        others: (!rest.is_empty()).then(|| Sum::of(&others)),
    }
}

#[derive(Serialize)]
struct Peer<'d> {
    role: &'static str,
    name: Option<&'d str>,
    addresses: Vec<String>,
    port: Option<u16>,
    protocol: &'static str,
    #[serde(flatten)]
    with: With<'d>,
}

impl<'d> Peer<'d> {
    fn of(met: &'d Met, seen: &'d Seen) -> Self {
        Self {
            role: met.role.as_str(),
            name: name(&met.host),
            addresses: met.addresses.iter().map(ToString::to_string).collect(),
            port: met.port,
            protocol: protocol_text(met.protocol),
            with: With::of(seen),
        }
    }
}

#[derive(Serialize)]
struct At<'d> {
    role: &'static str,
    port: u16,
    protocol: &'static str,
    #[serde(flatten)]
    with: With<'d>,
}

impl<'d> At<'d> {
    fn of(port: &'d Port, seen: &'d Seen) -> Self {
        let protocol = protocol_text(port.protocol);
        Self { role: port.place.as_str(), port: port.port, protocol, with: With::of(seen) }
    }
}

#[derive(Serialize)]
struct Process<'d> {
    process: &'d str,
    #[serde(flatten)]
    sum: Sum<'d>,
}

/// What was seen, and of whom here.
#[derive(Serialize)]
struct With<'d> {
    processes: Vec<&'d str>,
    #[serde(flatten)]
    sum: Sum<'d>,
}

impl<'d> With<'d> {
    fn of(seen: &'d Seen) -> Self {
        Self { processes: seen.processes.iter().map(String::as_str).collect(), sum: Sum::of(seen) }
    }
}

#[derive(Serialize)]
struct Sum<'d> {
    conversations: u64,
    bytes: u64,
    first: Value<'d>,
}

impl Sum<'_> {
    fn of(seen: &Seen) -> Self {
        Self { conversations: seen.conversations, bytes: seen.bytes, first: Value::Time(seen.first) }
    }
}

#[derive(Serialize)]
struct Changes<'d> {
    failure_rate: List<Figure<'d>, ()>,
    rtt: List<Figure<'d>, ()>,
    bytes_per_second: List<Figure<'d>, ()>,
    conversations_per_second: List<Figure<'d>, ()>,
}

impl<'d> Changes<'d> {
    fn of(changed: &'d Changed, top: usize) -> Self {
        let list = |all: &'d [Change]| List {
            count: all.len(),
            list: all.iter().take(top).map(Figure::of).collect(),
            others: None,
        };
        Self {
            failure_rate: list(&changed.failure_rate),
            rtt: list(&changed.rtt),
            bytes_per_second: list(&changed.bytes),
            conversations_per_second: list(&changed.conversations),
        }
    }
}

/// Of a process, or of a service.
#[derive(Serialize)]
struct Figure<'d> {
    process: Option<&'d str>,
    name: Option<&'d str>,
    address: Option<String>,
    port: Option<u16>,
    protocol: Option<&'static str>,
    before: f64,
    after: f64,
}

impl<'d> Figure<'d> {
    fn of(change: &'d Change) -> Self {
        let nobody = Self {
            process: None,
            name: None,
            address: None,
            port: None,
            protocol: None,
            before: change.before,
            after: change.after,
        };
        match &change.subject {
            Subject::Process(process) => Self { process: Some(process), ..nobody },
            Subject::Service { host, port, protocol } => Self {
                name: name(host),
                address: if let Host::Address(address) = host { Some(address.to_string()) } else { None },
                port: *port,
                protocol: Some(protocol_text(*protocol)),
                ..nobody
            },
        }
    }
}

fn name(host: &Host) -> Option<&str> {
    if let Host::Name(name) = host { Some(name) } else { None }
}
