//! Events as they happen, for who watches: beside whatever agent runs, with probes of its own.
//!
//! ```text
//! probes ──► sources ──► heard, in the order of time ──► who and where (identity) ──► told
//! ```

mod calls;
mod closed;
mod drops;
mod heard;
mod hellos;
mod lookups;
mod retransmits;

use crate::agent::require_privileges;
use crate::identity::{Identity, booted};
use crate::interfaces::{Change, Inventory, Names};
use crate::{Namespaces, Result, Settings};
use calls::CallSource;
use closed::ClosedSource;
use drops::DropSource;
use heard::Heard;
use hellos::HelloSource;
pub(crate) use lookups::understood;
use retransmits::RetransmitSource;
use std::time::Instant;
use weir_record::{Event, EventKind, Lost};

/// Events that are taken at a time; more than any ring holds.
const AT_A_TIME: usize = 65_536;
/// How often it is looked who is gone.
const EXPIRE_EVERY: std::time::Duration = std::time::Duration::from_secs(1);

/// What somebody hears who watches.
#[derive(Debug)]
pub enum Told {
    /// Something has happened.
    Event(Box<Event>),
    /// Something more has, that did not get through.
    Lost(Lost),
}

/// Where events of some kinds come from.
trait Source {
    /// Its probe.
    fn probe(&self) -> &'static str;

    /// Hands on what the kernel has told meanwhile.
    fn hear(&mut self, heard: &mut dyn FnMut(Heard)) -> Result<()>;

    /// Hands on what is not told, but has to be looked for where the host's network is.
    fn look(&mut self, _inventory: &Inventory, _heard: &mut dyn FnMut(Heard)) -> Result<()> {
        Ok(())
    }

    /// What the kernel had no room for, since the start.
    fn lost(&self) -> Result<u64>;

    /// Where that was.
    fn cause(&self) -> &'static str {
        "ring_full"
    }

    /// Hangs its programs on the interfaces that there are, if it has any that hang there. Whether there is more to do.
    /// After an uncertain `change` an interface that seems to be the same may be another one.
    fn post(&mut self, _inventory: &Inventory, _change: Change) -> bool {
        false
    }

    /// What came through and could not be made an event of, since the start.
    fn incomprehensible(&self) -> u64 {
        0
    }

    /// What there is to be said since the last time.
    fn remarks(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// A source, and what is known to be missing of it.
struct Heeded {
    source: Box<dyn Source>,
    lost: u64,
    incomprehensible: u64,
}

impl Heeded {
    fn tell_missing(&mut self, told: &mut impl FnMut(Told)) -> Result<()> {
        let probe = self.source.probe();
        tell_lost((probe, self.source.lost()?, self.source.cause()), &mut self.lost, told);
        tell_lost(
            (probe, self.source.incomprehensible(), "incomprehensible"),
            &mut self.incomprehensible,
            told,
        );
        Ok(())
    }
}

/// Those that were asked for, and what it takes to say who they are.
pub struct Tracer {
    inventory: Inventory,
    identity: Identity,
    sources: Vec<Heeded>,
    /// Whether questions to DNS were asked for. They come with the names of addresses.
    wants_lookups: bool,
    lost_lookups: u64,
    /// There are interfaces where DNS is not listened to yet.
    is_behind: bool,
    heard: Vec<Heard>,
    expired: Instant,
}

impl Tracer {
    /// Attaches what hears of these kinds; and what a user should know.
    ///
    /// # Errors
    /// A privilege is missing, or the kernel refuses a probe.
    pub fn open(settings: &Settings, kinds: &[&'static EventKind]) -> Result<(Self, Vec<String>)> {
        require_privileges()?;
        // Processes talk in every network namespace. Who may not enter others knows the addresses of the own one.
        let mut remarks = Vec::new();
        let inventory = Inventory::open(Namespaces::Every, true).or_else(|error| {
            remarks.push(format!("other network namespaces have no names: {error}"));
            Inventory::open(Namespaces::Own, true)
        })?;
        let mut settings = settings.clone();
        // What talks to nobody needs no names.
        settings.naming.dns &= kinds.iter().any(|kind| kind.place.has_both_ends());
        let mut identity = Identity::open(&settings);
        identity.place(&inventory);
        let wants_lookups = kinds.iter().any(|kind| kind.name == "dns");
        let heed = |source| Heeded { source, lost: 0, incomprehensible: 0 };
        let sources = sources(&settings, kinds)?.into_iter().map(heed).collect();
        let (heard, expired) = (Vec::new(), Instant::now());
        let mut tracer = Self {
            inventory,
            identity,
            sources,
            wants_lookups,
            lost_lookups: 0,
            is_behind: true,
            heard,
            expired,
        };
        tracer.post(Change::None);
        // Names can wait until it is listened everywhere, events cannot.
        while tracer.is_behind && kinds.iter().any(|kind| ["dns", "sni"].contains(&kind.name)) {
            tracer.post(Change::None);
        }
        remarks.extend(tracer.remarks());
        Ok((tracer, remarks))
    }

    /// Hands on what has happened since the last time, in its order.
    ///
    /// # Errors
    /// The kernel refuses to be read.
    pub fn hear(&mut self, mut told: impl FnMut(Told)) -> Result<()> {
        let change = self.inventory.refresh()?;
        if change != Change::None {
            self.identity.place(&self.inventory);
        }
        if change != Change::None || self.is_behind {
            self.post(change);
        }
        for heeded in &mut self.sources {
            heeded.source.hear(&mut |one| self.heard.push(one))?;
            heeded.source.look(&self.inventory, &mut |one| self.heard.push(one))?;
            heeded.tell_missing(&mut told)?;
        }
        // Whoever did this has been told of by now.
        let Self { identity, heard, wants_lookups, lost_lookups, .. } = self;
        identity.hear_lookups(&mut |lookup| {
            if *wants_lookups {
                heard.push(understood(lookup));
            }
        })?;
        if *wants_lookups {
            tell_lost(("dns", identity.lost_lookups(), "ring_full"), lost_lookups, &mut told);
        }
        self.tell(told)?;
        if self.expired.elapsed() >= EXPIRE_EVERY {
            self.identity.expire();
            self.expired = Instant::now();
        }
        Ok(())
    }

    /// Hangs what hangs on interfaces.
    fn post(&mut self, change: Change) {
        let Self { inventory, identity, sources, .. } = self;
        if change == Change::Uncertain {
            identity.look_again(inventory);
        }
        self.is_behind = identity.post(inventory, |_| true);
        for heeded in sources {
            self.is_behind |= heeded.source.post(inventory, change);
        }
    }

    fn tell(&mut self, mut told: impl FnMut(Told)) -> Result<()> {
        if self.heard.is_empty() {
            return Ok(());
        }
        let Self { heard, identity, inventory, .. } = self;
        let booted = booted()?;
        let names = Names::of(inventory);
        heard.sort_by_key(|one| one.time);
        let users: Vec<_> =
            heard.iter().map(|one| one.users.map(|user| user.map(|user| identity.process(&user)))).collect();
        identity.settle();
        for (one, users) in heard.drain(..).zip(users) {
            let mut event = one.event(&names, booted);
            identity.identify(&mut event.flow, users);
            told(Told::Event(Box::new(event)));
        }
        Ok(())
    }

    /// What there is to be said since the last time.
    pub fn remarks(&mut self) -> Vec<String> {
        let of_sources = self.sources.iter_mut().flat_map(|heeded| heeded.source.remarks());
        let mut remarks: Vec<_> = of_sources.collect();
        remarks.extend(self.identity.remarks());
        remarks
    }
}

/// What is missing of a probe since the last time, and where it was lost.
fn tell_lost(
    (probe, now, cause): (&'static str, u64, &'static str),
    before: &mut u64,
    told: &mut impl FnMut(Told),
) {
    let events = now.saturating_sub(std::mem::replace(before, now));
    if events > 0 {
        told(Told::Lost(Lost { probe, events, cause }));
    }
}

fn sources(settings: &Settings, kinds: &[&'static EventKind]) -> Result<Vec<Box<dyn Source>>> {
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    let wants = |name: &str| kinds.iter().any(|kind| kind.name == name);
    if let Some(calls) = CallSource::of(kinds)? {
        sources.push(Box::new(calls));
    }
    if wants("retransmit") {
        sources.push(Box::new(RetransmitSource::attach()?));
    }
    if wants("drop") {
        sources.push(Box::new(DropSource::attach()?));
    }
    if wants("tcp") {
        sources.push(Box::new(ClosedSource::attach()?));
    }
    if wants("sni") {
        sources.push(Box::new(HelloSource::load(settings.naming.dns_place)?));
    }
    Ok(sources)
}
