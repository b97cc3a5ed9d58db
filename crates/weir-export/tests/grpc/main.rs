//! Records by gRPC: what google.protobuf and gRPC's own server have of them, and what its answers do.

mod answers;
#[path = "../common/mod.rs"]
mod common;
mod flows;
mod netobserv;
mod outages;
mod trust;

use common::collector::answers;
use common::{authority, collector, courier, go_on, target};
use std::time::Duration;
use weir_export::Peer;
use weir_tests::folder::Folder;

const SOON: Duration = Duration::from_secs(60);

fn peer(url: &str) -> Box<dyn Peer> {
    let mut peer = target(url).peer();
    peer.connect().unwrap_or_else(|error| panic!("{url}: {error}"));
    peer
}

/// Where a collector writes, who takes everything so far.
fn folder() -> Folder {
    let folder = Folder::new("grpc");
    answers(&folder, "ok");
    folder
}
