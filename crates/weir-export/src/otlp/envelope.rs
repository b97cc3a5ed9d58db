//! What all of OTLP's requests have around what they are about, in fields of the same numbers: a resource, and a scope.

use super::Resource;
use crate::protobuf::{Message, Open};

/// A request that has been begun: of one resource, with one scope. What stands in it is field 2 of the message that is open.
#[must_use = "it has to be closed"]
#[derive(Debug)]
pub struct Envelope([Open; 2]);

impl Envelope {
    /// Begins one at the end of `out`.
    pub fn open(out: &mut Vec<u8>, resource: &Resource) -> Self {
        let mut request = Message(out);
        let of_resource = request.open(1); // resource_logs, resource_spans, resource_metrics
        request.message(1, |message| resource.put(message));
        let of_scope = request.open(2); // scope_logs, scope_spans, scope_metrics
        request.message(1, |scope| {
            scope.bytes(1, "weir"); // name
            scope.bytes(2, env!("CARGO_PKG_VERSION")); // version
        });
        Self([of_resource, of_scope])
    }

    /// Ends it.
    pub fn close(self, out: &mut Vec<u8>) {
        let Self([of_resource, of_scope]) = self;
        Message(out).close(of_scope);
        Message(out).close(of_resource);
    }
}
