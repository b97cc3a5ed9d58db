//! The beginning of a TCP stream: TLS records (RFC 8446, 5.1).

use crate::bytes::Bytes;
use crate::hello::{self, Hello, LONGEST, Unread};

/// A record of this type holds handshake messages, or a part of one.
const HANDSHAKE: u8 = 22;
/// The first byte of the version is that of SSL 3.0 for good.
const MAJOR: u8 = 3;
/// The header of a record.
const HEADER: usize = 5;

/// What has come of a stream, from its first byte on.
#[derive(Debug, Default, Clone)]
pub struct Stream {
    bytes: Vec<u8>,
}

impl Stream {
    /// Whether a stream that begins so may be TLS.
    pub fn may_begin_with(bytes: &[u8]) -> bool {
        matches!(bytes, [HANDSHAKE, MAJOR, ..] | [HANDSHAKE] | [])
    }

    /// Takes in the bytes that follow, and reads what there is.
    ///
    /// # Errors
    /// It is not all there yet; or it is something else, or makes no sense, and nothing more is to be expected.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Hello, Unread> {
        let room = (LONGEST + 64 * HEADER).saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if !Self::may_begin_with(&self.bytes) {
            return Err(Unread::Other);
        }
        let read = hello::read(&self.handshake()?);
        // It does not get longer.
        if read == Err(Unread::Incomplete) && room <= bytes.len() { Err(Unread::Malformed) } else { read }
    }

    /// How many bytes are held.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing has come yet.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What the records hold that are there, the last one perhaps in part.
    fn handshake(&self) -> Result<Vec<u8>, Unread> {
        let (mut bytes, mut handshake) = (Bytes(&self.bytes), Vec::new());
        while let Some(header) = bytes.take(HEADER) {
            if header[0] != HANDSHAKE || header[1] != MAJOR {
                // Another record may follow the message, none may interrupt it.
                break;
            }
            let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
            // No record is empty, which would make an endless stream of nothing.
            if length == 0 {
                return Err(Unread::Malformed);
            }
            let there = length.min(bytes.0.len());
            handshake.extend_from_slice(bytes.take(there).unwrap_or_default());
        }
        Ok(handshake)
    }
}
