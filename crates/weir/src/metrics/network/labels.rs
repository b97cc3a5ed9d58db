//! What tells series from each other.

use crate::records::Column;
use std::fmt::{self, Write};
use std::str::FromStr;
use weir_record::{FlowRecord, Kind, Unit, Value};

/// Between the values of one key: in no value, since control characters are left out.
const BETWEEN: char = '\0';
/// Characters of a value at most.
const LONGEST: usize = 128;
/// Every value of the series that is for all others.
pub const OTHER: &str = "other";

/// By which fields packets are summed; none where they are not.
#[derive(Clone)]
pub struct Labels(Vec<Column>);

impl Labels {
    /// Whether nothing is summed.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// The fields' names.
    pub fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(Column::name).collect()
    }

    /// Writes the key of a record over `key`.
    pub fn key_of(&self, record: &FlowRecord, key: &mut String) {
        key.clear();
        for (place, column) in self.0.iter().enumerate() {
            if place > 0 {
                key.push(BETWEEN);
            }
            let _ = put(&mut Harmless { key, left: LONGEST }, &column.of(record));
        }
    }

    /// Whether it is called as the series for all others.
    pub fn is_other(key: &str) -> bool {
        Self::values(key).all(|value| value == OTHER)
    }

    /// The values of a key.
    pub fn values(key: &str) -> impl Iterator<Item = &str> {
        key.split(BETWEEN)
    }
}

impl FromStr for Labels {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(Vec::new()));
        }
        let mut columns: Vec<Column> = Vec::new();
        for name in text.split(',').map(str::trim) {
            let column = Column::named(name)?;
            let is_fine = matches!(column.kind(), Kind::Text | Kind::Number | Kind::Address | Kind::Flag)
                && column.unit() == Unit::None;
            if !is_fine {
                return Err(format!("{name} is nothing to tell series from each other by"));
            }
            if columns.iter().any(|known| known.name() == column.name()) {
                return Err(format!("{name} stands there twice"));
            }
            columns.push(column);
        }
        Ok(Self(columns))
    }
}

fn put(out: &mut Harmless<'_>, value: &Value<'_>) -> fmt::Result {
    match value {
        Value::Absent | Value::Time(_) | Value::Bits(_) | Value::Observations(_) => Ok(()),
        Value::Text(text) => out.write_str(text),
        Value::Number(number) => write!(out, "{number}"),
        Value::Id(id) => write!(out, "{id}"),
        Value::Address(address) => write!(out, "{address}"),
        Value::Flag(flag) => write!(out, "{flag}"),
    }
}

/// Takes the beginning of a text, without control characters.
struct Harmless<'k> {
    key: &'k mut String,
    left: usize,
}

impl Write for Harmless<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let harmless = text.chars().filter(|letter| !letter.is_control()).take(self.left);
        for letter in harmless {
            self.key.push(letter);
            self.left -= 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use weir_record::{Addresses, Direction, FlowKey, Interface, InterfaceKind};

    fn record() -> FlowRecord {
        let (name, netns, kind) = ("eth\0\n0".into(), "1".into(), InterfaceKind::Veth);
        let interface = Arc::new(Interface { name, index: 2, netns, own_netns: true, kind });
        let addresses = Addresses::V4([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let key = FlowKey::Ip { vlan: None, addresses, protocol: 6, ports: Some((4000, 443)) };
        let mut record = FlowRecord::blank(interface, Direction::Egress, key);
        record.source.label = Some("ü".repeat(200).into());
        record
    }

    #[test]
    fn keys_are_harmless() {
        let labels: Labels =
            "interface,source_label,vlan,destination_port,source_address,protocol".parse().expect("labels");
        let mut key = String::from("before");
        labels.key_of(&record(), &mut key);
        let long = "ü".repeat(LONGEST);
        assert_eq!(Labels::values(&key).collect::<Vec<_>>(), ["eth0", &long, "", "443", "10.0.0.1", "tcp"]);
    }

    #[test]
    fn what_is_no_label_is_said() {
        let mistake = |text: &str| text.parse::<Labels>().map(drop).expect_err(text);
        assert_eq!(mistake("prtocol"), "there is no field prtocol: did you mean protocol?");
        assert_eq!(mistake("bytes"), "bytes is nothing to tell series from each other by");
        assert_eq!(mistake("observations"), "observations is nothing to tell series from each other by");
        assert_eq!(mistake("direction,direction"), "direction stands there twice");
        assert!("none".parse::<Labels>().is_ok_and(|labels| labels.is_none()));
        assert_eq!(
            "process, direction".parse::<Labels>().map(|labels| labels.names()),
            Ok(vec!["process", "direction"])
        );
    }
}
