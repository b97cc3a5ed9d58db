//! Records read from their JSON, by the table that writes it.
//!
//! What the JSON does not tell is not there afterwards: `observations` are left out, and an interface is taken for one
//! of the agent's own network namespace. Fields that are not in the table are those of a later version: passed over.

use crate::field::{Field, Kind};
use crate::value::{Id, Value};
use crate::{
    Addresses, Count, Direction, Evidence, FIELDS, FlowKey, FlowRecord, Interface, InterfaceKind, Reverse,
    Translation,
};
use jiff::Timestamp;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// A record on its way from JSON: what makes a key is not together yet.
pub struct Draft {
    pub record: FlowRecord,
    pub addresses: (Option<IpAddr>, Option<IpAddr>),
    /// Ports, or ICMP type and code.
    pub ports: (Option<u16>, Option<u16>),
    pub protocol: Option<u8>,
    pub ethertype: u16,
    pub vlan: Option<u16>,
}

/// A field that follows from others.
pub const DERIVED: fn(&mut Draft, Value<'_>) -> Option<()> = |_, _| Some(());

/// Enters what was read, if it fits.
pub fn set<T>(place: &mut T, value: Option<T>) -> Option<()> {
    *place = value?;
    Some(())
}

/// What is known of something once a field of it is.
pub fn known<T: Clone + Default>(place: &mut Option<Arc<T>>) -> &mut T {
    Arc::make_mut(place.get_or_insert_default())
}

impl Draft {
    fn new() -> Self {
        let interface = Interface {
            name: String::new(),
            index: 0,
            netns: Arc::default(),
            own_netns: true,
            kind: InterfaceKind::Other,
        };
        let nothing = FlowKey::Other { vlan: None, ethertype: 0 };
        let record = FlowRecord::blank(Arc::new(interface), Direction::Ingress, nothing);
        let (addresses, ports) = ((None, None), (None, None));
        Self { record, addresses, ports, protocol: None, ethertype: 0, vlan: None }
    }

    pub fn interface(&mut self) -> &mut Interface {
        Arc::make_mut(&mut self.record.interface)
    }

    pub fn reverse(&mut self) -> &mut Reverse {
        let nothing =
            Reverse { count: Count::default(), tcp_flags: 0, sampling_rate: 1, evidence: Evidence::None };
        self.record.reverse.get_or_insert(nothing)
    }

    pub fn translation(&mut self) -> &mut Translation {
        let nowhere = (Ipv4Addr::UNSPECIFIED.into(), 0);
        self.record.translation.get_or_insert(Translation { source: nowhere, destination: nowhere })
    }

    fn finish(self) -> Option<FlowRecord> {
        let Self { record, addresses, ports, protocol, ethertype, vlan } = self;
        let addresses = match addresses {
            (Some(IpAddr::V4(source)), Some(IpAddr::V4(destination))) => Addresses::V4(source, destination),
            (Some(IpAddr::V6(source)), Some(IpAddr::V6(destination))) => Addresses::V6(source, destination),
            (None, None) => return Some(FlowRecord { key: FlowKey::Other { vlan, ethertype }, ..record }),
            _ => return None,
        };
        let key = FlowKey::Ip { vlan, addresses, protocol: protocol?, ports: ports.0.zip(ports.1) };
        Some(FlowRecord { key, ..record })
    }
}

/// None where it is something else, or does not fit.
impl Value<'_> {
    pub(crate) fn number<T: TryFrom<u64>>(self) -> Option<T> {
        match self {
            Self::Number(number) | Self::Time(number) | Self::Bits(number) => T::try_from(number).ok(),
            _ => None,
        }
    }

    pub(crate) fn text<T: From<String>>(self) -> Option<T> {
        if let Self::Text(text) = self { Some(text.into_owned().into()) } else { None }
    }

    pub(crate) fn hex(self) -> Option<u64> {
        match self {
            Self::Text(text) => u64::from_str_radix(&text, 16).ok(),
            Self::Id(Id(id)) => Some(id),
            _ => None,
        }
    }

    /// The one of `all` that is called so.
    pub(crate) fn word<T: Copy>(self, all: &[T], name: fn(T) -> &'static str) -> Option<T> {
        let Self::Text(text) = self else { return None };
        all.iter().copied().find(|one| name(*one) == &*text)
    }

    pub(crate) fn address(self) -> Option<IpAddr> {
        if let Self::Address(address) = self { Some(address) } else { None }
    }

    pub(crate) fn flag(self) -> Option<bool> {
        if let Self::Flag(flag) = self { Some(flag) } else { None }
    }
}

impl FlowRecord {
    /// A record made of values, each of the field it comes with, as the table reads them. A field that is not told
    /// is as in a blank record. None where a value does not fit.
    pub fn from_values<'v>(values: impl IntoIterator<Item = (&'static Field, Value<'v>)>) -> Option<Self> {
        let mut draft = Draft::new();
        for (field, value) in values {
            if value != Value::Absent {
                (field.write)(&mut draft, value)?;
            }
        }
        draft.finish()
    }
}

impl<'de> Deserialize<'de> for FlowRecord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = FlowRecord;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a flow record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FlowRecord, A::Error> {
        let (mut draft, mut expected, mut told) = (Draft::new(), 0, 0);
        while let Some(place) = map.next_key_seed(Named { expected })? {
            let Some(field) = place.and_then(|place| FIELDS.get(place)) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            expected = place.unwrap_or(expected) + 1;
            let value = map.next_value_seed(field.kind)?;
            let fits = match value {
                Value::Absent => field.nullable.then_some(()),
                value => (field.write)(&mut draft, value),
            };
            fits.ok_or_else(|| A::Error::custom(format_args!("{} does not hold what it says", field.name)))?;
            told += usize::from(!field.nullable);
        }
        let always = FIELDS.iter().filter(|field| !field.nullable).count();
        let record = if told < always { None } else { draft.finish() };
        record.ok_or_else(|| A::Error::custom("fields of a record are missing"))
    }
}

/// The place of a field in the table, by its name; most likely the expected one.
struct Named {
    expected: usize,
}

impl<'de> DeserializeSeed<'de> for Named {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Named {
    type Value = Option<usize>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Option<usize>, E> {
        let is_expected = FIELDS.get(self.expected).is_some_and(|field| field.name == name);
        let place = || FIELDS.iter().position(|field| field.name == name);
        Ok(is_expected.then_some(self.expected).or_else(place))
    }
}

/// A value of this kind.
impl<'de> DeserializeSeed<'de> for Kind {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        let value = match self {
            Self::Number => Option::deserialize(deserializer)?.map(Value::Number),
            Self::Text => Option::<String>::deserialize(deserializer)?.map(|text| Value::Text(text.into())),
            Self::Address => Option::deserialize(deserializer)?.map(Value::Address),
            Self::Flag => Option::deserialize(deserializer)?.map(Value::Flag),
            Self::Time => Option::<String>::deserialize(deserializer)?.map(time).transpose()?,
            Self::Bits => Option::<Vec<u64>>::deserialize(deserializer)?.map(bits).transpose()?,
            Self::Observations => {
                IgnoredAny::deserialize(deserializer).map(|_| Some(Value::Observations(&[])))?
            }
        };
        Ok(value.unwrap_or(Value::Absent))
    }
}

fn time<E: Error>(text: String) -> Result<Value<'static>, E> {
    let time = text.parse::<Timestamp>().ok().and_then(|time| u64::try_from(time.as_nanosecond()).ok());
    time.map(Value::Time).ok_or_else(|| E::custom(format_args!("{text:?} is no time")))
}

fn bits<E: Error>(numbers: Vec<u64>) -> Result<Value<'static>, E> {
    let bit = |number: u64| u32::try_from(number).ok().and_then(|number| 1_u64.checked_shl(number));
    let bits = numbers.into_iter().try_fold(0, |all, number| Some(all | bit(number)?));
    bits.map(Value::Bits).ok_or_else(|| E::custom("a bit beyond the 64th"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, Value as Json, json};

    /// Something for every field, none of it what it is without being read.
    fn sample(name: &str, kind: Kind) -> Json {
        let end = name.split_once('_').map_or("", |(_, rest)| rest);
        match (name, end, kind) {
            ("flow_id" | "parent_id", ..) => json!("00c0ffee00c0ffee"),
            ("interface_kind", ..) => json!("veth"),
            ("direction", ..) => json!("egress"),
            ("protocol", ..) => json!("tcp"),
            ("ethertype", ..) => json!(0x0800),
            ("biflow_direction", ..) => json!("initiator"),
            ("biflow_evidence", ..) => json!("syn"),
            ("tcp_state", ..) => json!("closed"),
            ("community_id", ..) => json!("1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
            ("source_address", ..) => json!("128.232.110.120"),
            ("destination_address", ..) => json!("66.35.250.204"),
            ("source_port", ..) => json!(34855),
            ("destination_port", ..) => json!(80),
            ("icmp_type" | "icmp_code", ..) => Json::Null,
            ("flow_end_reason", ..) => json!("idle_timeout"),
            (_, "container_runtime", _) => json!("cri-o"),
            (_, "name_origin", _) => json!("reverse_dns"),
            (_, "tcp_failure", _) => json!("refused"),
            (.., Kind::Number) => json!(name.len() + 2),
            (.., Kind::Text) => json!(format!("{name} \"\u{1b}\" é")),
            (.., Kind::Address) => json!("192.0.2.7"),
            (.., Kind::Time) => json!("2026-11-22T18:40:51.000000120Z"),
            (.., Kind::Flag) => json!(true),
            (.., Kind::Bits) => json!([0, 2, 3]),
            (.., Kind::Observations) => json!([]),
        }
    }

    fn full() -> Map<String, Json> {
        let typed = [("type".into(), json!("flow"))].into_iter();
        typed.chain(FIELDS.iter().map(|field| (field.name.into(), sample(field.name, field.kind)))).collect()
    }

    fn read(record: &Map<String, Json>) -> Result<FlowRecord, String> {
        serde_json::from_str(&json!(record).to_string()).map_err(|error| error.to_string())
    }

    /// What is read says the same again.
    fn assert_same(record: &Map<String, Json>) {
        let said = json!(read(record).expect("a record"));
        for (name, value) in record {
            assert_eq!((name, &said[name]), (name, value));
        }
    }

    #[test]
    fn every_field_survives() {
        assert_same(&full());
    }

    #[test]
    fn what_is_null_stays_null() {
        let mut record = full();
        let nullable = FIELDS.iter().filter(|field| field.nullable);
        nullable.for_each(|field| drop(record.insert(field.name.into(), Json::Null)));
        record.insert("ethertype".into(), json!(0x0806));
        // These are of IP packets only, and there are none.
        record.insert("dscp_seen".into(), json!([]));
        record.insert("packets".into(), json!(0));
        assert_same(&record);
    }

    #[test]
    fn icmp_has_no_ports() {
        let mut record = full();
        for (name, value) in [("protocol", json!("icmp")), ("icmp_type", json!(8)), ("icmp_code", json!(0))] {
            record.insert(name.into(), value);
        }
        for name in ["source_port", "destination_port", "tcp_flags", "reverse_tcp_flags", "tcp_state"] {
            record.insert(name.into(), Json::Null);
        }
        record.remove("community_id");
        assert_same(&record);
    }

    #[test]
    fn order_and_what_is_not_known_do_not_matter() {
        let turned = full().into_iter().rev().map(|(name, value)| format!("{}:{value}", json!(name)));
        let turned = format!("{{\"a_later_field\":{{\"x\":[1]}},{}}}", turned.collect::<Vec<_>>().join(","));
        let record: FlowRecord = serde_json::from_str(&turned).expect("a record");
        assert_eq!(Ok(record), read(&full()));
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let with = |name: &str, value: Json| {
            let mut record = full();
            record.insert(name.into(), value);
            read(&record).expect_err(name)
        };
        assert!(with("packets", json!(-1)).contains("expected u64"));
        assert!(with("vlan", json!(70_000)).contains("vlan does not hold"));
        assert!(with("direction", json!("up")).contains("direction does not hold"));
        assert!(with("start", json!("today")).contains("no time"));
        assert!(with("start", Json::Null).contains("start does not hold"));
        assert!(with("dscp_seen", json!([64])).contains("beyond"));
        assert!(with("destination_address", json!("::1")).contains("missing"));
        let mut record = full();
        record.remove("bytes");
        assert!(read(&record).expect_err("incomplete").contains("missing"));
        assert!(serde_json::from_str::<FlowRecord>("[]").is_err());
    }
}
