//! A per-CPU array for bursts, a per-CPU hash for flows.

use super::super::{Lesson, Measured, Results, WEIR};
use super::{FORTY_FLOWS, Finding, LEVEL, ONE_FLOW, judged, lost, not_compared, numbers, ratio};

const CLAIM: &str =
    "A per-CPU array is nearly free but holds only a burst, a per-CPU hash aggregates at a price: mix them.";
const ARRAY: &str = "percpu-array";
const HASH: &str = "percpu-hash";
/// The first under which all three were measured counts.
const TRAFFICS: [&str; 2] = [FORTY_FLOWS, ONE_FLOW];
/// A consumer that needs more than this of a CPU is what keeps the array from running over.
const BUSY: f64 = 0.5;

/// Three statements, under forty flows or else under one:
///
/// 1. `percpu-array` is nearly free: its ratio interval lies at 0.9 or above; it is not if it lies below.
/// 2. It holds only a burst: it lost packets under some traffic or at some rate, or its consumer took more than half
///    a CPU; it holds more if none of that was so.
/// 3. `percpu-hash` has a price that the mix saves: the cost of `weir`, the mix's heir, is less ([`Finding::less`]).
///
/// Confirmed when all hold, refuted when one does not; else the rounds scatter too much, or the machine was too slow to
/// tell costs.
pub fn lesson(results: &Results) -> Lesson {
    let numbers = numbers(results, [ARRAY, HASH, WEIR].into_iter(), &TRAFFICS);
    let all = |traffic: &&str| {
        Some((results.of(ARRAY, traffic)?, results.of(HASH, traffic)?, results.of(WEIR, traffic)?))
    };
    let Some((array, hash, weir)) = TRAFFICS.iter().find_map(all) else {
        let because = not_compared(results, &[ARRAY, HASH, WEIR], &TRAFFICS);
        return judged(CLAIM, Finding::Unclear.verdict(), because, numbers);
    };
    let findings = [
        (nearly_free(array), "the array is nearly free"),
        (only_a_burst(results), "it holds only a burst"),
        (cheaper(weir, hash), "the mix is cheaper than the hash"),
    ];
    let (finding, remark) = sum(&findings);
    let because = format!(
        "Under {}: `{ARRAY}` {:.2} of the unwatched rate, {}, consumer {:.2} CPUs; `{HASH}` {:.0} ns per packet, \
         `{WEIR}` {:.0} ns. {remark}",
        array.traffic,
        array.ratio,
        lost(array),
        array.consumer_cpu,
        hash.cost_ns,
        weir.cost_ns,
    );
    judged(CLAIM, finding.verdict(), because, numbers)
}

fn nearly_free(array: &Measured) -> Finding {
    let interval = ratio(array);
    match (interval.low >= LEVEL, interval.high < LEVEL) {
        (true, _) => Finding::Holds,
        (_, true) => Finding::Fails,
        _ => Finding::Unclear,
    }
}

fn cheaper(weir: &Measured, hash: &Measured) -> Finding {
    match weir.is_comparable_with(hash) {
        true => Finding::less(weir.cost_interval(), hash.cost_interval()),
        false => Finding::Unclear,
    }
}

fn only_a_burst(results: &Results) -> Finding {
    let measured = results.results.iter().filter(|one| one.arm == ARRAY);
    let at_rates = results.load.iter().filter(|one| one.arm == ARRAY);
    let short = measured.map(|one| one.lost > 0 || one.consumer_cpu > BUSY);
    let short_at_rates = at_rates.map(|one| one.lost_share > 0.0 || one.consumer_cpu > BUSY);
    match short.chain(short_at_rates).any(|short| short) {
        true => Finding::Holds,
        false => Finding::Fails,
    }
}

fn sum(findings: &[(Finding, &str)]) -> (Finding, String) {
    let those = |wanted| {
        let statements =
            findings.iter().filter(|(finding, _)| *finding == wanted).map(|(_, statement)| *statement);
        statements.collect::<Vec<_>>().join(", and that ")
    };
    let (fail, unclear) = (those(Finding::Fails), those(Finding::Unclear));
    match (fail.is_empty(), unclear.is_empty()) {
        (false, _) => (Finding::Fails, format!("It does not hold that {fail}.")),
        (true, false) => (
            Finding::Unclear,
            format!("The rounds scatter, or the machine was slow, too much to tell that {unclear}."),
        ),
        (true, true) => (Finding::Holds, "All three statements hold.".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::LoadPoint;
    use super::super::super::made_up::{losing, measured, results};
    use super::super::{CONFIRMED, NOT_MEASURABLE, REFUTED};
    use super::*;

    /// As the article has it.
    fn three(traffic: &str) -> Vec<Measured> {
        vec![
            losing(300, measured(ARRAY, traffic, 0.97, 5.0)),
            measured(HASH, traffic, 0.6, 90.0),
            measured(WEIR, traffic, 0.8, 40.0),
        ]
    }

    fn without_loss(traffic: &str) -> Vec<Measured> {
        let mut arms = three(traffic);
        arms[0] = measured(ARRAY, traffic, 0.97, 5.0);
        arms
    }

    #[test]
    fn all_three_statements_confirm() {
        let found = lesson(&results(three(FORTY_FLOWS)));
        assert_eq!(found.verdict, CONFIRMED);
        let told = "Under 40-flows: `percpu-array` 0.97 of the unwatched rate, 30.0 % lost, consumer 0.00 CPUs; \
                    `percpu-hash` 90 ns per packet, `weir` 40 ns. All three statements hold.";
        assert_eq!(found.because, told);
        assert_eq!(found.numbers["40-flows percpu-hash cost_ns"], 90.0);
    }

    #[test]
    fn forty_flows_go_before_one() {
        let mut dear = three(FORTY_FLOWS);
        dear[2] = measured(WEIR, FORTY_FLOWS, 0.5, 120.0);
        let found = lesson(&results([three(ONE_FLOW), dear].concat()));
        assert_eq!(found.verdict, REFUTED);
        assert!(found.because.ends_with("It does not hold that the mix is cheaper than the hash."));
        assert_eq!(lesson(&results(three(ONE_FLOW))).verdict, CONFIRMED);
    }

    #[test]
    fn an_array_that_costs_refutes() {
        let mut arms = three(FORTY_FLOWS);
        arms[0] = losing(300, measured(ARRAY, FORTY_FLOWS, 0.7, 5.0));
        let found = lesson(&results(arms));
        assert_eq!(found.verdict, REFUTED);
        assert!(found.because.contains("not hold that the array is nearly free."), "{}", found.because);
    }

    #[test]
    fn an_array_that_holds_everything_refutes() {
        let mut results = results(without_loss(FORTY_FLOWS));
        let found = lesson(&results);
        assert_eq!(found.verdict, REFUTED);
        assert!(found.because.contains("not hold that it holds only a burst."), "{}", found.because);
        results.load = vec![LoadPoint { arm: ARRAY.into(), lost_share: 0.1, ..LoadPoint::default() }];
        assert_eq!(lesson(&results).verdict, CONFIRMED);
        results.load[0].arm = HASH.into();
        assert_eq!(lesson(&results).verdict, REFUTED);
        results.results[0].consumer_cpu = 0.8;
        assert_eq!(lesson(&results).verdict, CONFIRMED);
    }

    #[test]
    fn scattered_rounds_tell_nothing() {
        let mut arms = three(FORTY_FLOWS);
        arms[0].ratio_low = 0.85;
        let found = lesson(&results(arms));
        assert_eq!(found.verdict, NOT_MEASURABLE);
        assert!(
            found.because.ends_with("too much to tell that the array is nearly free."),
            "{}",
            found.because
        );
        let mut arms = three(FORTY_FLOWS);
        arms[2].slower_ns_rounds.clear();
        assert_eq!(lesson(&results(arms)).verdict, NOT_MEASURABLE);
    }

    #[test]
    fn a_slow_machine_tells_no_cost() {
        for slow in [1, 2] {
            let mut arms = three(FORTY_FLOWS);
            arms[slow].disturbed = true;
            assert_eq!(lesson(&results(arms)).verdict, NOT_MEASURABLE);
        }
    }

    #[test]
    fn an_arm_that_is_missing_is_named() {
        let found = lesson(&results(three(FORTY_FLOWS)[..2].to_vec()));
        assert_eq!(found.verdict, NOT_MEASURABLE);
        assert_eq!(found.because, "Under 40-flows or 1-flow, `weir` was not measured.");
    }
}
