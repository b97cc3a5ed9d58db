//! Records as JSON: all of each, or some fields in their order.

use serde::{Serialize, Serializer};
use weir_record::{Field, FlowRecord, Value};

/// What of records is written.
#[derive(Debug, Clone, Default)]
pub struct Fields(pub Vec<&'static Field>);

struct Chosen<'r>(&'r [&'static Field], &'r FlowRecord);

impl Serialize for Chosen<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kind = [("type", Value::Text("flow".into()))].into_iter();
        serializer.collect_map(kind.chain(self.0.iter().map(|field| (field.name, (field.read)(self.1)))))
    }
}

impl Fields {
    /// Appends one object, without the end of its line.
    pub fn put(&self, out: &mut Vec<u8>, record: &FlowRecord) -> serde_json::Result<()> {
        match self.0.is_empty() {
            true => serde_json::to_writer(out, record),
            false => serde_json::to_writer(out, &Chosen(&self.0, record)),
        }
    }
}
