//! How long things took, in classes.

use serde::{Deserialize, Serialize};

/// Where classes end, in microseconds; what took longer than the last one is in a class of its own.
const ENDS: [u64; 15] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000,
];

/// How many things took how long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Durations {
    /// All of them together.
    pub sum_microseconds: u64,
    /// How many there are in each class, not in those before it.
    counts: [u64; ENDS.len() + 1],
}

impl Durations {
    /// Counts one more.
    pub fn add(&mut self, microseconds: u64) {
        self.sum_microseconds = self.sum_microseconds.saturating_add(microseconds);
        self.counts[ENDS.partition_point(|end| *end < microseconds)] += 1;
    }

    /// Adds those of another account.
    pub fn add_all(&mut self, more: &Self) {
        self.sum_microseconds = self.sum_microseconds.saturating_add(more.sum_microseconds);
        self.counts.iter_mut().zip(more.counts).for_each(|(count, more)| *count += more);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Each class: where it ends, in seconds, infinity for the last one, and how many there are in it.
    pub fn classes(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let ends = ENDS.iter().map(|end| *end as f64 / 1e6).chain([f64::INFINITY]);
        ends.zip(self.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_in_one_class() {
        let mut durations = Durations::default();
        for microseconds in [0, 100, 101, 5_000_000, 5_000_001, u64::MAX] {
            durations.add(microseconds);
        }
        let classes: Vec<_> = durations.classes().filter(|(_, count)| *count > 0).collect();
        assert_eq!(classes, [(0.0001, 2), (0.00025, 1), (5.0, 1), (f64::INFINITY, 2)]);
        let mut twice = durations;
        twice.add_all(&durations);
        assert_eq!((twice.count(), twice.sum_microseconds), (12, u64::MAX));
    }
}
