//! Records as messages.

use super::Manner;
use crate::json::Fields;
use crate::peer::Sent;
use crate::{host, netobserv, protobuf};
use rdkafka::message::{Header, OwnedHeaders};
use std::io;
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
                let unsaid = self.flows(records, put)?;
                sent.why = unsaid.first().map(Refused::to_string);
                sent.refused = unsaid.len() as u64;
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
                headers: content("application/json"),
                time: Some(milliseconds(record.end)),
                records: at..at + 1,
            })?;
        }
        Ok(())
    }

    /// What there is no word for in it is not sent.
    fn flows(&self, records: &[FlowRecord], put: &mut Put<'_>) -> io::Result<Vec<Refused>> {
        let (mut body, mut unsaid) = (Vec::new(), Vec::new());
        for (at, record) in records.iter().enumerate() {
            let ways = match OneWay::both(record) {
                Ok(ways) => ways,
                Err(refused) => {
                    unsaid.push(refused);
                    continue;
                }
            };
            let flow = identity(record);
            for way in ways {
                body.clear();
                netobserv::put_record(&mut protobuf::Message(&mut body), &way, self.agent);
                let headers = content("application/x-protobuf");
                put(Message {
                    key: self.key(&flow),
                    body: &body,
                    headers: headers.insert(Header { key: "weir-flow-id", value: Some(&flow) }),
                    time: Some(milliseconds(record.end)),
                    records: at..at + 1,
                })?;
            }
        }
        Ok(unsaid)
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
            key: self.key(""),
            body: &body,
            headers: content("application/vnd.apache.arrow.stream"),
            time: None,
            records: part,
        })
    }

    fn key<'k>(&'k self, flow: &'k str) -> Option<&'k [u8]> {
        match self.manner.key {
            Key::Flow => Some(flow.as_bytes()),
            Key::Host => Some(self.host.as_bytes()),
            Key::None => None,
        }
    }
}

/// Takes one.
pub type Put<'p> = dyn FnMut(Message<'_>) -> io::Result<()> + 'p;

/// The conversation's, as it is told everywhere.
fn identity(record: &FlowRecord) -> String {
    format!("{:016x}", record.flow_id)
}

fn content(kind: &str) -> OwnedHeaders {
    OwnedHeaders::new().insert(Header { key: "content-type", value: Some(kind) })
}

fn milliseconds(nanoseconds: u64) -> i64 {
    i64::try_from(nanoseconds / 1_000_000).unwrap_or(i64::MAX)
}
