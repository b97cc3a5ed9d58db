//! Templates: what lies in the records of a set, in which order (RFC 7011, section 3.4).

use crate::element::{Hint, Known, Means, Type, known, place};
use crate::wire::{Bytes, ENTERPRISE_BIT, VARIABLE};
use weir_record::{Element, FIELDS, Field};

/// What becomes of one value.
#[derive(Debug, Clone, Copy)]
pub enum Use {
    /// It is a field's.
    Field(&'static Field, Type),
    /// It tells a time by way of others.
    Times(Hint, Type),
    /// It is the number of the interface that packets come in by.
    Ingress,
    /// It is that of the one that they leave by.
    Egress,
    Icmp,
    ClassOfService,
    /// Another one says the same better.
    Nothing,
    Unknown,
}

/// One value of a record.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    pub length: u16,
    pub what: Use,
}

/// What the records of a set are made of.
#[derive(Debug)]
pub struct Template {
    pub slots: Vec<Slot>,
    /// Whether they are of something else than flows.
    pub is_options: bool,
    /// Whether a template of another program than Weir: it has a value even for what does not apply.
    pub is_foreign: bool,
    /// How many of the values are of no known element.
    pub unknown: u64,
    /// Bytes that a record has at least.
    pub shortest: usize,
}

/// A template, or the end of one.
pub enum Told {
    Template(u16, Template),
    /// Of this template, or, by the id of a set, of all that such sets bring.
    Withdrawn(u16),
}

/// The next template of a set, if it makes sense. Where it does not, nothing after it can be read.
pub fn next(bytes: &mut Bytes<'_>, is_options: bool) -> Option<Told> {
    let (id, count) = (bytes.u16()?, bytes.u16()?);
    if count == 0 {
        return Some(Told::Withdrawn(id));
    }
    if id < crate::wire::FIRST_TEMPLATE {
        return None;
    }
    if is_options {
        // How many of its values say what it is about: at least one.
        let scopes = bytes.u16()?;
        if scopes == 0 || scopes > count {
            return None;
        }
    }
    let elements: Vec<_> = (0..count).map(|_| element(bytes)).collect::<Option<_>>()?;
    Some(Told::Template(id, Template::of(&elements, is_options)))
}

/// Enterprise, number, length. What has no length is in no record.
fn element(bytes: &mut Bytes<'_>) -> Option<(u32, u16, u16)> {
    let (id, length) = (bytes.u16()?, bytes.u16()?);
    let enterprise = if id & ENTERPRISE_BIT == 0 { 0 } else { bytes.u32()? };
    (length > 0).then_some((enterprise, id & !ENTERPRISE_BIT, length))
}

impl Template {
    fn of(elements: &[(u32, u16, u16)], is_options: bool) -> Self {
        let known: Vec<_> = elements.iter().map(|&(enterprise, id, _)| known(enterprise, id)).collect();
        let best = best(&known);
        let slots: Vec<_> = known
            .iter()
            .zip(elements)
            .enumerate()
            .map(|(at, (known, &(.., length)))| Slot {
                length,
                what: known.map_or(Use::Unknown, |known| use_of(known, at, &best)),
            })
            .collect();
        Self {
            unknown: known.iter().filter(|known| known.is_none()).count() as u64,
            is_foreign: !elements.iter().any(|element| element.0 == Element::OWN),
            shortest: slots
                .iter()
                .map(|slot| if slot.length == VARIABLE { 1 } else { slot.length.into() })
                .sum(),
            slots,
            is_options,
        }
    }
}

/// For each field which of the elements says it best, by place: of two alike the first.
fn best(elements: &[Option<&'static Known>]) -> Vec<Option<(u8, usize)>> {
    let mut best = vec![None; FIELDS.len()];
    for (at, known) in elements.iter().enumerate() {
        let (name, rank) = match known.map(|known| known.means) {
            Some(Means::Is(name) | Means::IsElse(name)) => (name, 0),
            Some(Means::Tells(name, rank)) => (name, rank),
            _ => continue,
        };
        let Some(place) = place(name).and_then(|place| best.get_mut(place)) else { continue };
        if place.is_none_or(|(other, _)| rank < other) {
            *place = Some((rank, at));
        }
    }
    best
}

fn use_of(known: &Known, at: usize, best: &[Option<(u8, usize)>]) -> Use {
    let name = match known.means {
        Means::Is("interface_index") => return Use::Ingress,
        Means::IsElse("interface_index") => return Use::Egress,
        Means::Times(hint) => return Use::Times(hint, known.kind),
        Means::Icmp => return Use::Icmp,
        Means::ClassOfService => return Use::ClassOfService,
        Means::Is(name) | Means::IsElse(name) | Means::Tells(name, _) => name,
    };
    match place(name) {
        Some(place) if best[place].is_some_and(|(_, best)| best == at) => {
            Use::Field(&FIELDS[place], known.kind)
        }
        _ => Use::Nothing,
    }
}
