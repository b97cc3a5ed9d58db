//! Who is heavy among more than can be counted: Space-Saving (Metwally, Agrawal, El Abbadi, 2005).
//!
//! So many keys are counted. One more takes the place, and the weight, of the lightest, and remembers that weight as its
//! possible error: what weighs more than its share of all is always among them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Their weights.
#[derive(Debug)]
pub struct Candidates {
    most: usize,
    weights: HashMap<Arc<str>, Weight>,
    /// By weight, then by age.
    order: BTreeMap<(u64, u64), Arc<str>>,
    serial: u64,
}

#[derive(Debug, Clone, Copy)]
struct Weight {
    most: u64,
    error: u64,
    serial: u64,
}

impl Candidates {
    /// At most so many.
    pub fn new(most: usize) -> Self {
        Self { most: most.max(1), weights: HashMap::new(), order: BTreeMap::new(), serial: 0 }
    }

    /// Adds to the weight of one.
    pub fn add(&mut self, key: &str, weight: u64) {
        let known = self.weights.get(key).copied();
        let (name, before) = match known {
            Some(before) => {
                let name = self.order.remove(&(before.most, before.serial));
                (name.unwrap_or_else(|| key.into()), before)
            }
            None => {
                let error = self.make_room();
                self.serial += 1;
                (key.into(), Weight { most: error, error, serial: self.serial })
            }
        };
        let now = Weight { most: before.most.saturating_add(weight), ..before };
        self.order.insert((now.most, now.serial), Arc::clone(&name));
        self.weights.insert(name, now);
    }

    /// The weight of the one that has to go, if one has.
    fn make_room(&mut self) -> u64 {
        if self.weights.len() < self.most {
            return 0;
        }
        let lightest = self.order.pop_first();
        lightest.map_or(0, |((weight, _), name)| {
            self.weights.remove(&name);
            weight
        })
    }

    /// All of them with what they weigh for certain, the heaviest first.
    pub fn ranked(&self) -> Vec<(Arc<str>, u64)> {
        let certain = |weight: &Weight| weight.most - weight.error;
        let mut ranked: Vec<_> =
            self.weights.iter().map(|(name, weight)| (Arc::clone(name), certain(weight))).collect();
        ranked.sort_unstable_by(|(one, its), (other, others)| others.cmp(its).then_with(|| one.cmp(other)));
        ranked
    }

    /// Forgets one.
    pub fn remove(&mut self, name: &str) {
        if let Some(weight) = self.weights.remove(name) {
            self.order.remove(&(weight.most, weight.serial));
        }
    }

    /// What was counts half from now on.
    pub fn fade(&mut self) {
        self.order.clear();
        self.weights.retain(|_, weight| {
            (weight.most, weight.error) = (weight.most / 2, weight.error / 2);
            weight.most > 0
        });
        let places =
            self.weights.iter().map(|(name, weight)| ((weight.most, weight.serial), Arc::clone(name)));
        self.order.extend(places);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What weighs more than its share is there, and no lighter than it is.
        #[test]
        fn the_heavy_are_known(weights in prop::collection::vec((0u8..40, 1u64..1000), 1..300), most in 1usize..12) {
            let mut candidates = Candidates::new(most);
            let mut truth = BTreeMap::<u8, u64>::new();
            for (key, weight) in &weights {
                candidates.add(&key.to_string(), *weight);
                *truth.entry(*key).or_default() += weight;
            }
            let all: u64 = truth.values().sum();
            for (key, weight) in &truth {
                let known = candidates.weights.get(&*key.to_string());
                prop_assert!(known.is_some() || *weight <= all / most as u64);
                if let Some(known) = known {
                    prop_assert!(known.most >= *weight && known.most - known.error <= *weight);
                }
            }
            prop_assert!(candidates.weights.len() <= most);
            prop_assert_eq!(candidates.weights.len(), candidates.order.len());
        }
    }

    #[test]
    fn the_heaviest_is_first_and_what_was_fades() {
        let mut candidates = Candidates::new(2);
        for (key, weight) in [("a", 10), ("b", 30), ("a", 4)] {
            candidates.add(key, weight);
        }
        assert_eq!(candidates.ranked(), [("b".into(), 30), ("a".into(), 14)]);
        candidates.remove("b");
        candidates.fade();
        assert_eq!(candidates.ranked(), [("a".into(), 7)]);
        candidates.add("a", 1);
        assert_eq!((candidates.ranked(), candidates.order.len()), (vec![("a".into(), 8)], 1));
    }

    #[test]
    fn what_took_a_place_is_not_heavy_by_what_it_found_there() {
        let mut candidates = Candidates::new(1);
        candidates.add("a", 100);
        candidates.add("b", 1);
        assert_eq!(candidates.ranked(), [("b".into(), 1)]);
    }
}
