//! Records by gRPC: what google.protobuf and gRPC's own server have of them, and what its answers do.

mod answers;
#[path = "../secure/authority.rs"]
mod authority;
mod collector;
mod flows;
mod netobserv;
mod outages;
mod trust;

use collector::answers;
use std::time::Duration;
use weir_export::{Courier, Peer, Target};
use weir_record::PeerState;
use weir_store::Spool;
use weir_tests::folder::Folder;

const SOON: Duration = Duration::from_secs(60);

fn target(url: &str) -> Target {
    url.parse().unwrap_or_else(|mistake| panic!("{url}: {mistake}"))
}

fn peer(url: &str) -> Box<dyn Peer> {
    let mut peer = target(url).peer();
    peer.connect().unwrap_or_else(|error| panic!("{url}: {error}"));
    peer
}

fn courier(folder: &Folder, url: &str) -> Courier {
    let target = target(url);
    let spool = Spool::open(folder.place().join("spool").as_path(), 1 << 30).expect("a spool");
    Courier::new(target.name.clone(), target.peer(), None, Some(spool), Box::new(drop))
}

fn go_on(courier: &mut Courier) -> PeerState {
    courier.settle().expect("it lasts");
    courier.go_on();
    courier.state().lock().expect("nobody panics").clone()
}

/// Where a collector writes, who takes everything so far.
fn folder() -> Folder {
    let folder = Folder::new("grpc");
    answers(&folder, "ok");
    folder
}
