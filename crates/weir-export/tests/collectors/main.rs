//! NetFlow and IPFIX, as collectors that people run read them.

#[path = "../common/mod.rs"]
mod common;
mod fields;
mod ipfix;
mod mtu;
mod netflow;
mod nfacctd;
mod records;
mod tshark;

use common::nfcapd;
use common::udp::waiting;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use std::collections::BTreeMap;
use std::net::{IpAddr, UdpSocket};
use weir_export::{Peer, Target};
use weir_filter::generate;
use weir_record::FlowRecord;

fn peer(url: &str) -> Box<dyn Peer> {
    let mut peer = url.parse::<Target>().expect(url).peer();
    peer.connect().expect("somebody listens");
    peer
}

/// A thousand of all shapes, each with packets.
fn random() -> Vec<FlowRecord> {
    let mut runner = TestRunner::deterministic();
    let mut records: Vec<_> =
        (0..1000).map(|_| generate::records().new_tree(&mut runner).expect("one").current()).collect();
    for (number, record) in records.iter_mut().enumerate() {
        // As far as packets can be: nobody has counted 2^64 bytes.
        (record.packets, record.bytes) = (1 + record.packets % 1_000_000, record.bytes >> 24);
        record.reverse =
            records::reverse([number as u64 % 7, number as u64 * 1000], 0).filter(|_| number % 3 > 0);
    }
    records
}

/// Packets and bytes by source and destination.
type Sums = BTreeMap<(IpAddr, IpAddr), [u64; 2]>;

fn add(sums: &mut Sums, ends: (IpAddr, IpAddr), counts: [u64; 2]) {
    let sum = sums.entry(ends).or_default();
    *sum = [sum[0] + counts[0], sum[1] + counts[1]];
}

/// What tshark has of these.
fn read_by_tshark(scheme: &str, records: &[FlowRecord]) -> String {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket");
    let port = socket.local_addr().expect("an address").port();
    peer(&format!("{scheme}://127.0.0.1:{port}?domain=258")).send(records).expect("sent");
    let text = tshark::dissected(&tshark::received(&socket));
    for complaint in ["nknown", "alformed", "No template", "Expert"] {
        assert!(!text.contains(complaint), "{complaint}: {text}");
    }
    text
}

/// Everything that it says after this word and a colon.
fn said<'t>(text: &'t str, word: &str) -> Vec<&'t str> {
    let lines = text.lines().filter_map(|line| line.trim().split_once(": "));
    lines.filter(|(name, _)| *name == word).map(|(_, value)| value).collect()
}
