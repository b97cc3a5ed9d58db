//! What our own elements are, told in the messages themselves (RFC 5610): a reader needs no table of ours.

use super::options::Options;
use crate::element::Written;
use crate::wire::{FIRST_TEMPLATE, VARIABLE, put_variable};
use weir_record::{Element, Kind, Unit};

/// privateEnterpriseNumber and informationElementId say what it is about; informationElementDataType,
/// informationElementSemantics and informationElementName say what that is.
pub const TYPES: Options = Options {
    id: FIRST_TEMPLATE,
    scopes: 2,
    elements: &[(346, 4), (303, 2), (339, 1), (344, 1), (341, VARIABLE)],
};

/// A record for each of these fields that has an element of our own.
pub fn records(fields: &[Written]) -> impl Iterator<Item = Vec<u8>> {
    fields.iter().filter(|written| written.usual.element.enterprise == Element::OWN).map(|written| {
        let element = written.usual.element;
        let mut record = Vec::new();
        record.extend(element.enterprise.to_be_bytes());
        record.extend(element.id.to_be_bytes());
        record.push(written.usual.kind.registered().1);
        record.push(semantics(written));
        put_variable(&mut record, element.name.as_bytes());
        record
    })
}

/// By IANA's registry: flags, quantity, or default.
fn semantics(written: &Written) -> u8 {
    match (written.field.kind, written.field.unit) {
        (Kind::Bits, _) => 5,
        (Kind::Number, Unit::Packets | Unit::Bytes | Unit::Microseconds) => 1,
        _ => 0,
    }
}
