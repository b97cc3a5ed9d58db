//! The stand-in of a DNS server, and of a client: questions for A records over UDP (RFC 1035).

use crate::demo::stage::{DNS, DNS_PORT, NAMES};
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::process::ExitCode;

const HEADER: usize = 12;
/// Type A, class IN.
const A_IN: [u8; 4] = [0, 1, 0, 1];
/// A pointer to the name of the question.
const SAME_NAME: [u8; 2] = [0xc0, HEADER as u8];
const TTL: [u8; 4] = 60_u32.to_be_bytes();

pub fn serve() -> io::Result<ExitCode> {
    let socket = UdpSocket::bind((DNS.address, DNS_PORT))?;
    let mut buffer = [0; 512];
    loop {
        let (length, client) = socket.recv_from(&mut buffer)?;
        if let Some(reply) = answer(&buffer[..length]) {
            // Who has gone meanwhile needs no answer.
            let _ = socket.send_to(&reply, client);
        }
    }
}

/// The reply to a query with one question; none to anything else.
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let header = query.get(..HEADER)?;
    let is_query = header[2] & 0x80 == 0;
    if !is_query || header[4..6] != [0, 1] {
        return None;
    }
    let (name, name_end) = read_name(query)?;
    let kind = query.get(name_end..name_end + 4)?;
    let known = NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
    let address = known.filter(|_| kind == A_IN).map(|(_, address)| *address);
    let code = if known.is_some() { 0 } else { 3 }; // NXDOMAIN
    let mut reply = header[..2].to_vec();
    // A response, authoritative; recursion as desired.
    reply.extend([0x84 | (header[2] & 1), code, 0, 1, 0, u8::from(address.is_some()), 0, 0, 0, 0]);
    reply.extend(&query[HEADER..name_end + 4]);
    if let Some(address) = address {
        reply.extend(SAME_NAME);
        reply.extend(A_IN);
        reply.extend(TTL);
        reply.extend([0, 4]);
        reply.extend(address.octets());
    }
    Some(reply)
}

/// The name of the question, and where it ends. Questions are not compressed.
fn read_name(query: &[u8]) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    let mut place = HEADER;
    loop {
        let length = usize::from(*query.get(place)?);
        place += 1;
        if length == 0 {
            return Some((labels.join("."), place));
        }
        labels.push(String::from_utf8_lossy(query.get(place..place + length)?).into_owned());
        place += length;
    }
}

/// A query for the address of a name.
pub fn query(id: u16, name: &str) -> Vec<u8> {
    let mut query = id.to_be_bytes().to_vec();
    query.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        query.push(label.len() as u8);
        query.extend(label.bytes());
    }
    query.push(0);
    query.extend(A_IN);
    query
}

/// The address in a reply to that query, where there is one.
pub fn address(id: u16, reply: &[u8]) -> Option<Ipv4Addr> {
    let answered = reply.len() > HEADER && reply[..2] == id.to_be_bytes() && reply[6..8] != [0, 0];
    let octets: [u8; 4] = reply.last_chunk().copied()?;
    answered.then(|| octets.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::stage::WEB;

    /// What `dig @192.0.2.53 web.test A +noedns` sends.
    const WEB_TEST: [u8; 26] =
        *b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03web\x04test\x00\x00\x01\x00\x01";

    #[test]
    fn a_known_name_has_an_address() {
        assert_eq!(query(0x1234, "web.test"), WEB_TEST);
        let reply = answer(&WEB_TEST).expect("a reply");
        assert_eq!(reply[..8], [0x12, 0x34, 0x85, 0, 0, 1, 0, 1]);
        assert_eq!(reply[WEB_TEST.len()..], [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 80]);
        assert_eq!(address(0x1234, &reply), Some(WEB.address));
        assert_eq!(address(0x1235, &reply), None);
    }

    #[test]
    fn an_unknown_name_has_none() {
        let reply = answer(&query(1, "nowhere.test")).expect("a reply");
        assert_eq!(reply[3], 3);
        assert_eq!(address(1, &reply), None);
    }

    #[test]
    fn what_is_no_query_gets_no_reply() {
        let reply = answer(&WEB_TEST).expect("a reply");
        assert_eq!(answer(&reply), None);
        for length in 0..WEB_TEST.len() {
            assert_eq!(answer(&WEB_TEST[..length]), None, "{length}");
        }
    }
}
