//! What clients say before TLS and QUIC encrypt: parts of it, from where packets pass, put together.

#[cfg(test)]
mod tests;

use crate::identity::address;
use hashbrown::HashMap;
use std::net::SocketAddr;
use std::time::Duration;
use weir_kernel::PayloadPart;
use weir_record::{Sni, printable_start};
use weir_tls::{Hello, Initials, Stream, Unread};

/// Messages that are not all there: each takes 17 KiB at most.
const MOST: usize = 1024;
/// How long the rest of one is waited for, and how long it is known that it was told.
const PATIENCE: Duration = Duration::from_secs(10);
const EXPIRE_EVERY: Duration = Duration::from_secs(1);
/// Messages that are known to have been told.
const MOST_TOLD: usize = 16_384;
/// Characters of a name; those of DNS have fewer.
const LONGEST: usize = 255;

const PROTOCOL_TCP: u8 = 6;

/// A connection: its protocol, who began it and with whom.
type Connection = (u8, [SocketAddr; 2]);

/// Where it is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Sighting {
    netns: u32,
    ifindex: u32,
    egress: u8,
    connection: Connection,
}

/// A message on its way.
struct Begun {
    since: u64,
    parts: Parts,
}

enum Parts {
    /// With TCP's sequence number of what is to come.
    Tls(u32, Stream),
    Quic(Initials),
}

/// A message that is all there.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    /// When its last part came by, in nanoseconds of the monotonic clock.
    pub time: u64,
    /// Inode of the network namespace where it was seen first.
    pub netns: u32,
    /// Protocol, and both ends.
    pub connection: Connection,
    /// What it says.
    pub sni: Sni,
}

/// Puts them together.
#[derive(Default)]
pub struct Hellos {
    begun: HashMap<Sighting, Begun>,
    /// One message crosses several interfaces.
    told: HashMap<Connection, u64>,
    /// When it was last looked what is over.
    expired: u64,
    malformed: u64,
    incomplete: u64,
}

impl Hellos {
    /// Takes in a part; the message, if it is whole now and was not told before.
    pub fn hear(&mut self, part: &PayloadPart, bytes: &[u8]) -> Option<Said> {
        self.expire(part.time);
        let connection = (
            part.protocol,
            [
                SocketAddr::new(address(part.source), part.source_port),
                SocketAddr::new(address(part.destination), part.destination_port),
            ],
        );
        let sighting = Sighting { netns: part.netns, ifindex: part.ifindex, egress: part.egress, connection };
        let outcome = self.feed(sighting, part, bytes)?;
        if outcome == Err(Unread::Incomplete) && bytes.len() == part.length as usize {
            return None;
        }
        self.begun.remove(&sighting);
        match outcome {
            Ok(hello) => self.tell(part, connection, hello),
            Err(Unread::Other) => None,
            Err(Unread::Malformed) => {
                self.malformed += 1;
                None
            }
            // More was in the packet than is copied of one.
            Err(Unread::Incomplete) => {
                self.incomplete += 1;
                None
            }
        }
    }

    /// Messages that make no sense.
    pub fn malformed(&self) -> u64 {
        self.malformed
    }

    /// Messages whose rest never came, or was too long.
    pub fn incomplete(&self) -> u64 {
        self.incomplete
    }

    /// None where it continues nothing that is known.
    fn feed(
        &mut self,
        sighting: Sighting,
        part: &PayloadPart,
        bytes: &[u8],
    ) -> Option<Result<Hello, Unread>> {
        let is_tcp = part.protocol == PROTOCOL_TCP;
        if part.is_first != 0 && (is_tcp || !self.begun.contains_key(&sighting)) {
            self.begin(sighting, part, is_tcp);
        }
        Some(match &mut self.begun.get_mut(&sighting)?.parts {
            Parts::Tls(next, stream) => {
                if part.sequence != *next {
                    return None;
                }
                *next = next.wrapping_add(part.length);
                stream.feed(bytes)
            }
            Parts::Quic(initials) => initials.feed(bytes),
        })
    }

    fn begin(&mut self, sighting: Sighting, part: &PayloadPart, is_tcp: bool) {
        if self.begun.len() >= MOST {
            let oldest = self.begun.iter().min_by_key(|(_, begun)| begun.since).map(|(key, _)| *key);
            oldest.and_then(|oldest| self.begun.remove(&oldest));
            self.incomplete += 1;
        }
        let parts = match is_tcp {
            true => Parts::Tls(part.sequence, Stream::default()),
            false => Parts::Quic(Initials::default()),
        };
        self.begun.insert(sighting, Begun { since: part.time, parts });
    }

    fn tell(&mut self, part: &PayloadPart, connection: Connection, hello: Hello) -> Option<Said> {
        if self.told.len() >= MOST_TOLD {
            // Told twice rather than held for ever.
            self.told.clear();
        }
        if self.told.insert(connection, part.time).is_some() {
            return None;
        }
        Some(Said { time: part.time, netns: part.netns, connection, sni: sni(&hello) })
    }

    fn expire(&mut self, now: u64) {
        if now.saturating_sub(self.expired) < EXPIRE_EVERY.as_nanos() as u64 {
            return;
        }
        self.expired = now;
        let is_recent = |since: u64| now.saturating_sub(since) < PATIENCE.as_nanos() as u64;
        let before = self.begun.len();
        self.begun.retain(|_, begun| is_recent(begun.since));
        self.incomplete += (before - self.begun.len()) as u64;
        self.told.retain(|_, time| is_recent(*time));
    }
}

fn sni(hello: &Hello) -> Sni {
    let text = |bytes: &[u8]| printable_start(&String::from_utf8_lossy(bytes), LONGEST);
    let protocols: Vec<_> = hello.protocols.iter().map(|name| text(name)).collect();
    Sni {
        server_name: hello.server_name.as_deref().map(text),
        protocols: (!protocols.is_empty()).then(|| protocols.join(",")),
        version: hello.version,
        is_encrypted: hello.is_encrypted,
    }
}
