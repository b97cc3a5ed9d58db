//! A conversation as a line of the table, or one direction of it.

use crate::table::{Align, Column};
use crate::text;
use std::net::IpAddr;
use std::time::Duration;
use weir_record::{Direction, End, FlowKey, FlowRecord};

/// Characters of a name that are shown.
const LONGEST_NAME: usize = 30;

/// Titles, and how a record fills them, given bytes and the time in which they came.
#[derive(Clone, Copy)]
pub struct Columns {
    pub titles: &'static [Column],
    /// What an 80-column terminal can do without, the first first.
    pub expendable: &'static [&'static str],
    pub cells: fn(&FlowRecord, (u64, Duration)) -> Vec<String>,
}

/// For records of both directions, or of one.
pub fn columns(biflow: bool) -> Columns {
    if biflow {
        Columns {
            titles: &CONVERSATION,
            expendable: &["AGE", "PKTS BACK", "PACKETS", "PROCESS", "BACK", "STATE", "IFACE", "BIT/S"],
            cells: conversation,
        }
    } else {
        Columns { titles: &FLOW, expendable: &["AGE", "PACKETS", "PROCESS"], cells: flow }
    }
}

const FLOW: [Column; 10] = [
    ("IFACE", Align::Left),
    ("DIR", Align::Left),
    ("PROTO", Align::Left),
    ("SOURCE", Align::Left),
    ("DESTINATION", Align::Left),
    ("PROCESS", Align::Left),
    ("PACKETS", Align::Right),
    ("BYTES", Align::Right),
    ("BIT/S", Align::Right),
    ("AGE", Align::Right),
];

const CONVERSATION: [Column; 12] = [
    ("IFACE", Align::Left),
    ("PROTO", Align::Left),
    ("SOURCE", Align::Left),
    ("DESTINATION", Align::Left),
    ("PROCESS", Align::Left),
    ("STATE", Align::Left),
    ("PACKETS", Align::Right),
    ("PKTS BACK", Align::Right),
    ("BYTES", Align::Right),
    ("BACK", Align::Right),
    ("BIT/S", Align::Right),
    ("AGE", Align::Right),
];

fn flow(record: &FlowRecord, (bytes, time): (u64, Duration)) -> Vec<String> {
    let shown = Shown { one_in: record.sampling_rate.into() };
    let direction = if record.direction == Direction::Ingress { "in" } else { "out" };
    let (source, destination) = ends(record);
    vec![
        record.interface.to_string(),
        direction.into(),
        protocol(&record.key),
        source,
        destination,
        processes(record),
        shown.packets(record.packets),
        shown.bytes(record.bytes),
        shown.rate(bytes, time),
        age(record),
    ]
}

fn conversation(record: &FlowRecord, (bytes, time): (u64, Duration)) -> Vec<String> {
    let (source, destination) = ends(record);
    let shown = Shown { one_in: record.sampling_rate.into() };
    let back = record.reverse.map(|reverse| (reverse.count, Shown { one_in: reverse.sampling_rate.into() }));
    vec![
        record.interface.to_string(),
        protocol(&record.key),
        source,
        destination,
        processes(record),
        record.tcp_state.map_or("-", |state| state.as_str()).into(),
        shown.packets(record.packets),
        back.as_ref().map_or("-".into(), |(count, shown)| shown.packets(count.packets)),
        shown.bytes(record.bytes),
        back.map_or("-".into(), |(count, shown)| shown.bytes(count.bytes)),
        shown.rate(bytes, time),
        age(record),
    ]
}

/// Who talks, as far as it is somebody here: with an arrow where both ends are.
fn processes(record: &FlowRecord) -> String {
    let name = |end: &End| end.process.as_ref().map(|process| process.command.clone());
    match (name(&record.source), name(&record.destination)) {
        (Some(source), Some(destination)) => format!("{source} → {destination}"),
        (one, other) => one.or(other).unwrap_or("-".into()),
    }
}

/// Numbers as people read them. Of sampled packets they are estimates, with a ~ in front.
struct Shown {
    one_in: u64,
}

impl Shown {
    fn packets(&self, counted: u64) -> String {
        self.marked(text::count(counted.saturating_mul(self.one_in)))
    }

    fn bytes(&self, counted: u64) -> String {
        self.marked(text::bytes(counted.saturating_mul(self.one_in)))
    }

    fn rate(&self, bytes: u64, time: Duration) -> String {
        if bytes == 0 || time.is_zero() {
            return "-".into();
        }
        self.marked(text::bit_rate(bytes.saturating_mul(self.one_in), time))
    }

    fn marked(&self, number: String) -> String {
        if self.one_in > 1 { format!("~{number}") } else { number }
    }
}

fn age(record: &FlowRecord) -> String {
    text::time(Duration::from_nanos(record.end.saturating_sub(record.start)))
}

/// Source and destination.
pub fn ends(record: &FlowRecord) -> (String, String) {
    let ports = record.key.ports();
    match record.key.addresses() {
        Some((source, destination)) => (
            end(&record.source, source, ports.map(|ports| ports.0)),
            end(&record.destination, destination, ports.map(|ports| ports.1)),
        ),
        None => ("-".into(), "-".into()),
    }
}

/// Its name, of ICMP with type and code.
pub fn protocol(key: &FlowKey) -> String {
    match (key.protocol_text(), key.icmp()) {
        (Some(name), Some((kind, code))) => format!("{name} {kind}/{code}"),
        (Some(name), None) => name.to_owned(),
        (None, _) => match key.ethertype() {
            0x0806 => "arp".into(),
            0x0004 => "802.2".into(),
            0x88cc => "lldp".into(),
            other => format!("0x{other:04x}"),
        },
    }
}

/// By its name where there is one.
fn end(end: &End, address: IpAddr, port: Option<u16>) -> String {
    let named = end.name.as_ref().map(|name| shortened(&name.text));
    match (named, address, port) {
        (Some(name), _, None) => name,
        (Some(name), _, Some(port)) => format!("{name}:{port}"),
        (None, address, None) => address.to_string(),
        (None, IpAddr::V4(address), Some(port)) => format!("{address}:{port}"),
        (None, IpAddr::V6(address), Some(port)) => format!("[{address}]:{port}"),
    }
}

/// A long name without its middle: the host stands at its beginning, and whose it is at its end.
fn shortened(name: &str) -> String {
    let characters: Vec<_> = name.chars().collect();
    if characters.len() <= LONGEST_NAME {
        return name.to_owned();
    }
    let kept = LONGEST_NAME - 1;
    let (start, end) = (kept / 2, characters.len() - kept.div_ceil(2));
    characters[..start].iter().chain(&['…']).chain(&characters[end..]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use weir_record::{Name, NameOrigin};

    #[test]
    fn names_stand_before_addresses() {
        let address = IpAddr::from([192, 0, 2, 1]);
        assert_eq!(end(&End::default(), address, Some(80)), "192.0.2.1:80");
        let name = |text: &str| Some(Arc::new(Name { text: text.into(), origin: NameOrigin::Dns }));
        let named = |text: &str| End { name: name(text), ..End::default() };
        assert_eq!(end(&named("web.example"), address, Some(80)), "web.example:80");
        assert_eq!(end(&named("web.example"), address, None), "web.example");
        let long =
            end(&named("a-host-with-a-long-name.somewhere.in.a.deep.domain.example.org"), address, None);
        assert_eq!((long.as_str(), long.chars().count()), ("a-host-with-a-…ain.example.org", LONGEST_NAME));
    }
}
