//! The first message of a client (RFC 8446, 4.1.2).

use crate::bytes::Bytes;

/// A handshake message of this type is a client's first.
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const PROTOCOLS: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;
/// RFC 9849.
const ENCRYPTED_HELLO: u16 = 0xfe0d;
/// A name of the DNS, the only kind there is (RFC 6066, 3).
const HOST_NAME: u8 = 0;
/// No more of them are kept: clients offer two.
const MOST_PROTOCOLS: usize = 8;
/// A handshake message that is longer is none that a client would send.
pub const LONGEST: usize = 16 * 1024;

/// What a client says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hello {
    /// The server that it wants, as it lies in the message.
    pub server_name: Option<Vec<u8>>,
    /// The protocols that it speaks, the dearest first (ALPN), as they lie in the message.
    pub protocols: Vec<Vec<u8>>,
    /// The highest version of TLS that it offers, in TLS's own numbers: 0x0304 is 1.3.
    pub version: u16,
    /// Whether there is another message in it that only the server can read: `server_name` is then that of whoever
    /// stands before it.
    pub is_encrypted: bool,
}

/// Why there is nothing to be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// There is more to come.
    Incomplete,
    /// It is something else.
    Other,
    /// It begins like one, and does not keep to the rules.
    Malformed,
}

/// Reads it from the bytes of the handshake, which begin with it.
pub fn read(handshake: &[u8]) -> Result<Hello, Unread> {
    let mut bytes = Bytes(handshake);
    let kind = bytes.u8().ok_or(Unread::Incomplete)?;
    if kind != CLIENT_HELLO {
        return Err(Unread::Other);
    }
    let length = bytes.u24().ok_or(Unread::Incomplete)? as usize;
    if length > LONGEST {
        return Err(Unread::Malformed);
    }
    let body = bytes.take(length).ok_or(Unread::Incomplete)?;
    body_of(Bytes(body)).ok_or(Unread::Malformed)
}

fn body_of(mut body: Bytes<'_>) -> Option<Hello> {
    let mut hello = Hello { version: body.u16()?, ..Hello::default() };
    let _random = body.take(32)?;
    let _session = body.short_list()?;
    let _cipher_suites = body.list()?;
    let _compression = body.short_list()?;
    // TLS 1.2 and older may have none.
    if body.is_empty() {
        return Some(hello);
    }
    let mut extensions = body.list()?;
    while !extensions.is_empty() {
        let (kind, mut content) = (extensions.u16()?, extensions.list()?);
        match kind {
            SERVER_NAME => hello.server_name = server_name(content.list()?)?,
            PROTOCOLS => hello.protocols = protocols(content.list()?)?,
            SUPPORTED_VERSIONS => hello.version = highest(content.short_list()?).unwrap_or(hello.version),
            ENCRYPTED_HELLO => hello.is_encrypted = true,
            _ => {}
        }
    }
    Some(hello)
}

fn server_name(mut list: Bytes<'_>) -> Option<Option<Vec<u8>>> {
    while !list.is_empty() {
        let (kind, name) = (list.u8()?, list.list()?);
        if kind == HOST_NAME {
            return Some(Some(name.0.to_vec()));
        }
    }
    Some(None)
}

fn protocols(mut list: Bytes<'_>) -> Option<Vec<Vec<u8>>> {
    let mut protocols = Vec::new();
    while !list.is_empty() {
        let name = list.short_list()?.0;
        if !is_grease(name) && protocols.len() < MOST_PROTOCOLS {
            protocols.push(name.to_vec());
        }
    }
    Some(protocols)
}

fn highest(mut list: Bytes<'_>) -> Option<u16> {
    let mut highest = None;
    while let Some(version) = list.u16() {
        if !is_grease(&version.to_be_bytes()) {
            highest = highest.max(Some(version));
        }
    }
    highest
}

/// Values that clients make up, so that servers keep to passing over what they do not know (RFC 8701).
fn is_grease(value: &[u8]) -> bool {
    matches!(value, [one, other] if one == other && one & 0x0f == 0x0a)
}
