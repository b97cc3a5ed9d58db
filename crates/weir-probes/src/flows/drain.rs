//! Reading a generation that nobody writes any more.

use super::Layout;
use weir_kernel::{
    BURST, BurstPacket, FlowAddresses, FlowBucket, FlowEntry, LINK_IPV6, LedgerCell, Loaded, PartState,
    Result, Window,
};

/// Entries looked at through one window: mapped pages count as the agent's resident memory.
const CHUNK: usize = 16 * 1024;

/// Who takes what a drain finds.
pub trait Visitor {
    /// What one CPU has counted of one flow, or one packet of it that still waited.
    fn flow(&mut self, seen: Seen<'_>);
    /// What all CPUs have seen and lost at one observation point.
    fn cell(&mut self, point: u16, cell: &LedgerCell);
}

/// A flow as one CPU has counted it in one generation, perhaps in parts.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Key and counters.
    pub entry: &'a FlowEntry,
    /// Both addresses, for IPv6.
    pub addresses: Option<&'a FlowAddresses>,
    /// [Digest](super::Digester::digest) of the flow whose tunnel it came in; 0: none.
    pub parent: u64,
}

/// A generation that was left, and whose last writer has ended. Made by [`Flows::flip`](super::Flows::flip).
#[derive(Debug)]
pub struct Left {
    epoch: u32,
}

impl Left {
    pub(super) fn new(epoch: u32) -> Self {
        Self { epoch }
    }

    /// The epoch that it was written in.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }
}

/// Where the parts of this generation begin.
pub(super) fn first_part(layout: &Layout, left: &Left) -> usize {
    ((left.epoch & 1) * layout.cpus) as usize
}

pub(super) fn drain(loaded: &Loaded, layout: &Layout, left: &Left, visitor: &mut impl Visitor) -> Result<()> {
    let generation = left.epoch & 1;
    let first = first_part(layout, left);
    for cpu in 0..layout.cpus {
        let mut state = part_state(loaded, layout, generation, cpu)?;
        for state in state.iter_mut().filter(|state| state.used > 0) {
            let part = first + cpu as usize;
            drain_part(loaded, layout, part, state.used as usize, visitor)?;
            drain_burst(loaded, part, state.burst as usize, visitor)?;
            (state.used, state.hand, state.burst) = (0, 0, 0);
        }
    }
    Ok(())
}

/// The state of a CPU's part, by itself: the packets of now may write to what lies beside it.
pub(super) fn part_state(
    loaded: &Loaded,
    layout: &Layout,
    generation: u32,
    cpu: u32,
) -> Result<Window<PartState>> {
    let key = layout.part_key(generation, cpu) as usize;
    Window::new(loaded.map("parts")?, key..key + 1)
}

fn drain_part(
    loaded: &Loaded,
    layout: &Layout,
    part: usize,
    used: usize,
    visitor: &mut impl Visitor,
) -> Result<()> {
    let first = part * layout.entries_per_cpu as usize;
    let used = used.min(layout.entries_per_cpu as usize);
    for begin in (first..first + used).step_by(CHUNK) {
        let chunk = begin..(begin + CHUNK).min(first + used);
        let entries: Window<FlowEntry> = Window::new(loaded.map("entries")?, chunk.clone())?;
        let addresses: Window<FlowAddresses> = if entries.iter().any(is_ipv6) {
            Window::new(loaded.map("addresses")?, chunk.clone())?
        } else {
            Window::new(loaded.map("addresses")?, 0..0)?
        };
        let parents: Window<u64> =
            Window::new(loaded.map("parents")?, if layout.decapsulate { chunk } else { 0..0 })?;
        for (number, entry) in entries.iter().enumerate() {
            visitor.flow(Seen {
                entry,
                addresses: if is_ipv6(entry) { addresses.get(number) } else { None },
                parent: parents.get(number).copied().unwrap_or(0),
            });
        }
    }
    let buckets = layout.buckets_per_cpu as usize;
    Window::<FlowBucket>::new(loaded.map("buckets")?, part * buckets..(part + 1) * buckets)?.clear();
    Ok(())
}

/// What still waits has not been added to its flow, and is as good as one of its own.
fn drain_burst(loaded: &Loaded, part: usize, waiting: usize, visitor: &mut impl Visitor) -> Result<()> {
    let first = part * BURST as usize;
    let waiting = first..first + waiting.min(BURST as usize);
    let packets: Window<BurstPacket> = Window::new(loaded.map("burst_packets")?, waiting)?;
    for BurstPacket { entry, addresses, .. } in packets.iter() {
        visitor.flow(Seen { entry, addresses: is_ipv6(entry).then_some(addresses), parent: 0 });
    }
    Ok(())
}

fn is_ipv6(entry: &FlowEntry) -> bool {
    u32::from(entry.link) & LINK_IPV6 != 0
}
