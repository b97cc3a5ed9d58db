//! Collectors of flows: IPFIX (RFC 7011) over datagrams and streams, and NetFlow over datagrams.

use crate::link::{LARGEST_DATAGRAM, Link, Transport};
use crate::peer::{Peer, Sent, Silence};
use jiff::Timestamp;
use std::io;
use std::thread;
use std::time::{Duration, Instant};
use weir_ipfix::{Encode, Encoder, NetFlow5, NetFlow9};
use weir_record::{Field, FlowRecord};

/// How long a collector that was started anew has to wait for templates, where they may have been lost (RFC 7011, section
/// 8.4; RFC 3954, section 9): so long, or so many messages. Statistics are told as often.
const TEMPLATES_EVERY: (Duration, u32) = (Duration::from_secs(30), 50);
/// How soon it is heard that nobody takes datagrams there.
const REFUSAL: Duration = Duration::from_millis(100);

/// What a collector is spoken to in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// IPFIX, of an observation domain.
    Ipfix(u32),
    /// NetFlow 9, of a source id.
    NetFlow9(u32),
    /// NetFlow 5, of an engine: its type and its number.
    NetFlow5(u16),
}

impl Language {
    /// Whether it has a word for a field.
    pub fn has(self, field: &Field) -> Result<(), &'static str> {
        match self {
            Self::Ipfix(_) if !Encoder::is_written(field) => Err("has no element in IPFIX"),
            Self::NetFlow9(_) if !NetFlow9::is_written(field) => Err("has no element in NetFlow 9"),
            Self::NetFlow5(_) => Err("cannot be chosen: NetFlow 5 has fixed fields"),
            _ => Ok(()),
        }
    }

    fn encoder(self, most: usize, fields: &[&Field]) -> Box<dyn Encode> {
        match self {
            Self::Ipfix(domain) => {
                let encoder = Encoder::new(domain, u16::try_from(most).unwrap_or(u16::MAX));
                let encoder = if fields.is_empty() { encoder } else { encoder.of(fields) };
                Box::new(encoder.with_octets().with_options())
            }
            Self::NetFlow9(source_id) => {
                let encoder = NetFlow9::new(source_id, most);
                Box::new(if fields.is_empty() { encoder } else { encoder.of(fields) })
            }
            Self::NetFlow5(engine) => Box::new(NetFlow5::new(engine)),
        }
    }
}

/// A collector.
pub struct Collector {
    transport: Transport,
    language: Language,
    fields: Vec<&'static Field>,
    open: Option<Open>,
    /// Datagrams go on with their numbers however often a socket is made.
    encoder: Option<Box<dyn Encode>>,
}

struct Open {
    link: Link,
    /// Since the templates were said.
    since: Instant,
    messages: u32,
}

impl Collector {
    /// There, of these fields, or all.
    pub fn new(transport: Transport, language: Language, fields: Vec<&'static Field>) -> Self {
        Self { transport, language, fields, open: None, encoder: None }
    }

    fn begin(&mut self) -> Box<dyn Encode> {
        let is_new = !self.transport.is_datagrams();
        let kept = self.encoder.take().filter(|_| !is_new);
        let mut encoder = kept.unwrap_or_else(|| {
            let most = if is_new { u16::MAX.into() } else { LARGEST_DATAGRAM };
            self.language.encoder(most, &self.fields)
        });
        encoder.renew();
        encoder.set_time(now());
        encoder
    }
}

impl Open {
    /// No message of several records is longer than the way there takes at once.
    fn fit(&self, encoder: &mut dyn Encode) {
        if let Some(usual) = self.link.whole_datagram() {
            encoder.set_usual(usual);
        }
    }

    fn put(&mut self, messages: &[Vec<u8>]) -> io::Result<usize> {
        let mut bytes = 0;
        for message in messages {
            self.link.put(message)?;
            bytes += message.len();
            self.messages += 1;
        }
        Ok(bytes)
    }

    /// Sends what is told beside records, or ends them; where that fails, none of it was said.
    fn put_of(
        &mut self,
        encoder: &mut dyn Encode,
        messages: impl FnOnce(&mut dyn Encode) -> &[Vec<u8>],
    ) -> io::Result<usize> {
        let before = encoder.progress();
        self.put(messages(encoder)).inspect_err(|_| encoder.go_back(before))
    }

    fn send(&mut self, encoder: &mut dyn Encode, records: &[FlowRecord]) -> io::Result<Sent> {
        let (mut sent, mut refused) = (Sent::default(), None);
        encoder.set_time(now());
        let is_datagrams = matches!(self.link, Link::Datagrams(_));
        for record in records {
            let is_late = self.since.elapsed() >= TEMPLATES_EVERY.0;
            if is_late || is_datagrams && self.messages >= TEMPLATES_EVERY.1 {
                (self.since, self.messages) = (Instant::now(), 0);
                if is_datagrams {
                    // The way there may be another one by now.
                    self.fit(encoder);
                    encoder.renew();
                    sent.bytes += self.put_of(encoder, |encoder| encoder.preface())?;
                }
                sent.bytes += self.put_of(encoder, |encoder| encoder.statistics())?;
            }
            let before = encoder.progress();
            match encoder.add(record) {
                Ok(full) => sent.bytes += self.put(full).inspect_err(|_| encoder.go_back(before))?,
                Err(why) => (sent.refused, refused) = (sent.refused + 1, Some(why)),
            }
        }
        sent.bytes += self.put_of(encoder, |encoder| encoder.end())?;
        sent.why = refused.map(|why| why.to_string());
        Ok(sent)
    }
}

impl Peer for Collector {
    fn connect(&mut self) -> io::Result<()> {
        self.disconnect();
        let link = self.transport.connect()?;
        let mut encoder = self.begin();
        let mut open = Open { link, since: Instant::now(), messages: 0 };
        open.fit(encoder.as_mut());
        let put = open.put(encoder.preface()).and_then(|_| open.put(encoder.statistics()));
        self.encoder = Some(encoder);
        put.map_err(|error| self.transport.cut_off(&error))?;
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
        open.send(encoder.as_mut(), records).map_err(|error| self.transport.cut_off(&error))
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

    fn leave(&mut self) -> io::Result<()> {
        self.open.take().map_or(Ok(()), |open| open.link.leave())
    }

    fn silence(&self) -> Silence {
        self.transport.silence()
    }
}

/// Seconds since the epoch, as far as 32 bits go.
fn now() -> u32 {
    u32::try_from(Timestamp::now().as_second()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Place;
    use crate::target::record;
    use std::net::UdpSocket;

    /// The ids of all sets that come, up to those of flows, which are these or higher.
    fn sets(socket: &UdpSocket, header: usize, flows: u16) -> Vec<u16> {
        let (mut datagram, mut ids) = (vec![0; LARGEST_DATAGRAM], Vec::new());
        while ids.last().is_none_or(|id| *id < flows) {
            let length = socket.recv(&mut datagram).expect("it comes");
            let mut rest = &datagram[header..length];
            while let [id_high, id_low, high, low, ..] = *rest {
                ids.push(u16::from_be_bytes([id_high, id_low]));
                rest = &rest[u16::from_be_bytes([high, low]).into()..];
            }
        }
        ids
    }

    /// Templates come again when their time is over, before the flow that needs them, and not sooner.
    #[test]
    fn templates_come_again_in_time() {
        for (language, header, templates, flows) in
            [(Language::Ipfix(0), 16, 2, 261), (Language::NetFlow9(0), 20, 0, 256)]
        {
            let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket");
            socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
            let port = socket.local_addr().expect("an address").port();
            let place = Place { host: "127.0.0.1".into(), port };
            let mut collector = Collector::new(Transport::Udp(place), language, Vec::new());
            collector.connect().expect("it listens");
            let sent = |collector: &mut Collector| {
                collector.send(&[record(0)]).expect("sent");
                sets(&socket, header, flows)
            };
            assert!(sent(&mut collector).contains(&templates));
            let usual = sent(&mut collector);
            assert!(usual.iter().all(|id| *id >= flows), "{usual:?}");
            let open = collector.open.as_mut().expect("it is connected");
            open.since = open.since.checked_sub(TEMPLATES_EVERY.0).expect("so long ago");
            let again = sent(&mut collector);
            assert!(again[0] < 256 && again.contains(&templates), "{again:?}");
            assert_eq!(sent(&mut collector), usual);
        }
    }
}
