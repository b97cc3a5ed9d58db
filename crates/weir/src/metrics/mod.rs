//! For Prometheus: the agent's own state, the ledger to the packet and what counting costs; and what the network does.
//!
//! Names are those of `weir status -o json`, with `weir_` before them, and with the unit and `_total` where Prometheus
//! wants them.

mod agent;
mod classic;
mod families;
mod network;
mod probes;
mod pushes;

use anyhow::Result;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use serde::Deserialize;
use std::collections::BTreeMap;
use weir_agent::Status;
use weir_record::Count;

pub use classic::classic;
pub use network::{Labels, Network};

/// What is taken from an entry of the ledger.
#[derive(Debug, Deserialize)]
pub struct Point {
    interface: String,
    netns: String,
    direction: String,
    decapsulated: bool,
    balanced: bool,
    seen_packets: u64,
    seen_bytes: u64,
    exported_packets: u64,
    exported_bytes: u64,
    held_packets: u64,
    held_bytes: u64,
    filtered_packets: u64,
    filtered_bytes: u64,
    sampled_out_packets: u64,
    sampled_out_bytes: u64,
    lost_by: BTreeMap<String, Count>,
}

/// What [`open`] is.
pub const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// What [`classic`] makes of it.
pub const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All that is to be said of this state, and of the network where that is summed, in OpenMetrics.
///
/// # Errors
/// It does not fit in memory.
pub fn open(status: Status<Point>, network: Option<&Network>) -> Result<String> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(agent::Agent(status)));
    if let Some(network) = network {
        registry.register_collector(Box::new(network.told()));
    }
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}
