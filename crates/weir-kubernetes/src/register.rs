//! What a key led to, and when: addresses and names are given to one after the other.

use hashbrown::HashMap;
use smallvec::{SmallVec, smallvec};
use std::borrow::Borrow;
use std::collections::VecDeque;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Times of the server and of nodes differ from ours, in nanoseconds.
const SLACK: u64 = 10_000_000_000;
/// How much that has ended is remembered, whatever happens.
const ENDED: usize = 65_536;

/// From when to when, in nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The beginning.
    pub start: u64,
    /// The end.
    pub end: u64,
}

#[derive(Debug)]
struct Tenure<V> {
    from: u64,
    /// Far in the future while it goes on.
    until: u64,
    value: V,
}

/// Keys, and what they lead to.
#[derive(Debug)]
pub struct Register<K, V> {
    tenures: HashMap<K, SmallVec<[Tenure<V>; 1]>>,
    ended: VecDeque<(Instant, K)>,
    linger: Duration,
}

impl<K: Eq + Hash + Clone, V: PartialEq> Register<K, V> {
    /// Where what has ended is found for `linger`.
    pub fn new(linger: Duration) -> Self {
        Self { tenures: HashMap::new(), ended: VecDeque::new(), linger }
    }

    /// From then on the key leads to this. It may lead to others at the same time.
    pub fn begin(&mut self, key: K, from: u64, value: V) {
        let tenure = Tenure { from, until: u64::MAX, value };
        match self.tenures.get_mut(&key) {
            Some(tenures) => tenures.push(tenure),
            None => {
                self.tenures.insert(key, smallvec![tenure]);
            }
        }
    }

    /// Now the key does not lead to this any more.
    pub fn end(&mut self, key: &K, now: (Instant, u64), value: &V) {
        let Some(tenures) = self.tenures.get_mut(key) else { return };
        let going_on = tenures.iter_mut().find(|one| one.until == u64::MAX && one.value == *value);
        let Some(tenure) = going_on else { return };
        tenure.until = now.1;
        self.ended.push_back((now.0, key.clone()));
        while self.ended.len() > ENDED {
            self.forget_oldest();
        }
    }

    /// Forgets what has ended long ago.
    pub fn expire(&mut self, now: Instant) {
        while self.ended.front().is_some_and(|(ended, _)| now.duration_since(*ended) >= self.linger) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((_, key)) = self.ended.pop_front() else { return };
        let Some(tenures) = self.tenures.get_mut(&key) else { return };
        // They stand in the order in which they began; of those that have ended, one ended first.
        let ended = tenures.iter().enumerate().filter(|(_, one)| one.until < u64::MAX);
        if let Some((at, _)) = ended.min_by_key(|(_, one)| one.until) {
            tenures.remove(at);
        }
        if tenures.is_empty() {
            self.tenures.remove(&key);
        }
    }

    /// What the key led to when this began; of several, what came last. Else what came while it went on.
    pub fn at<Q: Eq + Hash + ?Sized>(&self, key: &Q, span: Span) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let tenures = self.tenures.get(key)?;
        let held = tenures.iter().filter(|one| (one.from..=one.until).contains(&span.start));
        let came = || {
            let later = |one: &&Tenure<V>| (span.start..=span.end.saturating_add(SLACK)).contains(&one.from);
            tenures.iter().filter(later).min_by_key(|one| one.from)
        };
        held.max_by_key(|one| one.from).or_else(came).map(|one| &one.value)
    }

    /// All that the key led to while this went on.
    pub fn all_at(&self, key: &K, span: Span) -> impl Iterator<Item = &V> {
        let overlaps =
            move |one: &&Tenure<V>| one.from <= span.end.saturating_add(SLACK) && span.start <= one.until;
        self.tenures.get(key).into_iter().flatten().filter(overlaps).map(|one| &one.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const LINGER: Duration = Duration::from_secs(60);

    fn span(start: u64, end: u64) -> Span {
        Span { start: start * SECOND, end: end * SECOND }
    }

    #[test]
    fn one_after_the_other_each_has_its_time() {
        let (mut register, now) = (Register::new(LINGER), Instant::now());
        register.begin("10.0.0.1", 100 * SECOND, "old");
        // The new one has it before we hear that the old one is gone.
        register.begin("10.0.0.1", 200 * SECOND, "new");
        register.end(&"10.0.0.1", (now, 205 * SECOND), &"old");
        let at = |start, end| register.at(&"10.0.0.1", span(start, end)).copied();
        assert_eq!(
            [at(150, 160), at(150, 300), at(203, 204), at(300, 300)],
            [Some("old"), Some("old"), Some("new"), Some("new")]
        );
        assert_eq!((at(50, 60), at(95, 96), at(50, 120)), (None, Some("old"), Some("old")));
        assert_eq!(register.at(&"10.0.0.2", span(1, 2)), None);
    }

    #[test]
    fn what_has_ended_is_forgotten_in_time_and_in_number() {
        let (mut register, now) = (Register::new(LINGER), Instant::now());
        register.begin(1, 0, "a");
        register.end(&1, (now, SECOND), &"b");
        register.end(&1, (now, SECOND), &"a");
        register.expire(now + LINGER / 2);
        assert_eq!(register.at(&1, span(0, 1)), Some(&"a"));
        register.begin(1, 2 * SECOND, "b");
        register.expire(now + LINGER);
        assert_eq!((register.at(&1, span(3, 3)), register.tenures[&1].len()), (Some(&"b"), 1));
        for key in 2..2 * ENDED {
            register.begin(key, 0, "c");
            register.end(&key, (now, SECOND), &"c");
        }
        assert_eq!(register.tenures.len(), ENDED + 1);
    }

    #[test]
    fn several_at_a_time_are_all_found() {
        let mut register = Register::new(LINGER);
        register.begin("pod", 0, "web");
        register.begin("pod", 0, "api");
        register.begin("pod", 500 * SECOND, "late");
        assert_eq!(register.all_at(&"pod", span(1, 2)).collect::<Vec<_>>(), [&"web", &"api"]);
    }
}
