//! How a record lies in a message: what it has, and so which template is its own.
//!
//! IPFIX has no word for "not there": a template names what its records have. A template for each combination would
//! be thousands, so texts come in company: where one of a group is there all are, those that are not without a letter.

use super::options;
use crate::element::{Known, Type, Written};
use crate::value::put;
use crate::wire::{ENTERPRISE_BIT, FIRST_TEMPLATE};
use smallvec::SmallVec;
use weir_record::{Element, FlowRecord, Value};

/// Elements of our own whose numbers differ in these bits only are a group.
const GROUP_BITS: u16 = 5;

/// A text that is not there, of a group that may be.
#[derive(Debug, Clone, Copy)]
struct Gap {
    /// Which field it is.
    at: usize,
    /// Where it would lie.
    offset: usize,
}

/// Those of a record: as many as there are fields find room without an allocation.
type Gaps = SmallVec<[Gap; MOST_FIELDS]>;

/// There is room for so many.
const MOST_FIELDS: usize = 256;

/// Which fields are there, and how each is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Shape {
    usual: Bits,
    /// As of IPv6, or of egress, where there is another element for that.
    other: Bits,
}

/// One for each field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Bits([u128; MOST_FIELDS / 128]);

impl Bits {
    fn set(&mut self, at: usize) {
        self.0[at / 128] |= 1 << (at % 128);
    }

    fn has(self, at: usize) -> bool {
        self.0[at / 128] >> (at % 128) & 1 == 1
    }
}

impl Shape {
    fn elements(self, fields: &[Written]) -> impl Iterator<Item = &'static Known> {
        fields.iter().enumerate().filter_map(move |(at, written)| match at {
            at if self.usual.has(at) => Some(written.usual),
            at if self.other.has(at) => Some(written.other),
            _ => None,
        })
    }
}

/// Says what there is of a record, and leaves it in `data`.
///
/// A value is written as soon as it is read, and kept nowhere: to move what was only just made costs more than all else here.
pub fn lay(fields: &[Written], record: &FlowRecord, data: &mut Vec<u8>) -> Shape {
    data.clear();
    let (mut shape, mut groups, mut gaps) = (Shape::default(), 0, Gaps::new());
    for (at, written) in fields.iter().enumerate() {
        let value = options::value(written, record);
        if matches!(value, Value::Absent) {
            if written.usual.kind == Type::Text && group(written) != 0 {
                gaps.push(Gap { at, offset: data.len() });
            }
            continue;
        }
        groups |= group(written);
        let has_other = !std::ptr::eq(written.usual, written.other);
        let known = if has_other && is_other(written, record, &value) {
            shape.other.set(at);
            written.other
        } else {
            shape.usual.set(at);
            written.usual
        };
        put(data, known.kind, written.field, &value);
    }
    gaps.retain(|gap| groups & group(&fields[gap.at]) != 0);
    gaps.iter().for_each(|gap| shape.usual.set(gap.at));
    fill(&gaps, data);
    shape
}

/// Puts a text without a letter, which is a length of nothing, into each of the gaps.
fn fill(gaps: &[Gap], data: &mut Vec<u8>) {
    let mut end = data.len();
    data.resize(end + gaps.len(), 0);
    for (before, gap) in gaps.iter().enumerate().rev() {
        data.copy_within(gap.offset..end, gap.offset + before + 1);
        data[gap.offset + before] = 0;
        end = gap.offset;
    }
}

/// A bit of its own for each group; none for what is in none.
fn group(written: &Written) -> u64 {
    let Element { enterprise, id, .. } = written.usual.element;
    if enterprise == Element::OWN { 1 << (id >> GROUP_BITS) } else { 0 }
}

/// Whether it is of IPv6, or of egress.
fn is_other(written: &Written, record: &FlowRecord, value: &Value<'_>) -> bool {
    match (written.field.name, value) {
        (_, Value::Address(address)) => address.is_ipv6(),
        ("interface_index", _) => record.direction == weir_record::Direction::Egress,
        _ => record.key.ethertype() == 0x86dd,
    }
}

/// The template of this shape (RFC 7011, section 3.4.1).
pub fn template(fields: &[Written], shape: Shape, id: u16) -> Vec<u8> {
    let elements: Vec<_> = shape.elements(fields).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::written;

    #[test]
    fn there_is_a_bit_for_each_field_and_each_group() {
        // Three more than there are, for the bytes that are written twice and for selectors.
        assert!(written().len() + 3 <= MOST_FIELDS, "{}", written().len());
        let own = written().iter().filter(|written| written.usual.element.enterprise == Element::OWN);
        assert!(own.clone().all(|written| written.usual.element.id >> GROUP_BITS < 64));
    }
}
