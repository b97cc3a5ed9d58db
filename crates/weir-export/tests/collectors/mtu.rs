//! How long datagrams are: as long as the way to the collector takes at once, also when that has changed.

use crate::records::{key, record};
use crate::{peer, tshark::received};
use std::net::UdpSocket;
use std::slice;
use weir_export::Peer;
use weir_record::{Direction, FlowRecord};
use weir_tests::pair::{INTERFACE, Pair, RIGHT, RIGHT_IPV6};

/// More than a record has in any of the languages.
const RECORD: usize = 200;

/// The longest datagram with some of these in it.
fn longest(peer: &mut dyn Peer, socket: &UdpSocket, records: &[FlowRecord]) -> usize {
    peer.send(records).expect("sent");
    received(socket).iter().map(Vec::len).max().expect("they come")
}

#[test]
fn root_datagrams_are_as_long_as_the_way_takes() {
    let pair = Pair::with_ipv6();
    let mtu = |bytes| {
        for end in [&pair.left, &pair.right] {
            end.ip(&format!("link set {INTERFACE} mtu {bytes}"));
        }
    };
    let flow =
        |port| record(key(["192.0.2.1", "192.0.2.2"], 17, Some((port, 2))), Direction::Ingress, [1, 100]);
    let records: Vec<_> = (1..=60).map(flow).collect();
    for (address, headers) in [(RIGHT.to_owned(), 28), (format!("[{RIGHT_IPV6}]"), 48)] {
        for scheme in ["ipfix+udp", "netflow9+udp", "netflow5+udp"] {
            mtu(1500);
            let socket = pair.right.enter(|| UdpSocket::bind(format!("{address}:0"))).expect("a socket");
            let port = socket.local_addr().expect("an address").port();
            let mut peer = pair.left.enter(|| peer(&format!("{scheme}://{address}:{port}")));
            let fits = |mtu: usize, longest: usize| {
                let most = mtu - headers;
                assert!((most - RECORD..=most).contains(&longest), "{scheme} to {address}: {longest}, {mtu}");
            };
            fits(1500, longest(peer.as_mut(), &socket, &records));
            mtu(1300);
            // It is looked at again with the templates, after 50 messages.
            records.iter().for_each(|one| drop(peer.send(slice::from_ref(one)).expect("sent")));
            received(&socket);
            fits(1300, longest(peer.as_mut(), &socket, &records));
        }
    }
}
