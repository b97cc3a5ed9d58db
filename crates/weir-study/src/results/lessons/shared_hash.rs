//! A hash that all CPUs share.

use super::super::{Interval, Lesson, Machine, Results, Scaling};
use super::{Finding, ONE_FLOW, aggregating, judged, not_compared, numbers, quoted, ratio};

const CLAIM: &str = "One shared hash is the worst place for a single busy flow.";
/// One hash for all CPUs: done well, and as the article had it.
const SHARED: [&str; 2] = ["hash", "hash-published"];
/// They are one hash for all CPUs as well, so that `hash` is not held against them.
const SHARED_TOO: [&str; 2] = ["hash-spinlock", "lru-hash"];
/// Two that send, and one for the consumer.
const CPUS: u32 = 3;
/// With fewer that send at once, nothing that goes well says that it would go well with more: the article had forty.
const REFUTING_SENDERS: u32 = 4;
/// A rate by number of senders was measured once: this share of it, up and down, stands in for an interval.
const MARGIN: f64 = 0.05;

/// What arms did while several CPUs sent one flow.
struct Contended<'a> {
    senders: u32,
    unit: &'static str,
    /// Name, figure, and where it lies.
    arms: Vec<(&'a str, f64, Interval)>,
}

/// With several senders of one flow, `hash` (or `hash-published` where only that was measured) is held against all
/// aggregating arms that are not one hash for all CPUs.
///
/// Confirmed when it is less than each of them ([`Finding::less`]); refuted when it is not less than one of them with
/// [`REFUTING_SENDERS`] senders or more.
/// The figures are the rates with the most senders from the scaling section, or else the ratios under `1-flow`.
/// With one sender, or where all CPUs are threads of one core, contention is not measurable: threads of a core slow
/// each other down without any lock.
pub fn lesson(results: &Results) -> Lesson {
    let numbers = numbers(results, aggregating(results), &[ONE_FLOW]);
    let unknown = |because| judged(CLAIM, Finding::Unclear.verdict(), because, numbers.clone());
    if cores(&results.machine) < 2 {
        let cpus = results.machine.cpus;
        return unknown(format!(
            "Contention takes {CPUS} CPUs on two cores or more; here are {cpus} on one core."
        ));
    }
    let Some(contended) = by_scaling(results).or_else(|| by_traffic(results)) else {
        return unknown(why_not(results));
    };
    let mut numbers = numbers.clone();
    let figures = contended.arms.iter().map(|(arm, value, _)| (contended.label(arm), *value));
    numbers.extend(figures.filter(|(_, value)| value.is_finite()));
    let (finding, because) = contended.judge();
    judged(CLAIM, finding.verdict(), because, numbers)
}

/// CPUs that the list of siblings does not mention have a core of their own.
fn cores(machine: &Machine) -> usize {
    let listed: usize = machine.siblings.iter().map(Vec::len).sum();
    machine.siblings.len() + (machine.cpus as usize).saturating_sub(listed)
}

fn by_scaling(results: &Results) -> Option<Contended<'_>> {
    let of_one_flow = || results.scaling.iter().filter(|one| one.traffic == ONE_FLOW);
    let numbers_of_senders = of_one_flow().flat_map(|one| one.points.iter().map(|point| point.senders));
    let mut numbers_of_senders: Vec<u32> = numbers_of_senders.filter(|&senders| senders > 1).collect();
    numbers_of_senders.sort_unstable_by(|one, other| other.cmp(one));
    let with = |senders| {
        let arms = of_one_flow().filter_map(|one| with_senders(one, senders)).collect();
        Contended { senders, unit: "Mpps", arms }.comparable(results)
    };
    numbers_of_senders.into_iter().find_map(with)
}

fn with_senders(one: &Scaling, senders: u32) -> Option<(&str, f64, Interval)> {
    let mpps = one.points.iter().find(|point| point.senders == senders)?.mpps;
    Some((&one.arm, mpps, Interval { low: mpps * (1.0 - MARGIN), high: mpps * (1.0 + MARGIN) }))
}

fn by_traffic(results: &Results) -> Option<Contended<'_>> {
    let senders = results.config.senders;
    let measured = results.results.iter().filter(|one| one.traffic == ONE_FLOW);
    let arms = measured.map(|one| (one.arm.as_str(), one.ratio, ratio(one))).collect();
    let contended = (senders > 1).then_some(Contended { senders, unit: "of the unwatched rate", arms })?;
    contended.comparable(results)
}

fn why_not(results: &Results) -> String {
    if results.config.senders < 2 && results.scaling.is_empty() {
        let cpus = results.machine.cpus;
        return format!(
            "Only one CPU sent, so nothing contended: it takes {CPUS} CPUs or more, here are {cpus}."
        );
    }
    let rival = |arm: &&str| !is_shared(arm) && results.of(arm, ONE_FLOW).is_some();
    match aggregating(results).any(|arm| rival(&arm)) {
        true => not_compared(results, &SHARED, &[ONE_FLOW]),
        false => {
            format!("Nothing was measured under {ONE_FLOW} that {} could be held against.", quoted(&SHARED))
        }
    }
}

fn is_shared(arm: &str) -> bool {
    SHARED.contains(&arm) || SHARED_TOO.contains(&arm)
}

impl<'a> Contended<'a> {
    /// Aggregating arms only; nothing unless there is a shared hash among them, and something else.
    fn comparable(mut self, results: &Results) -> Option<Self> {
        self.arms.retain(|(arm, ..)| aggregating(results).any(|other| other == *arm));
        (self.shared().is_some() && self.rivals().next().is_some()).then_some(self)
    }

    fn shared(&self) -> Option<&(&'a str, f64, Interval)> {
        SHARED.iter().find_map(|name| self.arms.iter().find(|(arm, ..)| arm == name))
    }

    fn rivals(&self) -> impl Iterator<Item = &(&'a str, f64, Interval)> {
        self.arms.iter().filter(|(arm, ..)| !is_shared(arm))
    }

    fn label(&self, arm: &str) -> String {
        format!("{ONE_FLOW} {arm} {} with {} senders", self.unit, self.senders)
    }

    fn judge(&self) -> (Finding, String) {
        let least = self.rivals().min_by(|(_, one, _), (_, other, _)| one.total_cmp(other));
        let (Some((shared, value, interval)), Some((rival, least, _))) = (self.shared(), least) else {
            return (Finding::Unclear, String::new());
        };
        let findings: Vec<Finding> =
            self.rivals().map(|(_, _, other)| Finding::less(*interval, *other)).collect();
        let (finding, remark) = match findings.contains(&Finding::Fails) {
            true if self.senders < REFUTING_SENDERS => {
                (Finding::Unclear, " With so few that send at once contention hardly shows.")
            }
            true => (Finding::Fails, ""),
            false if findings.contains(&Finding::Unclear) => {
                (Finding::Unclear, " That is too close to tell.")
            }
            false => (Finding::Holds, ""),
        };
        let Self { senders, unit, .. } = self;
        let because = format!(
            "With {senders} senders of one flow `{shared}` reached {value:.2} {unit}; the least of those that are \
             not one hash for all CPUs, `{rival}`, {least:.2}.{remark}"
        );
        (finding, because)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::ScalingPoint;
    use super::super::super::made_up::{measured, results};
    use super::super::{CONFIRMED, NOT_MEASURABLE, REFUTED};
    use super::*;

    fn under_one_flow(arms: &[(&str, f64)]) -> Results {
        let mut results =
            results(arms.iter().map(|(arm, ratio)| measured(arm, ONE_FLOW, *ratio, 10.0)).collect());
        results.config.senders = REFUTING_SENDERS;
        results
    }

    fn scaling(arm: &str, rates: &[(u32, f64)]) -> Scaling {
        let points = rates.iter().map(|&(senders, mpps)| ScalingPoint { senders, mpps }).collect();
        Scaling { arm: arm.into(), traffic: ONE_FLOW.into(), points, ..Scaling::default() }
    }

    #[test]
    fn worst_of_all_is_confirmed() {
        let found = lesson(&under_one_flow(&[("hash", 0.3), ("percpu-hash", 0.6), ("weir", 0.9)]));
        assert_eq!(found.verdict, CONFIRMED);
        let told = "With 4 senders of one flow `hash` reached 0.30 of the unwatched rate; the least of those that \
                    are not one hash for all CPUs, `percpu-hash`, 0.60.";
        assert_eq!(found.because, told);
        assert_eq!(found.numbers["1-flow weir of the unwatched rate with 4 senders"], 0.9);
    }

    #[test]
    fn another_as_bad_refutes() {
        assert_eq!(
            lesson(&under_one_flow(&[("hash", 0.6), ("percpu-hash", 0.5), ("weir", 0.9)])).verdict,
            REFUTED
        );
        assert_eq!(lesson(&under_one_flow(&[("hash", 0.6), ("percpu-hash", 0.6)])).verdict, REFUTED);
    }

    #[test]
    fn a_few_senders_refute_nothing() {
        let mut results = under_one_flow(&[("hash", 0.6), ("percpu-hash", 0.6)]);
        results.config.senders = REFUTING_SENDERS - 1;
        let found = lesson(&results);
        assert_eq!(found.verdict, NOT_MEASURABLE);
        assert!(found.because.contains("contention hardly shows"), "{}", found.because);
    }

    /// The hash done well counts; the published one, and others that are shared, do not speak for it.
    #[test]
    fn the_published_one_stands_in_only() {
        let arms = [("hash-published", 0.3), ("percpu-hash", 0.6), ("lru-hash", 0.1), ("ringbuf", 0.1)];
        assert_eq!(lesson(&under_one_flow(&arms)).verdict, CONFIRMED);
        let done_well = [&arms[..], &[("hash", 0.7)]].concat();
        assert_eq!(lesson(&under_one_flow(&done_well)).verdict, REFUTED);
    }

    #[test]
    fn the_most_senders_decide() {
        let mut results = under_one_flow(&[("hash", 0.9), ("percpu-hash", 0.5)]);
        results.scaling = vec![
            scaling("hash", &[(1, 2.0), (2, 1.5), (4, 1.0), (8, 0.1)]),
            scaling("percpu-hash", &[(1, 1.5), (2, 3.0), (4, 6.0)]),
        ];
        let found = lesson(&results);
        assert_eq!(found.verdict, CONFIRMED);
        assert!(
            found.because.starts_with("With 4 senders of one flow `hash` reached 1.00 Mpps"),
            "{}",
            found.because
        );
        results.scaling[0] = scaling("hash", &[(4, 5.8)]);
        assert_eq!(lesson(&results).verdict, NOT_MEASURABLE);
        results.scaling[0] = scaling("hash", &[(4, 6.1)]);
        assert_eq!(lesson(&results).verdict, REFUTED);
    }

    #[test]
    fn nothing_contends_with_one_sender() {
        let mut results = under_one_flow(&[("hash", 0.3), ("percpu-hash", 0.6)]);
        results.config.senders = 1;
        let found = lesson(&results);
        assert_eq!(found.verdict, NOT_MEASURABLE);
        assert!(found.because.contains("3 CPUs or more, here are 4"), "{}", found.because);
        assert_eq!(found.numbers["1-flow hash ratio"], 0.3);
        results.scaling = vec![scaling("hash", &[(1, 2.0)]), scaling("percpu-hash", &[(1, 2.0)])];
        assert_eq!(lesson(&results).verdict, NOT_MEASURABLE);
    }

    #[test]
    fn threads_of_one_core_tell_nothing() {
        let mut results = under_one_flow(&[("hash", 0.3), ("percpu-hash", 0.6)]);
        (results.machine.cpus, results.machine.siblings) = (2, vec![vec![0, 1]]);
        let found = lesson(&results);
        let told = "Contention takes 3 CPUs on two cores or more; here are 2 on one core.";
        assert_eq!((found.verdict.as_str(), found.because.as_str()), (NOT_MEASURABLE, told));
        results.machine.siblings.clear();
        assert_eq!(lesson(&results).verdict, CONFIRMED);
    }

    #[test]
    fn it_takes_two_to_compare() {
        let alone = lesson(&under_one_flow(&[("hash", 0.3), ("lru-hash", 0.6)]));
        assert_eq!(alone.verdict, NOT_MEASURABLE);
        assert!(alone.because.contains("could be held against"), "{}", alone.because);
        let without = lesson(&under_one_flow(&[("percpu-hash", 0.3)]));
        assert!(without.because.contains("`hash` was not measured"), "{}", without.because);
    }
}
