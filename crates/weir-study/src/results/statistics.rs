//! Medians, and how far they are to be trusted.

use crate::random::SplitMix64;

/// Fewer rounds than this on either side, and a difference proves nothing: of two times three rounds of one and
/// the same thing, those of one side all lie above those of the other in one case out of ten.
pub const ENOUGH_ROUNDS: usize = 4;

/// How often samples are drawn anew. The 2.5 % at either end are then fifty medians each.
const RESAMPLES: usize = 2000;
/// Any number will do, as long as it stays the same: the same results make the same report anywhere.
const SEED: u64 = 0x7765_6972;

/// Where a median lies, with 95 % confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Interval {
    /// What no samples tell: the value may be anywhere. It is neither below nor above anything.
    pub const UNKNOWN: Self = Self { low: f64::NEG_INFINITY, high: f64::INFINITY };

    /// Whether it ends before the other begins.
    pub fn is_below(self, other: Self) -> bool {
        self.high < other.low
    }

    /// Whether a value lies in it, ends included.
    pub fn contains(self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// As wide as before, elsewhere.
    pub fn shifted(self, by: f64) -> Self {
        Self { low: self.low + by, high: self.high + by }
    }
}

/// The middle one; of an even number, halfway between the two in the middle; of nothing, none.
pub fn median(samples: &[f64]) -> Option<f64> {
    (!samples.is_empty()).then(|| middle(&mut samples.to_vec()))
}

/// The 95 % bootstrap interval of the median (percentiles). Of one sample it is that sample, at both ends;
/// of none, [`Interval::UNKNOWN`].
///
/// Up to five samples it is mostly their least and greatest: so few rounds rule out no more.
pub fn bootstrap(samples: &[f64]) -> Interval {
    bootstrap_difference(&[0.0], samples)
}

/// The same of the difference of two medians, the second less the first, whose samples were drawn independently.
pub fn bootstrap_difference(first: &[f64], second: &[f64]) -> Interval {
    if first.is_empty() || second.is_empty() {
        return Interval::UNKNOWN;
    }
    let mut random = SplitMix64(SEED);
    let mut draw = || median_of_resample(&mut random, second) - median_of_resample(&mut random, first);
    let mut differences: Vec<f64> = (0..RESAMPLES).map(|_| draw()).collect();
    differences.sort_by(f64::total_cmp);
    let cut = RESAMPLES / 40;
    Interval { low: differences[cut], high: differences[RESAMPLES - 1 - cut] }
}

/// Of at least one.
fn middle(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    let (lower, upper) = (samples[(samples.len() - 1) / 2], samples[samples.len() / 2]);
    (lower + upper) / 2.0
}

/// Of as many samples as there are, each drawn from all of them.
fn median_of_resample(random: &mut SplitMix64, samples: &[f64]) -> f64 {
    let mut draw = || samples[random.below(samples.len() as u64) as usize];
    middle(&mut samples.iter().map(|_| draw()).collect::<Vec<f64>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_one_of_unsorted_samples() {
        assert_eq!(median(&[3.0, 1.0, 9.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 9.0, 3.0]), Some(3.5));
        assert_eq!(median(&[4.0]), Some(4.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn few_samples_rule_out_little() {
        assert_eq!(bootstrap(&[]), Interval::UNKNOWN);
        assert_eq!(bootstrap(&[0.5]), Interval { low: 0.5, high: 0.5 });
        assert_eq!(bootstrap(&[1.0, 2.0]), Interval { low: 1.0, high: 2.0 });
        assert_eq!(bootstrap(&[3.0, 1.0, 2.0]), Interval { low: 1.0, high: 3.0 });
        assert_eq!(bootstrap(&[5.0, 1.0, 2.0, 3.0, 4.0]), Interval { low: 1.0, high: 5.0 });
    }

    /// The exact interval by order statistics goes from the tenth to the twenty-first of thirty.
    #[test]
    fn many_samples_close_in_on_the_median() {
        let samples: Vec<f64> = (1..=30).map(f64::from).collect();
        let Interval { low, high } = bootstrap(&samples);
        assert!((9.5..=11.5).contains(&low) && (19.5..=21.5).contains(&high), "{low} to {high}");
        assert_eq!(bootstrap(&samples), Interval { low, high });
    }

    #[test]
    fn an_outlier_does_not_move_the_interval() {
        let mut samples = vec![10.0; 9];
        samples.push(1000.0);
        assert_eq!(bootstrap(&samples), Interval { low: 10.0, high: 10.0 });
    }

    #[test]
    fn differences_are_those_of_the_second_to_the_first() {
        let (few, many) = ([1.0, 1.1, 1.2, 1.3], [2.0, 2.1, 2.2, 2.3]);
        let up = bootstrap_difference(&few, &many);
        assert!((0.7..=1.0).contains(&up.low) && (1.0..=1.3).contains(&up.high), "{up:?}");
        assert!(bootstrap_difference(&many, &few).is_below(Interval { low: 0.0, high: 0.0 }));
        assert!(bootstrap_difference(&few, &[1.05, 1.15, 1.25, 1.2]).contains(0.0));
        assert_eq!(bootstrap_difference(&few, &[]), Interval::UNKNOWN);
    }

    #[test]
    fn what_is_unknown_is_below_nothing() {
        let known = Interval { low: 1.0, high: 2.0 };
        assert!(!Interval::UNKNOWN.is_below(known) && !known.is_below(Interval::UNKNOWN));
        assert!(known.is_below(known.shifted(1.5)) && !known.is_below(known.shifted(1.0)));
    }
}
