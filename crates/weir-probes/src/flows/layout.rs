//! How large each map of the flow probe is: from one memory budget and the number of CPUs.

use super::rules::Room;
use super::{Clock, Tables};
use crate::dns::Ports;
use weir_kernel::{
    BUCKET_WAYS, BURST, BurstPacket, FlowAddresses, FlowBucket, FlowEntry, LedgerCell, PartState, RULE_ROWS,
    RuleAction, RuleBlock, RuleHead, RulePoint, RuleSet, TAG_ENTRY_BITS,
};

const GENERATIONS: u64 = 2;
const PAGE: u64 = 4096;
/// What the kernel takes for an element of an LRU hash, key and value included.
const FRAGMENT_COST: u64 = 136;
/// The same.
const HANDSHAKE_COST: u64 = 144;
const INTERFACE_COST: u64 = 8;
const RING_MIN: u64 = PAGE;
const RING_MAX: u64 = 8 << 20;
const HANDSHAKE_RING_MAX: u64 = 512 << 10;
/// An entry's number must fit in a tag.
const ENTRIES_MAX: u64 = (1 << TAG_ENTRY_BITS) - 2;
/// How many of the sixteen ways of a bucket are taken, on average, when all entries are: one
/// new flow in forty then finds its bucket full before the entries are, and makes another spill.
const WAYS_TAKEN: u64 = 10;

/// What the maps are sized for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// Kernel memory for all maps together, in bytes.
    pub budget: u64,
    /// CPUs that get a part of their own: the highest online number, plus one.
    pub cpus: u32,
    /// Interfaces to be watched at start.
    pub interfaces: u32,
    /// The highest interface index at start.
    pub highest_ifindex: u32,
    /// Whether tunnels are looked into.
    pub decapsulate: bool,
    /// Whether interfaces of other network namespaces are watched.
    pub every_netns: bool,
    /// Whether a packet that a sampling rule takes at one observation point is taken at all of them.
    pub draw_by_content: bool,
    /// Whether handshakes that are forwarded are timed.
    pub handshakes: bool,
    /// What is handed on to the DNS probe.
    pub dns_ports: Ports,
    /// What stamps packets.
    pub clock: Clock,
    /// How the programs come by a row of a table.
    pub tables: Tables,
}

impl Demand {
    /// One interface of the agent's own namespace, and the probe that is loaded unless the user asks for another.
    pub fn one_interface(budget: u64, cpus: u32) -> Self {
        Self {
            budget,
            cpus,
            interfaces: 1,
            highest_ifindex: 1,
            decapsulate: false,
            every_netns: false,
            draw_by_content: super::can_draw_by_content(),
            handshakes: true,
            dns_ports: Ports::NONE,
            clock: Clock::default(),
            tables: Tables::here(),
        }
    }
}

/// The sizes of the maps, in elements unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// CPUs that have a part of their own.
    pub cpus: u32,
    /// Observation points; number 0 is not used.
    pub points: u32,
    /// Flow entries per CPU and generation.
    pub entries_per_cpu: u32,
    /// Buckets of the index per CPU and generation; a power of two.
    pub buckets_per_cpu: u32,
    /// Fragmented datagrams on their way at the same time.
    pub fragments: u32,
    /// Handshakes on their way through at the same time; 1 where they are not timed.
    pub half_open: u32,
    /// Size of the ring of those that were timed, in bytes; a power of two of pages.
    pub handshake_bytes: u32,
    /// Interfaces that are found by array rather than by hash.
    pub interfaces_direct: u32,
    /// Size of the spill ring in bytes; a power of two of pages.
    pub spill_bytes: u32,
    /// What the rules of one generation may take.
    pub rule_room: Room,
    /// Whether tunnels are looked into.
    pub decapsulate: bool,
    /// Whether interfaces of other network namespaces are watched.
    pub every_netns: bool,
    /// Whether a packet that a sampling rule takes at one observation point is taken at all of them.
    pub draw_by_content: bool,
    /// Whether handshakes that are forwarded are timed.
    pub handshakes: bool,
    /// What is handed on to the DNS probe.
    pub dns_ports: Ports,
    /// What stamps packets.
    pub clock: Clock,
    /// How the programs come by a row of a table.
    pub tables: Tables,
}

/// The budget does not hold a single flow.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "memory budget too small: {budget} bytes do not hold one flow on each of {cpus} CPUs, {needed} bytes do"
)]
pub struct TooSmall {
    /// What was given.
    pub budget: u64,
    /// CPUs that share it.
    pub cpus: u32,
    /// What would do.
    pub needed: u64,
}

impl Layout {
    /// Divides the budget: a sixteenth for the spill ring, another for the rules, a little for
    /// the ledger, the interfaces, the fragments and the handshakes, and all the rest for flows.
    ///
    /// # Errors
    /// There is no room for a single flow.
    pub fn new(demand: Demand) -> Result<Self, TooSmall> {
        let spill = floor_power_of_two(demand.budget / 16).clamp(RING_MIN, RING_MAX);
        // Interfaces come and go, and keep their points until their last flows are out: room for
        // three times as many as there are, and a thousand that are on their way out.
        let accounts = u64::from(demand.interfaces) * if demand.decapsulate { 4 } else { 2 };
        let wanted = if demand.every_netns { u64::from(u16::MAX) } else { accounts * 4 + 2048 };
        let least = accounts + 2;
        let affordable = demand.budget / 8 / (GENERATIONS * u64::from(demand.cpus) * size::<LedgerCell>());
        let points = wanted.min(affordable).max(least).min(u64::from(u16::MAX));
        let direct = u64::from(demand.highest_ifindex + 1).next_power_of_two() * 4;
        let direct = direct.min((demand.budget / 64 / INTERFACE_COST).max(1)).min(65536);
        let fragments = (demand.budget / 64 / FRAGMENT_COST).clamp(1, 16384);
        let share = if demand.handshakes { demand.budget } else { 0 };
        let half_open = (share / 64 / HANDSHAKE_COST).clamp(1, 16384);
        let handshake_ring = floor_power_of_two(share / 128).clamp(RING_MIN, HANDSHAKE_RING_MAX);
        let mut layout = Self {
            cpus: demand.cpus,
            points: points as u32,
            entries_per_cpu: 0,
            buckets_per_cpu: 1,
            fragments: fragments as u32,
            half_open: half_open as u32,
            handshake_bytes: handshake_ring as u32,
            interfaces_direct: direct as u32,
            spill_bytes: spill as u32,
            rule_room: rule_room(demand.budget / 16 / GENERATIONS),
            decapsulate: demand.decapsulate,
            every_netns: demand.every_netns,
            draw_by_content: demand.draw_by_content,
            handshakes: demand.handshakes,
            dns_ports: demand.dns_ports,
            clock: demand.clock,
            tables: demand.tables,
        };
        let fixed = layout.bytes();
        let parts = GENERATIONS * u64::from(demand.cpus);
        let per_entry = layout.entry_bytes();
        let share = demand.budget.saturating_sub(fixed) / parts;
        if share < per_entry {
            let needed = fixed + parts * per_entry;
            // With more to divide, the other maps grow a little as well.
            let needed = match Self::new(Demand { budget: needed, ..demand }) {
                Ok(_) => needed,
                Err(still) => still.needed,
            };
            return Err(TooSmall { budget: demand.budget, cpus: demand.cpus, needed });
        }
        layout.divide(share, per_entry);
        layout.tables = layout.tables.for_layout(&layout);
        Ok(layout)
    }

    /// Divides one part's share between the index and the entries.
    fn divide(&mut self, share: u64, per_entry: u64) {
        let guess = share / (per_entry + size::<FlowBucket>() / WAYS_TAKEN);
        let buckets = (guess.min(ENTRIES_MAX) / WAYS_TAKEN).max(1).next_power_of_two();
        // One bucket is in the fixed part already.
        let entries = share.saturating_sub((buckets - 1) * size::<FlowBucket>()) / per_entry;
        self.buckets_per_cpu = buckets as u32;
        self.entries_per_cpu = entries.clamp(1, ENTRIES_MAX) as u32;
    }

    /// Parts of the flow hash: one per generation and CPU.
    pub fn parts(&self) -> u32 {
        GENERATIONS as u32 * self.cpus
    }

    /// Where the state of a CPU's part lies: beside that of its other generation.
    pub(super) fn part_key(&self, generation: u32, cpu: u32) -> u32 {
        cpu * GENERATIONS as u32 + generation
    }

    /// Bytes of the longest of the tables.
    pub(super) fn longest_table(&self) -> u64 {
        let entries = u64::from(self.entries_per_cpu) * size::<FlowEntry>();
        let buckets = u64::from(self.buckets_per_cpu) * size::<FlowBucket>();
        let cells = u64::from(self.points) * size::<LedgerCell>();
        u64::from(self.parts()) * entries.max(buckets).max(cells)
    }

    /// What one flow takes, beside its tag.
    fn entry_bytes(&self) -> u64 {
        size::<FlowEntry>() + size::<FlowAddresses>() + if self.decapsulate { size::<u64>() } else { 0 }
    }

    /// What the rules of one generation take.
    fn rule_bytes(&self) -> u64 {
        size::<RuleHead>()
            + u64::from(self.rule_room.blocks) * size::<RuleBlock>()
            + u64::from(self.rule_room.sets) * size::<RuleSet>()
            + u64::from(self.points) * size::<RulePoint>()
            + u64::from(RULE_ROWS) * size::<RuleAction>()
    }

    /// Kernel memory that all maps take together.
    pub fn bytes(&self) -> u64 {
        let per_part = u64::from(self.entries_per_cpu) * self.entry_bytes()
            + u64::from(self.buckets_per_cpu) * size::<FlowBucket>()
            + u64::from(self.points) * size::<LedgerCell>()
            + u64::from(BURST) * size::<BurstPacket>()
            + size::<PartState>();
        u64::from(self.parts()) * per_part
            + GENERATIONS * self.rule_bytes()
            + u64::from(self.spill_bytes)
            + u64::from(self.handshake_bytes)
            + 2 * 3 * PAGE // the rings' own pages
            + u64::from(self.fragments) * FRAGMENT_COST
            + u64::from(self.half_open) * HANDSHAKE_COST
            + u64::from(self.interfaces_direct) * INTERFACE_COST
    }
}

/// Blocks are what addresses with long prefixes take, up to three for IPv4 and fifteen for IPv6.
fn rule_room(share: u64) -> Room {
    let blocks = (share * 3 / 4 / size::<RuleBlock>()).clamp(8, 8192);
    let sets = (share / 4 / size::<RuleSet>()).clamp(16, 8192);
    Room { blocks: blocks as u32, sets: sets as u32 }
}

fn size<T>() -> u64 {
    size_of::<T>() as u64
}

fn floor_power_of_two(value: u64) -> u64 {
    match value {
        0 => 0,
        _ => 1 << value.ilog2(),
    }
}

// The index is laid out for sixteen ways.
const _: () = assert!(BUCKET_WAYS as u64 > WAYS_TAKEN);

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(budget: u64, cpus: u32) -> Demand {
        Demand { interfaces: 4, highest_ifindex: 9, ..Demand::one_interface(budget, cpus) }
    }

    #[test]
    fn stays_within_the_budget() {
        for cpus in [1, 2, 3, 16, 128] {
            for budget in [1 << 20, 3_000_000, 64 << 20, 1 << 30] {
                let Ok(layout) = Layout::new(demand(budget, cpus)) else { continue };
                assert!(layout.bytes() <= budget, "{layout:?} takes {} of {budget}", layout.bytes());
                assert!(layout.buckets_per_cpu.is_power_of_two());
                assert!(layout.spill_bytes.is_power_of_two());
            }
        }
    }

    #[test]
    fn uses_most_of_the_budget() {
        let layout = Layout::new(demand(64 << 20, 2)).expect("64 MiB are plenty");
        assert!(layout.bytes() > 60 << 20, "{layout:?}");
        assert!(layout.entries_per_cpu > 100_000, "{layout:?}");
    }

    #[test]
    fn says_how_much_one_flow_needs() {
        let error = Layout::new(demand(8192, 2)).expect_err("8 KiB are too few");
        let enough = Layout::new(demand(error.needed, 2)).expect("what it asks for is enough");
        assert!(enough.entries_per_cpu >= 1);
    }
}
