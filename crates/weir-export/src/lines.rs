//! JSON over sockets: a line for each record, or a message of syslog (RFC 5424) around it.

use crate::host;
use crate::json::Fields;
use crate::link::{Link, Transport};
use crate::peer::{Peer, Sent, Silence};
use jiff::Timestamp;
use std::io::{self, Write};
use weir_record::FlowRecord;

/// What is handed over at once.
const CHUNK: usize = 64 * 1024;

/// How one record is told from the next.
#[derive(Debug, Clone)]
pub enum Framing {
    /// A line each.
    Lines,
    /// Messages of syslog: by datagrams, or each after its length (RFC 6587, section 3.4.1).
    Syslog {
        /// What they say of the host and the process.
        origin: String,
    },
}

/// Whoever reads them.
pub struct Lines {
    transport: Transport,
    framing: Framing,
    fields: Fields,
    link: Option<Link>,
    buffer: Vec<u8>,
    message: Vec<u8>,
}

impl Framing {
    /// Syslog of this host and process. The facility is local0, the severity informational.
    pub fn syslog() -> Self {
        let host = host::name().filter(|host| host.bytes().all(|byte| byte.is_ascii_graphic()));
        let host = host.unwrap_or_else(|| "-".into());
        Self::Syslog { origin: format!("{host} weir {} flow -", std::process::id()) }
    }
}

impl Lines {
    /// There, of these fields, or all.
    pub fn new(transport: Transport, framing: Framing, fields: Fields) -> Self {
        Self { transport, framing, fields, link: None, buffer: Vec::new(), message: Vec::new() }
    }

    fn put_all(&mut self, link: &mut Link, records: &[FlowRecord]) -> io::Result<usize> {
        self.buffer.clear();
        let (room, mut bytes) = (if self.transport.is_datagrams() { 1 } else { CHUNK }, 0);
        for (at, record) in records.iter().enumerate() {
            self.frame(record)?;
            if self.buffer.len() >= room || at + 1 == records.len() {
                bytes += self.buffer.len();
                link.put(&self.buffer)?;
                self.buffer.clear();
            }
        }
        Ok(bytes)
    }

    /// Appends a record to what is handed over next.
    fn frame(&mut self, record: &FlowRecord) -> io::Result<()> {
        let Framing::Syslog { origin } = &self.framing else {
            self.fields.put(&mut self.buffer, record)?;
            self.buffer.push(b'\n');
            return Ok(());
        };
        self.message.clear();
        let end = Timestamp::from_nanosecond(record.end.into()).unwrap_or_default();
        write!(self.message, "<134>1 {end:.6} {origin} ")?;
        self.fields.put(&mut self.message, record)?;
        if !self.transport.is_datagrams() {
            write!(self.buffer, "{} ", self.message.len())?;
        }
        self.buffer.extend_from_slice(&self.message);
        Ok(())
    }
}

impl Peer for Lines {
    fn connect(&mut self) -> io::Result<()> {
        self.disconnect();
        self.link = Some(self.transport.connect()?);
        Ok(())
    }

    fn send(&mut self, records: &[FlowRecord]) -> io::Result<Sent> {
        let mut link = self.link.take().ok_or(io::ErrorKind::NotConnected)?;
        let sent = self.put_all(&mut link, records);
        self.link = Some(link);
        let bytes = sent.map_err(|error| self.transport.cut_off(&error))?;
        Ok(Sent { bytes, ..Sent::default() })
    }

    fn look(&mut self) -> io::Result<()> {
        let seen = self.link.as_mut().map_or(Ok(()), Link::look);
        seen.map_err(|error| self.transport.cut_off(&error))
    }

    fn disconnect(&mut self) {
        if let Some(link) = self.link.take() {
            link.close();
        }
    }

    fn leave(&mut self) -> io::Result<()> {
        self.link.take().map_or(Ok(()), Link::leave)
    }

    fn silence(&self) -> Silence {
        self.transport.silence()
    }
}
