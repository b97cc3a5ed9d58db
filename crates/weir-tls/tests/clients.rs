//! Held against a client that speaks TLS and QUIC: rustls.

use proptest::prelude::*;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::quic::{self, Version};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};
use std::sync::Arc;
use weir_tls::{Hello, Initials, Stream, Unread};

/// Nobody answers: there is nothing to be verified.
#[derive(Debug)]
struct Nobody;

impl ServerCertVerifier for Nobody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Err(Error::General("nobody".into()))
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("nobody".into()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("nobody".into()))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}

fn config(protocols: &[&str]) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions().expect("versions");
    let config = config.dangerous().with_custom_certificate_verifier(Arc::new(Nobody));
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// What a client of TLS writes first.
fn first_flight(name: &'static str, protocols: &[&str]) -> Vec<u8> {
    let name = ServerName::try_from(name).expect("a name");
    let mut client = ClientConnection::new(config(protocols), name).expect("a client");
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).expect("it writes");
    bytes
}

/// The same in QUIC: without records.
fn handshake(name: &'static str, protocols: &[&str]) -> Vec<u8> {
    let name = ServerName::try_from(name).expect("a name");
    let client = quic::ClientConnection::new(config(protocols), Version::V1, name, vec![1, 2, 3]);
    let mut bytes = Vec::new();
    client.expect("a client").write_hs(&mut bytes);
    bytes
}

fn expected(name: &str, protocols: &[&str]) -> Hello {
    Hello {
        server_name: Some(name.as_bytes().to_vec()),
        protocols: protocols.iter().map(|name| name.as_bytes().to_vec()).collect(),
        version: 0x0304,
        is_encrypted: false,
    }
}

const CONNECTION: [u8; 8] = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];

/// A datagram with one initial packet of these frames, as a client encrypts it.
fn datagram(version: Version, number: u8, frames: &[u8]) -> Vec<u8> {
    let suite = rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
    let suite = suite.tls13().and_then(|suite| suite.quic_suite()).expect("QUIC");
    let keys = suite.keys(&CONNECTION, rustls::Side::Client, version);
    let mut frames = frames.to_vec();
    frames.resize(frames.len().max(1162), 0);
    let (first, wire) = match version {
        Version::V2 => (0xd0, 0x6b33_43cf_u32),
        _ => (0xc0, 1),
    };
    let length = 1 + frames.len() + 16;
    let mut packet = vec![first];
    packet.extend(wire.to_be_bytes());
    packet.push(CONNECTION.len() as u8);
    packet.extend(CONNECTION);
    packet.extend([0, 0]);
    packet.extend((length as u16 | 0x4000).to_be_bytes());
    let place = packet.len();
    packet.push(number);
    let tag = keys.local.packet.encrypt_in_place(number.into(), &packet, &mut frames).expect("it encrypts");
    let payload = [&frames[..], tag.as_ref()].concat();
    // The sample begins four bytes behind the number's beginning, however long that is.
    let sample = payload[3..19].to_vec();
    let (header, written) = packet.split_at_mut(place);
    keys.local.header.encrypt_in_place(&sample, &mut header[0], written).expect("it is protected");
    packet.extend(payload);
    packet
}

fn crypto(place: usize, bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![6];
    frame.extend((place as u32 | 0x8000_0000).to_be_bytes());
    frame.extend((bytes.len() as u32 | 0x8000_0000).to_be_bytes());
    frame.extend(bytes);
    frame
}

#[test]
fn a_client_is_read_from_its_first_bytes() {
    let bytes = first_flight("db.example.org", &["h2", "http/1.1"]);
    assert_eq!(Stream::default().feed(&bytes), Ok(expected("db.example.org", &["h2", "http/1.1"])));
}

#[test]
fn a_message_in_many_records_and_segments_is_one() {
    let bytes = first_flight("example.org", &["h2"]);
    let (header, message) = bytes.split_at(5);
    let records: Vec<u8> = message
        .chunks(50)
        .flat_map(|part| [&header[..3], &(part.len() as u16).to_be_bytes(), part].concat())
        .collect();
    let mut stream = Stream::default();
    let (last, segments) = records.split_last().expect("there are");
    for segment in segments.chunks(7) {
        assert_eq!(stream.feed(segment), Err(Unread::Incomplete));
    }
    assert_eq!(stream.feed(&[*last]), Ok(expected("example.org", &["h2"])));
}

#[test]
fn a_connection_of_quic_is_read_from_its_first_packets() {
    let message = handshake("quic.example.org", &["h3"]);
    for version in [Version::V1, Version::V2] {
        let mut initials = Initials::default();
        let whole = datagram(version, 0, &crypto(0, &message));
        assert!(Initials::may_be(&whole));
        assert_eq!(initials.feed(&whole), Ok(expected("quic.example.org", &["h3"])));
    }
}

#[test]
fn pieces_come_in_any_order_with_others_between() {
    let message = handshake("quic.example.org", &["h3"]);
    let (front, back) = message.split_at(100);
    let (middle, back) = back.split_at(30);
    let mut initials = Initials::default();
    let late = [crypto(130, back), vec![1, 0, 0], crypto(100, middle)].concat();
    assert_eq!(initials.feed(&datagram(Version::V1, 1, &late)), Err(Unread::Incomplete));
    // An acknowledgement of two ranges, with ECN.
    let acknowledgement = vec![3, 9, 0, 1, 0, 1, 1, 4, 5, 6];
    let early = [acknowledgement, crypto(0, front)].concat();
    assert_eq!(initials.feed(&datagram(Version::V1, 0, &early)), Ok(expected("quic.example.org", &["h3"])));
}

/// RFC 9001, A.2: the packet as it is printed there, from a client of others.
#[test]
fn the_packet_of_the_standard_is_read() {
    let hex = include_str!("rfc9001-a2.hex");
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte =
        |two: &[u8]| u8::from_str_radix(std::str::from_utf8(two).expect("digits"), 16).expect("a byte");
    let packet: Vec<u8> = digits.chunks(2).map(byte).collect();
    let hello = Initials::default().feed(&packet).expect("it is read");
    assert_eq!((hello.server_name.as_deref(), hello.version), (Some(&b"example.com"[..]), 0x0304));
}

#[test]
fn what_is_something_else_is_told_from_what_is_broken() {
    assert_eq!(Stream::default().feed(b"GET / HTTP/1.1\r\n"), Err(Unread::Other));
    assert_eq!(Stream::default().feed(&[22, 3, 1, 0, 4, 2, 0, 0, 0]), Err(Unread::Other));
    assert_eq!(Stream::default().feed(&[22, 3, 1, 0, 0]), Err(Unread::Malformed));
    assert_eq!(Stream::default().feed(&[22, 3, 1, 0, 5, 1, 0, 0, 1, 7]), Err(Unread::Malformed));
    assert_eq!(Initials::default().feed(&[0x40; 1200]), Err(Unread::Other));
    let mut packet = datagram(Version::V1, 0, &crypto(0, &[2, 0, 0, 0]));
    assert_eq!(Initials::default().feed(&packet), Err(Unread::Other));
    packet[600] ^= 1;
    assert_eq!(Initials::default().feed(&packet), Err(Unread::Malformed));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = Stream::default().feed(&bytes);
        let _ = Initials::default().feed(&bytes);
        let _ = Initials::default().feed(&datagram(Version::V1, 0, &bytes));
    }

    #[test]
    fn no_change_of_a_message_makes_it_panic(place in 0usize..400, to in any::<u8>(), cut in 0usize..400) {
        let mut bytes = first_flight("example.org", &["h2"]);
        let (place, cut) = (place.min(bytes.len() - 1), cut.min(bytes.len()));
        bytes[place] = to;
        let _ = Stream::default().feed(&bytes);
        prop_assert!(Stream::default().feed(&first_flight("example.org", &["h2"])[..cut]).is_err() || cut == bytes.len());
        let mut message = handshake("example.org", &["h3"]);
        let place = place.min(message.len() - 1);
        message[place] = to;
        let _ = Initials::default().feed(&datagram(Version::V1, 0, &crypto(0, &message)));
    }
}
