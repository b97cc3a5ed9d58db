//! How a record lies in a message: what it has, and so which template is its own.
//!
//! IPFIX has no word for "not there": a template names what its records have. A template for each combination would
//! be thousands, so texts come in company: where one of a group is there all are, those that are not without a letter.

use crate::element::{Known, Type, Written};
use crate::value::put;
use crate::wire::{ENTERPRISE_BIT, FIRST_TEMPLATE};
use weir_record::{Element, FlowRecord, Value};

/// Elements of our own whose numbers differ in these bits only are a group.
const GROUP: u16 = 0x1f;

/// Which fields are there, and how each is written.
pub type Shape = [Presence];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Presence {
    Absent,
    Usual,
    Other,
}

/// Says what there is of a record in `shape`, and appends it to `data`.
pub fn lay(fields: &[Written], record: &FlowRecord, shape: &mut Vec<Presence>, data: &mut Vec<u8>) {
    shape.clear();
    data.clear();
    let values: Vec<_> = fields.iter().map(|written| (written.field.read)(record)).collect();
    let there = |group| {
        let of_group =
            fields.iter().zip(&values).filter(move |(written, _)| self::group(written) == Some(group));
        of_group.clone().any(|(_, value)| *value != Value::Absent)
    };
    // Fields of a group follow each other.
    let mut last = (None, false);
    for (written, value) in fields.iter().zip(&values) {
        let group = group(written);
        if group != last.0 {
            last = (group, group.is_some_and(there));
        }
        let presence = match value {
            Value::Absent if written.usual.kind == Type::Text && last.1 => Presence::Usual,
            Value::Absent => Presence::Absent,
            value if is_other(written, record, value) => Presence::Other,
            _ => Presence::Usual,
        };
        if let Some(known) = presence.element(written) {
            put(data, known.kind, written.field, value);
        }
        shape.push(presence);
    }
}

fn group(written: &Written) -> Option<u16> {
    let Element { enterprise, id, .. } = written.usual.element;
    (enterprise == Element::OWN).then_some(id & !GROUP)
}

/// Whether it is of IPv6, or of egress, and there is another element for that.
fn is_other(written: &Written, record: &FlowRecord, value: &Value<'_>) -> bool {
    match (written.field.name, value) {
        (_, Value::Address(address)) => address.is_ipv6(),
        ("interface_index", _) => record.direction == weir_record::Direction::Egress,
        _ => record.key.ethertype() == 0x86dd,
    }
}

impl Presence {
    fn element(self, written: &Written) -> Option<&'static Known> {
        match self {
            Self::Absent => None,
            Self::Usual => Some(written.usual),
            Self::Other => Some(written.other),
        }
    }
}

/// The template of this shape (RFC 7011, section 3.4.1).
pub fn template(fields: &[Written], shape: &Shape, id: u16) -> Vec<u8> {
    let elements: Vec<_> =
        fields.iter().zip(shape).filter_map(|(written, presence)| presence.element(written)).collect();
    let mut template = Vec::with_capacity(4 + 8 * elements.len());
    debug_assert!(id >= FIRST_TEMPLATE);
    template.extend(id.to_be_bytes());
    template.extend((elements.len() as u16).to_be_bytes());
    for known in elements {
        put_specifier(&mut template, known.element.enterprise, known.element.id, known.kind.length());
    }
    template
}

/// One element of a template.
pub fn put_specifier(out: &mut Vec<u8>, enterprise: u32, id: u16, length: u16) {
    let bit = if enterprise == 0 { 0 } else { ENTERPRISE_BIT };
    out.extend((id | bit).to_be_bytes());
    out.extend(length.to_be_bytes());
    if enterprise != 0 {
        out.extend(enterprise.to_be_bytes());
    }
}
