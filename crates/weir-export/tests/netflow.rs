//! NetFlow 9 and 5, as nfcapd and tshark read them.

mod netflow_parts;

use netflow_parts::nfcapd::{Flow, Nfcapd};
use netflow_parts::records::records;
use weir_export::{Peer, Target};
use weir_tests::folder::Folder;

fn peer(url: &str) -> Box<dyn Peer> {
    let mut peer = url.parse::<Target>().expect(url).peer();
    peer.connect().expect("somebody listens");
    peer
}

/// What was collected of all records.
fn collected(scheme: &str) -> Vec<Flow> {
    let folder = Folder::new("netflow");
    let nfcapd = Nfcapd::start(&folder, "flows");
    let sent = peer(&format!("{scheme}://127.0.0.1:{}?domain=258", nfcapd.port)).send(&records());
    println!("{:?}", sent.expect("sent"));
    nfcapd.stop()
}

#[test]
fn nfcapd_has_version_9() {
    println!("{:#?}", collected("netflow9+udp"));
    println!("{:#?}", collected("netflow5+udp"));
}
