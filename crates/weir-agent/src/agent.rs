//! The agent: attached interfaces, and the loop that drains them.

mod follow;

use crate::books::Notify;
use crate::interfaces::{Inventory, Link};
use crate::table::{Flow, LiveFlow, Place};
use crate::{Books, Error, HookChoice, Namespaces, Outlet, Result, Settings, Table};
use follow::Following;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_kernel::privilege::{has_btf, missing_capabilities, online_cpus};
use weir_kernel::{FlowAddresses, FlowEntry, Hook, LedgerCell, SpillRecord};
use weir_probes::flows::{Demand, Flows, Layout, Ticks, Visitor};
use weir_record::{Count, FlowEndReason, FlowRecord};

/// How long the loop sleeps at most before it looks whether it shall stop.
const GLANCE: Duration = Duration::from_millis(100);
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
    ticks: Ticks,
    /// Flows that found the table full, until the next drain exports them.
    overflow: Vec<(Place, Flow)>,
}

impl Agent {
    /// Loads the probe and attaches it to every selected interface, or to none.
    ///
    /// # Errors
    /// A privilege or a kernel feature is missing, a glob selects no interface, the budget is too small.
    pub fn attach(settings: Settings, notify: Notify) -> Result<(Self, Start)> {
        require_privileges()?;
        let addresses = !settings.selection.addresses.is_empty();
        let inventory = Inventory::open(settings.namespaces.clone(), addresses)?;
        let found = settings.selection.choose(inventory.links())?;
        let flows = Flows::load(Layout::new(demand(&settings, &found))?)?;
        let ticks = flows.ticks()?;
        let hook = if settings.hook == HookChoice::Clsact { Hook::Clsact } else { Hook::Tcx };
        let table = Table::new(settings.idle_timeout, settings.active_timeout, settings.max_flows);
        let books = Books::new(flows.layout().points, notify);
        let (following, overflow) = (Following::default(), Vec::new());
        let mut agent = Self { settings, hook, flows, table, books, inventory, following, ticks, overflow };
        let remarks = agent.attach_first(&found)?;
        let (interfaces, namespaces) = agent.following.names();
        let start =
            Start { interfaces, namespaces, hook: agent.hook, layout: *agent.flows.layout(), remarks };
        Ok((agent, start))
    }

    /// Drains every interval until `stop` says so, then once more, and closes the books.
    /// `live` is shown the agent after each drain.
    ///
    /// # Errors
    /// The kernel refuses what it allowed at start.
    pub fn run(
        mut self,
        mut outlet: Outlet,
        mut stop: impl FnMut() -> bool,
        mut live: impl FnMut(&Self),
    ) -> Result<Report> {
        let mut next = Instant::now() + self.settings.interval;
        while !stop() {
            self.wait(next)?;
            self.follow()?;
            let now = Instant::now();
            if now >= next {
                self.drain(&mut outlet)?;
                live(&self);
                // A drain that took longer than the interval is not made up for.
                next = (next + self.settings.interval).max(now);
            }
            if outlet.failure().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe) {
                break;
            }
        }
        self.finish(outlet)
    }

    /// Takes in spills until `next`, or for a glance.
    fn wait(&mut self, next: Instant) -> Result<()> {
        let glance = next.min(Instant::now() + if self.following.is_behind() { GATHER } else { GLANCE });
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
        // Two generations: a packet may still have been on its way into the second.
        self.drain(&mut outlet)?;
        self.drain(&mut outlet)?;
        let Self { mut table, mut books, .. } = self;
        table.force(|_| true, |place, flow, reason| export(place, flow, reason, &mut outlet, &mut books));
        let output = outlet.finish(&mut books);
        books.speak();
        Ok(Report { books, output })
    }

    /// Flips the generation, reads the one that was left, and exports what has ended.
    fn drain(&mut self, outlet: &mut Outlet) -> Result<()> {
        let left = self.flows.flip()?;
        let epoch = left.epoch();
        self.ticks = self.flows.ticks()?;
        // All spills of the generation that was left are in the ring by now.
        self.take_spills(self.ring_capacity())?;
        let Self { flows, table, books, ticks, overflow, .. } = self;
        flows.drain(left, &mut Merge { table, books, ticks, overflow })?;
        books.end_epoch(epoch);
        for (place, flow) in overflow.drain(..) {
            export(place, &flow, FlowEndReason::LackOfResources, outlet, books);
        }
        table.expire(ticks.unix(), |place, flow, reason| export(place, flow, reason, outlet, books));
        self.retire(outlet);
        outlet.send(&mut self.books);
        outlet.collect(&mut self.books);
        self.books.audit();
        self.books.speak();
        Ok(())
    }

    /// More records than the ring can hold: what was in it at the time of the call has been read.
    fn ring_capacity(&self) -> usize {
        self.flows.layout().spill_bytes as usize / size_of::<SpillRecord>() + 1
    }

    fn take_spills(&mut self, limit: usize) -> Result<usize> {
        let Self { flows, table, books, ticks, overflow, .. } = self;
        let now_epoch = flows.epoch();
        Ok(flows.consume_spill(limit, |spill| {
            let count = Count { packets: spill.entry.packets, bytes: spill.entry.bytes };
            // A generation that is still written has not said yet that it saw these packets.
            if spill.epoch == now_epoch {
                books.hold_ahead(spill.entry.point, count, spill.epoch);
            } else {
                books.hold(spill.entry.point, count);
            }
            overflow.extend(table.add(&spill.entry, Some(&spill.addresses), ticks));
        })?)
    }

    /// The flows that move most, for a live view.
    pub fn busiest(&self, most: usize) -> Vec<LiveFlow> {
        self.table.busiest(most)
    }

    /// How many flows there are.
    pub fn flow_count(&self) -> usize {
        self.table.len()
    }

    /// The books as they are.
    pub fn books(&self) -> &Books {
        &self.books
    }
}

/// Where a drain's findings go.
struct Merge<'a> {
    table: &'a mut Table,
    books: &'a mut Books,
    ticks: &'a Ticks,
    overflow: &'a mut Vec<(Place, Flow)>,
}

impl Visitor for Merge<'_> {
    fn flow(&mut self, entry: &FlowEntry, addresses: Option<&FlowAddresses>) {
        self.books.hold(entry.point, Count { packets: entry.packets, bytes: entry.bytes });
        self.overflow.extend(self.table.add(entry, addresses, self.ticks));
    }

    fn cell(&mut self, point: u16, cell: &LedgerCell) {
        self.books.see(point, cell);
    }
}

fn record(books: &Books, place: Place, flow: &Flow, end_reason: FlowEndReason) -> Option<FlowRecord> {
    let account = books.account(place.point)?;
    Some(FlowRecord {
        point: place.point,
        interface: Arc::clone(&account.interface),
        direction: account.direction,
        key: place.key,
        start: flow.start,
        end: flow.end,
        packets: flow.count.packets,
        bytes: flow.count.bytes,
        tcp_flags: flow.tcp_flags,
        dscp: flow.dscp,
        dscp_seen: flow.dscp_seen,
        ecn_seen: flow.ecn_seen,
        ttl: flow.ttl,
        length: flow.length,
        fragmented: flow.fragmented,
        end_reason,
    })
}

fn export(place: Place, flow: &Flow, reason: FlowEndReason, outlet: &mut Outlet, books: &mut Books) {
    if let Some(record) = record(books, place, flow, reason) {
        outlet.push(record, books);
    }
}

fn require_privileges() -> Result<()> {
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
        budget: settings.memory_budget,
        cpus: online_cpus(),
        interfaces: found.len() as u32,
        highest_ifindex: own.map(|one| one.id.index).max().unwrap_or(0),
        every_netns: settings.namespaces != Namespaces::Own,
    }
}
