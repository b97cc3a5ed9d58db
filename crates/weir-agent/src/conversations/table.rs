//! Every conversation that has not ended, and when each of them ends.

use super::carriers::Carriers;
use super::conversation::Conversation;
use super::ids::Ids;
use super::key::{Joining, Key, Site};
use super::tally::{Spot, Tallies, Tally};
use super::translations::{Place, Translations, Tuples};
use crate::Settings;
use crate::decode;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use std::cmp::Reverse;
use std::time::Duration;
use weir_probes::flows::{Digester, Seen, Ticks};
use weir_record::FlowEndReason;

/// Translations that are remembered: about 350 bytes each, no more than conntrack itself holds by default.
const TRANSLATIONS: usize = 262_144;

/// How long records of a connection that is over may still be on their way.
fn lingering(settings: &Settings) -> Duration {
    settings.idle_timeout + 3 * settings.interval
}

/// Idle and active timeout (RFC 7011 section 5.1.1), in nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Timeouts {
    idle: u64,
    active: u64,
}

impl Timeouts {
    fn new(idle: Duration, active: Duration) -> Self {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self { idle: nanos(idle), active: nanos(active) }
    }
}

/// A record that ends.
pub(crate) struct Ending<'a> {
    /// Of which conversation.
    pub key: &'a Key,
    /// What is known of it.
    pub conversation: &'a mut Conversation,
    /// All that was counted of it; at least one.
    pub tallies: &'a mut [Tally],
    /// What is joined in it.
    pub joining: Joining,
    /// What is known beside it.
    pub others: Others<'a>,
    /// Why.
    pub reason: FlowEndReason,
}

/// What a record tells of beside its own counts.
#[derive(Clone, Copy)]
pub(crate) struct Others<'a> {
    /// Who carries it, if anybody does.
    pub carriers: &'a Carriers,
    /// What its addresses become, if anything.
    pub translations: &'a Translations,
}

/// What one CPU has counted of a flow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted<'a> {
    /// As the probe has it.
    pub seen: Seen<'a>,
    /// Computes the probe's digest of it, by which what it carries names it.
    pub digester: Digester,
    /// One in so many of its packets was counted.
    pub rate: u32,
}

/// What becomes of a conversation.
enum Fate {
    /// Nothing yet.
    Stay,
    /// Its record ends, and another begins.
    Restart,
    /// It ends.
    End(FlowEndReason),
}

/// Every conversation that has not ended.
#[derive(Debug)]
pub(crate) struct Table {
    conversations: HashMap<Key, Conversation>,
    ids: Ids,
    tallies: Tallies,
    carriers: Carriers,
    translations: Translations,
    /// Conversations that were in the table by their translated names before it was known that these are.
    late_translations: u64,
    /// Whether what tunnels carry is counted, and so names them.
    decapsulate: bool,
    joining: Joining,
    /// The observation domain of each interface's two points; 0 beyond the last one.
    domains: Vec<u32>,
    timeouts: Timeouts,
    max_flows: usize,
    /// Counts the drains.
    interval: u32,
    /// When the last one was, in nanoseconds since the Unix epoch.
    now: u64,
}

impl Table {
    /// An empty one.
    pub fn new(settings: &Settings) -> Self {
        let timeouts = Timeouts::new(settings.idle_timeout, settings.active_timeout);
        let (conversations, tallies) = (HashMap::new(), Tallies::new());
        let &Settings { joining, max_flows, decapsulate, .. } = settings;
        let carriers = Carriers::new(settings.idle_timeout);
        let translations = Translations::new(TRANSLATIONS, lingering(settings));
        let (domains, interval, now) = (Vec::new(), 1, 0);
        Self {
            conversations,
            ids: Ids::new(),
            tallies,
            carriers,
            translations,
            late_translations: 0,
            decapsulate,
            joining,
            domains,
            timeouts,
            max_flows,
            interval,
            now,
        }
    }

    /// The number of the observation domain that a point is in.
    pub fn domain(&self, point: u16) -> u32 {
        self.domains.get(usize::from(point / 2)).copied().unwrap_or(0)
    }

    /// The point is in this observation domain from now on, and so is the one of the other direction.
    pub fn set_domain(&mut self, point: u16, domain: u32) {
        let place = usize::from(point / 2);
        if self.domain(point) != domain {
            self.domains.resize(self.domains.len().max(place + 1), 0);
            self.domains[place] = domain;
        }
    }

    /// Has other limits from now on. Conversations beyond the new maximum stay until they end.
    pub fn limit(&mut self, settings: &Settings) {
        self.timeouts = Timeouts::new(settings.idle_timeout, settings.active_timeout);
        self.carriers.keep_for(settings.idle_timeout);
        self.translations.keep_for(lingering(settings));
        self.max_flows = settings.max_flows;
    }

    /// Merges what one CPU has counted. A conversation that finds the table full is in it until
    /// the next drain exports it: a packet is never dropped here.
    pub fn add(&mut self, counted: Counted<'_>, ticks: &Ticks) {
        let Seen { entry, addresses, parent } = counted.seen;
        let directed = decode::key(entry, addresses);
        let site = Site { point: entry.point, domain: self.domain(entry.point) };
        let passage = self.translations.passage(&directed, site.domain);
        let meant = passage.map_or(directed, |passage| passage.original);
        let (key, reverse) = self.joining.key(meant, site);
        let spot = Spot {
            point: entry.point,
            reverse,
            vlan: self.joining.vlan(&directed),
            translated: passage.is_some_and(|passage| passage.is_translated),
            rate: counted.rate,
        };
        let found = Tally::new(entry, spot, ticks, self.interval);
        let beyond = self.conversations.len() >= self.max_flows;
        let conversation = match self.conversations.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(Conversation::new(self.ids.next(), beyond)),
        };
        conversation.note(&found, entry.marks, self.interval);
        if let Some(passage) = passage {
            conversation.translation = passage.number;
        }
        if parent != 0 {
            conversation.carried_by(reverse, parent);
        } else if self.decapsulate && Carriers::may_be(entry) {
            self.carriers.note(counted.digester.digest(entry), conversation.id, found.last);
        }
        self.tallies.add(&mut conversation.tallies, found);
    }

    /// Takes in a connection whose addresses are translated. Only where points are joined: the two names of a
    /// flow are seen at different ones.
    pub fn translate(&mut self, tuples: Tuples, place: Place) {
        let site = Site { point: 0, domain: place.domain };
        let (key, _) = self.joining.key(tuples.translated, site);
        if self.translations.learn(tuples, place) && self.conversations.contains_key(&key) {
            self.late_translations += 1;
        }
    }

    /// How many translations came after packets that had been translated.
    pub fn late_translations(&self) -> u64 {
        self.late_translations
    }

    /// What is known of translations.
    pub fn translations(&self) -> &Translations {
        &self.translations
    }

    /// What is known of translations, to be changed.
    pub fn translations_mut(&mut self) -> &mut Translations {
        &mut self.translations
    }

    /// Ends what has ended by `now`, and begins the next interval for the rest.
    pub fn expire(&mut self, now: u64, ended: impl FnMut(Ending<'_>)) {
        let (timeouts, interval) = (self.timeouts, self.interval);
        self.now = now;
        self.sweep(|key, conversation, _| fate(key, conversation, &timeouts, (now, interval)), ended);
        self.interval = interval.wrapping_add(1);
        self.carriers.expire(now);
        self.release_memory();
    }

    /// Ends the record of every conversation, and begins another: the rules change.
    pub fn cut(&mut self, ended: impl FnMut(Ending<'_>)) {
        self.sweep(|_, _, _| Fate::Restart, ended);
    }

    /// Ends, by force, every conversation that has been seen only at points that are `gone`. One
    /// that others see as well goes on in another record.
    pub fn force(&mut self, gone: impl Fn(u16) -> bool, ended: impl FnMut(Ending<'_>)) {
        if !self.tallies.any_at(&gone) {
            return;
        }
        let fate = |key: &Key, conversation: &Conversation, tallies: &Tallies| {
            let mut points = tallies.of(conversation.tallies).map(|tally| tally.spot.point);
            let (total, lost) = points.by_ref().fold((0, 0), |(t, g), p| (t + 1, g + usize::from(gone(p))));
            match lost {
                0 => Fate::Stay,
                lost if lost < total => Fate::Restart,
                _ if conversation.is_over(&key.flow) => Fate::End(FlowEndReason::EndOfFlowDetected),
                _ => Fate::End(FlowEndReason::ForcedEnd),
            }
        };
        self.sweep(fate, ended);
    }

    /// Hands out the record of each conversation that ends or restarts, if it has any packets.
    fn sweep(
        &mut self,
        fate: impl Fn(&Key, &Conversation, &Tallies) -> Fate,
        mut ended: impl FnMut(Ending<'_>),
    ) {
        let (joining, now) = (self.joining, self.now);
        let Self { conversations, tallies: all, carriers, translations, .. } = self;
        let others = Others { carriers, translations };
        let mut own = Vec::new();
        conversations.retain(|key, conversation| {
            let (stays, reason) = match fate(key, conversation, all) {
                Fate::Stay => return true,
                Fate::Restart => (true, FlowEndReason::ActiveTimeout),
                Fate::End(reason) => (false, reason),
            };
            own.clear();
            own.extend(all.of(conversation.tallies).copied());
            if !own.is_empty() {
                ended(Ending { key, conversation, tallies: &mut own, joining, others, reason });
                all.clear(&mut conversation.tallies);
                conversation.restart(now);
            }
            stays
        });
    }

    /// Shows the `most` conversations that moved the most bytes in the last interval, the busiest first; of those that
    /// were seen since a drain, where one is named.
    pub fn busiest(&self, since: Option<u32>, most: usize, mut show: impl FnMut(Ending<'_>, u64)) {
        let last = self.interval.wrapping_sub(1);
        // Numbers of drains start over after 2³² of them.
        let age = |interval: u32| self.interval.wrapping_sub(interval);
        let mut busy: Vec<_> = self
            .begun()
            .filter(|(_, conversation)| since.is_none_or(|since| age(conversation.interval) <= age(since)))
            .map(|(key, conversation)| {
                let recent = recent_bytes(self.tallies.of(conversation.tallies), last);
                ((recent, conversation.last, conversation.start), key, conversation)
            })
            .collect();
        if busy.len() > most && most > 0 {
            busy.select_nth_unstable_by_key(most - 1, |one| Reverse(one.0));
        }
        busy.truncate(most);
        busy.sort_unstable_by_key(|one| Reverse(one.0));
        let mut own = Vec::new();
        for ((recent, ..), key, conversation) in busy {
            self.show((key, conversation), &mut own, |ending| show(ending, recent));
        }
    }

    /// Shows every conversation.
    pub fn look(&self, mut show: impl FnMut(Ending<'_>)) {
        let mut own = Vec::new();
        self.begun().for_each(|one| self.show(one, &mut own, &mut show));
    }

    /// Those that have a record.
    fn begun(&self) -> impl Iterator<Item = (&Key, &Conversation)> {
        self.conversations.iter().filter(|(_, conversation)| conversation.start != u64::MAX)
    }

    /// A conversation as if it ended now.
    fn show(
        &self,
        (key, conversation): (&Key, &Conversation),
        own: &mut Vec<Tally>,
        show: impl FnOnce(Ending<'_>),
    ) {
        own.clear();
        own.extend(self.tallies.of(conversation.tallies).copied());
        let others = Others { carriers: &self.carriers, translations: &self.translations };
        let (tallies, joining, reason) = (&mut own[..], self.joining, FlowEndReason::ForcedEnd);
        show(Ending { key, conversation: &mut conversation.clone(), tallies, joining, others, reason });
    }

    /// The number of the interval that goes on.
    pub fn interval(&self) -> u32 {
        self.interval
    }

    /// When the last one ended, in nanoseconds since the Unix epoch.
    pub fn drained(&self) -> u64 {
        self.now
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.conversations.len()
    }

    /// After a burst of flows the table does not keep its peak for ever.
    fn release_memory(&mut self) {
        let (length, capacity) = (self.conversations.len(), self.conversations.capacity());
        if capacity > 8192 && length < capacity / 8 {
            self.conversations.shrink_to(length * 2);
        }
        if self.tallies.is_sparse() {
            self.tallies.compact(self.conversations.values_mut().map(|one| &mut one.tallies));
        }
    }
}

/// What becomes of a conversation at the end of `interval`.
fn fate(key: &Key, conversation: &Conversation, timeouts: &Timeouts, (now, interval): (u64, u32)) -> Fate {
    let quiet = conversation.interval != interval;
    if conversation.beyond {
        Fate::End(FlowEndReason::LackOfResources)
    } else if quiet && conversation.is_over(&key.flow) {
        // A whole interval after FIN or RST: the last acknowledgements are in.
        Fate::End(FlowEndReason::EndOfFlowDetected)
    } else if quiet && now.saturating_sub(conversation.last) >= timeouts.idle {
        Fate::End(FlowEndReason::IdleTimeout)
    } else if now.saturating_sub(conversation.start) >= timeouts.active {
        Fate::Restart
    } else {
        Fate::Stay
    }
}

/// Bytes of both directions in `interval`, each as the point that saw most of it.
fn recent_bytes<'a>(tallies: impl Iterator<Item = &'a Tally>, interval: u32) -> u64 {
    let mut most = [0; 2];
    for tally in tallies {
        let direction = &mut most[usize::from(tally.spot.reverse)];
        *direction = (*direction).max(tally.bytes_in(interval));
    }
    most[0] + most[1]
}

#[cfg(test)]
mod tests;
