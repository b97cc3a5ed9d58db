//! Whether anything else watches as well as Weir for less.

use super::{EMPTY, Interval, Measured, NONE, Results, WEIR, bootstrap};
use std::fmt;

/// Two figures that are nearer than that, each a difference of two, are the same: where windows are not timed, the kernel
/// tells the time of live frames in whole nanoseconds per packet.
const TOLD_APART: f64 = 2.0;
/// An arm is dominated where another costs less than this share of what it costs itself.
pub const CHEAPER: f64 = 0.9;

/// A traffic model under which an arm without loss is more than 10 % cheaper than Weir.
#[derive(Debug, Clone, PartialEq)]
pub struct Domination {
    /// Name of the traffic.
    pub traffic: String,
    /// Name of the arm that is cheaper.
    pub arm: String,
    /// What it costs, in nanoseconds per packet.
    pub cost_ns: f64,
    /// Where that lies, with 95 % confidence.
    pub cost: Interval,
    /// What Weir costs there, in nanoseconds per packet.
    pub weir_cost_ns: f64,
    /// Where that lies, with 95 % confidence.
    pub weir_cost: Interval,
}

impl fmt::Display for Domination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { traffic, arm, cost_ns, cost, weir_cost_ns, weir_cost } = self;
        write!(f, "under {traffic} `{arm}` costs {cost_ns:.1} ns ({:.1} to {:.1}), ", cost.low, cost.high)?;
        write!(f, "`{WEIR}` {weir_cost_ns:.1} ns ({:.1} to {:.1})", weir_cost.low, weir_cost.high)
    }
}

impl Measured {
    /// Where `cost_ns` lies, with 95 % confidence: the bootstrap interval of `slower_ns`, moved up by the consumer's
    /// share, which is one figure for all rounds. Unknown where there are no rounds.
    pub fn cost_interval(&self) -> Interval {
        bootstrap(&self.slower_ns_rounds).shifted(self.cost_ns - self.slower_ns)
    }
}

/// Where Weir is dominated: under which traffic another arm that keeps records (`postcards` or `aggregate`) and
/// loses nothing is more than 10 % cheaper per packet, the consumer's share included.
///
/// Nothing is said of figures that were [disturbed](Measured::disturbed): one may be of a slower machine than the other.
///
/// Beyond noise: the whole interval of the arm's cost ([`Measured::cost_interval`]) lies below that of Weir's. What
/// costs Weir nothing that could be measured is not cheaper elsewhere.
pub fn dominated(results: &Results) -> Vec<Domination> {
    results
        .results
        .iter()
        .filter(|one| keeps_records(results, &one.arm))
        .filter_map(|one| beats(results, one))
        .collect()
}

fn keeps_records(results: &Results, arm: &str) -> bool {
    let kept = |kind: &str| kind == "postcards" || kind == "aggregate";
    let listed = results.config.arms.iter().any(|info| info.name == arm && kept(&info.kind));
    listed && ![NONE, EMPTY, WEIR].contains(&arm)
}

fn beats(results: &Results, one: &Measured) -> Option<Domination> {
    let weir = results.of(WEIR, &one.traffic)?;
    let (cost, weir_cost) = (one.cost_interval(), weir.cost_interval());
    let apart = weir.cost_ns > 0.0 && weir.cost_ns - one.cost_ns > TOLD_APART;
    let cheaper = apart && one.cost_ns < CHEAPER * weir.cost_ns && cost.is_below(weir_cost);
    (one.is_lossless() && one.is_comparable_with(weir) && cheaper).then(|| Domination {
        traffic: one.traffic.clone(),
        arm: one.arm.clone(),
        cost_ns: one.cost_ns,
        cost,
        weir_cost_ns: weir.cost_ns,
        weir_cost,
    })
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{losing, measured, results};
    use super::*;

    fn arms(measured: Vec<Measured>) -> Vec<String> {
        dominated(&results(measured)).into_iter().map(|one| one.arm).collect()
    }

    fn weir(slower_ns: f64) -> Measured {
        measured(WEIR, "1-flow", 0.8, slower_ns)
    }

    #[test]
    fn who_loses_nothing_and_costs_less_dominates() {
        let cheap = measured("percpu-hash", "1-flow", 0.9, 80.0);
        let elsewhere = measured("percpu-hash", "40-flows", 0.9, 20.0);
        let found = dominated(&results(vec![weir(100.0), cheap, elsewhere]));
        assert_eq!(found.len(), 1, "{found:?}");
        let said = "under 1-flow `percpu-hash` costs 80.0 ns (78.4 to 81.6), `weir` 100.0 ns (98.0 to 102.0)";
        assert_eq!(found[0].to_string(), said);
    }

    #[test]
    fn postcards_count_and_baselines_do_not() {
        let cheap = ["none", "empty", "tcpdump", "ringbuf"].map(|arm| measured(arm, "1-flow", 0.9, 50.0));
        assert_eq!(arms([&[weir(100.0)][..], &cheap].concat()), ["ringbuf"]);
    }

    #[test]
    fn loss_and_wrong_accounts_disqualify() {
        let lossy = losing(1, measured("hash", "1-flow", 0.9, 50.0));
        let mut vague = measured("array", "1-flow", 0.9, 50.0);
        vague.accuracy_flows = None;
        assert!(arms(vec![weir(100.0), lossy, vague]).is_empty());
    }

    #[test]
    fn a_tenth_is_allowed() {
        assert!(arms(vec![weir(100.0), measured("hash", "1-flow", 0.9, 91.0)]).is_empty());
        assert_eq!(arms(vec![weir(100.0), measured("hash", "1-flow", 0.9, 89.0)]), ["hash"]);
    }

    #[test]
    fn noise_is_no_domination() {
        let mut scattered = measured("hash", "1-flow", 0.9, 50.0);
        scattered.slower_ns_rounds = vec![10.0, 40.0, 50.0, 60.0, 120.0];
        let mut without_rounds = measured("array", "1-flow", 0.9, 50.0);
        without_rounds.slower_ns_rounds.clear();
        assert!(arms(vec![weir(100.0), scattered, without_rounds]).is_empty());
    }

    #[test]
    fn a_slow_machine_says_nothing() {
        let cheap = measured("hash", "1-flow", 0.9, 50.0);
        let disturbed = |one: &Measured| Measured { disturbed: true, ..one.clone() };
        assert_eq!(arms(vec![weir(100.0), cheap.clone()]), ["hash"]);
        assert!(arms(vec![disturbed(&weir(100.0)), cheap.clone()]).is_empty());
        assert!(arms(vec![weir(100.0), disturbed(&cheap)]).is_empty());
    }

    /// Cheap on the sending CPU, dear in the consumer.
    #[test]
    fn the_consumer_counts() {
        let mut busy = measured("ringbuf", "1-flow", 0.9, 50.0);
        busy.cost_ns += 300.0;
        assert!(arms(vec![weir(100.0), busy]).is_empty());
    }

    #[test]
    fn nothing_is_cheaper_than_free() {
        assert!(arms(vec![weir(-2.0), measured("hash", "1-flow", 1.0, -5.0)]).is_empty());
        assert!(arms(vec![measured("hash", "1-flow", 1.0, 5.0)]).is_empty());
    }
}
