//! Which series there are: at most so many, the heaviest, and one for all others.
//!
//! A counter that vanishes takes what it had counted out of every sum, and one that is added to another makes a rate that
//! nothing has moved. So what series that are gone had counted is a sum of its own: with it, all together are always what
//! was counted, and every rate is of what moved.

use super::candidates::Candidates;
use super::sums::Sums;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often it is seen to who has a series, or after the grace time where that is shorter: what a series weighs counts
/// half after that.
const TURN: Duration = Duration::from_secs(60);
/// How much heavier than a series one has to be that takes its place, so that they do not change places all the time.
const HEAVIER: u64 = 2;

/// All series.
#[derive(Debug)]
pub struct Budget {
    most: usize,
    grace: Duration,
    turned: Instant,
    own: HashMap<Arc<str>, Series>,
    candidates: Candidates,
    other: Sums,
    vanished: Sums,
}

/// One of them.
#[derive(Debug)]
struct Series {
    sums: Sums,
    /// Bytes, of late.
    weight: u64,
    began: Instant,
    last: Instant,
}

impl Budget {
    /// At most `most`, each of which stays for `grace` without anything to count.
    pub fn new(most: usize, grace: Duration, now: Instant) -> Self {
        let (own, candidates) = (HashMap::new(), Candidates::new(most));
        let (other, vanished) = (Sums::default(), Sums::default());
        Self { most, grace, turned: now, own, candidates, other, vanished }
    }

    /// Counts what is of this key.
    pub fn add(&mut self, key: &str, more: &Sums, now: Instant) {
        let weight = more.moved.bytes().max(1);
        if let Some(series) = self.own.get_mut(key) {
            series.sums.add(more);
            series.weight = series.weight.saturating_add(weight);
            series.last = now;
        } else if self.own.len() < self.most {
            self.own.insert(key.into(), Series { sums: *more, weight, began: now, last: now });
        } else {
            self.other.add(more);
            self.candidates.add(key, weight);
        }
    }

    /// Counts what is called as the series for all others is.
    pub fn add_to_others(&mut self, more: &Sums) {
        self.other.add(more);
    }

    /// Looks after who has a series, when it is time; whether it was.
    pub fn turn(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.turned) < self.grace.min(TURN) {
            return false;
        }
        self.turned = now;
        self.forget_idle(now);
        let mut heavy = self.candidates.ranked().into_iter();
        for (key, weight) in heavy.by_ref().take(self.most - self.own.len()) {
            self.begin(key, weight, now);
        }
        self.replace_light(heavy, now);
        self.own.values_mut().for_each(|series| series.weight /= 2);
        self.candidates.fade();
        true
    }

    fn begin(&mut self, key: Arc<str>, weight: u64, now: Instant) {
        self.candidates.remove(&key);
        self.own.insert(key, Series { sums: Sums::default(), weight, began: now, last: now });
    }

    fn forget_idle(&mut self, now: Instant) {
        let (grace, vanished) = (self.grace, &mut self.vanished);
        self.own.retain(|_, series| {
            let stays = now.saturating_duration_since(series.last) < grace;
            if !stays {
                vanished.add(&series.sums);
            }
            stays
        });
    }

    /// Whoever has a series keeps it for the grace time, so that it is seen.
    fn replace_light(&mut self, heavy: impl Iterator<Item = (Arc<str>, u64)>, now: Instant) {
        let mut old: Vec<_> = self
            .own
            .iter()
            .filter(|(_, series)| now.saturating_duration_since(series.began) >= self.grace)
            .map(|(key, series)| (series.weight, Arc::clone(key)))
            .collect();
        old.sort_unstable();
        for ((weight, key), (heavier, its)) in old.into_iter().zip(heavy) {
            if its <= weight.saturating_mul(HEAVIER) {
                return;
            }
            if let Some(series) = self.own.remove(&key) {
                self.vanished.add(&series.sums);
            }
            self.begin(heavier, its, now);
        }
    }

    /// How many may have one.
    pub fn most(&self) -> usize {
        self.most
    }

    /// All that have one, in the order of their keys.
    pub fn own(&self) -> Vec<(Arc<str>, Sums)> {
        let mut own: Vec<_> = self.own.iter().map(|(key, series)| (Arc::clone(key), series.sums)).collect();
        own.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        own
    }

    /// What had none when it was counted.
    pub fn other(&self) -> Sums {
        self.other
    }

    /// What those had counted that are gone.
    pub fn vanished(&self) -> Sums {
        self.vanished
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use weir_record::{Count, Moved};

    fn sums(bytes: u64) -> Sums {
        let forth = Count { packets: 1, bytes };
        Sums { records: 1, moved: Moved { forth, back: Count::default() }, ..Sums::default() }
    }

    fn bytes(budget: &Budget, key: &str) -> Option<u64> {
        budget.own().iter().find(|(own, _)| &**own == key).map(|(_, sums)| sums.moved.bytes())
    }

    fn all(budget: &Budget) -> Sums {
        let mut all = budget.other();
        all.add(&budget.vanished());
        budget.own().iter().for_each(|(_, own)| all.add(own));
        all
    }

    const GRACE: Duration = Duration::from_secs(120);

    #[test]
    fn who_comes_when_there_is_no_room_is_another() {
        let start = Instant::now();
        let mut budget = Budget::new(2, GRACE, start);
        for (key, of) in [("a", 1), ("b", 2), ("c", 500), ("a", 4)] {
            budget.add(key, &sums(of), start);
        }
        assert_eq!((bytes(&budget, "a"), bytes(&budget, "b"), bytes(&budget, "c")), (Some(5), Some(2), None));
        assert_eq!(budget.other().moved.bytes(), 500);
    }

    #[test]
    fn the_heavier_takes_the_place_of_the_lightest_once_that_was_seen() {
        let start = Instant::now();
        let mut budget = Budget::new(2, GRACE, start);
        let mut seen = Vec::new();
        for minute in 0..4 {
            let now = start + TURN * minute;
            budget.add("a", &sums(100), now);
            budget.add("b", &sums(10), now);
            budget.add("c", &sums(90), now);
            budget.turn(now);
            seen.push((bytes(&budget, "b"), bytes(&budget, "c"), budget.vanished().moved.bytes()));
        }
        let b_and_other = [(Some(10), None, 0), (Some(20), None, 0)];
        assert_eq!(seen, [&b_and_other[..], &[(None, Some(0), 30), (None, Some(90), 30)]].concat());
        assert_eq!((bytes(&budget, "a"), all(&budget).moved.bytes()), (Some(400), 4 * 200));
    }

    #[test]
    fn who_counts_nothing_any_more_goes() {
        let start = Instant::now();
        let mut budget = Budget::new(9, GRACE, start);
        budget.add("pod-1", &sums(7), start);
        budget.turn(start + TURN);
        assert_eq!(bytes(&budget, "pod-1"), Some(7));
        budget.turn(start + GRACE);
        assert_eq!((bytes(&budget, "pod-1"), budget.vanished().moved.bytes()), (None, 7));
    }

    proptest! {
        /// Whatever comes in whatever order: all sums together are what came, and there are no more than so many.
        #[test]
        fn nothing_is_lost_and_nothing_twice(
            steps in prop::collection::vec((0u8..30, 0u64..10_000, 0u64..200), 0..200),
            most in 0usize..8,
        ) {
            let start = Instant::now();
            let (mut budget, mut now, mut truth) = (Budget::new(most, GRACE, start), start, Sums::default());
            for (key, of, seconds) in steps {
                now += Duration::from_secs(seconds);
                let mut more = sums(of);
                more.rtt.add(of);
                more.dns.add(of / 2);
                more.dropped = (of % 3 > 0).then_some(Count { packets: of % 3, bytes: of });
                truth.add(&more);
                budget.add(&key.to_string(), &more, now);
                budget.turn(now);
                prop_assert!(budget.own.len() <= most);
            }
            prop_assert_eq!(all(&budget), truth);
        }
    }
}
