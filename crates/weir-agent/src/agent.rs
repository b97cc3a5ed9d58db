//! The agent: attached interfaces, and the loop that drains them.

mod change;
mod exit;
mod follow;
mod lookups;
mod pace;
mod recent;
mod rules;
mod snapshot;

pub use change::reloaded;
pub use lookups::OnLookup;

use crate::books::Notify;
use crate::conversations::{Counted, Table};
use crate::dns::load_flows;
use crate::drops::Drops;
use crate::identity::Identity;
use crate::interfaces::{Inventory, Link};
use crate::left;
use crate::nat::Nat;
use crate::policy::Selector;
use crate::status::DrainWatch;
use crate::tcp::{self, Health};
use crate::{Books, Control, Dedup, Error, HookChoice, Namespaces, Outlet, Result, Settings};
use follow::Following;
use pace::Pace;
use recent::Recent;
use std::path::Path;
use std::time::{Duration, Instant};
use weir_kernel::privilege::{has_btf, missing_capabilities, online_cpus};
use weir_kernel::{Hook, LedgerCell, Pin, SpillRecord};
use weir_probes::dns::Ports;
use weir_probes::flows::rules::Rates;
use weir_probes::flows::{Demand, Digester, Flows, Layout, Seen, Ticks, Visitor, can_draw_by_content};
use weir_record::Count;

/// How long it lets a spill gather that goes on.
const GATHER: Duration = Duration::from_millis(2);

/// What the agent says of itself when it is attached.
#[derive(Debug, Clone)]
pub struct Start {
    /// Interfaces that are watched.
    pub interfaces: Vec<String>,
    /// In how many network namespaces they are.
    pub namespaces: usize,
    /// How the programs hang there.
    pub hook: Hook,
    /// Sizes of the kernel maps.
    pub layout: Layout,
    /// What a user should know: interfaces that could not be watched, filters that were left behind.
    pub remarks: Vec<String>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Report {
    /// The final books.
    pub books: Books,
    /// The first error of the sink.
    pub output: std::io::Result<()>,
}

/// The agent, attached.
pub struct Agent {
    settings: Settings,
    hook: Hook,
    flows: Flows,
    table: Table,
    books: Books,
    inventory: Inventory,
    following: Following,
    selector: Selector,
    identity: Identity,
    health: Health,
    nat: Nat,
    drops: Drops,
    ticks: Ticks,
    recent: Recent,
    pace: Pace,
    started: Instant,
    drains: DrainWatch,
    /// Flow entries of the kernel that the last drain found.
    entries_used: u64,
    on_lookup: Option<OnLookup>,
}

impl Agent {
    /// Loads the probe and attaches it to every selected interface, or to none.
    ///
    /// # Errors
    /// A privilege or a kernel feature is missing, a glob selects no interface, the budget is too small.
    pub fn attach(settings: Settings, notify: Notify) -> Result<(Self, Start)> {
        require_privileges()?;
        // Who serves every address serves those that are here.
        let addresses = settings.identity || !settings.selection.addresses.is_empty();
        let inventory = Inventory::open(settings.namespaces.clone(), addresses)?;
        let found = settings.selection.choose(inventory.links())?;
        let (mut flows, by_itself) = load_flows(Layout::new(demand(&settings, &found))?)?;
        let ticks = flows.ticks()?;
        let hook = if settings.hook == HookChoice::Clsact { Hook::Clsact } else { Hook::Tcx };
        let mut table = Table::new(&settings);
        let books = Books::new(flows.layout().points, notify);
        let following = Following::default();
        let selector = rules::selector(&settings, flows.layout().rule_room)?;
        flows.set_rules(selector.compiled(std::iter::empty())?);
        // Nothing is attached yet: both generations begin with the rules.
        for _ in 0..2 {
            flows.flip()?;
        }
        let mut identity = Identity::open(&settings);
        identity.place(&inventory);
        identity.hear_from(&mut flows);
        let mut nat = Nat::new(settings.follows_nat());
        let (health, remark) = Health::open(&settings);
        let mut remarks = identity.remarks();
        let (mut drops, said) = Drops::open(&settings);
        drops.place(&inventory);
        remarks.extend(said.into_iter().chain(remark).chain(by_itself));
        remarks.extend(nat.place(&inventory, &mut table));
        let (started, drains, entries_used) = (Instant::now(), DrainWatch::new(settings.interval), 0);
        let mut agent = Self {
            settings,
            hook,
            flows,
            table,
            books,
            inventory,
            following,
            selector,
            identity,
            health,
            nat,
            drops,
            ticks,
            recent: Recent::default(),
            pace: Pace::new(started),
            started,
            drains,
            entries_used,
            on_lookup: None,
        };
        remarks.extend(agent.attach_first(&found)?);
        remarks.extend_from_slice(agent.selector.remarks());
        let (interfaces, namespaces) = agent.following.names();
        let start =
            Start { interfaces, namespaces, hook: agent.hook, layout: *agent.flows.layout(), remarks };
        Ok((agent, start))
    }

    /// Drains every interval until `stop` says so, then once more, and closes the books.
    /// `control` answers what is asked meanwhile; `live` is shown the agent at each moment.
    ///
    /// # Errors
    /// The kernel refuses what it allowed at start.
    pub fn run(
        mut self,
        mut outlet: Outlet,
        mut control: Control,
        mut stop: impl FnMut() -> bool,
        mut live: impl FnMut(&mut Self, Moment),
    ) -> Result<Report> {
        let mut next = Instant::now() + self.settings.interval;
        while !stop() {
            self.wait(next)?;
            self.hear()?;
            self.pace.found(self.take_fill(), Instant::now());
            self.drops.relieve()?;
            let remarks = self.identity.remarks().into_iter().chain(self.drops.remark());
            remarks.for_each(|line| self.books.notice(line));
            self.follow(&mut outlet)?;
            let now = Instant::now();
            let is_due = now >= next;
            if is_due {
                self.drain(&mut outlet)?;
                self.drains.add(now);
                // A drain that took longer than the interval is not made up for.
                next = (next + self.settings.interval).max(now);
            }
            if outlet.is_closed() {
                break;
            }
            control.attend(&mut self, &mut outlet);
            let are_others = self.following.are_others();
            if is_due {
                live(&mut self, Moment::Drained);
            } else if are_others {
                live(&mut self, Moment::Followed);
            }
            // The interval may be shorter now.
            next = next.min(Instant::now() + self.settings.interval);
        }
        self.finish(outlet)
    }

    /// Takes in spills until `next`, or for a glance.
    fn wait(&mut self, next: Instant) -> Result<()> {
        let glance =
            next.min(Instant::now() + if self.following.is_behind() { GATHER } else { self.pace.sleep() });
        loop {
            let left = glance.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.flows.wait_for_spill(left);
            if self.take_spills(self.ring_capacity())? > 0 {
                std::thread::sleep(GATHER.min(left));
            }
        }
    }

    fn finish(mut self, mut outlet: Outlet) -> Result<Report> {
        // Off the interfaces first: what is seen from now on is nobody's.
        self.detach_all();
        self.health.look(&self.inventory);
        // Two generations: a packet may still have been on its way into the second.
        self.drain(&mut outlet)?;
        self.drain(&mut outlet)?;
        let (table, mut exit) = self.exit(&mut outlet);
        table.force(|_| true, |ending| exit.take(ending));
        let output = outlet.finish(&mut self.books);
        self.books.speak();
        Ok(Report { books: self.books, output })
    }

    /// Flips the generation, reads the one that was left, and exports what has ended.
    fn drain(&mut self, outlet: &mut Outlet) -> Result<()> {
        let left = self.flows.flip()?;
        let epoch = left.epoch();
        self.ticks = self.flows.ticks()?;
        // All spills of the generation that was left are in the ring by now.
        self.take_spills(self.ring_capacity())?;
        // Whoever sent these packets has been told of by now.
        self.hear()?;
        self.identity.settle();
        self.identity.expire();
        self.drops.hear(&self.inventory)?;
        let every = if self.recent.is_asked_for() { tcp::LOOK_WHILE_ASKED } else { tcp::LOOK_EVERY };
        self.health.look_again(&self.inventory, every);
        self.health.expire();
        self.table.translations_mut().expire(Instant::now());
        let Self { flows, table, books, ticks, entries_used, .. } = self;
        let (rates, digester) = (flows.rates(epoch).clone(), flows.digester());
        *entries_used = 0;
        flows.drain(left, &mut Merge { table, books, ticks, entries_used, rates, digester })?;
        books.end_epoch(epoch);
        let now = ticks.unix();
        self.recent.expire(Instant::now());
        let (table, mut exit) = self.exit(outlet);
        table.expire(now, |ending| exit.take(ending));
        self.retire(outlet);
        outlet.send(&mut self.books);
        self.collect(outlet);
        let accounts = self.identity.accounts().chain(self.health.accounts()).chain(self.drops.account());
        let accounts = accounts.chain(self.nat.account(&self.table));
        self.books.set_probes(accounts.collect());
        self.books.audit();
        self.books.speak();
        Ok(())
    }

    /// Books what the sinks have answered. What the history has changes in the same moment: what is written down says both.
    fn collect(&mut self, outlet: &mut Outlet) {
        outlet.collect(&mut self.books);
        self.books.set_kept(outlet.kept());
    }

    /// More records than the ring can hold: what was in it at the time of the call has been read.
    fn ring_capacity(&self) -> usize {
        self.flows.layout().spill_bytes as usize / size_of::<SpillRecord>() + 1
    }

    fn take_spills(&mut self, limit: usize) -> Result<usize> {
        // What translates these packets has been told of before they were.
        self.nat.hear(&self.inventory, &mut self.table);
        let Self { flows, table, books, ticks, .. } = self;
        let (now_epoch, digester) = (flows.epoch(), flows.digester());
        Ok(flows.consume_spill(limit, |spill| {
            let count = Count { packets: spill.entry.packets, bytes: spill.entry.bytes };
            // A generation that is still written has not said yet that it saw these packets.
            if spill.epoch == now_epoch {
                books.hold_ahead(spill.entry.point, count, spill.epoch);
            } else {
                books.hold(spill.entry.point, count);
            }
            let seen = Seen { entry: &spill.entry, addresses: Some(&spill.addresses), parent: spill.parent };
            let rate = flows.rates(spill.epoch).of(spill.entry.rate);
            table.add(Counted { seen, digester, rate }, ticks);
        })?)
    }

    /// Has the next agent of the history in `directory` find what this one has seen, should this one be killed.
    ///
    /// # Errors
    /// There is no bpffs, and none can be mounted; or it is not open to this process.
    pub fn pin(&mut self, directory: &Path) -> Result<Pin> {
        left::pin(&mut self.flows, directory)
    }

    /// What has to be written down with the books for that; see [`seen_since`](crate::seen_since).
    pub fn mark(&self, pin: Option<&Pin>) -> String {
        left::mark(pin, &self.flows, self.books.numbered())
    }

    /// How many conversations there are.
    pub fn flow_count(&self) -> usize {
        self.table.len()
    }

    /// How long the last drain's counts are of.
    pub fn last_interval(&self) -> Duration {
        self.drains.apart()
    }

    /// Says a line of the agent's own.
    pub fn notice(&mut self, line: String) {
        self.books.notice(line);
    }

    /// The books as they are.
    pub fn books(&self) -> &Books {
        &self.books
    }
}

/// What an agent that runs has just done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Read what the kernel had counted.
    Drained,
    /// Opened, closed or renamed accounts, between two drains.
    Followed,
}

/// Where a drain's findings go.
struct Merge<'a> {
    table: &'a mut Table,
    books: &'a mut Books,
    ticks: &'a Ticks,
    entries_used: &'a mut u64,
    rates: Rates,
    digester: Digester,
}

impl Visitor for Merge<'_> {
    fn flow(&mut self, seen: Seen<'_>) {
        let entry = seen.entry;
        *self.entries_used += 1;
        self.books.hold(entry.point, Count { packets: entry.packets, bytes: entry.bytes });
        let (digester, rate) = (self.digester, self.rates.of(entry.rate));
        self.table.add(Counted { seen, digester, rate }, self.ticks);
    }

    fn cell(&mut self, point: u16, cell: &LedgerCell) {
        self.books.see(point, cell);
    }
}

/// What loading programs takes.
pub(crate) fn require_privileges() -> Result<()> {
    let missing = missing_capabilities();
    if !missing.is_empty() {
        let binary =
            std::env::current_exe().map_or_else(|_| "weir".into(), |path| path.display().to_string());
        return Err(Error::Privilege { missing, binary });
    }
    if has_btf() { Ok(()) } else { Err(Error::NoBtf) }
}

fn demand(settings: &Settings, found: &[Link]) -> Demand {
    let own = found.iter().filter(|one| one.id.netns == 0);
    Demand {
        interfaces: found.len() as u32,
        highest_ifindex: own.map(|one| one.id.index).max().unwrap_or(0),
        every_netns: settings.namespaces != Namespaces::Own,
        decapsulate: settings.decapsulate,
        handshakes: settings.tcp,
        dns_ports: if settings.naming.dns { Ports::of(&settings.naming.dns_ports) } else { Ports::NONE },
        // What is joined must be the same packets.
        draw_by_content: settings.joining.dedup != Dedup::Off && can_draw_by_content(),
        clock: settings.clock,
        ..Demand::one_interface(settings.memory_budget, online_cpus())
    }
}
