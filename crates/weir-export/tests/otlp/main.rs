//! Flows as OpenTelemetry's logs and spans, and its metrics: what a collector has of them, and what its answers do.

mod answers;
mod collector;
#[path = "../common/mod.rs"]
mod common;
mod flows;
mod metrics;
mod rotel;
mod sizes;
mod spans;

use common::{courier, go_on, sink, target};
use std::time::Duration;
use weir_export::Peer;

const SOON: Duration = Duration::from_secs(60);

fn peer(url: &str) -> Box<dyn Peer> {
    let mut peer = target(url).peer();
    peer.connect().expect("nothing is sent yet");
    peer
}
