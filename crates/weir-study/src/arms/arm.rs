//! An arm in the kernel: its program, its maps, and who reads them.

use super::Spec;
use super::load::{self, Clock};
use super::readers::{self, Reader};
use crate::machine;
use crate::results::{EMPTY, WEIR};
use anyhow::{Result, bail};
use libbpf_rs::{MapHandle, ProgramMut};
use std::cell::{Ref, RefCell};
use std::os::fd::AsFd;
use std::rc::Rc;
use weir_kernel::privilege::online_cpus;
use weir_kernel::stats::{self, Runs};
use weir_kernel::{Attachment, Batch, Direction, Loaded, Position, Shared, attach_somehow, memory_of};
use weir_probes::flows::{Demand, Flows, InterfaceId, Layout, LinkLayer, Points};

/// As much as `weir run` takes without being told.
pub const MEMORY_BUDGET: u64 = 64 << 20;

/// The interface that BPF_PROG_TEST_RUN's packets come in through.
pub const LOOPBACK: u32 = 1;

/// What programs come in.
enum Object {
    Ours(Rc<Loaded>, &'static str),
    Shipped(Rc<RefCell<Flows>>),
}

/// An arm whose program is in the kernel.
pub struct Arm {
    object: Object,
    reader: Option<Box<dyn Reader>>,
    /// Of maps that the object does not know.
    more_bytes: u64,
    lost: u64,
}

impl Arm {
    /// Has the kernel take the program and the maps of `spec`.
    ///
    /// # Errors
    /// The kernel refuses: it is too old, or a privilege is missing. Or the arm has no program.
    pub fn load(spec: &Spec) -> Result<Self> {
        afford(spec)?;
        match spec.name {
            EMPTY => Self::empty(),
            WEIR => Self::shipped(),
            "ringbuf" => Self::ring("ringbuf"),
            "ringbuf-wakeup" => Self::ring("ringbuf_wakeup"),
            "perfbuf" => Self::perf_buffer(),
            "array" => Self::array(),
            "percpu-array" => Self::percpu_array(),
            "hash" => Self::hash("hash", "shared"),
            "hash-spinlock" => Self::hash("hash_spinlock", "locked"),
            "hash-published" => Self::hash("hash_published", "shared"),
            "percpu-hash" => Self::hash("percpu_hash", "by_cpu"),
            "percpu-hash-published" => Self::hash("percpu_hash_published", "by_cpu"),
            "lru-hash" => Self::hash("lru_hash", "lru_shared"),
            "lru-percpu-hash" => Self::hash("lru_percpu_hash", "lru_by_cpu"),
            "hash-per-cpu" => Self::hash_per_cpu(),
            "arena" => Self::arena(),
            other => bail!("{other} has no program"),
        }
    }

    /// A program that does nothing.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn empty() -> Result<Self> {
        Ok(Self::of(Rc::new(load::harness()?), EMPTY, None))
    }

    fn of(loaded: Rc<Loaded>, program: &'static str, reader: Option<Box<dyn Reader>>) -> Self {
        Self { object: Object::Ours(loaded, program), reader, more_bytes: 0, lost: 0 }
    }

    fn ring(program: &'static str) -> Result<Self> {
        let loaded = Rc::new(load::postcards(program)?);
        let reader = readers::Ring::new(&handle(&loaded, "ring")?)?;
        Ok(Self::of(loaded, program, Some(Box::new(reader))))
    }

    fn perf_buffer() -> Result<Self> {
        let loaded = Rc::new(load::postcards("perfbuf")?);
        let reader = readers::PerfBuffer::new(&handle(&loaded, "events")?)?;
        let bytes = reader.bytes();
        Ok(Self { more_bytes: bytes, ..Self::of(loaded, "perfbuf", Some(Box::new(reader))) })
    }

    fn array() -> Result<Self> {
        let loaded = Rc::new(load::arrays("array")?);
        let positions = Shared::new(loaded.map("positions")?, readers::POSITIONS)?;
        let slots = Shared::new(loaded.map("slots")?, readers::SLOTS as usize * readers::SLOT)?;
        let reader = readers::SharedArray::new(positions, slots);
        Ok(Self::of(loaded, "array", Some(Box::new(reader))))
    }

    fn percpu_array() -> Result<Self> {
        let loaded = Rc::new(load::arrays("percpu_array")?);
        let cpus = load::cpus()? as usize;
        let positions = Shared::new(loaded.map("positions")?, cpus * readers::POSITIONS)?;
        let mut cards = Batch::of(&loaded, "cards")?;
        // Linux 5.13; before that the arm is left out.
        cards.read_range(0..1, |_, _| ())?;
        let reader = readers::PerCpuArray::new(positions, cards, cpus);
        Ok(Self::of(loaded, "percpu_array", Some(Box::new(reader))))
    }

    fn hash(program: &'static str, map: &str) -> Result<Self> {
        let loaded = Rc::new(load::hashes(program, map, Clock::Jiffies)?);
        let reader = readers::Hashes::new(vec![Batch::of(&loaded, map)?]);
        Ok(Self::of(loaded, program, Some(Box::new(reader))))
    }

    fn hash_per_cpu() -> Result<Self> {
        let (loaded, hashes) = load::hash_per_cpu(Clock::Jiffies)?;
        let more_bytes = hashes.iter().filter_map(|hash| memory_of(hash.as_fd())).sum();
        let batches = hashes.into_iter().map(Batch::new).collect::<Result<_, _>>()?;
        let reader = readers::Hashes::new(batches);
        Ok(Self { more_bytes, ..Self::of(Rc::new(loaded), "hash_per_cpu", Some(Box::new(reader))) })
    }

    fn arena() -> Result<Self> {
        let (loaded, words) = load::arena(readers::ENTRY)?;
        let loaded = Rc::new(loaded);
        let reader = readers::Arena::new(Rc::clone(&loaded), words);
        // The kernel does not say what an arena takes.
        let more_bytes = 8 * words as u64;
        Ok(Self { more_bytes, ..Self::of(loaded, "arena_hash", Some(Box::new(reader))) })
    }

    /// As `weir run` loads it for one interface, with what it takes by default.
    fn shipped() -> Result<Self> {
        let flows = Flows::load(Layout::new(Demand::one_interface(MEMORY_BUDGET, online_cpus()))?)?;
        let flows = Rc::new(RefCell::new(flows));
        let reader = readers::Shipped::new(Rc::clone(&flows));
        Ok(Self { object: Object::Shipped(flows), reader: Some(Box::new(reader)), more_bytes: 0, lost: 0 })
    }

    /// Hangs the program on both hooks of interface `index`, before whoever is there already. To be called inside
    /// the interface's network namespace.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn attach(&self, index: u32) -> Result<[Attachment; 2]> {
        self.observe(index)?;
        let (object, programs) = (self.loaded(), self.programs());
        let hang = |program: &str, direction| {
            attach_somehow(object.program(program)?.as_fd(), index, direction, Position::Head)
        };
        Ok([hang(programs[0], Direction::Ingress)?, hang(programs[1], Direction::Egress)?])
    }

    /// The shipped program counts packets of interfaces that it was told of.
    pub fn observe(&self, index: u32) -> Result<()> {
        match &self.object {
            Object::Shipped(flows) => watch(&mut flows.borrow_mut(), index),
            Object::Ours(..) => Ok(()),
        }
    }

    /// What it has counted, for a consumer; nothing where nothing is counted.
    pub fn reader(&mut self) -> Option<&mut (dyn Reader + 'static)> {
        self.reader.as_deref_mut()
    }

    /// Packets that the program found no room for since it was last asked.
    pub fn newly_lost(&mut self) -> u64 {
        let Object::Ours(loaded, _) = &self.object else { return 0 };
        let lost = loaded.global_value("lost").unwrap_or(0);
        lost - std::mem::replace(&mut self.lost, lost)
    }

    /// Kernel memory of the maps, in bytes.
    pub fn map_bytes(&self) -> u64 {
        self.loaded().map_bytes() + self.more_bytes
    }

    /// How often the programs ran, and how long, as far as the kernel's statistics are on.
    pub fn runs(&self) -> Vec<Runs> {
        let loaded = self.loaded();
        self.programs().iter().filter_map(|program| stats::runs_of(&loaded, program)).collect()
    }

    /// To run by hand.
    pub fn with_program<T>(&self, work: impl FnOnce(&ProgramMut<'_>) -> Result<T>) -> Result<T> {
        work(&self.loaded().program(self.programs()[0])?)
    }

    /// For ingress, and for egress.
    fn programs(&self) -> [&'static str; 2] {
        match self.object {
            Object::Ours(_, program) => [program; 2],
            Object::Shipped(_) => ["weir_ingress", "weir_egress"],
        }
    }

    fn loaded(&self) -> LoadedRef<'_> {
        match &self.object {
            Object::Ours(loaded, _) => LoadedRef::Ours(loaded),
            Object::Shipped(flows) => LoadedRef::Shipped(Ref::map(flows.borrow(), |flows| flows.loaded())),
        }
    }
}

/// Has the shipped program count what comes in through interface `index` of our own network namespace.
pub fn watch(flows: &mut Flows, index: u32) -> Result<()> {
    let points = Points { outer: 2, inner: 0 };
    Ok(flows.watch(InterfaceId { netns: 0, index }, points, LinkLayer::Ethernet)?)
}

/// What lies on every CPU anew: more than a share of this host's memory is not taken for a measurement.
fn afford(spec: &Spec) -> Result<()> {
    const SHARE: u64 = 8;
    let mib_per_cpu = match spec.name {
        "arena" => 32,
        "hash-per-cpu" => 24,
        "percpu-hash" | "percpu-hash-published" | "lru-percpu-hash" | "perfbuf" => 8,
        _ => 4,
    };
    let (cpus, most) = (u64::from(load::cpus()?), (machine::memory() / SHARE) >> 20);
    if cpus * mib_per_cpu > most {
        bail!("takes {} MiB on {cpus} CPUs, more than an eighth of this host's memory", cpus * mib_per_cpu);
    }
    // An arena holds 4 GiB at most.
    if spec.name == "arena" && cpus > 100 {
        bail!("has no room for {cpus} CPUs");
    }
    Ok(())
}

enum LoadedRef<'a> {
    Ours(&'a Loaded),
    Shipped(Ref<'a, Loaded>),
}

impl std::ops::Deref for LoadedRef<'_> {
    type Target = Loaded;

    fn deref(&self) -> &Loaded {
        match self {
            Self::Ours(loaded) => loaded,
            Self::Shipped(loaded) => loaded,
        }
    }
}

fn handle(loaded: &Loaded, map: &str) -> Result<MapHandle> {
    Ok(MapHandle::try_from(&loaded.find_map(map)?)?)
}

#[cfg(test)]
mod tests {
    use super::super::{ARMS, Kind};
    use super::*;

    #[test]
    fn root_every_arm_loads() {
        for spec in ARMS.iter().filter(|spec| spec.kind != Kind::Program && spec.name != "none") {
            if spec.name == "arena" && !weir_kernel::feature::is_at_least(6, 9) {
                continue;
            }
            let arm = Arm::load(spec).unwrap_or_else(|error| panic!("{}: {error:#}", spec.name));
            assert!(arm.map_bytes() > 0 || spec.name == EMPTY, "{}", spec.name);
            println!("{} {}", spec.name, arm.map_bytes());
        }
    }
}
