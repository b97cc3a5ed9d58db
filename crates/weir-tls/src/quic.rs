//! The first packets of QUIC (RFC 9000, 17.2.2; RFC 9001, 5; RFC 9369).

use crate::bytes::Bytes;
use crate::hello::{self, Hello, LONGEST, Unread};
use rustls::Side;
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::quic::{Keys, Version};

const LONG_HEADER: u8 = 0x80;
const FIXED_BIT: u8 = 0x40;
const VERSION_1: u32 = 1;
const VERSION_2: u32 = 0x6b33_43cf;
/// Longer names of connections are of versions to come.
const LONGEST_CONNECTION_ID: usize = 20;
/// What protects the header is drawn from this many bytes, behind the longest packet number.
const SAMPLE: usize = 16;
const LONGEST_NUMBER: usize = 4;
/// A client that cuts its first message into more pieces means no good.
const MOST_PIECES: usize = 64;

const PADDING: u64 = 0;
const PING: u64 = 1;
const ACK: u64 = 2;
const ACK_WITH_ECN: u64 = 3;
const CRYPTO: u64 = 6;

/// What a client's first packets of one connection have said so far.
#[derive(Default)]
pub struct Initials {
    /// By the connection's name in the first one.
    keys: Option<Keys>,
    /// Parts of the handshake, with their places.
    pieces: Vec<(usize, Vec<u8>)>,
}

/// A packet before it is decrypted.
struct Initial<'d> {
    version: Version,
    connection: &'d [u8],
    /// All of it, header and payload.
    packet: &'d [u8],
    /// Where the packet number begins.
    number: usize,
}

impl Initials {
    /// Whether a datagram may hold the first packet of a client: such are never short (RFC 9000, 14.1).
    pub fn may_be(datagram: &[u8]) -> bool {
        first_of(datagram).is_some()
    }

    /// Takes in a datagram of the client's, and reads what there is.
    ///
    /// # Errors
    /// It is not all there yet; or it is something else, or makes no sense.
    pub fn feed(&mut self, datagram: &[u8]) -> Result<Hello, Unread> {
        let mut rest = datagram;
        while let Some((initial, behind)) = first_of(rest) {
            self.take(&initial)?;
            rest = behind;
        }
        if self.keys.is_none() { Err(Unread::Other) } else { hello::read(&self.joined()) }
    }

    fn take(&mut self, initial: &Initial<'_>) -> Result<(), Unread> {
        let known = self.keys.take().or_else(|| keys(initial.version, initial.connection));
        let keys = self.keys.insert(known.ok_or(Unread::Other)?);
        let payload = decrypt(keys, initial).ok_or(Unread::Malformed)?;
        self.read_frames(Bytes(&payload)).ok_or(Unread::Malformed)
    }

    fn read_frames(&mut self, mut frames: Bytes<'_>) -> Option<()> {
        while !frames.is_empty() {
            match frames.variable()? {
                PADDING | PING => {}
                kind @ (ACK | ACK_WITH_ECN) => pass_acknowledgement(&mut frames, kind == ACK_WITH_ECN)?,
                CRYPTO => {
                    let (place, length) = (frames.variable()?, frames.variable()?);
                    let piece = frames.take(usize::try_from(length).ok()?)?;
                    self.keep(usize::try_from(place).ok()?, piece)?;
                }
                // Whatever it is (CONNECTION_CLOSE), the handshake does not go on behind it.
                _ => return Some(()),
            }
        }
        Some(())
    }

    fn keep(&mut self, place: usize, piece: &[u8]) -> Option<()> {
        let is_known = |(at, known): &(usize, Vec<u8>)| *at == place && known.len() >= piece.len();
        if self.pieces.iter().any(is_known) {
            return Some(());
        }
        let is_bounded = self.pieces.len() < MOST_PIECES && place.checked_add(piece.len())? <= LONGEST;
        is_bounded.then(|| self.pieces.push((place, piece.to_vec())))
    }

    /// The handshake from its beginning, as far as there is no gap.
    fn joined(&self) -> Vec<u8> {
        let mut pieces: Vec<_> = self.pieces.iter().collect();
        pieces.sort_by_key(|(place, _)| *place);
        let mut joined = Vec::new();
        for (place, piece) in pieces {
            let Some(known) = joined.len().checked_sub(*place) else { break };
            joined.extend_from_slice(piece.get(known..).unwrap_or_default());
        }
        joined
    }
}

fn pass_acknowledgement(frames: &mut Bytes<'_>, with_ecn: bool) -> Option<()> {
    let (_largest, _delay, ranges, _first) =
        (frames.variable()?, frames.variable()?, frames.variable()?, frames.variable()?);
    // Each takes bytes: they end before a number that was made up does.
    for _ in 0..ranges {
        frames.variable()?;
        frames.variable()?;
    }
    if with_ecn {
        for _ in 0..3 {
            frames.variable()?;
        }
    }
    Some(())
}

/// The initial packet that bytes begin with, and what follows it in the datagram.
fn first_of(bytes: &[u8]) -> Option<(Initial<'_>, &[u8])> {
    let mut header = Bytes(bytes);
    let first = header.u8()?;
    // And by which number it calls an initial packet.
    let (version, kind) = match header.u32()? {
        VERSION_1 => (Version::V1, 0),
        VERSION_2 => (Version::V2, 1),
        _ => return None,
    };
    if first & (LONG_HEADER | FIXED_BIT) != LONG_HEADER | FIXED_BIT || first >> 4 & 3 != kind {
        return None;
    }
    let (connection, source) = (header.short_list()?.0, header.short_list()?.0);
    if connection.len() > LONGEST_CONNECTION_ID || source.len() > LONGEST_CONNECTION_ID {
        return None;
    }
    let token = header.variable()?;
    header.take(usize::try_from(token).ok()?)?;
    let length = usize::try_from(header.variable()?).ok()?;
    let number = bytes.len() - header.0.len();
    let (packet, behind) = bytes.split_at_checked(number.checked_add(length)?)?;
    (length >= LONGEST_NUMBER + SAMPLE).then_some((Initial { version, connection, packet, number }, behind))
}

/// What everybody can know who has seen the packet: we read as the server does.
fn keys(version: Version, connection: &[u8]) -> Option<Keys> {
    let suite = TLS13_AES_128_GCM_SHA256.tls13()?.quic_suite()?;
    Some(suite.keys(connection, Side::Server, version))
}

fn decrypt(keys: &Keys, initial: &Initial<'_>) -> Option<Vec<u8>> {
    let mut packet = initial.packet.to_vec();
    let (header, payload) = packet.split_at_mut(initial.number);
    let (number, sampled) = payload.split_at_mut(LONGEST_NUMBER);
    let sample = sampled.get(..SAMPLE)?;
    keys.remote.header.decrypt_in_place(sample, header.first_mut()?, number).ok()?;
    let length = usize::from(header[0] & 3) + 1;
    // The first packets of a connection have low numbers, which are written in full.
    let written = number[..length].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    let (header, payload) = packet.split_at_mut(initial.number + length);
    Some(keys.remote.packet.decrypt_in_place(written, header, payload).ok()?.to_vec())
}
