//! The containers at both ends, as their runtimes know them.

use crate::ContainerDetails;
use crate::field::{Field, Kind};
use crate::read::{known, set};
use crate::value::{Text, Value};
use std::sync::Arc;

fn text(details: &Option<Arc<ContainerDetails>>, of: fn(&ContainerDetails) -> &Option<String>) -> Value<'_> {
    let text = details.as_deref().and_then(|details| of(details).as_deref());
    text.map_or(Value::Absent, |text| Value::Text(Text::Borrowed(text)))
}

/// The same of either end: what differs is its name and where it lies in a record.
macro_rules! fields_of {
    ($end:ident) => {
        [
            end_field!($end, "_container_name", 33, "container.name", Kind::Text, "Name of the container at this end, from its runtime. Null where the runtime cannot be asked, or does not know it.", |record| {
                text(&record.$end.container, |details| &details.name)
            }, |draft, value| set(&mut known(&mut draft.record.$end.container).name, value.text().map(Some))),
            end_field!($end, "_container_image", 34, "container.image.name", Kind::Text, "The image it was made from, as it was asked for.", |record| {
                text(&record.$end.container, |details| &details.image)
            }, |draft, value| set(&mut known(&mut draft.record.$end.container).image, value.text().map(Some))),
            end_field!($end, "_container_labels", 35, "container.label", Kind::Text, "Those of its labels that `--container-label` asks for: `key=value,key=value`, in the order of keys; a comma or backslash in them has a backslash before it.", |record| {
                text(&record.$end.container, |details| &details.labels)
            }, |draft, value| set(&mut known(&mut draft.record.$end.container).labels, value.text().map(Some))),
        ]
    };
}

/// In the order of output.
pub const SOURCE: &[Field] = &fields_of!(source);
/// The same of the other end.
pub const DESTINATION: &[Field] = &fields_of!(destination);
