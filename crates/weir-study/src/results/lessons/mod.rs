//! The article's three lessons, held against the figures of a study. Each file has one, with its rule.

mod mix;
mod ring_buffer;
mod shared_hash;

use super::{ARTICLE, Interval, Lesson, Measured, NONE, Results};
use std::collections::BTreeMap;

/// The figures show what the article says.
pub const CONFIRMED: &str = "confirmed";
/// The figures show that it is otherwise here.
pub const REFUTED: &str = "refuted";
/// This run cannot tell: something was not measured, the machine does not allow it, or the rounds scatter too much.
pub const NOT_MEASURABLE: &str = "not measurable here";

const ONE_FLOW: &str = "1-flow";
const FORTY_FLOWS: &str = "40-flows";

/// What is at least this share of another even at worst is not below it.
const LEVEL: f64 = 0.9;

/// What the article taught, each lesson judged by the figures of this run alone.
pub fn lessons(results: &Results) -> Vec<Lesson> {
    vec![ring_buffer::lesson(results), shared_hash::lesson(results), mix::lesson(results)]
}

/// What the figures say of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finding {
    Holds,
    Fails,
    /// The rounds scatter too much to tell.
    Unclear,
}

impl Finding {
    /// One thing is less than another if its interval ends before the other's begins. It is not if it is within
    /// 10 % of the other, or more, wherever in the two intervals the truth may be.
    fn less(one: Interval, other: Interval) -> Self {
        match (one.is_below(other), one.low >= LEVEL * other.high) {
            (true, _) => Self::Holds,
            (false, true) => Self::Fails,
            (false, false) => Self::Unclear,
        }
    }

    fn verdict(self) -> &'static str {
        match self {
            Self::Holds => CONFIRMED,
            Self::Fails => REFUTED,
            Self::Unclear => NOT_MEASURABLE,
        }
    }
}

fn judged(claim: &str, verdict: &str, because: String, numbers: BTreeMap<String, f64>) -> Lesson {
    Lesson { claim: claim.into(), verdict: verdict.into(), because, numbers }
}

/// All that was measured of some arms under some traffics, and the article's ratios beside it.
fn numbers<'a>(
    results: &Results,
    arms: impl Iterator<Item = &'a str> + Clone,
    traffics: &[&str],
) -> BTreeMap<String, f64> {
    let pairs = traffics.iter().flat_map(|traffic| arms.clone().map(move |arm| (arm, *traffic)));
    let measured = pairs.filter_map(|(arm, traffic)| results.of(arm, traffic));
    let named = measured.flat_map(|one| {
        let figures = [
            ("ratio", Some(one.ratio)),
            ("ratio_low", Some(one.ratio_low)),
            ("ratio_high", Some(one.ratio_high)),
            ("article_ratio", article_ratio(one)),
            ("cost_ns", Some(one.cost_ns)),
            ("lost_share", Some(lost_share(one))),
            ("consumer_cpu", Some(one.consumer_cpu)),
        ];
        figures.map(|(name, value)| (format!("{} {} {name}", one.traffic, one.arm), value))
    });
    // JSON has no word for what is not a number.
    named.filter_map(|(name, value)| Some((name, value.filter(|value| value.is_finite())?))).collect()
}

fn article_ratio(one: &Measured) -> Option<f64> {
    let published = |arm: &str| ARTICLE.iter().find(|published| published.arm == arm);
    let (arm, none) = (published(&one.arm)?, published(NONE)?);
    match one.traffic.as_str() {
        ONE_FLOW => Some(arm.one_flow / none.one_flow),
        FORTY_FLOWS => Some(arm.forty_flows / none.forty_flows),
        _ => None,
    }
}

fn aggregating(results: &Results) -> impl Iterator<Item = &str> + Clone {
    results.config.arms.iter().filter(|arm| arm.kind == "aggregate").map(|arm| arm.name.as_str())
}

fn ratio(one: &Measured) -> Interval {
    Interval { low: one.ratio_low, high: one.ratio_high }
}

fn lost_share(one: &Measured) -> f64 {
    one.lost as f64 / one.sent.max(1) as f64
}

/// An arm under a traffic, in a few words.
fn told(one: &Measured) -> String {
    let Measured { arm, ratio, ratio_low, ratio_high, consumer_cpu, .. } = one;
    let lost = lost(one);
    format!(
        "`{arm}` {ratio:.2} of the unwatched rate ({ratio_low:.2} to {ratio_high:.2}), {lost}, consumer {consumer_cpu:.2} CPUs"
    )
}

fn lost(one: &Measured) -> String {
    match (one.lost, lost_share(one)) {
        (0, _) => "nothing lost".into(),
        (packets, share) if share < 0.001 => format!("{packets} packets lost"),
        (_, share) => format!("{:.1} % lost", 100.0 * share),
    }
}

/// Why some arms cannot be compared under any of some traffics.
fn not_compared(results: &Results, arms: &[&str], traffics: &[&str]) -> String {
    let is_missing = |arm: &&&str| !traffics.iter().any(|traffic| results.of(arm, traffic).is_some());
    let missing: Vec<String> = arms.iter().filter(is_missing).map(|arm| not_measured(results, arm)).collect();
    let traffics = traffics.join(" or ");
    match missing.is_empty() {
        true => format!("{} were not measured under the same traffic ({traffics}).", quoted(arms)),
        false => format!("Under {traffics}, {}.", missing.join("; ")),
    }
}

fn not_measured(results: &Results, arm: &str) -> String {
    let why = results.config.arms.iter().find(|info| info.name == arm).and_then(|info| info.skipped.as_ref());
    let why = why.map(|why| format!(" ({})", why.trim_end_matches('.'))).unwrap_or_default();
    format!("`{arm}` was not measured{why}")
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{losing, measured, results};
    use super::*;

    #[test]
    fn less_level_and_unclear() {
        let interval = |low, high| Interval { low, high };
        assert_eq!(Finding::less(interval(0.4, 0.5), interval(0.6, 0.7)), Finding::Holds);
        assert_eq!(Finding::less(interval(0.6, 0.7), interval(0.4, 0.5)), Finding::Fails);
        assert_eq!(Finding::less(interval(0.97, 0.99), interval(0.98, 1.0)), Finding::Fails);
        assert_eq!(Finding::less(interval(0.5, 0.9), interval(0.6, 1.0)), Finding::Unclear);
        assert_eq!(Finding::less(Interval::UNKNOWN, interval(0.6, 1.0)), Finding::Unclear);
    }

    #[test]
    fn there_are_three_whatever_was_measured() {
        let found = lessons(&results(vec![]));
        assert_eq!(found.len(), 3);
        assert!(
            found.iter().all(|one| one.verdict == NOT_MEASURABLE && one.because.ends_with('.')),
            "{found:?}"
        );
    }

    #[test]
    fn the_article_stands_beside_our_numbers() {
        let results = results(vec![losing(10, measured("ringbuf", ONE_FLOW, 0.5, 10.0))]);
        let numbers = numbers(&results, ["ringbuf"].into_iter(), &[ONE_FLOW, FORTY_FLOWS]);
        assert_eq!(numbers["1-flow ringbuf ratio"], 0.5);
        assert_eq!(numbers["1-flow ringbuf lost_share"], 0.01);
        assert_eq!(numbers["1-flow ringbuf article_ratio"], 1.74 / 4.77);
        assert_eq!(numbers.len(), 7);
    }

    #[test]
    fn who_was_left_out_is_named_with_the_reason() {
        let mut results = results(vec![measured("hash", ONE_FLOW, 0.5, 10.0)]);
        results.config.arms[0].name = "ringbuf".into();
        results.config.arms[0].skipped = Some("it needs Linux 5.8.".into());
        let said = not_compared(&results, &["ringbuf", "hash"], &[ONE_FLOW]);
        assert_eq!(said, "Under 1-flow, `ringbuf` was not measured (it needs Linux 5.8).");
    }
}
