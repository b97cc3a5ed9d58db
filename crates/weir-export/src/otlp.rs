//! OTLP (opentelemetry.io, "OTLP Specification" 1.9): flows as log records, in Protobuf. The numbers of fields are those of
//! opentelemetry-proto 1.9, the names of attributes those that the table of fields has.

mod attribute;
mod resource;
#[cfg(test)]
mod tests;

pub use self::resource::Resource;

use self::attribute::{put_text, put_value};
use crate::http::{Body, Verdict};
use crate::protobuf::{Content, Fields, Malformed, Message, Open};
use jiff::Timestamp;
use std::io;
use weir_record::{FIELDS, Field, FlowRecord, Value, printable_start};

/// IANA's port for OTLP over HTTP.
pub const PORT: u16 = 4318;
/// Where logs go, unless the URL says something else.
pub const PATH: &str = "/v1/logs";
/// `SEVERITY_NUMBER_INFO`.
const INFO: u64 = 9;
/// What others say is not repeated at any length.
const REMARK: usize = 300;

/// `ExportLogsServiceRequest`, and what is asked for by it: one resource with one scope, and in it a log record for each flow.
pub struct Otlp {
    fields: Vec<&'static Field>,
    resource: Resource,
    open: Vec<Open>,
    observed: u64,
}

impl Otlp {
    /// Of these fields, or all, from this resource.
    pub fn new(fields: Vec<&'static Field>, resource: Resource) -> Self {
        Self { fields, resource, open: Vec::new(), observed: 0 }
    }

    fn put_record(&self, log: &mut Message<'_>, record: &FlowRecord) {
        log.fixed64(1, record.end); // time_unix_nano
        log.number(2, INFO); // severity_number
        if self.fields.is_empty() {
            log.message(5, |body| put_text(body, Line(record)));
            FIELDS.iter().for_each(|field| put_field(log, field, record));
        } else {
            // A line would say what was left out.
            self.fields.iter().for_each(|field| put_field(log, field, record));
        }
        log.fixed64(11, self.observed); // observed_time_unix_nano
        log.bytes(12, "weir.flow"); // event_name
    }
}

impl Body for Otlp {
    fn content_type(&self) -> &'static str {
        "application/x-protobuf"
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        self.observed = u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or_default();
        let mut request = Message(out);
        let resource_logs = request.open(1);
        request.message(1, |resource| self.resource.put(resource));
        let scope_logs = request.open(2);
        request.message(1, |scope| {
            scope.bytes(1, "weir"); // name
            scope.bytes(2, env!("CARGO_PKG_VERSION")); // version
        });
        self.open = vec![resource_logs, scope_logs];
    }

    fn append(&mut self, out: &mut Vec<u8>, record: &FlowRecord) -> io::Result<()> {
        Message(out).message(2, |log| self.put_record(log, record)); // log_records
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        while let Some(open) = self.open.pop() {
            Message(out).close(open);
        }
    }

    fn verdict(&self, page: &[u8]) -> Verdict {
        verdict(page).unwrap_or_else(|Malformed| Verdict {
            rejected: 0,
            remark: Some("what it says is not OTLP".into()),
        })
    }

    /// `google.rpc.Status`.
    fn complaint(&self, page: &[u8]) -> Option<String> {
        let mut message = None;
        for field in Fields::of(page) {
            if let (2, Content::Bytes(text)) = field.ok()? {
                message = remark(text);
            }
        }
        message
    }
}

fn put_field(log: &mut Message<'_>, field: &Field, record: &FlowRecord) {
    let value = (field.read)(record);
    if value == Value::Absent {
        return;
    }
    log.message(6, |attribute| {
        attribute.bytes(1, field.otel);
        attribute.message(2, |any| put_value(any, &value));
    });
}

/// `ExportLogsServiceResponse`: what is in `partial_success`, where it is there.
fn verdict(page: &[u8]) -> Result<Verdict, Malformed> {
    let mut verdict = Verdict::default();
    for field in Fields::of(page) {
        let (1, Content::Bytes(partial_success)) = field? else { continue };
        for field in Fields::of(partial_success) {
            match field? {
                // An int64: less than nothing was not rejected.
                (1, Content::Number(rejected)) => {
                    verdict.rejected = (rejected as i64).try_into().unwrap_or_default();
                }
                (2, Content::Bytes(text)) => verdict.remark = remark(text),
                _ => {}
            }
        }
    }
    Ok(verdict)
}

/// What somebody else says, harmless and short; nothing where it is nothing.
fn remark(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    Some(printable_start(text.trim(), REMARK)).filter(|text| !text.is_empty())
}

/// A flow, for whoever reads logs: `tcp 192.0.2.1:40000 > 198.51.100.1:443, 10 packets, 1500 bytes`.
struct Line<'r>(&'r FlowRecord);

impl std::fmt::Display for Line<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use std::net::SocketAddr;
        let Self(record) = self;
        match record.key.protocol_text() {
            Some(protocol) => write!(out, "{protocol}")?,
            None => write!(out, "ethertype {:#06x}", record.key.ethertype())?,
        }
        match (record.key.addresses(), record.key.ports()) {
            (Some((source, destination)), Some((from, to))) => {
                write!(out, " {} > {}", SocketAddr::new(source, from), SocketAddr::new(destination, to))?;
            }
            (Some((source, destination)), None) => write!(out, " {source} > {destination}")?,
            _ => {}
        }
        write!(out, ", {} packets, {} bytes", record.packets, record.bytes)?;
        if let Some(reverse) = &record.reverse {
            write!(out, "; back {} packets, {} bytes", reverse.count.packets, reverse.count.bytes)?;
        }
        Ok(())
    }
}
