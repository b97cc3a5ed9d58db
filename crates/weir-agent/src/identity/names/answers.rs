//! Names that DNS answers gave to addresses, bounded, with the times at which they hold.

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use std::cell::Cell;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use weir_record::{Name, NameOrigin};

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;
/// A name holds for as long as its answer says, and for so long at least: programs keep what they were told.
const LEAST: u64 = 600 * SECOND;
/// However long an answer says, a day is enough.
const MOST: u64 = 86_400 * SECOND;
/// Packets are stamped with the kernel's last tick: a flow may seem to begin before the answer that led to it.
const TICK: u64 = 20_000_000;
/// Names of one address that are remembered: many hosts share one.
const NAMES: usize = 4;
/// Addresses that are looked at in each turn, for those whose names do not hold any more.
const ROUND: usize = 1024;

/// A name of an address. Times are nanoseconds since the Unix epoch.
#[derive(Debug)]
struct Heard {
    name: Arc<Name>,
    first: u64,
    latest: u64,
    /// Longer with each record that has it: what is in use is not forgotten.
    until: Cell<u64>,
}

impl Heard {
    /// When it was last asked for, of the times before `start`.
    fn asked_before(&self, start: u64) -> Option<u64> {
        let latest = start.saturating_add(TICK);
        [self.latest, self.first].into_iter().find(|asked| *asked <= latest)
    }
}

/// The table.
#[derive(Debug, Default)]
pub struct Answers {
    names: HashMap<IpAddr, Vec<Heard>>,
    /// Each address once, with the time when it was last asked for as far as the queue knows.
    queue: VecDeque<(IpAddr, u64)>,
    capacity: usize,
    evicted: u64,
}

impl Answers {
    /// For so many addresses.
    pub fn new(capacity: usize) -> Self {
        Self { names: HashMap::new(), queue: VecDeque::new(), capacity, evicted: 0 }
    }

    /// How many addresses have names.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// How many had to go while their names held.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Takes in that somebody asked for `name` and was given an address, for so many seconds, at this time.
    pub fn learn(&mut self, name: &str, (address, ttl): (IpAddr, u32), time: u64) {
        let until = time.saturating_add((u64::from(ttl) * SECOND).clamp(LEAST, MOST));
        let heard = match self.names.entry(address) {
            Entry::Occupied(found) => found.into_mut(),
            Entry::Vacant(place) => {
                self.queue.push_back((address, time));
                place.insert(Vec::with_capacity(1))
            }
        };
        match heard.iter_mut().find(|one| one.name.text == name) {
            Some(known) => {
                known.latest = known.latest.max(time);
                known.until.set(known.until.get().max(until));
            }
            None => {
                if heard.len() == NAMES {
                    let oldest = (0..NAMES).min_by_key(|place| heard[*place].latest);
                    oldest.into_iter().for_each(|place| drop(heard.swap_remove(place)));
                }
                let name = Arc::new(Name { text: name.into(), origin: NameOrigin::Dns });
                heard.push(Heard { name, first: time, latest: time, until: Cell::new(until) });
            }
        }
        while self.names.len() > self.capacity {
            self.evict();
        }
    }

    /// Lets the address go that was asked for longest ago.
    fn evict(&mut self) {
        while let Some((address, asked)) = self.queue.pop_front() {
            let latest = self.latest(address);
            if latest > asked {
                self.queue.push_back((address, latest));
                continue;
            }
            self.names.remove(&address);
            self.evicted += 1;
            return;
        }
    }

    fn latest(&self, address: IpAddr) -> u64 {
        self.names.get(&address).into_iter().flatten().map(|one| one.latest).max().unwrap_or(0)
    }

    /// Forgets names that do not hold any more. Records that are on their way began before `now`.
    pub fn expire(&mut self, now: u64) {
        for _ in 0..ROUND.min(self.queue.len()) {
            let Some((address, _)) = self.queue.pop_front() else { return };
            let Entry::Occupied(mut found) = self.names.entry(address) else { continue };
            found.get_mut().retain(|one| one.until.get().saturating_add(LEAST) >= now);
            if found.get().is_empty() {
                found.remove();
            } else {
                self.queue.push_back((address, self.latest(address)));
            }
        }
    }

    /// The name of an address for a flow from `start` to `end`: the one that was asked for last before it began, else
    /// the first that was asked for while it lived.
    pub fn of(&self, address: IpAddr, start: u64, end: u64) -> Option<&Arc<Name>> {
        let heard = self.names.get(&address)?;
        let holding = heard.iter().filter(|one| one.until.get() >= start);
        let before = holding.filter_map(|one| Some((one.asked_before(start)?, one)));
        let meanwhile = || heard.iter().filter(|one| one.first <= end).min_by_key(|one| one.first);
        let found = before.max_by_key(|(asked, _)| *asked).map(|found| found.1);
        let found = found.or_else(|| meanwhile().filter(|one| one.first > start))?;
        found.until.set(found.until.get().max(end.saturating_add(LEAST)));
        Some(&found.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_000_000 * SECOND;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn learn(answers: &mut Answers, name: &str, last: u8, at: u64) {
        answers.learn(name, (address(last), 5), START + at * SECOND);
    }

    /// The name for a flow of one second.
    fn at(answers: &Answers, last: u8, at: u64) -> Option<String> {
        let start = START + at * SECOND;
        answers.of(address(last), start, start + SECOND).map(|name| name.text.clone())
    }

    #[test]
    fn the_name_asked_for_last_before_a_flow_began_is_its() {
        let mut answers = Answers::new(10);
        learn(&mut answers, "a", 1, 10);
        learn(&mut answers, "b", 1, 20);
        assert_eq!(at(&answers, 1, 15).as_deref(), Some("a"));
        assert_eq!(at(&answers, 1, 25).as_deref(), Some("b"));
        learn(&mut answers, "a", 1, 30);
        assert_eq!(at(&answers, 1, 15).as_deref(), Some("a"));
        assert_eq!(at(&answers, 1, 25).as_deref(), Some("b"));
        assert_eq!(at(&answers, 1, 35).as_deref(), Some("a"));
        assert_eq!(at(&answers, 2, 35), None);
    }

    #[test]
    fn a_flow_that_was_there_gets_the_first_name_that_comes() {
        let mut answers = Answers::new(10);
        answers.learn("a", (address(1), 5), START + SECOND / 2);
        assert_eq!(at(&answers, 1, 0).as_deref(), Some("a"), "it was asked for meanwhile");
        let mut answers = Answers::new(10);
        learn(&mut answers, "a", 1, 9);
        assert_eq!(at(&answers, 1, 0), None, "it had ended");
    }

    #[test]
    fn a_flow_that_seems_to_begin_a_tick_too_early_has_its_name() {
        let mut answers = Answers::new(10);
        learn(&mut answers, "old", 1, 10);
        learn(&mut answers, "new", 1, 20);
        let start = START + 20 * SECOND - TICK / 2;
        let found = answers.of(address(1), start, start).map(|name| name.text.as_str());
        assert_eq!(found, Some("new"));
    }

    #[test]
    fn names_hold_for_a_while_and_longer_if_they_are_in_use() {
        let mut answers = Answers::new(10);
        let least = LEAST / SECOND;
        learn(&mut answers, "a", 1, 0);
        learn(&mut answers, "b", 2, 0);
        assert_eq!(at(&answers, 1, least).as_deref(), Some("a"));
        assert_eq!(at(&answers, 1, 2 * least).as_deref(), Some("a"), "it was in use");
        assert_eq!(at(&answers, 2, least + 1), None);
        answers.expire(START + 2 * LEAST + 1);
        assert_eq!((answers.len(), answers.queue.len(), answers.evicted()), (1, 1, 0));
        answers.expire(START + 5 * LEAST);
        assert_eq!((answers.len(), answers.queue.len()), (0, 0));
    }

    #[test]
    fn who_was_asked_for_longest_ago_goes_and_is_counted() {
        let mut answers = Answers::new(2);
        for (last, at) in [(1, 0), (2, 1), (1, 2), (3, 3)] {
            learn(&mut answers, "a", last, at);
        }
        assert_eq!((answers.len(), answers.queue.len(), answers.evicted()), (2, 2, 1));
        assert_eq!(at(&answers, 2, 4), None);
        assert!(at(&answers, 1, 4).is_some() && at(&answers, 3, 4).is_some());
    }

    #[test]
    fn an_address_has_few_names() {
        let mut answers = Answers::new(2);
        for at in 0..100 {
            learn(&mut answers, &format!("n{at}"), 1, at);
        }
        assert_eq!(answers.names[&address(1)].len(), NAMES);
        assert_eq!(at(&answers, 1, 100).as_deref(), Some("n99"));
    }
}
