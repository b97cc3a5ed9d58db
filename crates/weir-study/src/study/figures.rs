//! From slices to figures.

use super::slice::Slice;
use crate::arms::{Kind, Spec};
use crate::results::{Measured, bootstrap, median};
use std::collections::BTreeMap;

/// What one arm did in all rounds under one traffic.
#[derive(Debug, Default)]
pub struct Record {
    /// One for each round, with the one in which nobody watched.
    rounds: Vec<(Slice, Slice)>,
    /// Nanoseconds that a packet took longer than one nearby that nobody watched, round by round; nothing where
    /// windows are not timed.
    pub nearby: Vec<f64>,
    /// Some of these were taken while the machine was slow: it was not quick as often as there are rounds.
    pub disturbed: bool,
    /// The program's own time per packet by the kernel's statistics.
    pub program_ns: Option<f64>,
    /// Nanoseconds per packet in isolation, round by round.
    pub isolated: Vec<f64>,
    /// Kernel memory of the maps.
    pub map_bytes: u64,
}

impl Record {
    /// Notes a round.
    pub fn push(&mut self, slice: Slice, none: &Slice) {
        self.rounds.push((slice, none.clone()));
    }

    /// The figures; nothing if there was no round. `empty` is the record of the program that does nothing.
    pub fn conclude(&self, spec: &Spec, traffic: &str, empty: Option<&Self>) -> Option<Measured> {
        let each = |of: fn(&(Slice, Slice)) -> f64| self.rounds.iter().map(of).collect::<Vec<f64>>();
        let mpps_rounds = each(|(slice, _)| mpps(slice));
        let ratio_rounds = each(|(slice, none)| mpps(slice) / mpps(none));
        let apart = each(|(slice, none)| packet_ns(slice) - packet_ns(none));
        let slower_ns_rounds = if self.nearby.is_empty() { apart } else { self.nearby.clone() };
        let slower_ns = median(&slower_ns_rounds)?;
        let interval = bootstrap(&ratio_rounds);
        let less_empty = |own: Option<f64>, of: fn(&Self) -> Option<f64>| Some(own? - of(empty?)?);
        let lost_by_cause = self.lost_by_cause(spec);
        Some(Measured {
            arm: spec.name.into(),
            traffic: traffic.into(),
            mpps: median(&mpps_rounds)?,
            mpps_low: mpps_rounds.iter().copied().reduce(f64::min)?,
            mpps_high: mpps_rounds.iter().copied().reduce(f64::max)?,
            ratio: median(&ratio_rounds)?,
            ratio_low: interval.low,
            ratio_high: interval.high,
            slower_ns,
            disturbed: self.disturbed && !self.nearby.is_empty(),
            cost_ns: slower_ns + median(&each(|(slice, _)| consumer_ns(slice)))?,
            added_ns: less_empty(self.program_ns, |empty| empty.program_ns),
            isolated_ns: less_empty(median(&self.isolated), |empty| median(&empty.isolated)),
            accuracy_flows: self.accuracy(|slice| slice.reported.0, flows),
            accuracy_packets: self.accuracy(|slice| slice.reported.1, |slice| slice.observed),
            sent: self.rounds.iter().map(|(slice, _)| slice.sent).sum(),
            received: self.rounds.iter().map(|(slice, _)| slice.received).sum(),
            lost: lost_by_cause.values().sum(),
            lost_by_cause,
            consumer_cpu: median(&each(|(slice, _)| slice.cpu.as_secs_f64() / slice.time.as_secs_f64()))?,
            map_bytes: self.map_bytes,
            mpps_rounds,
            ratio_rounds,
            slower_ns_rounds,
        })
    }

    fn accuracy(&self, reported: fn(&Slice) -> Option<u64>, truth: fn(&Slice) -> u64) -> Option<f64> {
        let sum: Option<u64> = self.rounds.iter().map(|(slice, _)| reported(slice)).sum();
        let truth: u64 = self.rounds.iter().map(|(slice, _)| truth(slice)).sum();
        (truth > 0).then_some(sum? as f64 / truth as f64)
    }

    /// What is missing beyond the causes that the arm itself knows is unexplained.
    fn lost_by_cause(&self, spec: &Spec) -> BTreeMap<String, u64> {
        let mut causes = BTreeMap::new();
        if spec.kind == Kind::Baseline {
            return causes;
        }
        for (slice, _) in &self.rounds {
            let missing = missing(slice);
            let mut explained = 0;
            for (cause, packets) in &slice.losses {
                *causes.entry((*cause).to_owned()).or_default() += packets;
                explained += packets;
            }
            if missing > explained {
                *causes.entry(unexplained(spec).into()).or_default() += missing - explained;
            }
        }
        causes
    }
}

/// What becomes of packets that an arm does not know it has lost.
fn unexplained(spec: &Spec) -> &'static str {
    match spec.name {
        "lru-hash" | "lru-percpu-hash" => "evicted",
        // Two CPUs that write back what they have read overwrite each other.
        "hash-published" => "overwritten",
        _ => "unexplained",
    }
}

/// Packets that came by and were not reported: flow by flow where the truth is known of each, so that what is
/// counted twice does not make up for what is not.
fn missing(slice: &Slice) -> u64 {
    match &slice.tally {
        Some(tally) if slice.observed == slice.sent => {
            slice.flows.iter().zip(tally).map(|(sent, counted)| sent.saturating_sub(*counted)).sum()
        }
        _ => slice.observed.saturating_sub(slice.reported.1.unwrap_or(slice.observed)),
    }
}

/// Million packets per second that arrived.
pub fn mpps(slice: &Slice) -> f64 {
    slice.rate / 1e6
}

/// Nanoseconds that a packet took on the CPU that sent it.
pub fn packet_ns(slice: &Slice) -> f64 {
    slice.busy.as_nanos() as f64 / slice.sent.max(1) as f64
}

fn consumer_ns(slice: &Slice) -> f64 {
    slice.cpu.as_nanos() as f64 / slice.received.max(1) as f64
}

/// Flows with a packet at least.
fn flows(slice: &Slice) -> u64 {
    slice.flows.iter().filter(|packets| **packets > 0).count() as u64
}
