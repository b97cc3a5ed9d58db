//! The flow probe: every packet at TC ingress and egress, in a flow or in the ledger.
//!
//! The kernel half is `flows.bpf.c`; this half sizes it, attaches it, flips its generations
//! and reads the one that has been left.

mod digest;
mod drain;
mod layout;
mod ledger;
mod open;
pub mod rules;
mod tables;
mod ticks;

pub use digest::Digester;
pub use drain::{Left, Seen, Visitor};
pub use layout::{Demand, Layout, TooSmall};
pub use ledger::{Cells, left};
pub use open::object;
pub use tables::Tables;
pub use ticks::{Clock, Ticks};

use crate::Programs;
use crate::dns::{Dns, Ports};
use ledger::Ledger;
use open::{lay_out_parts, open, seed};
use rules::{Compiled, Published, Rates};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use weir_kernel::{
    Direction, GracePeriod, HandshakeEvent, InterfaceEntry, InterfaceKey, Loaded, Opened, Pin, Result, Ring,
    SpillRecord,
};

/// What runs for packets, by name: those that come in, those that go out.
pub const PROGRAMS: [&str; 2] = ["weir_ingress", "weir_egress"];
/// What reads the kernel's clock, when it is asked.
pub const CLOCK: &str = "weir_clock";

/// What keeps flows in the kernel, by name: an index of tags, and dense entries, for each CPU. The only structure
/// that there is; files that were made for one say which.
pub const STRUCTURE: &str = "flow-hash";

/// Whether the probe that [draws by content](Demand::draw_by_content) can be trusted here: Linux 6.1 loads it
/// and then passes rules by, 6.12 and newer were proved to follow them (`scripts/kernels/run`).
pub fn can_draw_by_content() -> bool {
    weir_kernel::feature::is_at_least(6, 12)
}

/// How the frames of an interface begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkLayer {
    /// With an Ethernet header.
    Ethernet = 0,
    /// With the network header: tun, wireguard, PPP, IP tunnels.
    None = 1,
}

/// Where the programs for what is handed on are kept: in which map, for which packets.
const HANDED_ON: [(&str, Direction, LinkLayer); 4] = [
    ("dns_ingress", Direction::Ingress, LinkLayer::Ethernet),
    ("dns_ingress", Direction::Ingress, LinkLayer::None),
    ("dns_egress", Direction::Egress, LinkLayer::Ethernet),
    ("dns_egress", Direction::Egress, LinkLayer::None),
];

/// An interface, among those of every network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InterfaceId {
    /// Inode of its network namespace; 0 for the agent's own.
    pub netns: u32,
    /// Its number there.
    pub index: u32,
}

/// Where the packets of an interface are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Points {
    /// Observation point of ingress; egress is the next one.
    pub outer: u16,
    /// The same for what tunnels carry; 0: left alone.
    pub inner: u16,
}

impl Points {
    /// The first observation point of each layer that is counted.
    pub fn each(self) -> impl Iterator<Item = u16> {
        [self.outer, self.inner].into_iter().filter(|point| *point != 0)
    }
}

/// The flow probe in the kernel.
pub struct Flows {
    loaded: Loaded,
    programs: Programs,
    layout: Layout,
    grace: GracePeriod,
    spill: Ring<SpillRecord>,
    handshakes: Ring<HandshakeEvent>,
    epoch: u32,
    seed: u64,
    rules: Box<Published>,
    ledger: Ledger,
}

impl Flows {
    /// Loads the probe with maps of the sizes in `layout`. Nothing is attached yet.
    ///
    /// # Errors
    /// The kernel's refusal; see `weir check`.
    pub fn load(layout: Layout) -> Result<Self> {
        Self::load_with(layout, |_| Ok(()))
    }

    /// [`load`](Self::load), with more constants set: for benchmarks.
    ///
    /// # Errors
    /// As those of `load`.
    pub fn load_with(layout: Layout, set: impl FnOnce(&mut Opened) -> Result<()>) -> Result<Self> {
        let seed = seed();
        let mut opened = open(&layout, seed)?;
        set(&mut opened)?;
        let mut loaded = opened.load()?;
        lay_out_parts(&mut loaded, &layout)?;
        let grace = GracePeriod::new()?;
        let spill = Ring::new(&loaded, "spill")?;
        let handshakes = Ring::new(&loaded, "handshakes")?;
        let programs = Programs::of(&loaded, PROGRAMS)?;
        let rules = Box::new(Published::new());
        Ok(Self {
            loaded,
            programs,
            layout,
            grace,
            spill,
            handshakes,
            epoch: 0,
            seed,
            rules,
            ledger: Ledger::default(),
        })
    }

    /// The sizes it was loaded with.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The object itself, for benchmarks and tests that run its programs by hand.
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// Has the packets of interface `id` counted at `points`.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn watch(&mut self, id: InterfaceId, points: Points, link_layer: LinkLayer) -> Result<()> {
        let entry = InterfaceEntry {
            point: points.outer,
            inner_point: points.inner,
            link_layer: link_layer as u8,
            padding: [0; 3],
        };
        if self.is_direct(id) {
            return self.loaded.set_row("interfaces", id.index, &entry);
        }
        self.loaded.update("interfaces_beyond", &key_of(id), &entry)
    }

    /// Has the packets of an interface that is gone counted nowhere.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn forget(&mut self, id: InterfaceId) -> Result<()> {
        if self.is_direct(id) {
            return self.loaded.set_row("interfaces", id.index, &InterfaceEntry::default());
        }
        self.loaded.remove("interfaces_beyond", &key_of(id))
    }

    fn is_direct(&self, id: InterfaceId) -> bool {
        id.netns == 0 && id.index < self.layout.interfaces_direct
    }

    /// Has packets that may be DNS handed on to the programs of that probe, once they are counted. False: it was loaded
    /// without ports of DNS, and hands on nothing. After an error it does not either.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn hand_on(&mut self, dns: &Dns) -> Result<bool> {
        if self.layout.dns_ports == Ports::NONE {
            return Ok(false);
        }
        let put = HANDED_ON.into_iter().try_for_each(|(map, direction, link_layer)| {
            let program = dns.programs(link_layer).program(direction).as_raw_fd();
            self.loaded.update(map, &(link_layer as u32), &program.cast_unsigned())
        });
        if put.is_err() {
            for (map, _, link_layer) in HANDED_ON {
                self.loaded.remove(map, &(link_layer as u32))?;
            }
        }
        put.map(|()| true)
    }

    /// Replaces the rules: each of the next two generations has them from its beginning.
    pub fn set_rules(&mut self, rules: Compiled) {
        self.rules.replace(rules);
    }

    /// The rules.
    pub fn rules(&self) -> &Compiled {
        self.rules.compiled()
    }

    /// Tells which rows mean observation point `point`; before it is watched, and only where
    /// [the rules ask for points](Compiled::asks_for_points).
    ///
    /// # Errors
    /// There is no room for one more set of rows.
    pub fn admit(&mut self, point: u16, means: impl Fn(usize) -> bool) -> Result<()> {
        self.rules.admit((&self.loaded, &self.layout), point, means)
    }

    /// The sampling rates of what was counted in `epoch`, one of the last two.
    pub fn rates(&self, epoch: u32) -> &Rates {
        self.rules.of(epoch).rates()
    }

    /// What names a flow as the tunnel of others.
    pub fn digester(&self) -> Digester {
        Digester::new(self.seed)
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
        // Left the last time, and read since: nobody looks at its rules.
        let next = self.epoch.wrapping_add(1) & 1;
        self.rules.write(&self.loaded, &self.layout, next as usize)?;
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
        drain::drain(&self.loaded, &self.layout, &left, visitor)?;
        self.ledger.drain(&self.loaded, &self.layout, &left, visitor)
    }

    /// What was read of the kernel half of the ledger since the start.
    pub fn ledger_read(&self) -> Cells {
        self.ledger.read()
    }

    /// Has the kernel half of the ledger outlive this process, under this name.
    ///
    /// # Errors
    /// There is no bpffs there, or the name is taken.
    pub fn pin_ledger(&mut self, path: &Path) -> Result<Pin> {
        self.loaded.pin("ledger", path)
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

    /// Hands out at most about `limit` of the handshakes that were forwarded. How many there were.
    ///
    /// # Errors
    /// The ring cannot be read.
    pub fn consume_handshakes(&self, limit: usize, visit: impl FnMut(&HandshakeEvent)) -> Result<usize> {
        self.handshakes.consume(limit, visit)
    }

    /// How much of the ring of handshakes was full, as [`Ring::take_fill`] has it.
    pub fn take_handshakes_fill(&self) -> f64 {
        self.handshakes.take_fill()
    }

    /// Handshakes that the ring had no room for, since the start.
    ///
    /// # Errors
    /// There is no such counter.
    pub fn lost_handshakes(&self) -> Result<u64> {
        self.loaded.global_value("lost_handshakes")
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
        Ticks::read(&self.loaded, self.layout.clock)
    }

    fn epoch_word(&self) -> Result<&AtomicU32> {
        self.loaded.global_word("epoch")
    }
}

fn key_of(id: InterfaceId) -> InterfaceKey {
    InterfaceKey { netns: id.netns, ifindex: id.index }
}

/// The inode of this process's network namespace.
pub fn own_netns() -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self/ns/net").map_or(0, |of| of.ino() as u32)
}
