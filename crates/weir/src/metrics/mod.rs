//! For Prometheus: the agent's own state, the ledger to the packet and what counting costs; and what the network does.
//!
//! Names are those of `weir status -o json`, with `weir_` before them, and with the unit and `_total` where Prometheus
//! wants them.

mod agent;
mod classic;
mod families;
mod network;
mod probes;

use anyhow::Result;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
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

impl Point {
    /// One of several for the same place: an interface that comes back begins to count anew, its metrics go on.
    fn add(&mut self, more: Self) {
        self.balanced &= more.balanced;
        for (sum, more) in [
            (&mut self.seen_packets, more.seen_packets),
            (&mut self.seen_bytes, more.seen_bytes),
            (&mut self.exported_packets, more.exported_packets),
            (&mut self.exported_bytes, more.exported_bytes),
            (&mut self.held_packets, more.held_packets),
            (&mut self.held_bytes, more.held_bytes),
            (&mut self.filtered_packets, more.filtered_packets),
            (&mut self.filtered_bytes, more.filtered_bytes),
            (&mut self.sampled_out_packets, more.sampled_out_packets),
            (&mut self.sampled_out_bytes, more.sampled_out_bytes),
        ] {
            *sum += more;
        }
        more.lost_by.into_iter().for_each(|(cause, count)| *self.lost_by.entry(cause).or_default() += count);
    }
}

/// Each place once.
fn folded(points: Vec<Point>) -> Vec<Point> {
    let mut places = BTreeMap::new();
    for point in points {
        let Point { netns, interface, direction, decapsulated, .. } = &point;
        match places.entry((netns.clone(), interface.clone(), direction.clone(), *decapsulated)) {
            Entry::Vacant(place) => drop(place.insert(point)),
            Entry::Occupied(mut place) => place.get_mut().add(point),
        }
    }
    places.into_values().collect()
}

/// What [`open`] is.
pub const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// What [`classic`] makes of it.
pub const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All that is to be said of this state, and of the network where that is summed, in OpenMetrics.
///
/// # Errors
/// It does not fit in memory.
pub fn open(mut status: Status<Point>, network: Option<&Network>) -> Result<String> {
    status.ledger = folded(status.ledger);
    let mut registry = Registry::default();
    registry.register_collector(Box::new(agent::Agent(status)));
    if let Some(network) = network {
        registry.register_collector(Box::new(network.told()));
    }
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(interface: &str, packets: u64, cause: &str) -> Point {
        let lost_by = BTreeMap::from([(cause.to_owned(), Count { packets, bytes: 60 * packets })]);
        let (netns, direction) = ("1".into(), "egress".into());
        Point {
            interface: interface.into(),
            netns,
            direction,
            decapsulated: false,
            balanced: packets != 3,
            seen_packets: 10 * packets,
            seen_bytes: 0,
            exported_packets: packets,
            exported_bytes: 0,
            held_packets: 0,
            held_bytes: 0,
            filtered_packets: 0,
            filtered_bytes: 0,
            sampled_out_packets: 0,
            sampled_out_bytes: 0,
            lost_by,
        }
    }

    #[test]
    fn an_interface_that_comes_back_goes_on() {
        let points =
            folded(vec![point("a", 1, "x"), point("b", 2, "x"), point("a", 3, "x"), point("a", 4, "y")]);
        let [a, b] = &points[..] else { panic!("{points:?}") };
        assert_eq!((a.seen_packets, a.exported_packets, a.balanced), (80, 8, false));
        assert_eq!((a.lost_by["x"].packets, a.lost_by["y"].bytes), (4, 240));
        assert_eq!((b.seen_packets, b.balanced), (20, true));
    }
}
