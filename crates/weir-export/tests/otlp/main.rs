//! Flows as OpenTelemetry's logs and spans, and its metrics: what a collector has of them, and what its answers do.

mod answers;
mod collector;
mod flows;
mod metrics;
mod rotel;
mod sink;
mod sizes;
mod spans;

use std::time::Duration;
use weir_export::{Courier, Peer, Target};
use weir_record::PeerState;
use weir_store::Spool;
use weir_tests::folder::Folder;

const SOON: Duration = Duration::from_secs(60);

fn peer(url: &str) -> Box<dyn Peer> {
    let target: Target = url.parse().unwrap_or_else(|mistake| panic!("{url}: {mistake}"));
    let mut peer = target.peer();
    peer.connect().expect("nothing is sent yet");
    peer
}

fn courier(folder: &Folder, url: &str) -> Courier {
    let target: Target = url.parse().unwrap_or_else(|mistake| panic!("{url}: {mistake}"));
    let spool = Spool::open(folder.place().join("spool").as_path(), 1 << 30).expect("a spool");
    Courier::new(target.name.clone(), target.peer(), None, Some(spool), Box::new(drop))
}

fn go_on(courier: &mut Courier) -> PeerState {
    courier.settle().expect("it lasts");
    courier.go_on();
    courier.state().lock().expect("nobody panics").clone()
}
