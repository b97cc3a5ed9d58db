//! What the addresses at both ends are called, and where they are.

use crate::field::{Element, Field, Kind};
use crate::read::{known, set};
use crate::value::{Text, Value};
use crate::{Name, NameOrigin, Place};
use std::sync::Arc;

fn text(text: Option<&str>) -> Value<'_> {
    text.map_or(Value::Absent, |text| Value::Text(Text::Borrowed(text)))
}

fn name<'r>(name: &'r Option<Arc<Name>>, of: impl Fn(&'r Name) -> &'r str) -> Value<'r> {
    text(name.as_deref().map(of))
}

fn place<'r>(place: &'r Option<Arc<Place>>, of: impl Fn(&'r Place) -> &'r Option<String>) -> Value<'r> {
    text(place.as_deref().and_then(|place| of(place).as_deref()))
}

/// The same of either end: what differs is its name and where it lies in a record.
macro_rules! fields_of {
    ($end:ident, $as_number:literal, $as_element:literal) => {
        [
            end_field!($end, "_name", 97, "domain", Kind::Text, "Name of the address while the flow lived: the one that was asked for, where a process of this host asked DNS for it. Characters that are not printable ASCII are written `\\DDD`, as in zone files.", |record| {
                name(&record.$end.name, |name| &name.text)
            }, |draft, value| set(&mut known(&mut draft.record.$end.name).text, value.text())),
            end_field!($end, "_name_origin", 98, "domain.origin", Kind::Text, "Where that name comes from: `dns` (an answer that this host received), `kubernetes` (`service.namespace` or `pod.namespace` of the address, or the node), `hosts` (the hosts file), `reverse_dns` (asked for by Weir).", |record| {
                name(&record.$end.name, |name| name.origin.as_str())
            }, |draft, value| set(&mut known(&mut draft.record.$end.name).origin, value.word(&NameOrigin::ALL, NameOrigin::as_str))),
            end_field!($end, "_label", 99, "label", Kind::Text, "What `--label` calls the narrowest network around the address.", |record| {
                text(record.$end.label.as_deref())
            }, |draft, value| set(&mut draft.record.$end.label, value.text().map(Some))),
            end_field!($end, "_country", 100, "geo.country.iso_code", Kind::Text, "ISO 3166-1 code of the country where the address is, by the databases that `--geoip` names.", |record| {
                place(&record.$end.place, |place| &place.country)
            }, |draft, value| set(&mut known(&mut draft.record.$end.place).country, value.text().map(Some))),
            end_field!($end, "_city", 101, "geo.locality.name", Kind::Text, "The city, likewise, in English.", |record| {
                place(&record.$end.place, |place| &place.city)
            }, |draft, value| set(&mut known(&mut draft.record.$end.place).city, value.text().map(Some))),
            Field {
                ipfix: Element::iana($as_number, $as_element),
                ..end_field!($end, "_as_number", 102, "as.number", Kind::Number, "Number of the autonomous system that the address belongs to, likewise.", |record| {
                    record.$end.place.as_deref().and_then(|place| place.as_number).into()
                }, |draft, value| set(&mut known(&mut draft.record.$end.place).as_number, value.number().map(Some)))
            },
            end_field!($end, "_as_organization", 103, "as.organization.name", Kind::Text, "Who runs that, likewise.", |record| {
                place(&record.$end.place, |place| &place.as_organization)
            }, |draft, value| set(&mut known(&mut draft.record.$end.place).as_organization, value.text().map(Some))),
        ]
    };
}

/// In the order of output.
pub const SOURCE: &[Field] = &fields_of!(source, 16, "bgpSourceAsNumber");
/// The same of the other end.
pub const DESTINATION: &[Field] = &fields_of!(destination, 17, "bgpDestinationAsNumber");
