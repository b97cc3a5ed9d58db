//! DNS answers as whoever likes can write them, and what they are answers to.

use crate::pair::{LEFT, Pair, RIGHT};
use std::net::UdpSocket;
use std::time::Duration;

const HEADER: usize = 12;
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer: a name of raw labels, and one address.
pub fn forged(labels: &[&[u8]], address: [u8; 4]) -> Vec<u8> {
    let mut message = b"\0\x07\x81\x80\0\x01\0\x01\0\0\0\0".to_vec();
    for label in labels {
        message.push(label.len() as u8);
        message.extend(*label);
    }
    message.extend(b"\0\0\x01\0\x01\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04");
    message.extend(address);
    message
}

/// The question that a message answers. None where nobody can have asked.
pub fn question_of(message: &[u8]) -> Option<Vec<u8>> {
    let mut at = HEADER;
    while let length @ 1..=63 = *message.get(at)? {
        at += 1 + usize::from(length);
    }
    if message.get(at) != Some(&0) {
        return None;
    }
    let mut question = message.get(..at + 5)?.to_vec();
    question[2..HEADER].copy_from_slice(b"\x01\0\0\x01\0\0\0\0\0\0");
    Some(question)
}

/// From port 53 of the right end to a socket of the left one, which has asked for it where it could.
pub fn answer(pair: &Pair, messages: &[Vec<u8>]) {
    let client = pair.left.enter(|| UdpSocket::bind((LEFT, 0)).expect("a port"));
    let server = pair.right.enter(|| UdpSocket::bind((RIGHT, 53)).expect("port 53"));
    for socket in [&client, &server] {
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    }
    for message in messages {
        if let Some(question) = question_of(message) {
            client.send_to(&question, (RIGHT, 53)).expect("it is sent");
            server.recv_from(&mut [0; 65_536]).expect("it is received");
        }
        server.send_to(message, client.local_addr().expect("bound")).expect("it is sent");
        client.recv_from(&mut [0; 65_536]).expect("it is received");
    }
}
