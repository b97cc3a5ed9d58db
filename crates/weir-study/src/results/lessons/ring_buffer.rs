//! A record per packet.

use super::super::{Lesson, Measured, Results};
use super::{FORTY_FLOWS, Finding, ONE_FLOW, aggregating, judged, not_compared, numbers, ratio, told};

const CLAIM: &str = "One record per packet through a ring buffer does not scale.";
const RING_BUFFER: &str = "ringbuf";
const REFERENCE: &str = "percpu-hash";
const TRAFFICS: [&str; 2] = [ONE_FLOW, FORTY_FLOWS];

/// Under one flow and under forty, `ringbuf` is held against `percpu-hash`.
///
/// Confirmed when under either its ratio interval lies below, or it loses packets where `percpu-hash` loses none:
/// what fails under one of them does not scale. Refuted when under all that were measured it keeps up (it is not
/// less, see [`Finding::less`]), with two senders or more: one alone says nothing about scale.
pub fn lesson(results: &Results) -> Lesson {
    let arms = [RING_BUFFER].into_iter().chain(aggregating(results));
    let numbers = numbers(results, arms, &TRAFFICS);
    let pair = |traffic: &&str| Some((results.of(RING_BUFFER, traffic)?, results.of(REFERENCE, traffic)?));
    let pairs: Vec<_> = TRAFFICS.iter().filter_map(pair).collect();
    if pairs.is_empty() {
        let because = not_compared(results, &[RING_BUFFER, REFERENCE], &TRAFFICS);
        return judged(CLAIM, Finding::Unclear.verdict(), because, numbers);
    }
    let findings: Vec<Finding> = pairs.iter().map(|(ring, hash)| falls_behind(ring, hash)).collect();
    let all_fail = findings.iter().all(|&finding| finding == Finding::Fails);
    let (finding, remark) = match (findings.contains(&Finding::Holds), all_fail, results.config.senders) {
        (true, ..) => (Finding::Holds, ""),
        (false, true, 0 | 1) => (Finding::Unclear, " It keeps up with one sender; scale takes two or more."),
        (false, true, _) => (Finding::Fails, ""),
        (false, false, _) => (Finding::Unclear, " The rounds scatter too much to tell."),
    };
    let told =
        pairs.iter().map(|(ring, hash)| format!("Under {}: {}; {}.", ring.traffic, told(ring), told(hash)));
    let because = told.collect::<Vec<_>>().join(" ") + remark;
    judged(CLAIM, finding.verdict(), because, numbers)
}

fn falls_behind(ring: &Measured, hash: &Measured) -> Finding {
    match ring.lost > 0 && hash.lost == 0 {
        true => Finding::Holds,
        false => Finding::less(ratio(ring), ratio(hash)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::made_up::{losing, measured, results};
    use super::super::{CONFIRMED, NOT_MEASURABLE, REFUTED};
    use super::*;

    fn pair(traffic: &str, ring: f64, hash: f64) -> Vec<Measured> {
        vec![measured(RING_BUFFER, traffic, ring, 100.0), measured(REFERENCE, traffic, hash, 50.0)]
    }

    #[test]
    fn slower_is_confirmed() {
        let found = lesson(&results(pair(ONE_FLOW, 0.4, 0.6)));
        assert_eq!(found.verdict, CONFIRMED);
        let told = "Under 1-flow: `ringbuf` 0.40 of the unwatched rate (0.39 to 0.41), nothing lost, consumer 0.00 \
                    CPUs; `percpu-hash` 0.60 of";
        assert!(found.because.starts_with(told), "{}", found.because);
        assert_eq!(found.numbers["1-flow percpu-hash ratio"], 0.6);
    }

    #[test]
    fn one_traffic_is_enough() {
        let found = lesson(&results([pair(ONE_FLOW, 0.9, 0.9), pair(FORTY_FLOWS, 0.4, 0.6)].concat()));
        assert_eq!(found.verdict, CONFIRMED);
        assert!(found.because.contains("Under 1-flow") && found.because.contains("Under 40-flows"));
    }

    #[test]
    fn loss_confirms_where_the_hash_loses_nothing() {
        let [ring, hash] =
            [(RING_BUFFER, 0.9), (REFERENCE, 0.8)].map(|(arm, ratio)| measured(arm, ONE_FLOW, ratio, 9.0));
        let lossy = losing(250, ring);
        let found = lesson(&results(vec![lossy.clone(), hash.clone()]));
        assert_eq!(found.verdict, CONFIRMED);
        assert!(found.because.contains("25.0 % lost"), "{}", found.because);
        assert_eq!(lesson(&results(vec![lossy, losing(1, hash)])).verdict, REFUTED);
    }

    #[test]
    fn keeping_up_refutes_with_two_senders_only() {
        let mut results = results([pair(ONE_FLOW, 0.9, 0.9), pair(FORTY_FLOWS, 0.95, 0.9)].concat());
        assert_eq!(lesson(&results).verdict, REFUTED);
        results.config.senders = 1;
        let found = lesson(&results);
        assert_eq!(found.verdict, NOT_MEASURABLE);
        assert!(found.because.ends_with("scale takes two or more."), "{}", found.because);
    }

    #[test]
    fn scattered_rounds_tell_nothing() {
        let mut pair = pair(ONE_FLOW, 0.8, 0.8);
        pair[0].ratio_low = 0.5;
        let found = lesson(&results(pair));
        assert_eq!(found.verdict, NOT_MEASURABLE);
        assert!(found.because.ends_with("scatter too much to tell."), "{}", found.because);
    }

    #[test]
    fn an_arm_that_is_missing_is_named() {
        let found = lesson(&results(vec![measured(RING_BUFFER, ONE_FLOW, 0.4, 100.0)]));
        assert_eq!(found.verdict, NOT_MEASURABLE);
        assert_eq!(found.because, "Under 1-flow or 40-flows, `percpu-hash` was not measured.");
        let apart = [pair(ONE_FLOW, 0.4, 0.6)[0].clone(), pair(FORTY_FLOWS, 0.4, 0.6)[1].clone()];
        let found = lesson(&results(apart.to_vec()));
        assert!(found.because.contains("not measured under the same traffic"), "{}", found.because);
    }
}
