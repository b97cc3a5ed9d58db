//! OTLP (opentelemetry.io, "OTLP Specification" 1.9): flows as log records or as spans, in Protobuf. The numbers of fields
//! are those of opentelemetry-proto 1.9, the names of attributes those that the table of fields has.

mod answer;
mod attribute;
mod endpoint;
mod envelope;
mod log;
mod resource;
mod signal;
mod span;
mod surroundings;

pub use self::attribute::{put_pair, put_text};
pub use self::endpoint::Endpoint;
pub use self::envelope::Envelope;
pub use self::resource::Resource;
pub use self::signal::{METRICS, Service, Signal};

use self::answer::{complaint, verdict};
use self::attribute::put_value;
use crate::batch::{Body, Form};
use crate::protobuf::{self, Message};
use jiff::Timestamp;
use std::io;
use weir_record::{FIELDS, Field, FlowRecord, Value};

/// IANA's port for OTLP over HTTP.
pub const PORT: u16 = 4318;
/// The same over gRPC.
pub const GRPC_PORT: u16 = 4317;

/// All of its requests.
pub const FORM: Form = Form { content_type: protobuf::MEDIA_TYPE, verdict, complaint };

/// Nanoseconds since the epoch.
pub fn now() -> u64 {
    u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or_default()
}

/// `ExportLogsServiceRequest` or `ExportTraceServiceRequest`, and what is asked for by it: one resource with one scope, and in
/// it a log record or a span for each flow. Up to there both have the same fields.
pub struct Otlp {
    signal: Signal,
    fields: Vec<&'static Field>,
    resource: Resource,
    envelope: Option<Envelope>,
    observed: u64,
}

impl Otlp {
    /// Flows as this, of these fields, or all, from this resource.
    pub fn new(signal: Signal, fields: Vec<&'static Field>, resource: Resource) -> Self {
        Self { signal, fields, resource, envelope: None, observed: 0 }
    }

    /// What was asked for of a flow, each in a field of this number.
    fn put_attributes(&self, message: &mut Message<'_>, number: u32, record: &FlowRecord) {
        let put = |field: &Field| put_field(message, number, field, record);
        if self.fields.is_empty() {
            FIELDS.iter().for_each(put);
        } else {
            self.fields.iter().copied().for_each(put);
        }
    }
}

impl Body for Otlp {
    fn form(&self) -> Form {
        FORM
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        self.observed = now();
        self.envelope = Some(Envelope::open(out, &self.resource));
    }

    fn append(&mut self, out: &mut Vec<u8>, record: &FlowRecord) -> io::Result<()> {
        // log_records, spans
        Message(out).message(2, |message| match self.signal {
            Signal::Logs => self.put_log(message, record),
            Signal::Traces => self.put_span(message, record),
        });
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if let Some(envelope) = self.envelope.take() {
            envelope.close(out);
        }
    }
}

fn put_field(message: &mut Message<'_>, number: u32, field: &Field, record: &FlowRecord) {
    let value = (field.read)(record);
    if value == Value::Absent {
        return;
    }
    put_pair(message, number, field.otel, |any| put_value(any, &value));
}
