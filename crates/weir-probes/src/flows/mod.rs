//! The flow probe: every packet at TC ingress and egress, in a flow or in the ledger.
//!
//! The kernel half is `flows.bpf.c`; this half sizes it, attaches it, flips its generations
//! and reads the one that has been left.

mod drain;
mod layout;
mod programs;
mod ticks;

pub use drain::{Left, Visitor};
pub use layout::{Demand, Layout, TooSmall};
pub use programs::Programs;
pub use ticks::Ticks;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use weir_kernel::{GracePeriod, InterfaceEntry, Loaded, Opened, PartState, Result, Ring, SpillRecord};

/// The compiled probe.
pub static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/flows.bpf.o"));

/// How long the first fragment's ports wait for the rest: the reassembly time of RFC 8200.
const FRAGMENT_TIMEOUT: Duration = Duration::from_secs(60);

/// How the frames of an interface begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkLayer {
    /// With an Ethernet header.
    Ethernet = 0,
    /// With the network header: tun, wireguard, PPP, IP tunnels.
    None = 1,
}

/// An interface, among those of every network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InterfaceId {
    /// Inode of its network namespace; 0 for the agent's own.
    pub netns: u32,
    /// Its number there.
    pub index: u32,
}

/// The flow probe in the kernel.
pub struct Flows {
    loaded: Loaded,
    programs: Programs,
    layout: Layout,
    grace: GracePeriod,
    spill: Ring<SpillRecord>,
    epoch: u32,
}

impl Flows {
    /// Loads the probe with maps of the sizes in `layout`. Nothing is attached yet.
    ///
    /// # Errors
    /// The kernel's refusal; see `weir check`.
    pub fn load(layout: Layout) -> Result<Self> {
        let mut loaded = open(&layout)?.load()?;
        lay_out_parts(&mut loaded, &layout)?;
        let grace = GracePeriod::new()?;
        let spill = Ring::new(&loaded, "spill")?;
        let programs = Programs::of(&loaded)?;
        Ok(Self { loaded, programs, layout, grace, spill, epoch: 0 })
    }

    /// The sizes it was loaded with.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The object itself, for benchmarks and tests that run its programs by hand.
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// Has the packets of interface `place` counted at observation point `point` (ingress)
    /// and `point` + 1 (egress).
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn watch(&mut self, place: InterfaceId, point: u16, link_layer: LinkLayer) -> Result<()> {
        let entry = InterfaceEntry { point, link_layer: link_layer as u8, padding: [0; 5] };
        let direct = place.index < self.layout.interfaces_direct;
        let map = if direct { "interfaces" } else { "interfaces_beyond" };
        self.loaded.update(map, &place.index, &entry)
    }

    /// Has the packets of an interface that is gone counted nowhere.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn forget(&mut self, place: InterfaceId) -> Result<()> {
        self.watch(place, 0, LinkLayer::Ethernet)
    }

    /// The programs, to be hung on interfaces.
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// Starts a new generation and waits until nobody writes the old one.
    ///
    /// # Errors
    /// The kernel refuses to wait for a grace period.
    pub fn flip(&mut self) -> Result<Left> {
        let left = Left::new(self.epoch);
        self.epoch = self.epoch.wrapping_add(1);
        self.epoch_word()?.store(self.epoch, Ordering::SeqCst);
        self.grace.wait()?;
        Ok(left)
    }

    /// Reads and empties the generation that was left.
    ///
    /// # Errors
    /// A map cannot be read.
    pub fn drain(&mut self, left: Left, visitor: &mut impl Visitor) -> Result<()> {
        drain::drain(&self.loaded, &self.layout, left, visitor)
    }

    /// Hands out at most `limit` of the aggregates that left the flow hash early. How many there were.
    ///
    /// # Errors
    /// The ring cannot be read.
    pub fn consume_spill(&self, limit: usize, visit: impl FnMut(&SpillRecord)) -> Result<usize> {
        self.spill.consume(limit, visit)
    }

    /// Waits for a spill that is worth a wake-up, at most `timeout`.
    pub fn wait_for_spill(&self, timeout: Duration) {
        self.spill.wait(timeout);
    }

    /// The generation that is written now.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Reads the kernel's clock, to turn ticks into time.
    ///
    /// # Errors
    /// The clock program cannot be run.
    pub fn ticks(&self) -> Result<Ticks> {
        Ticks::read(&self.loaded)
    }

    fn epoch_word(&self) -> Result<&AtomicU32> {
        self.loaded.global_word("epoch")
    }
}

fn open(layout: &Layout) -> Result<Opened> {
    let mut object = Opened::new("flows", OBJECT)?;
    let tick = weir_kernel::clock::tick()?;
    let fragment_timeout = FRAGMENT_TIMEOUT.as_nanos() / tick.as_nanos().max(1);
    object.set_constant("cpus", layout.cpus)?;
    object.set_constant("entries_per_cpu", layout.entries_per_cpu)?;
    object.set_constant("bucket_mask", layout.buckets_per_cpu - 1)?;
    object.set_constant("hash_seed", seed())?;
    object.set_constant("interfaces_direct", layout.interfaces_direct)?;
    object.set_constant("fragment_timeout_jiffies", fragment_timeout as u32)?;
    object.set_constant("spill_wakeup_bytes", u64::from(layout.spill_bytes / 4))?;
    object.set_entries("parts", layout.parts())?;
    object.set_entries("entries", layout.parts() * layout.entries_per_cpu)?;
    object.set_entries("addresses", layout.parts() * layout.entries_per_cpu)?;
    object.set_entries("buckets", layout.parts() * layout.buckets_per_cpu)?;
    object.set_entries("ledger", layout.parts() * layout.points)?;
    object.set_entries("fragments", layout.fragments)?;
    object.set_entries("interfaces", layout.interfaces_direct)?;
    object.set_entries("spill", layout.spill_bytes)?;
    Ok(object)
}

/// Tells each part where it begins in the other maps.
fn lay_out_parts(loaded: &mut Loaded, layout: &Layout) -> Result<()> {
    for part in 0..layout.parts() {
        let state = PartState {
            first_entry: part * layout.entries_per_cpu,
            first_bucket: part * layout.buckets_per_cpu,
            first_cell: part * layout.points,
            ..PartState::default()
        };
        loaded.update("parts", &part, &state)?;
    }
    Ok(())
}

/// Differs from run to run, so that nobody can choose flows that share a bucket.
fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}
