//! What comes and goes, where what is gone is still asked about for a while.

use hashbrown::HashMap;
use std::collections::VecDeque;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// A bounded table of it. What had to go while it was there is counted.
#[derive(Debug)]
pub struct Lingering<K, V> {
    known: HashMap<K, V>,
    /// In the order in which they came.
    queue: VecDeque<K>,
    gone: VecDeque<(Instant, K)>,
    capacity: usize,
    linger: Duration,
    evicted: u64,
}

impl<K: Copy + Eq + Hash, V> Lingering<K, V> {
    /// For `capacity` of them; what is gone is kept for `linger`.
    pub fn new(capacity: usize, linger: Duration) -> Self {
        let (known, queue, gone) = Default::default();
        Self { known, queue, gone, capacity, linger, evicted: 0 }
    }

    /// How many had to go while they were there.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Whether the next one takes the place of another one.
    pub fn is_full(&self) -> bool {
        self.known.len() >= self.capacity
    }

    /// What is known of one.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.known.get(key)
    }

    /// Takes one in, in place of the one that came first if there is no room.
    pub fn insert(&mut self, key: K, value: V) {
        if self.known.insert(key, value).is_none() {
            self.queue.push_back(key);
        }
        while self.known.len() > self.capacity {
            let Some(oldest) = self.queue.pop_front() else { break };
            self.evicted += u64::from(self.known.remove(&oldest).is_some());
        }
        // Those that have gone in time have left their places in the queue.
        if self.queue.len() > 2 * self.capacity {
            self.queue.retain(|key| self.known.contains_key(key));
        }
    }

    /// One is gone since now.
    pub fn leave(&mut self, key: K, now: Instant) {
        self.gone.push_back((now, key));
    }

    /// Forgets what has been gone for long enough.
    pub fn expire(&mut self, now: Instant) {
        while let Some(&(when, key)) = self.gone.front() {
            if now.duration_since(when) < self.linger {
                break;
            }
            self.gone.pop_front();
            self.known.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINGER: Duration = Duration::from_secs(5);

    #[test]
    fn what_is_gone_lingers() {
        let (mut table, now) = (Lingering::new(3, LINGER), Instant::now());
        table.insert(1, "a");
        table.leave(1, now);
        table.expire(now + LINGER / 2);
        assert_eq!(table.get(&1), Some(&"a"));
        table.expire(now + LINGER);
        assert_eq!((table.get(&1), table.evicted()), (None, 0));
    }

    #[test]
    fn memory_is_bounded_and_what_had_to_go_is_counted() {
        let (mut table, now) = (Lingering::new(3, LINGER), Instant::now());
        (0..5).for_each(|key| table.insert(key, "a"));
        assert_eq!((table.known.len(), table.evicted(), table.is_full()), (3, 2, true));
        assert_eq!((table.get(&1), table.get(&2)), (None, Some(&"a")));
        for key in 0..1000 {
            table.insert(key, "b");
            table.leave(key, now);
            table.expire(now + LINGER);
        }
        assert!(table.queue.len() <= 6 && table.gone.is_empty() && table.known.is_empty(), "{table:?}");
    }
}
