//! The programs that are measured.

use anyhow::{Context, Result};
use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType, ProgramMut};
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use weir_kernel::{Loaded, Opened};
use weir_probes::flows::{Demand, Flows, InterfaceId, Layout, LinkLayer, Points};

macro_rules! object {
    ($name:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".bpf.o"))
    };
}

/// The arm whose time is taken off that of every other.
pub const EMPTY: &str = "empty"; // the program's name, too
/// The arm that ratios are taken to: what the targets call the plain hash.
pub const REFERENCE: &str = "per-CPU hash, fine clock";
/// The shipped program.
pub const WEIR: &str = "weir";

/// What programs come in.
enum Object {
    Ours(Loaded),
    Shipped(Box<Flows>),
}

impl Object {
    fn loaded(&self) -> &Loaded {
        match self {
            Self::Ours(loaded) => loaded,
            Self::Shipped(flows) => flows.loaded(),
        }
    }
}

/// One program in an object.
pub struct Arm {
    /// As the reader of the report knows it.
    pub name: &'static str,
    object: Rc<Object>,
    program: &'static str,
}

impl Arm {
    /// To aim the driver at.
    pub fn program(&self) -> Result<ProgramMut<'_>> {
        Ok(self.object.loaded().program(self.program)?)
    }
}

/// All of them, loaded.
pub struct Arms {
    harness: Rc<Object>,
    postcards: Rc<Object>,
    arms: Vec<Arm>,
}

impl Arms {
    /// Has the kernel take every program.
    pub fn load() -> Result<Self> {
        let ours = |loaded| Rc::new(Object::Ours(loaded));
        let harness = ours(harness()?);
        let hashes = ours(hashes()?);
        let postcards = ours(Opened::new("postcards", object!("postcards"))?.load()?);
        let arm = |name, object: &Rc<Object>, program| Arm { name, object: Rc::clone(object), program };
        let arms = vec![
            arm(EMPTY, &harness, EMPTY),
            arm("parse only, no clock", &harness, "parse_only"),
            arm(REFERENCE, &hashes, "percpu_hash"),
            arm("per-CPU hash, coarse clock", &hashes, "percpu_coarse"),
            arm("per-CPU hash, jiffies", &hashes, "percpu_jiffies"),
            arm("LRU per-CPU hash, coarse clock", &hashes, "lru_percpu"),
            arm("one plain hash per CPU, coarse clock", &hashes, "one_per_cpu"),
            arm("shared hash, atomics, coarse clock", &hashes, "shared_atomic"),
            arm("postcards, coarse clock", &postcards, "postcards"),
            arm("mix, 256 slots, coarse clock", &ours(mix(256)?), "mix_coarse"),
            arm("mix, 4 096 slots, coarse clock", &ours(mix(4_096)?), "mix_coarse"),
            arm("mix, 4 096 slots, jiffies", &ours(mix(4_096)?), "mix_jiffies"),
            arm("mix, 65 536 slots, jiffies", &ours(mix(65_536)?), "mix_jiffies"),
            arm(WEIR, &shipped(|_| ())?, "weir_ingress"),
            arm("weir --all-netns", &shipped(|demand| demand.every_netns = true)?, "weir_ingress"),
            arm("weir --decapsulate", &shipped(|demand| demand.decapsulate = true)?, "weir_ingress"),
        ];
        Ok(Self { harness, postcards, arms })
    }

    /// In the order in which they are reported.
    pub fn iter(&self) -> std::slice::Iter<'_, Arm> {
        self.arms.iter()
    }

    /// The object with the driver.
    pub fn harness(&self) -> &Loaded {
        self.harness.loaded()
    }

    /// Where the postcards arrive.
    pub fn postcards_ring(&self) -> Result<MapHandle> {
        Ok(MapHandle::try_from(&self.postcards.loaded().find_map("ring")?)?)
    }

    /// How many postcards were written, and for how many there was no room.
    pub fn postcards_sent_and_lost(&self) -> Result<(u32, u32)> {
        let read = |name| self.postcards.loaded().global_word(name).map(|word| word.load(Ordering::Relaxed));
        Ok((read("sent")?, read("lost")?))
    }
}

fn cpus() -> Result<u32> {
    Ok(u32::try_from(libbpf_rs::num_possible_cpus()?)?)
}

/// The driver, and the programs that keep nothing.
pub fn harness() -> Result<Loaded> {
    Ok(Opened::new("harness", object!("harness"))?.load()?)
}

fn hashes() -> Result<Loaded> {
    let mut opened = Opened::new("hashes", object!("hashes"))?;
    opened.set_entries("hash_of_cpu", cpus()?)?;
    let loaded = opened.load()?;
    let model = MapHandle::try_from(&loaded.find_map("shared")?)?;
    let of_cpu = MapHandle::try_from(&loaded.find_map("hash_of_cpu")?)?;
    let options = libbpf_sys::bpf_map_create_opts {
        sz: size_of::<libbpf_sys::bpf_map_create_opts>().try_into()?,
        ..Default::default()
    };
    for cpu in 0..cpus()? {
        let (key, value, entries) = (model.key_size(), model.value_size(), model.max_entries());
        let hash = MapHandle::create(MapType::Hash, Some("of_cpu"), key, value, entries, &options)
            .with_context(|| format!("cannot create the hash of CPU {cpu}"))?;
        of_cpu.update(&cpu.to_ne_bytes(), &hash.as_fd().as_raw_fd().to_ne_bytes(), MapFlags::ANY)?;
    }
    Ok(loaded)
}

fn mix(slots: u32) -> Result<Loaded> {
    let mut opened = Opened::new("mix", object!("mix"))?;
    opened.set_constant("slot_mask", slots - 1)?;
    opened.set_entries("slots", cpus()? * slots)?;
    Ok(opened.load()?)
}

/// As the agent loads it, with as much room per CPU as a host with two of them gets by default.
fn shipped(change: impl FnOnce(&mut Demand)) -> Result<Rc<Object>> {
    let mut demand = Demand::one_interface(u64::from(cpus()?) * (32 << 20), cpus()?);
    change(&mut demand);
    Ok(Rc::new(Object::Shipped(Box::new(watched(demand)?))))
}

/// The shipped program, as large as `demand` says, with an eye on what the driver sends.
pub fn watched(demand: Demand) -> Result<Flows> {
    let mut flows = Flows::load(Layout::new(demand)?)?;
    // BPF_PROG_TEST_RUN's packets come in on the loopback device.
    flows.watch(InterfaceId { netns: 0, index: 1 }, Points { outer: 2, inner: 0 }, LinkLayer::Ethernet)?;
    Ok(flows)
}
