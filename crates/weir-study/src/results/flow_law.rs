//! Cost against the number of flows: level as long as all flows fit into the caches, then more with each doubling.

use super::{FlowPoint, FlowScaling, KneeLaw, Results, TrafficInfo};

/// Three unknowns need three numbers of flows. Only a fourth could contradict them.
const ENOUGH_COUNTS: usize = 4;
/// Relative differences count; below this many nanoseconds, differences do.
const FLOOR_NS: f64 = 10.0;
/// Knees that are tried within a doubling.
const TRIALS: u32 = 16;
/// Of knees that fit as well as each other, the first: the gentlest slope that explains the costs.
const AS_GOOD: f64 = 1e-9;
/// Costs that rise by less than this share, or by fewer nanoseconds, from the fewest flows to the most, do not rise.
const LEVEL: f64 = 0.1;
const LEVEL_NS: f64 = 5.0;

impl KneeLaw {
    /// What a packet costs with so many flows, in nanoseconds.
    pub fn cost(&self, flows: f64) -> f64 {
        self.base_ns + self.per_doubling_ns * (flows / self.knee).log2().max(0.0)
    }
}

/// Traffics that differ in their number of flows only: `1-flow`, `40-flows`, … in order.
pub fn by_flows(results: &Results) -> Vec<TrafficInfo> {
    let is_plain = |name: &str| {
        let number = name.strip_suffix("-flows").or(name.strip_suffix("-flow"));
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    };
    let mut plain = results.config.traffics.clone();
    plain.retain(|traffic| is_plain(&traffic.name) && traffic.flows > 0);
    plain.sort_by_key(|traffic| traffic.flows);
    plain.dedup_by_key(|traffic| traffic.flows);
    plain
}

/// Of every arm that was measured with some number of flows, its costs and the law that comes nearest to them. Costs
/// of a slow machine ([`disturbed`](super::Measured::disturbed)) are left out.
pub fn flow_scaling(results: &Results) -> Vec<FlowScaling> {
    let traffics = by_flows(results);
    let of = |arm: &str| {
        let point = |traffic: &TrafficInfo| {
            let measured = results.of(arm, &traffic.name).filter(|one| !one.disturbed)?;
            let cost_ns = measured.cost_ns;
            cost_ns.is_finite().then_some(FlowPoint { flows: traffic.flows, cost_ns })
        };
        let points: Vec<FlowPoint> = traffics.iter().filter_map(point).collect();
        let (fit, note) = fit(&points);
        let miss = fit.map_or(0.0, |law| worst_miss(&points, law));
        FlowScaling { arm: arm.to_owned(), points, fit, miss, note }
    };
    let arms = results.config.arms.iter().filter(|arm| arm.name != super::NONE);
    arms.map(|arm| of(&arm.name)).filter(|scaling| !scaling.points.is_empty()).collect()
}

/// The law that comes nearest to costs at different numbers of flows (least squares of relative differences, cost
/// never falls with more flows), and how far it is to be trusted.
fn fit(points: &[FlowPoint]) -> (Option<KneeLaw>, String) {
    let law = (points.len() > 2).then(|| law(points)).flatten();
    (law, note(points, law))
}

fn law(points: &[FlowPoint]) -> Option<KneeLaw> {
    let doublings = |flows: u32| f64::from(flows).log2();
    let (first, last) = (doublings(points.first()?.flows), doublings(points.last()?.flows));
    let trials = ((last - first) * f64::from(TRIALS)) as u32;
    let knees = (0..trials).map(|trial| first + f64::from(trial) / f64::from(TRIALS));
    let mut best: Option<(f64, KneeLaw)> = None;
    for knee in knees {
        let law = with_knee(points, knee.exp2());
        let error = squares(points, law);
        if best.is_none_or(|(least, _)| error < least * (1.0 - AS_GOOD)) {
            best = Some((error, law));
        }
    }
    let (_, law) = best?;
    let rise = law.cost(last.exp2()) - law.base_ns;
    let rises = rise > (law.base_ns * LEVEL).max(LEVEL_NS);
    Some(if rises { law } else { with_knee(points, last.exp2()) })
}

/// A straight line through the costs, over the doublings beyond the knee.
fn with_knee(points: &[FlowPoint], knee: f64) -> KneeLaw {
    let beyond = |point: &FlowPoint| (f64::from(point.flows) / knee).log2().max(0.0);
    let sum = |term: &dyn Fn(&FlowPoint) -> f64| {
        points.iter().map(|point| weight(point).powi(2) * term(point)).sum::<f64>()
    };
    let all = sum(&|_| 1.0);
    let (x, y) = (sum(&beyond) / all, sum(&|point| point.cost_ns) / all);
    let spread = sum(&|point| (beyond(point) - x).powi(2));
    let together = sum(&|point| (beyond(point) - x) * (point.cost_ns - y));
    let per_doubling_ns = if spread > 0.0 { (together / spread).max(0.0) } else { 0.0 };
    KneeLaw { base_ns: y - per_doubling_ns * x, knee, per_doubling_ns }
}

fn weight(point: &FlowPoint) -> f64 {
    1.0 / point.cost_ns.abs().max(FLOOR_NS)
}

fn miss(point: &FlowPoint, law: KneeLaw) -> f64 {
    weight(point) * (law.cost(point.flows.into()) - point.cost_ns)
}

fn worst_miss(points: &[FlowPoint], law: KneeLaw) -> f64 {
    points.iter().map(|point| miss(point, law).abs()).fold(0.0, f64::max)
}

fn squares(points: &[FlowPoint], law: KneeLaw) -> f64 {
    points.iter().map(|point| miss(point, law).powi(2)).sum()
}

fn note(points: &[FlowPoint], law: Option<KneeLaw>) -> String {
    let Some((law, most)) = law.zip(points.last()) else {
        return "No fit: it takes costs with three numbers of flows at least.".into();
    };
    let rests = format!("The fit rests on {} numbers of flows", points.len());
    let few_beyond = points.iter().filter(|point| f64::from(point.flows) > law.knee).count() < 2;
    if points.len() < ENOUGH_COUNTS {
        return format!("{rests}, as many as it has unknowns: nothing could contradict it.");
    }
    if law.per_doubling_ns > 0.0 && few_beyond {
        return format!(
            "{rests}; only that of {} lies beyond the knee, which may be later, and the slope steeper.",
            most.flows
        );
    }
    format!("{rests}; beyond {} flows it is an extrapolation.", most.flows)
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{measured, results};
    use super::*;

    fn points(law: KneeLaw, counts: &[u32]) -> Vec<FlowPoint> {
        counts.iter().map(|&flows| FlowPoint { flows, cost_ns: law.cost(flows.into()) }).collect()
    }

    fn near(one: f64, other: f64) -> bool {
        (one / other - 1.0).abs() < 0.05
    }

    #[test]
    fn a_known_law_is_found_again() {
        let law = KneeLaw { base_ns: 33.0, knee: 4096.0, per_doubling_ns: 20.0 };
        let (found, note) = fit(&points(law, &[1, 40, 1000, 10_000, 100_000, 1_000_000]));
        let found = found.expect("a fit");
        let same = near(found.base_ns, 33.0) && near(found.knee, 4096.0) && near(found.per_doubling_ns, 20.0);
        assert!(same, "{found:?}");
        assert!(note.contains("6 numbers of flows"), "{note}");
        assert!(note.contains("beyond 1000000 flows"), "{note}");
    }

    #[test]
    fn what_is_level_stays_level_and_what_falls_too() {
        for costs in [[500.0; 4], [520.0, 510.0, 490.0, 480.0], [490.0, 495.0, 505.0, 510.0]] {
            let points: Vec<FlowPoint> = [1, 40, 1000, 100_000]
                .into_iter()
                .zip(costs)
                .map(|(flows, cost_ns)| FlowPoint { flows, cost_ns })
                .collect();
            let law = fit(&points).0.expect("a fit");
            assert_eq!(law.per_doubling_ns, 0.0);
            assert!(near(law.cost(1.0), 500.0) && near(law.cost(1e6), 500.0), "{law:?}");
        }
    }

    #[test]
    fn one_point_beyond_the_knee_makes_the_gentlest_slope_and_is_named() {
        let costs = [(1, 30.0), (40, 30.0), (1000, 30.0), (100_000, 130.0)];
        let (law, note) = fit(&costs.map(|(flows, cost_ns)| FlowPoint { flows, cost_ns }));
        let law = law.expect("a fit");
        assert!((1000.0 / 1.05..=1000.0 * 1.05).contains(&law.knee), "{law:?}");
        assert!(near(law.per_doubling_ns, 100.0 / 100f64.log2()), "{law:?}");
        assert!(note.contains("only that of 100000 lies beyond"), "{note}");
    }

    #[test]
    fn too_few_numbers_of_flows_make_none() {
        let law = KneeLaw { base_ns: 33.0, knee: 1.0, per_doubling_ns: 2.0 };
        for counts in [&[][..], &[1], &[1, 40]] {
            let (found, note) = fit(&points(law, counts));
            assert!(found.is_none() && note.starts_with("No fit"), "{note}");
        }
        let (found, note) = fit(&points(law, &[1, 40, 1000]));
        assert!(found.is_some() && note.contains("nothing could contradict"), "{note}");
    }

    #[test]
    fn only_plain_traffics_of_arms_that_cost_count() {
        let mut all = Vec::new();
        for (traffic, cost) in [("1-flow", 30.0), ("40-flows", 31.0), ("1000-flows", 32.0), ("zipf-9", 900.0)]
        {
            all.extend([measured("none", traffic, 1.0, 0.0), measured("weir", traffic, 0.9, cost)]);
        }
        let mut results = results(all);
        for traffic in &mut results.config.traffics {
            let number = traffic.name.split('-').find_map(|word| word.parse().ok());
            traffic.flows = number.expect("each name has one");
        }
        let scaling = flow_scaling(&results);
        assert!(scaling[0].miss < 0.05, "{scaling:?}");
        assert_eq!(scaling.iter().map(|one| one.arm.as_str()).collect::<Vec<_>>(), ["weir"]);
        let flows =
            |scaling: &FlowScaling| scaling.points.iter().map(|point| point.flows).collect::<Vec<_>>();
        assert_eq!(flows(&scaling[0]), [1, 40, 1000]);
        for one in results.results.iter_mut().filter(|one| one.traffic == "40-flows") {
            one.disturbed = true;
        }
        assert_eq!(flows(&flow_scaling(&results)[0]), [1, 1000]);
    }
}
