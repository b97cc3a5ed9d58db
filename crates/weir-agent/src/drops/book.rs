//! What was dropped of which flow, until its record leaves.

use super::loss::Loss;
use super::places::Places;
use crate::interfaces::NOWHERE;
use hashbrown::HashMap;
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_record::{Addresses, Count, Dropped, FlowKey, FlowRecord};

/// Reasons that a record names.
const NAMED: usize = 4;

/// What was dropped of one direction of a flow in one network namespace.
#[derive(Debug)]
struct Part {
    netns: u32,
    count: Count,
    /// Packets by reason.
    reasons: SmallVec<[(Arc<str>, u64); 1]>,
    last: Instant,
}

/// Losses of flows that have no record yet.
#[derive(Debug)]
pub struct Book {
    most: usize,
    linger: Duration,
    flows: HashMap<FlowKey, SmallVec<[Part; 1]>>,
    unclaimed: u64,
    evicted: u64,
}

impl Book {
    /// Room for `most` flows, each as long as its record may be on its way.
    pub fn new(most: usize, linger: Duration) -> Self {
        Self { most, linger, flows: HashMap::new(), unclaimed: 0, evicted: 0 }
    }

    /// Enters a loss that the packets themselves have told of.
    pub fn add(&mut self, loss: &Loss, now: Instant) {
        let packets = loss.count.packets;
        let Some(flow) = loss.flow.filter(|flow| flow.addresses().is_some()) else {
            self.unclaimed += packets;
            return;
        };
        if self.flows.len() >= self.most && !self.flows.contains_key(&flow) {
            self.evicted += packets;
            self.unclaimed += packets;
            return;
        }
        let parts = self.flows.entry(flow).or_default();
        let place = parts.iter().position(|part| part.netns == loss.netns).unwrap_or_else(|| {
            let (count, reasons) = (Count::default(), SmallVec::new());
            parts.push(Part { netns: loss.netns, count, reasons, last: now });
            parts.len() - 1
        });
        let part = &mut parts[place];
        part.count += loss.count;
        part.last = now;
        add_reason(&mut part.reasons, &loss.reason, packets);
    }

    /// What was dropped of a record's flow since it was last taken.
    pub fn look(&self, record: &FlowRecord, places: &Places) -> Dropped {
        let netns = places.netns(&record.interface);
        let mut sum = Sum::default();
        for flow in flows_of(record) {
            let parts = self.flows.get(&flow).into_iter().flatten();
            parts.filter(|part| is_of(part, &flow, netns, places)).for_each(|part| sum.add(part));
        }
        sum.dropped()
    }

    /// As [`look`](Self::look): it is told of here, and no other record tells of it again.
    pub fn take(&mut self, record: &FlowRecord, places: &Places) -> Dropped {
        if self.flows.is_empty() {
            return Dropped::default();
        }
        let netns = places.netns(&record.interface);
        let mut sum = Sum::default();
        for flow in flows_of(record) {
            let Some(parts) = self.flows.get_mut(&flow) else { continue };
            parts.retain(|part| {
                let is_of = is_of(part, &flow, netns, places);
                if is_of {
                    sum.add(part);
                }
                !is_of
            });
            if parts.is_empty() {
                self.flows.remove(&flow);
            }
        }
        sum.dropped()
    }

    /// Forgets what no record has asked for.
    pub fn expire(&mut self, now: Instant) {
        let Self { linger, flows, unclaimed, .. } = self;
        flows.retain(|_, parts| {
            parts.retain(|part| {
                let stays = now.saturating_duration_since(part.last) < *linger;
                if !stays {
                    *unclaimed += part.count.packets;
                }
                stays
            });
            !parts.is_empty()
        });
    }

    /// Flows that wait for their records.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// Packets that no record tells of.
    pub fn unclaimed(&self) -> u64 {
        self.unclaimed
    }

    /// Packets whose flows there was no room for.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }
}

/// All names that the packets of a record may have had, in the directions that it is of.
fn flows_of(record: &FlowRecord) -> impl Iterator<Item = FlowKey> {
    let meant = record.key.with_vlan(None);
    let behind = record.translation.as_ref().and_then(|ends| translated(&meant, ends));
    let forth = [Some(meant), behind.filter(|behind| *behind != meant)];
    let is_joined = record.reverse.is_some();
    let back = forth.map(|flow| flow.filter(|_| is_joined)?.reversed());
    // Where both ends are the same, so are both directions.
    let back = back.into_iter().flatten().filter(move |back| *back != meant);
    forth.into_iter().flatten().chain(back)
}

fn translated(meant: &FlowKey, ends: &weir_record::Translation) -> Option<FlowKey> {
    let FlowKey::Ip { vlan, protocol, .. } = *meant else { return None };
    let ((source, from), (destination, to)) = (ends.source, ends.destination);
    let addresses = match (source, destination) {
        (std::net::IpAddr::V4(source), std::net::IpAddr::V4(destination)) => {
            Addresses::V4(source, destination)
        }
        (std::net::IpAddr::V6(source), std::net::IpAddr::V6(destination)) => {
            Addresses::V6(source, destination)
        }
        _ => return None,
    };
    Some(FlowKey::Ip { vlan, addresses, protocol, ports: Some((from, to)) })
}

/// A packet that was seen here may be dropped in another namespace, if it can get there.
fn is_of(part: &Part, flow: &FlowKey, netns: u32, places: &Places) -> bool {
    let stays = matches!(flow, FlowKey::Ip { addresses, .. } if addresses.are_loopback());
    part.netns == netns || part.netns == NOWHERE || !stays && places.are_connected(part.netns, netns)
}

fn add_reason<const N: usize>(reasons: &mut SmallVec<[(Arc<str>, u64); N]>, reason: &Arc<str>, packets: u64)
where
    [(Arc<str>, u64); N]: smallvec::Array<Item = (Arc<str>, u64)>,
{
    match reasons.iter_mut().find(|(known, _)| known == reason) {
        Some((_, count)) => *count += packets,
        None => reasons.push((Arc::clone(reason), packets)),
    }
}

#[derive(Default)]
struct Sum {
    count: Count,
    reasons: SmallVec<[(Arc<str>, u64); 4]>,
}

impl Sum {
    fn add(&mut self, part: &Part) {
        self.count += part.count;
        part.reasons.iter().for_each(|(reason, packets)| add_reason(&mut self.reasons, reason, *packets));
    }

    fn dropped(mut self) -> Dropped {
        self.reasons.sort_by(|(a, of_a), (b, of_b)| of_b.cmp(of_a).then_with(|| a.cmp(b)));
        let reasons = match &self.reasons[..] {
            [] => None,
            [(one, _)] => Some(Arc::clone(one)),
            more => {
                let names: Vec<&str> = more.iter().take(NAMED).map(|(name, _)| &**name).collect();
                Some(names.join(",").into())
            }
        };
        Dropped { packets: self.count.packets, bytes: self.count.bytes, reasons }
    }
}
