//! The objects with the arms' programs, on their way into the kernel.

use crate::traffic::Step;
use anyhow::{Context, Result};
use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::Ordering;
use weir_kernel::{Loaded, Opened, Shared, page_size};

macro_rules! object {
    ($name:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".bpf.o"))
    };
}

/// `enum clock` in `plain.h`: what stamps packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The tick counter: one load.
    Jiffies = 0,
    /// The time of the last tick: a call.
    Coarse = 1,
    /// The time to the nanosecond: a call, and a look at the hardware.
    Fine = 2,
}

/// Every program that reads packets has it.
const FRAGMENTS: &str = "fragments";
/// Flows that a hash has room for: MAX_FLOWS in `plain.h`. The arena has twice as many places on each CPU.
const MAX_FLOWS: u32 = 131_072;
/// Entries of a CPU's table in the arena: TABLE in `arena.bpf.c`.
pub const TABLE: usize = 2 * MAX_FLOWS as usize;
/// Where the arena lies in this process: far from everything else.
const ARENA: u64 = 1 << 44;

/// CPUs that there may be.
pub fn cpus() -> Result<u32> {
    Ok(u32::try_from(libbpf_rs::num_possible_cpus()?)?)
}

/// One program of an object, and the maps that it uses.
fn only(name: &'static str, object: &[u8], clock: Clock, program: &str, maps: &[&str]) -> Result<Opened> {
    let mut opened = Opened::new(name, object)?;
    opened.set_constant("clock", clock as u32)?;
    opened.only_programs(|name| name == program);
    opened.only_maps(|name| maps.contains(&name) || name == FRAGMENTS)?;
    Ok(opened)
}

/// The driver of `BPF_PROG_TEST_RUN`, and the programs that keep nothing.
pub fn harness() -> Result<Loaded> {
    Ok(Opened::new("harness", object!("harness"))?.load()?)
}

/// The same, walking through the flows of these steps.
pub fn harness_along(steps: &[Step]) -> Result<Loaded> {
    let mut opened = Opened::new("harness", object!("harness"))?;
    let count = u32::try_from(steps.len())?;
    opened.set_entries("steps", count)?;
    opened.set_constant("step_count", count)?;
    let loaded = opened.load()?;
    let flows = Shared::new(loaded.map("steps")?, steps.len())?;
    flows.iter().zip(steps).for_each(|(word, step)| word.store(step.flow.into(), Ordering::Relaxed));
    Ok(loaded)
}

/// WINDOWS in `traffic.bpf.c`.
pub const WINDOWS: u32 = 4096;

/// The two ends of a study, with room for `steps` steps of the schedule.
pub fn traffic(steps: u32) -> Result<Loaded> {
    let mut opened = Opened::new("traffic", object!("traffic"))?;
    opened.set_entries("schedule", steps.max(1))?;
    opened.set_entries("windows", cpus()? * WINDOWS)?;
    Ok(opened.load()?)
}

/// One of the programs that hand out a record per packet.
pub fn postcards(program: &str) -> Result<Loaded> {
    let map = if program == "perfbuf" { "events" } else { "ring" };
    Ok(only("postcards", object!("postcards"), Clock::Jiffies, program, &[map])?.load()?)
}

/// One of the arrays.
pub fn arrays(program: &str) -> Result<Loaded> {
    let cards = if program == "array" { "slots" } else { "cards" };
    let mut opened = only("arrays", object!("arrays"), Clock::Jiffies, program, &["positions", cards])?;
    opened.set_entries("positions", cpus()?)?;
    Ok(opened.load()?)
}

/// One of the hashes.
pub fn hashes(program: &str, map: &str, clock: Clock) -> Result<Loaded> {
    Ok(only("hashes", object!("hashes"), clock, program, &[map])?.load()?)
}

/// A plain hash for every CPU.
pub fn hash_per_cpu(clock: Clock) -> Result<(Loaded, Vec<MapHandle>)> {
    let mut opened = only("hashes", object!("hashes"), clock, "hash_per_cpu", &["hash_of_cpu", "shared"])?;
    opened.set_entries("hash_of_cpu", cpus()?)?;
    opened.set_entries("shared", 1)?; // only a model of the others
    let loaded = opened.load()?;
    let model = MapHandle::try_from(&loaded.find_map("shared")?)?;
    let of_cpu = MapHandle::try_from(&loaded.find_map("hash_of_cpu")?)?;
    let options = libbpf_sys::bpf_map_create_opts {
        sz: size_of::<libbpf_sys::bpf_map_create_opts>().try_into()?,
        ..Default::default()
    };
    let mut hashes = Vec::new();
    for cpu in 0..cpus()? {
        let (key, value) = (model.key_size(), model.value_size());
        let hash = MapHandle::create(MapType::Hash, Some("of_cpu"), key, value, MAX_FLOWS, &options)
            .with_context(|| format!("cannot create the hash of CPU {cpu}"))?;
        of_cpu.update(&cpu.to_ne_bytes(), &hash.as_fd().as_raw_fd().to_ne_bytes(), MapFlags::ANY)?;
        hashes.push(hash);
    }
    Ok((loaded, hashes))
}

/// The hash in an arena (6.9), a table for every CPU. How many 64-bit words it has.
pub fn arena(words_per_entry: usize) -> Result<(Loaded, usize)> {
    let words = cpus()? as usize * TABLE * words_per_entry;
    let mut opened = only("arena", object!("arena"), Clock::Jiffies, "arena_hash", &["arena"])?;
    opened.set_constant("base", ARENA)?;
    opened.set_constant("tables", cpus()?)?;
    opened.set_arena_address("arena", ARENA)?;
    opened.set_entries("arena", u32::try_from(words * 8 / page_size())?)?;
    let loaded = opened.load()?;
    // Pages that user space has touched are there for programs, which cannot ask for any.
    for page in loaded.arena("arena", words)?.chunks(page_size() / 8) {
        page[0].store(0, Ordering::Relaxed);
    }
    Ok((loaded, words))
}

/// The design's first form, with `slots` slots per CPU before a per-CPU hash.
pub fn mix(slots: u32, clock: Clock) -> Result<Loaded> {
    let mut opened = Opened::new("mix", object!("mix"))?;
    opened.set_constant("clock", clock as u32)?;
    opened.set_constant("slot_mask", slots - 1)?;
    opened.set_entries("slots", cpus()? * slots)?;
    Ok(opened.load()?)
}
