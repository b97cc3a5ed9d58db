//! The one table of fields. Every output, the filter language and the reference page come from
//! it: a new field is one new entry.

/// A field of one end of a conversation. Its name begins with the end's, which is also where it lies in a record;
/// an end need not be known.
macro_rules! end_field {
    ($end:ident, $name:literal, $id:literal, $otel:literal, $kind:expr, $doc:literal, $read:expr, $write:expr) => {
        $crate::field::Field {
            name: concat!(stringify!($end), $name),
            kind: $kind,
            nullable: true,
            unit: $crate::field::Unit::None,
            otel: concat!(stringify!($end), ".", $otel),
            ipfix: $crate::field::Element::own(
                $crate::field::Element::of_end(stringify!($end)) + $id,
                concat!(stringify!($end), $name),
            ),
            doc: $doc,
            read: $read,
            write: $write,
        }
    };
}

mod container;
mod drops;
mod flow;
mod handshake;
mod kubernetes;
mod name;
mod packets;
mod process;
mod tcp;
mod translation;

use crate::field::Field;

const GROUPS: &[&[Field]] = &[
    flow::FIELDS,
    packets::FIELDS,
    translation::FIELDS,
    drops::FIELDS,
    process::SOURCE,
    process::DESTINATION,
    container::SOURCE,
    container::DESTINATION,
    kubernetes::SOURCE,
    kubernetes::DESTINATION,
    name::SOURCE,
    name::DESTINATION,
    tcp::SOURCE,
    tcp::DESTINATION,
    handshake::FIELDS,
];

static ALL: [Field; count(GROUPS)] = joined(GROUPS);

const fn count(groups: &[&[Field]]) -> usize {
    let (mut all, mut group) = (0, 0);
    while group < groups.len() {
        all += groups[group].len();
        group += 1;
    }
    all
}

/// One group after the other: `COUNT` fields altogether.
const fn joined<const COUNT: usize>(groups: &[&[Field]]) -> [Field; COUNT] {
    let mut all = [groups[0][0]; COUNT];
    let (mut at, mut group) = (0, 0);
    while group < groups.len() {
        let mut one = 0;
        while one < groups[group].len() {
            all[at] = groups[group][one];
            at += 1;
            one += 1;
        }
        group += 1;
    }
    all
}

/// What is known of the source beyond its address and port.
pub const SOURCE_END: &[&[Field]] = &[process::SOURCE, container::SOURCE, kubernetes::SOURCE, name::SOURCE];

/// The same of the destination.
pub const DESTINATION_END: &[&[Field]] =
    &[process::DESTINATION, container::DESTINATION, kubernetes::DESTINATION, name::DESTINATION];

/// What TCP keeps at the source.
pub const SOURCE_TCP: &[Field] = tcp::SOURCE;

/// What it keeps at the destination.
pub const DESTINATION_TCP: &[Field] = tcp::DESTINATION;

/// Every field of a flow record, in the order of output.
pub static FIELDS: &[Field] = &ALL;
