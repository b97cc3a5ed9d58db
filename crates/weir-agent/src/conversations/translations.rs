//! Translated addresses (NAT): which flows are the same conversation before and behind it.

use hashbrown::{HashMap, HashSet};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use weir_record::FlowKey;

/// One connection's two names, both in the direction of its first packet, without VLANs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tuples {
    /// What it was meant to be: the service address.
    pub original: FlowKey,
    /// What its packets say behind the translation.
    pub translated: FlowKey,
}

/// Who translates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The network namespace.
    pub netns: u32,
    /// The observation domain that it is in: elsewhere the same addresses are others'.
    pub domain: u32,
}

/// What a flow is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passage {
    /// The flow as it was meant to be, in the same direction.
    pub original: FlowKey,
    /// Whether it was seen under another name than that.
    pub is_translated: bool,
    /// The translation's number; never 0.
    pub number: u32,
}

/// Packets that were translated more often than this on their way are not traced back.
const HOPS: usize = 4;

#[derive(Debug)]
struct Entry {
    tuples: Tuples,
    place: Place,
    /// When the connection ended: its records may still be on their way.
    ended: Option<Instant>,
}

/// What one name stands for: numbers of translations, 0 for none.
#[derive(Debug, Clone, Copy, Default)]
struct Meaning {
    /// It is the original name there.
    original_of: u32,
    /// It is the translated name there.
    translated_by: u32,
}

/// A flow in its canonical direction, and its observation domain.
type Name = (u32, FlowKey);

/// All that are known, up to a limit.
#[derive(Debug)]
pub struct Translations {
    entries: HashMap<u32, Entry>,
    meanings: HashMap<Name, Meaning>,
    /// In the order in which they came, some of them gone.
    queue: VecDeque<u32>,
    /// Those that ended, and when.
    ended: VecDeque<(Instant, u32)>,
    last: u32,
    capacity: usize,
    linger: Duration,
    evicted: u64,
}

impl Translations {
    /// None, and room for `capacity`; what has ended stays for `linger`.
    pub fn new(capacity: usize, linger: Duration) -> Self {
        Self {
            entries: HashMap::new(),
            meanings: HashMap::new(),
            queue: VecDeque::new(),
            ended: VecDeque::new(),
            last: 0,
            capacity,
            linger,
            evicted: 0,
        }
    }

    /// What ends from now on stays for `linger`.
    pub fn keep_for(&mut self, linger: Duration) {
        self.linger = linger;
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many may be.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// All of them.
    #[cfg(test)]
    pub fn known(&self) -> impl Iterator<Item = &Tuples> {
        self.entries.values().map(|entry| &entry.tuples)
    }

    /// How many had to go for others.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Takes in a connection; whether it was not known before.
    pub fn learn(&mut self, tuples: Tuples, place: Place) -> bool {
        let names = [tuples.original, tuples.translated].map(|flow| Self::name(&flow, place.domain));
        let [Some((original, _)), Some((translated, _))] = names else { return false };
        if let Some(number) = self.find(&tuples, place.domain) {
            if let Some(entry) = self.entries.get_mut(&number) {
                entry.ended = None;
            }
            return false;
        }
        let number = self.free_number();
        self.meanings.entry(original).or_default().original_of = number;
        self.meanings.entry(translated).or_default().translated_by = number;
        self.entries.insert(number, Entry { tuples, place, ended: None });
        self.queue.push_back(number);
        self.make_room();
        true
    }

    /// A connection has ended.
    pub fn end(&mut self, tuples: &Tuples, place: Place, now: Instant) {
        if let Some(number) = self.find(tuples, place.domain) {
            self.end_one(number, now);
        }
    }

    /// Of a namespace there are only `living` now.
    pub fn end_others(&mut self, netns: u32, living: &HashSet<Tuples>, now: Instant) {
        let is_over = |entry: &Entry| entry.place.netns == netns && !living.contains(&entry.tuples);
        let over = self.entries.iter().filter(|(_, entry)| entry.ended.is_none() && is_over(entry));
        for number in over.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.end_one(number, now);
        }
    }

    /// Forgets what ended long enough ago.
    pub fn expire(&mut self, now: Instant) {
        while let Some(&(when, number)) = self.ended.front() {
            if now.duration_since(when) < self.linger {
                break;
            }
            self.ended.pop_front();
            if self.entries.get(&number).is_some_and(|entry| entry.ended == Some(when)) {
                self.remove(number);
            }
        }
        if self.queue.len() > 2 * self.entries.len() + 1024 {
            self.queue.retain(|number| self.entries.contains_key(number));
        }
    }

    /// What a flow that was seen in `domain` is a part of, if it is translated anywhere.
    pub fn passage(&self, flow: &FlowKey, domain: u32) -> Option<Passage> {
        if self.entries.is_empty() {
            return None;
        }
        let bare = flow.with_vlan(None);
        let (mut original, mut number) = (bare, 0);
        for _ in 0..HOPS {
            let (name, is_turned) = Self::name(&original, domain)?;
            let Some(meaning) = self.meanings.get(&name) else { break };
            if meaning.translated_by == 0 {
                number = meaning.original_of;
                break;
            }
            number = meaning.translated_by;
            let Tuples { original: before, translated } = self.entries.get(&number)?.tuples;
            let is_forward = Self::name(&translated, domain).is_some_and(|(_, turned)| turned == is_turned);
            original = if is_forward { before } else { before.reversed()? };
        }
        let is_translated = original != bare;
        (number != 0).then(|| Passage { original: original.with_vlan(flow.vlan()), is_translated, number })
    }

    /// What the packets of a conversation say behind the last translation, in the direction of `flow`,
    /// which is what they say before the first one.
    pub fn behind(&self, number: u32, flow: &FlowKey) -> Option<FlowKey> {
        let entry = self.entries.get(&number)?;
        let mut translated = entry.tuples.translated;
        for _ in 1..HOPS {
            let (name, _) = Self::name(&translated, entry.place.domain)?;
            let next = self.meanings.get(&name).and_then(|meaning| self.entries.get(&meaning.original_of));
            match next.map(|next| next.tuples) {
                Some(next) if next.original == translated => translated = next.translated,
                _ => break,
            }
        }
        if entry.tuples.original == flow.with_vlan(None) { Some(translated) } else { translated.reversed() }
    }

    /// The name of a flow, and whether that is of its other direction.
    fn name(flow: &FlowKey, domain: u32) -> Option<(Name, bool)> {
        // ICMP's conversations are told apart by more than its type.
        flow.ports()?;
        match flow.is_canonical()? {
            true => Some(((domain, *flow), false)),
            false => Some(((domain, flow.reversed()?), true)),
        }
    }

    fn find(&self, tuples: &Tuples, domain: u32) -> Option<u32> {
        let of = |flow| Self::name(flow, domain).and_then(|(name, _)| self.meanings.get(&name));
        let numbers = [of(&tuples.original)?.original_of, of(&tuples.translated)?.translated_by];
        let is_it = |number: &u32| self.entries.get(number).is_some_and(|entry| entry.tuples == *tuples);
        numbers.into_iter().find(is_it)
    }

    fn free_number(&mut self) -> u32 {
        loop {
            self.last = self.last.wrapping_add(1);
            if self.last != 0 && !self.entries.contains_key(&self.last) {
                return self.last;
            }
        }
    }

    fn end_one(&mut self, number: u32, now: Instant) {
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.ended = Some(now);
            self.ended.push_back((now, number));
        }
    }

    /// What has ended goes first, then what came first.
    fn make_room(&mut self) {
        while self.entries.len() > self.capacity {
            let over = self.ended.pop_front().map(|(_, number)| number);
            let Some(number) = over.or_else(|| self.queue.pop_front()) else { break };
            let is_alive = self.entries.get(&number).is_some_and(|entry| entry.ended.is_none());
            if over.is_none() || !is_alive {
                self.evicted += u64::from(self.remove(number));
            }
        }
    }

    fn remove(&mut self, number: u32) -> bool {
        let Some(Entry { tuples, place, .. }) = self.entries.remove(&number) else { return false };
        for flow in [tuples.original, tuples.translated] {
            let Some((name, _)) = Self::name(&flow, place.domain) else { continue };
            let Some(meaning) = self.meanings.get_mut(&name) else { continue };
            for of in [&mut meaning.original_of, &mut meaning.translated_by] {
                *of = if *of == number { 0 } else { *of };
            }
            if (meaning.original_of, meaning.translated_by) == (0, 0) {
                self.meanings.remove(&name);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
