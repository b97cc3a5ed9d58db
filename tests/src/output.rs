//! What the agent wrote: flow records and the ledger, read strictly. A key that the
//! specification names and the agent leaves out fails the test, as does a value of another kind.

use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::iter::Sum;
use std::ops::Add;

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Wire packets.
    pub packets: u64,
    /// Wire bytes, from the link layer on.
    pub bytes: u64,
}

impl Add for Count {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { packets: self.packets + other.packets, bytes: self.bytes + other.bytes }
    }
}

impl Sum for Count {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Add::add)
    }
}

/// One flow record, or several of the same flow.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "named as in the JSON")]
pub struct Flow {
    pub netns: String,
    pub interface: String,
    pub interface_kind: String,
    pub direction: String,
    pub source_address: Option<String>,
    pub destination_address: Option<String>,
    pub source_port: Option<u16>,
    pub destination_port: Option<u16>,
    pub protocol: Option<String>,
    pub ethertype: u16,
    pub vlan: Option<u16>,
    pub icmp_type: Option<u8>,
    pub icmp_code: Option<u8>,
    pub packets: u64,
    pub bytes: u64,
    pub tcp_flags: Option<u16>,
    pub dscp: Option<u8>,
    pub fragmented: bool,
    pub sampling_rate: u32,
    pub flow_end_reason: String,
    pub start: String,
    pub end: String,
}

/// One observation point and direction in the ledger.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "named as in the JSON")]
pub struct Ledger {
    pub netns: String,
    pub interface: String,
    pub direction: String,
    pub decapsulated: bool,
    pub balanced: bool,
    pub seen: Count,
    pub exported: Count,
    pub held: Count,
    pub filtered: Count,
    pub sampled_out: Count,
    pub lost: Count,
    pub lost_by: BTreeMap<String, Count>,
}

/// What one line says.
pub enum Line {
    /// `"type":"flow"`
    Flow(Box<Flow>),
    /// `"type":"ledger"`
    Ledger(Ledger),
    /// `"type":"probe"`
    Probe(Probe),
    /// `"type":"sink"`
    Sink(Sink),
}

/// What has become of the records at another sink.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "named as in the JSON")]
pub struct Sink {
    pub name: String,
    pub written_records: u64,
    pub lost_records: u64,
    pub written: Count,
    pub lost: Count,
    pub last_error: Option<String>,
}

impl Sink {
    fn read(value: &Value) -> Result<Self, String> {
        Ok(Self {
            name: text(value, "name")?,
            written_records: number(value, "written_records")?,
            lost_records: number(value, "lost_records")?,
            written: count(field(value, "written")?)?,
            lost: count(field(value, "lost")?)?,
            last_error: optional(value, "last_error", text)?,
        })
    }
}

/// What a probe beside the flow probe has told, and what of it was lost.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "named as in the JSON")]
pub struct Probe {
    pub probe: String,
    pub events: u64,
    pub lost_events: u64,
    pub evicted: u64,
}

impl Probe {
    fn read(value: &Value) -> Result<Self, String> {
        let (events, lost_events) = (number(value, "events")?, number(value, "lost_events")?);
        Ok(Self { probe: text(value, "probe")?, events, lost_events, evicted: number(value, "evicted")? })
    }
}

impl Line {
    /// Reads one line; panics with the line if it is not what the specification says.
    pub fn read(line: &str) -> Self {
        let read = || {
            let value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
            match text(&value, "type")?.as_str() {
                "flow" => Ok(Self::Flow(Box::new(Flow::read(&value)?))),
                "ledger" => Ok(Self::Ledger(Ledger::read(&value)?)),
                "probe" => Ok(Self::Probe(Probe::read(&value)?)),
                "sink" => Ok(Self::Sink(Sink::read(&value)?)),
                other => Err(format!("a line of type {other}")),
            }
        };
        read().unwrap_or_else(|error: String| panic!("{error}: {line}"))
    }
}

impl Flow {
    fn read(value: &Value) -> Result<Self, String> {
        Ok(Self {
            netns: text(value, "netns")?,
            interface: text(value, "interface")?,
            interface_kind: text(value, "interface_kind")?,
            direction: text(value, "direction")?,
            source_address: optional(value, "source_address", text)?,
            destination_address: optional(value, "destination_address", text)?,
            source_port: optional(value, "source_port", number)?,
            destination_port: optional(value, "destination_port", number)?,
            protocol: optional(value, "protocol", text)?,
            ethertype: number(value, "ethertype")?,
            vlan: optional(value, "vlan", number)?,
            icmp_type: optional(value, "icmp_type", number)?,
            icmp_code: optional(value, "icmp_code", number)?,
            packets: number(value, "packets")?,
            bytes: number(value, "bytes")?,
            tcp_flags: optional(value, "tcp_flags", number)?,
            dscp: optional(value, "dscp", number)?,
            fragmented: boolean(value, "fragmented")?,
            sampling_rate: number(value, "sampling_rate")?,
            flow_end_reason: text(value, "flow_end_reason")?,
            start: time(value, "start")?,
            end: time(value, "end")?,
        })
    }

    /// Its packets and bytes.
    pub fn count(&self) -> Count {
        Count { packets: self.packets, bytes: self.bytes }
    }

    /// Sums up the records of each flow: a flow is exported more than once when it lasts
    /// longer than a timeout. Times and end reasons, which differ, are left out.
    pub fn merge<'a>(records: impl IntoIterator<Item = &'a Self>) -> Vec<Self> {
        let mut merged: HashMap<_, Self> = HashMap::new();
        for flow in records {
            let addresses =
                (&flow.source_address, &flow.destination_address, flow.source_port, flow.destination_port);
            let place = (&flow.netns, &flow.interface, &flow.direction, flow.vlan, flow.ethertype);
            let kind = (&flow.protocol, flow.icmp_type, flow.icmp_code);
            let sum = merged.entry((addresses, place, kind)).or_insert_with(|| Self {
                packets: 0,
                bytes: 0,
                flow_end_reason: String::new(),
                start: String::new(),
                end: String::new(),
                ..flow.clone()
            });
            sum.packets += flow.packets;
            sum.bytes += flow.bytes;
            sum.tcp_flags = sum.tcp_flags.map(|flags| flags | flow.tcp_flags.unwrap_or(0));
            sum.fragmented |= flow.fragmented;
        }
        merged.into_values().collect()
    }
}

impl Ledger {
    fn read(value: &Value) -> Result<Self, String> {
        let column = |name: &str| -> Result<Count, String> {
            let packets = number(value, &format!("{name}_packets"))?;
            Ok(Count { packets, bytes: number(value, &format!("{name}_bytes"))? })
        };
        let causes = field(value, "lost_by")?.as_object().ok_or("lost_by: not an object")?;
        let cause = |(name, lost): (&String, &Value)| -> Result<(String, Count), String> {
            Ok((name.clone(), count(lost)?))
        };
        Ok(Self {
            netns: text(value, "netns")?,
            interface: text(value, "interface")?,
            direction: text(value, "direction")?,
            decapsulated: boolean(value, "decapsulated")?,
            balanced: boolean(value, "balanced")?,
            seen: column("seen")?,
            exported: column("exported")?,
            held: column("held")?,
            filtered: column("filtered")?,
            sampled_out: column("sampled_out")?,
            lost: column("lost")?,
            lost_by: causes.iter().map(cause).collect::<Result<_, _>>()?,
        })
    }
}

/// What an object with both counts.
pub(crate) fn count(value: &Value) -> Result<Count, String> {
    Ok(Count { packets: number(value, "packets")?, bytes: number(value, "bytes")? })
}

pub(crate) fn field<'a>(value: &'a Value, name: &str) -> Result<&'a Value, String> {
    value.get(name).ok_or_else(|| format!("{name} is missing"))
}

pub(crate) fn text(value: &Value, name: &str) -> Result<String, String> {
    field(value, name)?.as_str().map(str::to_owned).ok_or_else(|| format!("{name}: not a string"))
}

/// RFC 3339 with nanoseconds in UTC. All of the same length, so that text compares as time does.
fn time(value: &Value, name: &str) -> Result<String, String> {
    let time = text(value, name)?;
    let pattern = "0000-00-00T00:00:00.000000000Z";
    let fits =
        |(found, wanted): (char, char)| if wanted == '0' { found.is_ascii_digit() } else { found == wanted };
    let whole = time.len() == pattern.len() && time.chars().zip(pattern.chars()).all(fits);
    if whole { Ok(time) } else { Err(format!("{name}: {time} is not like {pattern}")) }
}

pub(crate) fn boolean(value: &Value, name: &str) -> Result<bool, String> {
    field(value, name)?.as_bool().ok_or_else(|| format!("{name}: neither true nor false"))
}

pub(crate) fn number<T: TryFrom<u64>>(value: &Value, name: &str) -> Result<T, String> {
    let number = field(value, name)?.as_u64().ok_or_else(|| format!("{name}: not a whole number"))?;
    T::try_from(number).map_err(|_| format!("{name}: {number} is too large"))
}

pub(crate) type Reader<T> = fn(&Value, &str) -> Result<T, String>;

pub(crate) fn optional<T>(value: &Value, name: &str, read: Reader<T>) -> Result<Option<T>, String> {
    if field(value, name)?.is_null() { Ok(None) } else { read(value, name).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_one_flow_add_up() {
        let flow = Flow { packets: 2, bytes: 120, tcp_flags: Some(2), start: "a".into(), ..Flow::default() };
        let later = Flow { packets: 1, bytes: 60, tcp_flags: Some(16), start: "b".into(), ..Flow::default() };
        let other = Flow { source_port: Some(1), ..flow.clone() };
        let mut merged = Flow::merge([&flow, &later, &other]);
        merged.sort();
        assert_eq!(merged.len(), 2);
        assert_eq!((merged[0].count(), merged[0].tcp_flags), (Count { packets: 3, bytes: 180 }, Some(18)));
    }

    #[test]
    fn a_ledger_line_is_read() {
        let line = r#"{"type":"ledger","netns":"1","interface":"weir0","direction":"egress","decapsulated":false,"balanced":true,
            "seen_packets":5,"seen_bytes":300,"exported_packets":4,"exported_bytes":240,"held_packets":0,
            "held_bytes":0,"filtered_packets":0,"filtered_bytes":0,"sampled_out_packets":0,
            "sampled_out_bytes":0,"lost_packets":1,"lost_bytes":60,"lost_by":{"spill_full":{"packets":1,"bytes":60}}}"#;
        let Line::Ledger(ledger) = Line::read(line) else { panic!("not a ledger") };
        assert_eq!(ledger.lost_by["spill_full"], ledger.lost);
    }

    #[test]
    fn a_time_has_nanoseconds() {
        let at = |text: &str| time(&serde_json::json!({ "start": text }), "start");
        assert!(at("2026-11-22T18:40:51.000000120Z").is_ok());
        assert!(at("2026-11-22T18:40:51.12Z").is_err());
    }

    #[test]
    #[should_panic(expected = "ethertype is missing")]
    fn a_key_left_out_is_found() {
        Line::read(
            r#"{"type":"flow","netns":"1","interface":"weir0","interface_kind":"veth","direction":"egress",
            "source_address":null,"destination_address":null,"source_port":null,"destination_port":null,"protocol":null}"#,
        );
    }
}
