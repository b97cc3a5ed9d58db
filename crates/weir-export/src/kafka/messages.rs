//! Records as messages.

use super::Manner;
use crate::json::Fields;
use crate::peer::Sent;
use crate::{host, netobserv, protobuf};
use rdkafka::message::{Header, OwnedHeaders};
use std::io::{self, Write};
use std::net::IpAddr;
use std::ops::Range;
use weir_ipfix::{OneWay, Refused};
use weir_record::{Field, FlowRecord};
use weir_store::FlowStream;

/// So many records are made columns at once: more than fit into a message, as a rule.
const ROWS: usize = 1024;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A record, as an object of JSON.
    Json,
    /// A direction of a record, as a flow of netobserv's agent.
    Protobuf,
    /// As many records as fit, as a stream of columns.
    Arrow,
}

/// What messages of one partition have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// The conversation.
    Flow,
    /// The host that has seen them.
    Host,
    /// Nothing.
    None,
}

impl Format {
    /// All, by their names in options.
    pub const NAMES: [(&'static str, Self); 3] =
        [("json", Self::Json), ("protobuf", Self::Protobuf), ("arrow", Self::Arrow)];
}

impl Key {
    /// All, by their names in options.
    pub const NAMES: [(&'static str, Self); 3] =
        [("flow", Self::Flow), ("host", Self::Host), ("none", Self::None)];
}

/// One of them.
pub struct Message<'m> {
    /// Bytes that are the same for all of one partition.
    pub key: Option<&'m [u8]>,
    /// All of it.
    pub body: &'m [u8],
    /// What it is.
    pub headers: OwnedHeaders,
    /// When the flow has ended, in milliseconds since the epoch.
    pub time: Option<i64>,
    /// The places of its records in the batch.
    pub records: Range<usize>,
}

/// Makes them.
pub struct Messages {
    manner: Manner,
    fields: Fields,
    columns: FlowStream,
    host: String,
    /// By what address brokers know us.
    pub agent: Option<IpAddr>,
}

impl Messages {
    /// Of these fields, or all.
    pub fn new(manner: Manner, fields: Vec<&'static Field>) -> Self {
        let host = host::name().unwrap_or_default();
        let columns = FlowStream::new(host.clone(), &fields);
        Self { manner, fields: Fields(fields), columns, host, agent: None }
    }

    /// Hands over each message of these records, none of them longer than that, where one record is not.
    pub fn each(&self, records: &[FlowRecord], most: usize, put: &mut Put<'_>) -> io::Result<Sent> {
        let mut sent = Sent::default();
        let put: &mut Put<'_> = &mut |message| {
            sent.bytes += message.body.len();
            put(message)
        };
        match self.manner.format {
            Format::Json => self.objects(records, put)?,
            Format::Protobuf => {
                let (refused, why) = self.flows(records, put)?;
                (sent.refused, sent.why) = (refused, why.map(|why| why.to_string()));
            }
            Format::Arrow => {
                let parts = (0..records.len()).step_by(ROWS);
                parts
                    .map(|from| from..records.len().min(from + ROWS))
                    .try_for_each(|part| self.columns(records, part, most, put))?;
            }
        }
        Ok(sent)
    }

    fn objects(&self, records: &[FlowRecord], put: &mut Put<'_>) -> io::Result<()> {
        let mut body = Vec::new();
        for (at, record) in records.iter().enumerate() {
            body.clear();
            self.fields.put(&mut body, record)?;
            put(Message {
                key: self.key(&identity(record)),
                body: &body,
                headers: content("application/json", 1),
                time: Some(milliseconds(record.end)),
                records: at..at + 1,
            })?;
        }
        Ok(())
    }

    /// What there is no word for in it is not sent: so many records, and why the first of them.
    fn flows(&self, records: &[FlowRecord], put: &mut Put<'_>) -> io::Result<(u64, Option<Refused>)> {
        let (mut body, mut refused, mut why) = (Vec::new(), 0, None);
        for (at, record) in records.iter().enumerate() {
            let ways = match OneWay::both(record) {
                Ok(ways) => ways,
                Err(unsaid) => {
                    refused += 1;
                    why = why.or(Some(unsaid));
                    continue;
                }
            };
            let flow = identity(record);
            for way in ways {
                body.clear();
                netobserv::put_record(&mut protobuf::Message(&mut body), &way, self.agent);
                let headers = content("application/x-protobuf", 2);
                put(Message {
                    key: self.key(&flow),
                    body: &body,
                    headers: headers.insert(Header { key: "weir-flow-id", value: Some(&flow[..]) }),
                    time: Some(milliseconds(record.end)),
                    records: at..at + 1,
                })?;
            }
        }
        Ok((refused, why))
    }

    fn columns(
        &self,
        records: &[FlowRecord],
        part: Range<usize>,
        most: usize,
        put: &mut Put<'_>,
    ) -> io::Result<()> {
        let body = self.columns.write(&records[part.clone()]).map_err(io::Error::other)?;
        if body.len() > most && part.len() > 1 {
            let middle = part.start + part.len() / 2;
            self.columns(records, part.start..middle, most, put)?;
            return self.columns(records, middle..part.end, most, put);
        }
        put(Message {
            key: self.key(b""),
            body: &body,
            headers: content("application/vnd.apache.arrow.stream", 1),
            time: None,
            records: part,
        })
    }

    fn key<'k>(&'k self, flow: &'k [u8]) -> Option<&'k [u8]> {
        match self.manner.key {
            Key::Flow => Some(flow),
            Key::Host => Some(self.host.as_bytes()),
            Key::None => None,
        }
    }
}

/// Takes one.
pub type Put<'p> = dyn FnMut(Message<'_>) -> io::Result<()> + 'p;

/// The conversation's, as it is told everywhere.
fn identity(record: &FlowRecord) -> [u8; 16] {
    let mut digits = [0; 16];
    // It has room for all of them.
    let _ = write!(&mut digits[..], "{:016x}", record.flow_id);
    digits
}

/// What a message is, with room for so many headers. librdkafka frees a list of them with each message, and to copy one
/// that is there would allocate as often as to make one: so they are made anew.
fn content(kind: &str, headers: usize) -> OwnedHeaders {
    OwnedHeaders::new_with_capacity(headers).insert(Header { key: "content-type", value: Some(kind) })
}

fn milliseconds(nanoseconds: u64) -> i64 {
    i64::try_from(nanoseconds / 1_000_000).unwrap_or(i64::MAX)
}
