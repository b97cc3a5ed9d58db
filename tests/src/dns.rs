//! DNS answers as whoever likes can write them.

use crate::pair::{LEFT, Pair, RIGHT};
use std::net::UdpSocket;

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

/// From port 53 of the right end to a socket of the left one.
pub fn answer(pair: &Pair, messages: &[Vec<u8>]) {
    let client = pair.left.enter(|| UdpSocket::bind((LEFT, 0)).expect("a port"));
    let server = pair.right.enter(|| UdpSocket::bind((RIGHT, 53)).expect("port 53"));
    for message in messages {
        server.send_to(message, client.local_addr().expect("bound")).expect("it is sent");
        client.recv_from(&mut [0; 65_536]).expect("it is received");
    }
}
