//! `Span`: a flow as what took its time.

use super::Otlp;
use crate::ids::hash;
use crate::protobuf::Message;
use weir_record::{End, Evidence, FlowRecord, TcpFailure};

/// `SPAN_KIND_…`.
const INTERNAL: u64 = 1;
const SERVER: u64 = 2;
const CLIENT: u64 = 3;
/// `STATUS_CODE_ERROR`.
const ERROR: u64 = 2;

impl Otlp {
    pub(super) fn put_span(&self, span: &mut Message<'_>, record: &FlowRecord) {
        span.bytes(1, self.trace_id(record));
        span.bytes(2, span_id(record));
        // Its ports would be too many names.
        match record.key.protocol_text() {
            Some(protocol) => span.bytes(5, protocol.as_bytes()),
            None => span.text(5, format_args!("ethertype {:#06x}", record.key.ethertype())),
        }
        span.number(6, kind(record));
        span.fixed64(7, record.start); // start_time_unix_nano
        span.fixed64(8, record.end); // end_time_unix_nano
        self.put_attributes(span, 9, record);
        if let Some(failure) = failure(record) {
            span.message(15, |status| {
                status.bytes(2, failure.as_str()); // message
                status.number(3, ERROR); // code
            });
        }
    }

    /// All records of a conversation on this host are of one trace, whose last 8 bytes are its number: those are what
    /// samplers take for random.
    fn trace_id(&self, record: &FlowRecord) -> [u8; 16] {
        let host = hash(&(self.resource.host(), record.flow_id)).max(1);
        (u128::from(host) << 64 | u128::from(record.flow_id)).to_be_bytes()
    }
}

/// The same for the same record, so that one that comes twice can be told.
fn span_id(record: &FlowRecord) -> [u8; 8] {
    hash(&(record.flow_id, record.start, record.end)).max(1).to_be_bytes()
}

/// One end is this host's, and it is known which has asked the other; else it is neither's span.
fn kind(record: &FlowRecord) -> u64 {
    let is_asked = record.reverse.is_some_and(|reverse| reverse.evidence != Evidence::None);
    match (is_here(&record.source), is_here(&record.destination)) {
        (true, false) if is_asked => CLIENT,
        (false, true) if is_asked => SERVER,
        _ => INTERNAL,
    }
}

/// What has a process or a socket is this host's.
fn is_here(end: &End) -> bool {
    end.process.is_some() || end.tcp.is_some()
}

/// As the end says that has asked; where that says nothing, the other.
fn failure(record: &FlowRecord) -> Option<TcpFailure> {
    [&record.source, &record.destination].into_iter().find_map(|end| end.tcp.as_ref()?.failure)
}
