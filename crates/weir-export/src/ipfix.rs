//! IPFIX (RFC 7011), over datagrams and streams.

use crate::link::{LARGEST_DATAGRAM, Link, Transport};
use crate::peer::{Peer, Sent, Silence};
use jiff::Timestamp;
use std::io;
use std::thread;
use std::time::{Duration, Instant};
use weir_ipfix::Encoder;
use weir_record::{Field, FlowRecord};

/// How long a collector that was started anew has to wait for templates, where they may have been lost (section 8.4): so
/// long, or so many messages.
const TEMPLATES_EVERY: (Duration, u32) = (Duration::from_secs(30), 50);
/// How soon it is heard that nobody takes datagrams there.
const REFUSAL: Duration = Duration::from_millis(100);

/// A collector.
pub struct Ipfix {
    transport: Transport,
    domain: u32,
    fields: Vec<&'static Field>,
    open: Option<Open>,
    /// Datagrams go on with their numbers however often a socket is made.
    encoder: Option<Encoder>,
}

struct Open {
    link: Link,
    /// Since the templates were said.
    since: Instant,
    messages: u32,
}

impl Ipfix {
    /// There, of these fields, or all.
    pub fn new(transport: Transport, domain: u32, fields: Vec<&'static Field>) -> Self {
        Self { transport, domain, fields, open: None, encoder: None }
    }

    fn begin(&mut self, link: &Link) -> Encoder {
        let is_new = !self.transport.is_datagrams();
        let kept = self.encoder.take().filter(|_| !is_new);
        let mut encoder = kept.unwrap_or_else(|| {
            let most = if is_new { u16::MAX } else { LARGEST_DATAGRAM as u16 };
            let encoder = Encoder::new(self.domain, most);
            let encoder = if self.fields.is_empty() { encoder } else { encoder.of(&self.fields) };
            encoder.with_octets()
        });
        if let Some(usual) = link.whole_datagram() {
            encoder = encoder.usually(usual);
        }
        encoder.renew();
        encoder.set_time(now());
        encoder
    }
}

impl Open {
    fn put(&mut self, messages: Vec<Vec<u8>>) -> io::Result<usize> {
        let mut bytes = 0;
        for message in messages {
            self.link.put(&message)?;
            bytes += message.len();
            self.messages += 1;
        }
        Ok(bytes)
    }

    fn send(&mut self, encoder: &mut Encoder, records: &[FlowRecord]) -> io::Result<Sent> {
        let mut sent = Sent::default();
        encoder.set_time(now());
        let is_datagrams = matches!(self.link, Link::Datagrams(_));
        for record in records {
            let is_due = self.messages >= TEMPLATES_EVERY.1 || self.since.elapsed() >= TEMPLATES_EVERY.0;
            if is_datagrams && is_due {
                (self.since, self.messages) = (Instant::now(), 0);
                encoder.renew();
                let types = encoder.types();
                sent.bytes += self.put(types)?;
            }
            let before = encoder.sequence();
            match encoder.add(record) {
                Ok(full) => sent.bytes += self.put(full).inspect_err(|_| encoder.go_back(before))?,
                Err(error) => (sent.refused, sent.why) = (sent.refused + 1, Some(error.to_string())),
            }
        }
        let before = encoder.sequence();
        let last = encoder.end().into_iter().collect();
        sent.bytes += self.put(last).inspect_err(|_| encoder.go_back(before))?;
        Ok(sent)
    }
}

impl Peer for Ipfix {
    fn connect(&mut self) -> io::Result<()> {
        self.disconnect();
        let link = self.transport.connect()?;
        let mut encoder = self.begin(&link);
        let mut open = Open { link, since: Instant::now(), messages: 0 };
        let types = encoder.types();
        self.encoder = Some(encoder);
        open.put(types).map_err(|error| self.transport.cut_off(&error))?;
        if self.transport.is_datagrams() {
            // Where nobody listens that is heard at once: before anything is sent that matters.
            thread::sleep(REFUSAL);
            open.link.look().map_err(|error| self.transport.cut_off(&error))?;
        }
        self.open = Some(open);
        Ok(())
    }

    fn send(&mut self, records: &[FlowRecord]) -> io::Result<Sent> {
        let (Some(open), Some(encoder)) = (&mut self.open, &mut self.encoder) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        open.send(encoder, records).map_err(|error| self.transport.cut_off(&error))
    }

    fn look(&mut self) -> io::Result<()> {
        let seen = self.open.as_mut().map_or(Ok(()), |open| open.link.look());
        seen.map_err(|error| self.transport.cut_off(&error))
    }

    fn disconnect(&mut self) {
        if let Some(open) = self.open.take() {
            open.link.close();
        }
    }

    fn silence(&self) -> Silence {
        self.transport.silence()
    }
}

/// Seconds since the epoch, as far as 32 bits go.
fn now() -> u32 {
    u32::try_from(Timestamp::now().as_second()).unwrap_or(u32::MAX)
}
