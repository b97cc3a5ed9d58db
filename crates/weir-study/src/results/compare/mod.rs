//! Two studies, side by side: what changed, and whether it is noise.

mod table;

use super::statistics::{ENOUGH_ROUNDS, bootstrap_difference};
use super::{Interval, Measured, NONE, Results};

/// What lies between two studies, `a` and `b`.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// What else differs, so that the figures may differ for that: a sentence each.
    pub warnings: Vec<String>,
    /// Every arm and traffic that both have, in the order of `a`; not `none`, whose ratio is 1.
    pub figures: Vec<Figure>,
    /// What only `a` has: arm and traffic.
    pub only_in_a: Vec<(String, String)>,
    /// What only `b` has: arm and traffic.
    pub only_in_b: Vec<(String, String)>,
}

/// One arm under one traffic, in both studies.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Name of the arm.
    pub arm: String,
    /// Name of the traffic.
    pub traffic: String,
    /// `ratio` in `a`.
    pub a: f64,
    /// `ratio` in `b`.
    pub b: f64,
    /// Where the difference of the medians, `b` less `a`, lies with 95 % confidence.
    pub difference: Interval,
    /// What to make of it.
    pub judgement: Judgement,
}

/// Whether a figure changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// The interval of the difference does not contain zero.
    Change,
    /// It does: the rounds of each study scatter as much.
    Noise,
    /// There are fewer than four rounds on either side, too few to tell.
    FewRounds,
}

impl Figure {
    /// From `a` to `b`; none where `a` is nought.
    pub fn percent(&self) -> Option<f64> {
        let percent = 100.0 * (self.b / self.a - 1.0);
        percent.is_finite().then_some(percent)
    }
}

impl Comparison {
    /// What changed beyond noise, greatest first.
    pub fn changes(&self) -> Vec<&Figure> {
        let mut changes: Vec<&Figure> =
            self.figures.iter().filter(|figure| figure.judgement == Judgement::Change).collect();
        let size = |figure: &Figure| figure.percent().unwrap_or(f64::INFINITY).abs();
        changes.sort_by(|one, other| size(other).total_cmp(&size(one)));
        changes
    }
}

/// Compares the ratios to `none` of two studies, arm by arm and traffic by traffic. Rounds of different studies are
/// no pairs, so that the difference is that of two independent medians.
pub fn compare(a: &Results, b: &Results) -> Comparison {
    let both = watching(a).filter_map(|one| Some(figure(one, b.of(&one.arm, &one.traffic)?)));
    Comparison {
        warnings: warnings(a, b),
        figures: both.collect(),
        only_in_a: only_in(a, b),
        only_in_b: only_in(b, a),
    }
}

fn watching(results: &Results) -> impl Iterator<Item = &Measured> {
    results.results.iter().filter(|one| one.arm != NONE)
}

fn figure(a: &Measured, b: &Measured) -> Figure {
    let difference = bootstrap_difference(&a.ratio_rounds, &b.ratio_rounds);
    let judgement = match a.ratio_rounds.len().min(b.ratio_rounds.len()) < ENOUGH_ROUNDS {
        true => Judgement::FewRounds,
        false if difference.contains(0.0) => Judgement::Noise,
        false => Judgement::Change,
    };
    let (arm, traffic) = (a.arm.clone(), a.traffic.clone());
    Figure { arm, traffic, a: a.ratio, b: b.ratio, difference, judgement }
}

fn only_in(one: &Results, other: &Results) -> Vec<(String, String)> {
    let alone = watching(one).filter(|measured| other.of(&measured.arm, &measured.traffic).is_none());
    alone.map(|measured| (measured.arm.clone(), measured.traffic.clone())).collect()
}

fn warnings(a: &Results, b: &Results) -> Vec<String> {
    let differ = |what: &str, a: &dyn ToString, b: &dyn ToString| {
        let (a, b) = (a.to_string(), b.to_string());
        (a != b).then(|| format!("Not the same {what}: {a} in A, {b} in B."))
    };
    let partial = |name: &str, results: &Results| {
        results.partial.as_ref().map(|why| format!("{name} is partial: {}.", why.trim_end_matches('.')))
    };
    let governor = |results: &Results| results.machine.governor.clone().unwrap_or_else(|| "none".into());
    let all = [
        differ("format", &a.format, &b.format),
        differ("CPU", &a.machine.cpu, &b.machine.cpu),
        differ("number of CPUs", &a.machine.cpus, &b.machine.cpus),
        differ("kernel", &a.machine.kernel, &b.machine.kernel),
        differ("frequency governor", &governor(a), &governor(b)),
        differ("effort", &a.config.effort, &b.config.effort),
        differ("number of senders", &a.config.senders, &b.config.senders),
        differ("link", &a.config.link, &b.config.link),
        partial("A", a),
        partial("B", b),
    ];
    all.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{measured, results};
    use super::*;

    fn judged(a: &[f64], b: &[f64]) -> Judgement {
        let with = |rounds: &[f64]| {
            let mut one = measured("weir", "1-flow", 0.5, 10.0);
            one.ratio_rounds = rounds.to_vec();
            results(vec![one])
        };
        compare(&with(a), &with(b)).figures[0].judgement
    }

    #[test]
    fn apart_is_a_change_and_overlap_is_noise() {
        let before = [0.50, 0.51, 0.52, 0.49, 0.50];
        assert_eq!(judged(&before, &[0.60, 0.61, 0.62, 0.59, 0.60]), Judgement::Change);
        assert_eq!(judged(&before, &[0.40, 0.41, 0.42, 0.39, 0.40]), Judgement::Change);
        assert_eq!(judged(&before, &before), Judgement::Noise);
        assert_eq!(judged(&before, &[0.45, 0.51, 0.60, 0.49, 0.53]), Judgement::Noise);
    }

    #[test]
    fn three_rounds_are_too_few() {
        let before = [0.50, 0.51, 0.52, 0.49, 0.50];
        assert_eq!(judged(&before, &[0.90, 0.91, 0.92]), Judgement::FewRounds);
        assert_eq!(judged(&[], &before), Judgement::FewRounds);
        assert_eq!(judged(&before, &[0.90, 0.91, 0.92, 0.93]), Judgement::Change);
    }

    #[test]
    fn what_only_one_has_is_listed() {
        let [weir, hash, array] = ["weir", "hash", "array"].map(|arm| measured(arm, "1-flow", 0.5, 10.0));
        let none = measured("none", "1-flow", 1.0, 0.0);
        let a = results(vec![none.clone(), weir.clone(), hash]);
        let found = compare(&a, &results(vec![none, array, weir]));
        assert_eq!(found.figures.iter().map(|one| one.arm.as_str()).collect::<Vec<_>>(), ["weir"]);
        assert_eq!(found.only_in_a, [("hash".to_owned(), "1-flow".to_owned())]);
        assert_eq!(found.only_in_b, [("array".to_owned(), "1-flow".to_owned())]);
    }

    #[test]
    fn the_greatest_change_comes_first() {
        let study = |ratios: [f64; 3]| {
            let arms = ["hash", "weir", "array"].into_iter().zip(ratios);
            results(arms.map(|(arm, ratio)| measured(arm, "1-flow", ratio, 10.0)).collect())
        };
        let found = compare(&study([0.5, 0.5, 0.5]), &study([0.6, 0.5, 0.3]));
        let changes: Vec<_> =
            found.changes().into_iter().map(|one| (one.arm.as_str(), one.percent())).collect();
        assert_eq!(changes.iter().map(|(arm, _)| *arm).collect::<Vec<_>>(), ["array", "hash"]);
        assert!((changes[0].1.expect("a share") + 40.0).abs() < 1e-9, "{changes:?}");
    }

    #[test]
    fn other_circumstances_are_warned_of() {
        let a = results(vec![]);
        assert!(compare(&a, &a).warnings.is_empty());
        let mut b = a.clone();
        b.machine.kernel = "6.18.0".into();
        (b.config.effort, b.config.link) = ("full".into(), "eth0".into());
        (b.machine.cpu, b.format, b.partial) = ("Another".into(), 0, Some("interrupted".into()));
        let warnings = compare(&a, &b).warnings;
        assert_eq!(warnings.len(), 6, "{warnings:?}");
        assert!(
            warnings.contains(&"Not the same kernel: 6.12.0 in A, 6.18.0 in B.".to_owned()),
            "{warnings:?}"
        );
        assert!(warnings.contains(&"B is partial: interrupted.".to_owned()), "{warnings:?}");
    }
}
