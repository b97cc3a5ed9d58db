//! Which answer belongs to which question.

use crate::exchange::{Exchange, Heard};
use crate::lookup::{Ends, Lookup, Outcome, Seen, Transport};
use crate::message::{Message, Question};
use crate::strays::{Askers, Strays};
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

/// How long an answer that was heard elsewhere may take to where the question was heard first, in nanoseconds.
const SETTLE: u64 = 100_000_000;
/// How long what is answered is remembered, to know it again at other interfaces.
const LINGER: u64 = 500_000_000;
/// How long what nobody has answered is.
const LATE: u64 = 10_000_000_000;
/// Questions to groups, which anybody may answer, that are remembered.
const GROUPS: usize = 256;

/// Who asks whom, and the number of the question.
type Key = (Ends, u16);

/// What there is to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told<'a> {
    /// An answer to a question that was asked, when it is heard first.
    Answer {
        /// What was asked.
        asked: &'a Question,
        /// What was answered.
        message: &'a Message,
        /// When.
        time: u64,
    },
    /// What became of a question. Each is told of once.
    Lookup(Lookup),
}

/// All questions that have been asked lately.
#[derive(Debug)]
pub struct Exchanges {
    all: HashMap<Key, Vec<Exchange>>,
    /// By time, then by number, when something becomes of them.
    due: BTreeMap<(u64, u64), Key>,
    askers: Askers,
    groups: VecDeque<Key>,
    timeout: u64,
    capacity: usize,
    serial: u64,
    strays: Strays,
    answered: u64,
    unanswered: u64,
    evicted: u64,
}

impl Exchanges {
    /// At most `capacity` questions, each of which may take `timeout` nanoseconds to be answered.
    pub fn new(capacity: usize, timeout: u64) -> Self {
        Self {
            all: HashMap::new(),
            due: BTreeMap::new(),
            askers: Askers::default(),
            groups: VecDeque::new(),
            timeout,
            capacity,
            serial: 0,
            strays: Strays::default(),
            answered: 0,
            unanswered: 0,
            evicted: 0,
        }
    }

    /// Answers to nobody's question.
    pub fn strays(&self) -> Strays {
        self.strays
    }

    /// Questions that were answered.
    pub fn answered(&self) -> u64 {
        self.answered
    }

    /// Questions that nobody has answered in time.
    pub fn unanswered(&self) -> u64 {
        self.unanswered
    }

    /// Questions that had to be forgotten while somebody waited for an answer.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.due.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    /// Takes in a message, which went from `source` to `destination`. Those of one interface come in order.
    pub fn hear(
        &mut self,
        (source, destination, transport): (SocketAddr, SocketAddr, Transport),
        seen: Seen,
        message: &Message,
        told: &mut dyn FnMut(Told<'_>),
    ) {
        self.expire(seen.time, told);
        if message.is_answer {
            let ends = Ends { client: destination, server: source, transport };
            self.hear_answer((ends, message.id), seen, message, told);
        } else {
            let ends = Ends { client: source, server: destination, transport };
            // Servers refuse more than one question; groups do not.
            let most = if destination.ip().is_multicast() { usize::MAX } else { 1 };
            for question in message.questions.iter().take(most) {
                self.hear_question((ends, message.id), seen, question);
            }
        }
    }

    fn hear_question(&mut self, key: Key, seen: Seen, question: &Question) {
        let known = self.all.get_mut(&key).into_iter().flatten().find(|one| one.question == *question);
        if let Some(known) = known {
            if !known.is_over() || !known.has_come(seen) {
                if known.ask(seen) && known.is_open() {
                    let (serial, due) = (known.serial, seen.time.saturating_add(self.timeout));
                    let before = std::mem::replace(&mut known.due, due);
                    self.due.remove(&(before, serial));
                    self.due.insert((due, serial), key);
                }
                return;
            }
            // The same number, for another question in the same words.
            let (due, serial) = (known.due, known.serial);
            self.remove(key, (due, serial));
        }
        self.serial += 1;
        let due = seen.time.saturating_add(self.timeout);
        let exchange = Exchange::new(question.clone(), seen, self.serial, due);
        self.all.entry(key).or_default().push(exchange);
        self.due.insert((due, self.serial), key);
        self.askers.add(&key.0);
        if key.0.server.ip().is_multicast() {
            let Self { groups, all, .. } = self;
            groups.retain(|group| *group != key && all.contains_key(group));
            groups.push_back(key);
            if groups.len() > GROUPS {
                groups.pop_front();
            }
        }
        while self.due.len() > self.capacity {
            self.evict();
        }
    }

    fn evict(&mut self) {
        let Some((&when, &key)) = self.due.first_key_value() else { return };
        let lost = self.remove(key, when).is_some_and(|one| !one.is_over());
        self.evicted += u64::from(lost);
    }

    fn hear_answer(&mut self, key: Key, seen: Seen, message: &Message, told: &mut dyn FnMut(Told<'_>)) {
        let Some(found) = self.all.get(&key) else {
            if !self.hear_of_group(key.0, seen, message, told) {
                *self.askers.cause(&key.0, &mut self.strays) += 1;
            }
            return;
        };
        // Some answers that refuse a question do not repeat it.
        let fits = |one: &&Exchange| message.questions.first().is_none_or(|asked| *asked == one.question);
        match found.iter().find(fits).map(|one| (one.due, one.serial)) {
            Some(when) => self.take_answer((key, when), seen, message, told),
            None => self.strays.wrong_question += 1,
        }
    }

    /// An answer to what a group was asked comes from whoever knows it, to the group or to who has asked.
    fn hear_of_group(
        &mut self,
        ends: Ends,
        seen: Seen,
        message: &Message,
        told: &mut dyn FnMut(Told<'_>),
    ) -> bool {
        let Self { groups, all, .. } = self;
        let goes_to = |group: &Ends| {
            [group.server.ip(), group.client.ip()].contains(&ends.client.ip())
                && group.server.port() == ends.server.port()
        };
        let tells = |one: &Exchange| {
            !one.is_over() && message.records.iter().any(|record| record.owner == one.question.name)
        };
        let asked = groups.iter().filter(|(group, _)| goes_to(group)).flat_map(|key| {
            all.get(key)
                .into_iter()
                .flatten()
                .filter(|one| tells(one))
                .map(|one| (*key, (one.due, one.serial)))
        });
        let asked: Vec<_> = asked.collect();
        for (key, when) in &asked {
            self.take_answer((*key, *when), seen, message, told);
        }
        !asked.is_empty()
    }

    fn take_answer(
        &mut self,
        (key, when): (Key, (u64, u64)),
        seen: Seen,
        message: &Message,
        told: &mut dyn FnMut(Told<'_>),
    ) {
        let found = self.all.get_mut(&key).into_iter().flatten().find(|one| one.serial == when.1);
        let Some(exchange) = found else { return };
        let heard = exchange.answer(seen, message);
        match heard {
            Heard::Repeated => self.strays.repeated += 1,
            Heard::Late => self.strays.late += 1,
            Heard::Same => {}
            Heard::News => {
                self.answered += 1;
                told(Told::Answer { asked: &exchange.question, message, time: seen.time });
            }
        }
        if exchange.is_ready() && exchange.is_settled() {
            exchange.finish(key.0, seen.time).into_iter().for_each(|lookup| told(Told::Lookup(lookup)));
            self.put_off((key, when), seen.time.saturating_add(LINGER));
        } else if heard == Heard::News {
            self.put_off((key, when), seen.time.saturating_add(SETTLE));
        }
    }

    fn put_off(&mut self, (key, when): (Key, (u64, u64)), due: u64) {
        let found = self.all.get_mut(&key).into_iter().flatten().find(|one| one.serial == when.1);
        if let Some(exchange) = found {
            self.due.remove(&when);
            exchange.due = due;
            self.due.insert((due, when.1), key);
        }
    }

    /// Tells what has become of questions by `now`, and forgets what is over.
    pub fn expire(&mut self, now: u64, told: &mut dyn FnMut(Told<'_>)) {
        while let Some((&when, &key)) = self.due.first_key_value() {
            if when.0 > now {
                return;
            }
            let found = self.all.get_mut(&key).into_iter().flatten().find(|one| one.serial == when.1);
            let Some(lookup) = found.and_then(|exchange| exchange.finish(key.0, when.0)) else {
                self.remove(key, when);
                continue;
            };
            let linger = match lookup.outcome {
                Outcome::Answered(_) => LINGER,
                // Who asks into the void does not fill the memory with it.
                Outcome::Unanswered if self.due.len() > self.capacity / 2 => 0,
                Outcome::Unanswered => LATE,
            };
            self.unanswered += u64::from(lookup.outcome == Outcome::Unanswered);
            told(Told::Lookup(lookup));
            self.put_off((key, when), when.0.saturating_add(linger));
        }
    }

    fn remove(&mut self, key: Key, when: (u64, u64)) -> Option<Exchange> {
        self.due.remove(&when);
        let Entry::Occupied(mut found) = self.all.entry(key) else { return None };
        let place = found.get().iter().position(|one| one.serial == when.1)?;
        let exchange = found.get_mut().swap_remove(place);
        if found.get().is_empty() {
            found.remove();
        }
        self.askers.remove(&key.0);
        Some(exchange)
    }
}

#[cfg(test)]
mod tests;
