//! Where the middle of many numbers is, without keeping them.

use std::collections::BTreeMap;

/// Sixteen steps from a power of two to the next: a number is known to a thirty-second of itself. Up to sixteen each
/// number is a step.
const STEPS: u32 = 4;

/// How many numbers there are of about each size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spread(BTreeMap<u32, u64>);

impl Spread {
    /// Adds a number.
    pub fn add(&mut self, number: u64) {
        *self.0.entry(step(number)).or_default() += 1;
    }

    /// Adds all of another one.
    pub fn join(&mut self, more: &Self) {
        more.0.iter().for_each(|(step, count)| *self.0.entry(*step).or_default() += count);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// The median, to within 3.2 %; of an even number of them the lower one.
    pub fn median(&self) -> Option<u64> {
        let (mut left, mut steps) = (self.count().div_ceil(2), self.0.iter());
        steps
            .find(|(_, count)| {
                left = left.saturating_sub(**count);
                left == 0
            })
            .map(|(step, _)| middle(*step))
    }
}

fn step(number: u64) -> u32 {
    if number < 1 << STEPS {
        return number as u32;
    }
    let power = number.ilog2();
    (power << STEPS) + (number >> (power - STEPS)) as u32 % (1 << STEPS)
}

fn middle(step: u32) -> u64 {
    // The first larger number is the step after four times as many.
    if step < 1 << STEPS {
        return step.into();
    }
    let (power, place) = (step >> STEPS, u64::from(step) % (1 << STEPS));
    let width = 1_u64 << (power - STEPS);
    ((1 << STEPS) + place) * width + width / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn of_nothing_there_is_none() {
        assert_eq!((Spread::default().median(), Spread::default().count()), (None, 0));
    }

    proptest! {
        #[test]
        fn the_median_is_about_that_of_all(
            mut numbers in prop::collection::vec(prop_oneof![0..100_u64, 0..u64::MAX / 2], 1..50)
        ) {
            let mut spread = Spread::default();
            numbers.iter().for_each(|number| spread.add(*number));
            numbers.sort_unstable();
            let exact = numbers[(numbers.len() - 1) / 2] as f64;
            let median = spread.median().expect("some") as f64;
            prop_assert!((median - exact).abs() <= exact / 31.0, "{median} {exact}");
            prop_assert_eq!(spread.count(), numbers.len() as u64);
        }
    }
}
