//! Which part of the results a part of the page is about.

use crate::results::{ArmInfo, EMPTY, Measured, NONE, Results, TrafficInfo, WEIR};

/// All arms, in the order of the page: those of the configuration, and whatever else there are results of.
pub fn arms(results: &Results) -> Vec<ArmInfo> {
    let mut arms = results.config.arms.clone();
    let measured = results.results.iter().map(|one| &one.arm);
    for name in measured
        .chain(results.load.iter().map(|one| &one.arm))
        .chain(results.scaling.iter().map(|one| &one.arm))
    {
        if !arms.iter().any(|arm| arm.name == *name) {
            arms.push(ArmInfo { name: name.clone(), ..ArmInfo::default() });
        }
    }
    arms
}

/// All traffic models, likewise.
pub fn traffics(results: &Results) -> Vec<TrafficInfo> {
    let mut traffics = results.config.traffics.clone();
    for name in results.results.iter().map(|one| &one.traffic) {
        if !traffics.iter().any(|traffic| traffic.name == *name) {
            traffics.push(TrafficInfo { name: name.clone(), ..TrafficInfo::default() });
        }
    }
    traffics
}

/// The traffic of one flow, or the first.
pub fn one_flow(results: &Results) -> Option<TrafficInfo> {
    let traffics = traffics(results);
    traffics.iter().find(|traffic| traffic.name == "1-flow").or(traffics.first()).cloned()
}

/// The traffic of forty flows, or the one with the most.
pub fn many_flows(results: &Results) -> Option<TrafficInfo> {
    let traffics = traffics(results);
    let forty = traffics.iter().find(|traffic| traffic.name == "40-flows");
    forty.or(traffics.iter().max_by_key(|traffic| traffic.flows)).cloned()
}

/// Whether an arm watches: all do but the baselines.
pub fn is_watching(arm: &str) -> bool {
    ![NONE, EMPTY].contains(&arm)
}

/// What other arms than ours that watch did under that traffic, those with a cost.
pub fn others<'a>(results: &'a Results, traffic: &str) -> Vec<&'a Measured> {
    let here = results.results.iter().filter(|one| one.traffic == traffic && one.cost_ns.is_finite());
    here.filter(|one| is_watching(&one.arm) && one.arm != WEIR).collect()
}

/// The cheapest other arm that reported every packet of every flow.
pub fn best_alternative<'a>(results: &'a Results, traffic: &str) -> Option<&'a Measured> {
    let complete = others(results, traffic).into_iter().filter(|one| one.is_lossless());
    complete.min_by(|a, b| a.cost_ns.total_cmp(&b.cost_ns))
}

/// Whether it missed packets. Baselines report none, and miss none.
pub fn has_lost(measured: &Measured) -> bool {
    is_watching(&measured.arm)
        && (measured.lost > 0 || measured.accuracy_packets.is_some_and(|accuracy| accuracy < 1.0))
}

/// Packets that it missed ÷ packets that passed it; none where that is not known.
pub fn lost_share(measured: &Measured) -> Option<f64> {
    let by_accuracy = measured.accuracy_packets.filter(|accuracy| (0.0..=1.0).contains(accuracy));
    let by_count =
        || (measured.received > 0).then(|| (measured.lost as f64 / measured.received as f64).min(1.0));
    by_accuracy.map(|accuracy| 1.0 - accuracy).or_else(by_count)
}

/// `40 flows`.
pub fn flows(traffic: &TrafficInfo) -> String {
    match traffic.flows {
        0 => format!("`{}`", traffic.name),
        1 => "one flow".into(),
        flows => format!("{} flows", super::figures::count(flows.into())),
    }
}
