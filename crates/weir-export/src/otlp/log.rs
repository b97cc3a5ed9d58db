//! `LogRecord`: a flow as what has happened.

use super::Otlp;
use super::attribute::put_text;
use crate::protobuf::Message;
use std::fmt::{Display, Formatter, Result};
use std::net::SocketAddr;
use weir_record::FlowRecord;

/// `SEVERITY_NUMBER_INFO`.
const INFO: u64 = 9;

impl Otlp {
    pub(super) fn put_log(&self, log: &mut Message<'_>, record: &FlowRecord) {
        log.fixed64(1, record.end); // time_unix_nano
        log.number(2, INFO); // severity_number
        // A line would say what was left out.
        if self.fields.is_empty() {
            log.message(5, |body| put_text(body, Line(record)));
        }
        self.put_attributes(log, 6, record);
        log.fixed64(11, self.observed); // observed_time_unix_nano
        log.bytes(12, "weir.flow"); // event_name
    }
}

/// A flow, for whoever reads logs: `tcp 192.0.2.1:40000 > 198.51.100.1:443, 10 packets, 1500 bytes`.
struct Line<'r>(&'r FlowRecord);

impl Display for Line<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
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
