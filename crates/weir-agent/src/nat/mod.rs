//! Network address translation, as conntrack tells of it: events for what comes and goes, a dump for what
//! was there before, in each network namespace that is watched.
//!
//! The event of a connection is sent as its first packet leaves the host's netfilter, before any
//! observation point can see a translated one. So they are read when a drain has flipped, and whatever was
//! counted under a translated name is put where it belongs.

mod message;
mod netlink;
#[cfg(test)]
mod tests;

use crate::conversations::{Place, Table};
use crate::interfaces::{Inventory, Namespace};
use hashbrown::HashSet;
use message::Heard;
use netlink::{Listener, Look, dump};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};
use weir_record::ProbeAccount;

/// How often it is looked for namespaces that are to be let go, and for conntrack where there was none.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Where events are lost again and again, not all is asked for more often than this.
const DUMP_EVERY: Duration = Duration::from_secs(2);
/// A dump keeps the agent from its drain: it waits this many times as long as the last one took.
const SHARE: u32 = 20;
/// Datagrams that are taken at a time; more than the socket holds.
const AT_A_TIME: usize = 100_000;

/// What can be said of translations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatState {
    /// Network namespaces that are listened to; 0 where it is off, or no conntrack is in the kernel.
    pub namespaces: u64,
    /// Translations that are remembered.
    pub translations: u64,
    /// How many may be.
    #[serde(default)]
    pub translation_capacity: u64,
    /// Translations that were forgotten for others.
    pub evicted_translations: u64,
    /// Events of translated connections that were taken in.
    #[serde(default)]
    pub events: u64,
    /// Those that the kernel had no room for; then all was asked for anew.
    pub lost_events: u64,
    /// Translations that came after translated packets: those conversations are in two records.
    pub late_translations: u64,
}

/// One namespace.
struct Source {
    listener: Listener,
    place: Place,
    /// Events were lost.
    doubt: bool,
    dumped: Instant,
    /// How long to wait from then on.
    pause: Duration,
}

/// All that is listened to.
pub(crate) struct Nat {
    is_wanted: bool,
    sources: BTreeMap<u32, Source>,
    /// Could not be listened to; said once.
    refused: BTreeSet<u32>,
    is_mute: bool,
    looked: Instant,
    events: u64,
    lost: u64,
}

impl Nat {
    /// Listens nowhere yet.
    pub(crate) fn new(is_wanted: bool) -> Self {
        let (sources, refused, looked) = (BTreeMap::new(), BTreeSet::new(), Instant::now());
        Self { is_wanted, sources, refused, is_mute: false, looked, events: 0, lost: 0 }
    }

    /// Listens in each namespace of `inventory` from now on, and takes in what is translated there already. A
    /// line for each refusal.
    pub(crate) fn place(&mut self, inventory: &Inventory, table: &mut Table) -> Vec<String> {
        match Conntrack::of_this_kernel() {
            _ if !self.is_wanted => return Vec::new(),
            Conntrack::Missing => return Vec::new(),
            Conntrack::Mute if std::mem::replace(&mut self.is_mute, true) => return Vec::new(),
            Conntrack::Mute => {
                return vec![format!("{UNKNOWN}: nf_conntrack_netlink is not loaded (modprobe it)")];
            }
            Conntrack::Speaks => {}
        }
        let mut remarks = Vec::new();
        for (namespace, domain) in inventory.namespaces() {
            let place = Place { netns: namespace.id(), domain };
            let known = self.sources.get(&place.netns).map(|source| source.place);
            if known == Some(place) || self.refused.contains(&place.netns) {
                continue;
            }
            self.let_go(place.netns, table);
            match Source::open(namespace, place, table) {
                Ok(source) => drop(self.sources.insert(place.netns, source)),
                // It is about to go.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    self.refused.insert(place.netns);
                    remarks.push(format!("{UNKNOWN} in network namespace {namespace}: {error}"));
                }
            }
        }
        remarks
    }

    /// Lets go of namespaces that nobody but us keeps, and tries again where there was no conntrack.
    pub(crate) fn follow(&mut self, inventory: &Inventory, table: &mut Table) -> Vec<String> {
        if self.looked.elapsed() < LOOK_EVERY {
            return Vec::new();
        }
        self.looked = Instant::now();
        let reachable =
            inventory.namespaces().map(|(namespace, _)| namespace).filter(|one| one.is_reachable());
        let reachable: BTreeSet<_> = reachable.map(Namespace::id).collect();
        let gone: Vec<_> = self.sources.keys().filter(|id| !reachable.contains(id)).copied().collect();
        gone.into_iter().for_each(|id| self.let_go(id, table));
        self.refused.retain(|id| reachable.contains(id));
        self.place(inventory, table)
    }

    /// Takes in what the kernel has said meanwhile.
    pub(crate) fn hear(&mut self, inventory: &Inventory, table: &mut Table) {
        for (id, source) in &mut self.sources {
            let (events, lost) = source.hear(table);
            self.events += events;
            self.lost += lost;
            source.doubt |= lost > 0;
            if let Some(namespace) = inventory.namespace_of(*id).filter(|_| source.is_due()) {
                // Who refuses now is asked again the next time.
                let _ = source.ask(namespace, table);
            }
        }
    }

    /// What can be said of it.
    pub(crate) fn state(&self, table: &Table) -> NatState {
        NatState {
            namespaces: self.sources.len() as u64,
            translations: table.translations().len() as u64,
            translation_capacity: table.translations().capacity() as u64,
            evicted_translations: table.translations().evicted(),
            events: self.events,
            lost_events: self.lost,
            late_translations: table.late_translations(),
        }
    }

    /// What conntrack has told, and what of it was lost; none where nobody has listened.
    pub(crate) fn account(&self, table: &Table) -> Option<ProbeAccount> {
        let is_used = self.events + self.lost > 0 || !self.sources.is_empty();
        let evicted = table.translations().evicted();
        let account =
            ProbeAccount { probe: "conntrack", events: self.events, lost_events: self.lost, evicted };
        is_used.then_some(account)
    }

    fn let_go(&mut self, id: u32, table: &mut Table) {
        if self.sources.remove(&id).is_some() {
            table.translations_mut().end_others(id, &HashSet::new(), Instant::now());
        }
    }
}

impl Source {
    /// Listened to first: what comes meanwhile is told of twice rather than not at all.
    fn open(namespace: &Namespace, place: Place, table: &mut Table) -> io::Result<Self> {
        let listener = namespace.enter(Listener::open)??;
        let mut source = Self { listener, place, doubt: true, dumped: Instant::now(), pause: DUMP_EVERY };
        source.ask(namespace, table)?;
        Ok(source)
    }

    /// Whether events were lost, and the last dump is long enough ago.
    fn is_due(&self) -> bool {
        self.doubt && self.dumped.elapsed() >= self.pause
    }

    /// Asks for everything that there is.
    fn ask(&mut self, namespace: &Namespace, table: &mut Table) -> io::Result<()> {
        self.dumped = Instant::now();
        let living = namespace.enter(dump)??;
        living.iter().for_each(|tuples| table.translate(*tuples, self.place));
        table.translations_mut().end_others(self.place.netns, &living, self.dumped);
        self.doubt = false;
        self.pause = DUMP_EVERY.max(SHARE * self.dumped.elapsed());
        Ok(())
    }

    /// Takes in events: how many, and how many were lost.
    fn hear(&mut self, table: &mut Table) -> (u64, u64) {
        let (now, place) = (Instant::now(), self.place);
        let (mut events, mut is_short) = (0, false);
        for _ in 0..AT_A_TIME {
            let look = self.listener.next(|heard| match heard {
                Heard::Translated(tuples) => table.translate(tuples, place),
                Heard::Ended(tuples) => table.translations_mut().end(&tuples, place, now),
                Heard::Done(_) => {}
            });
            match look {
                Ok(Look::Some) => events += 1,
                Ok(Look::Lost) => is_short = true,
                Ok(Look::Nothing) | Err(_) => break,
            }
        }
        // Until all that was queued is read, the kernel queues nothing more. An event that it had no memory to write
        // at all is not among what it counts.
        let lost = if is_short { self.listener.dropped().max(1) } else { 0 };
        (events, lost)
    }
}

const UNKNOWN: &str = "translated addresses stay unknown";

/// What the kernel has of connection tracking. To ask it over a socket would load the modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Conntrack {
    /// Nothing: nobody translates.
    Missing,
    /// It tracks, but the module that tells of it is not loaded.
    Mute,
    /// All that it takes.
    Speaks,
}

impl Conntrack {
    fn of_this_kernel() -> Self {
        let is_there = |path| Path::new(path).exists();
        // Only what was loaded has an `initstate`.
        match is_there("/proc/sys/net/netfilter/nf_conntrack_count") {
            false => Self::Missing,
            true if !is_there("/sys/module/nf_conntrack/initstate") => Self::Speaks,
            true if is_there("/sys/module/nf_conntrack_netlink") => Self::Speaks,
            true => Self::Mute,
        }
    }
}

/// Whether addresses can be translated here, now or when somebody asks for it.
pub(crate) fn is_possible() -> bool {
    Conntrack::of_this_kernel() == Conntrack::Speaks
}
