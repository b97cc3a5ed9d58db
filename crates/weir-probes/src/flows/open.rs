//! Which of the compiled objects is loaded, and with what sizes and constants.

use super::{Clock, Layout, Tables, own_netns};
use std::time::Duration;
use weir_kernel::{BURST, Loaded, Opened, PartState, Result};

/// How long the first fragment's ports wait for the rest: the reassembly time of RFC 8200.
const FRAGMENT_TIMEOUT: Duration = Duration::from_secs(60);

/// From so many flows of a CPU on its packets wait for each other (`weir/burst.h`): entries, of 64 bytes, and their
/// index are more by then than a cache of a megabyte or two holds.
const MANY_FLOWS: u32 = 16 * 1024;

macro_rules! compiled {
    ($name:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".bpf.o"))
    };
}

/// The compiled probe, which may [draw by content](Demand::draw_by_content).
pub fn object(draw_by_content: bool, tables: Tables) -> &'static [u8] {
    match (draw_by_content, tables) {
        (false, Tables::ByAddress) => compiled!("flows"),
        (false, Tables::ByKey) => compiled!("flows_by_key"),
        (true, Tables::ByAddress) => compiled!("flows_drawn"),
        (true, Tables::ByKey) => compiled!("flows_drawn_by_key"),
    }
}

pub(super) fn open(layout: &Layout, seed: u64) -> Result<Opened> {
    let mut object = Opened::new("flows", object(layout.draw_by_content, layout.tables))?;
    let fragment_timeout = FRAGMENT_TIMEOUT.as_nanos() / layout.clock.tick()?.as_nanos().max(1);
    object.set_constant("entries_per_cpu", layout.entries_per_cpu)?;
    object.set_constant("bucket_mask", layout.buckets_per_cpu - 1)?;
    object.set_constant("hash_seed", seed)?;
    object.set_constant("many_flows", MANY_FLOWS)?;
    object.set_constant("points", layout.points)?;
    object.set_constant("decapsulate", u8::from(layout.decapsulate))?;
    object.set_constant("every_netns", u8::from(layout.every_netns))?;
    if layout.draw_by_content {
        object.set_constant("draw_seed", self::seed())?;
    }
    object.set_constant("own_netns", own_netns())?;
    object.set_constant("time_handshakes", u8::from(layout.handshakes))?;
    layout.dns_ports.set(&mut object)?;
    object.set_constant("fine_clock", u8::from(layout.clock == Clock::Fine))?;
    object.set_constant("fragment_timeout", fragment_timeout as u32)?;
    object.set_constant("spill_wakeup_bytes", u64::from(layout.spill_bytes / 4))?;
    object.set_rows("parts", layout.parts())?;
    object.set_rows("entries", layout.parts() * layout.entries_per_cpu)?;
    object.set_rows("addresses", layout.parts() * layout.entries_per_cpu)?;
    object.set_entries(
        "parents",
        if layout.decapsulate { layout.parts() * layout.entries_per_cpu } else { 1 },
    )?;
    object.set_entries("rule_blocks", 2 * layout.rule_room.blocks)?;
    object.set_entries("rule_sets", 1 + 2 * layout.rule_room.sets)?;
    object.set_entries("rule_points", 2 * layout.points)?;
    object.set_rows("buckets", layout.parts() * layout.buckets_per_cpu)?;
    object.set_rows("burst_packets", layout.parts() * BURST)?;
    object.set_rows("ledger", layout.parts() * layout.points)?;
    object.set_entries("fragments", layout.fragments)?;
    object.set_entries("half_open", layout.half_open)?;
    object.set_entries("handshakes", layout.handshake_bytes)?;
    object.set_rows("interfaces", layout.interfaces_direct)?;
    object.set_entries("spill", layout.spill_bytes)?;
    Ok(object)
}

/// Tells each part where it begins in the other maps.
pub(super) fn lay_out_parts(loaded: &mut Loaded, layout: &Layout) -> Result<()> {
    for (generation, cpu) in (0..2).flat_map(|generation| (0..layout.cpus).map(move |cpu| (generation, cpu)))
    {
        let part = generation * layout.cpus + cpu;
        let state = PartState {
            first_entry: part * layout.entries_per_cpu,
            first_bucket: part * layout.buckets_per_cpu,
            first_cell: part * layout.points,
            first_burst: part * BURST,
            cpu,
            ..PartState::default()
        };
        loaded.set_row("parts", layout.part_key(generation, cpu), &state)?;
    }
    Ok(())
}

/// Differs from run to run, so that nobody can choose flows that share a bucket.
pub(super) fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::super::{Demand, Flows, PROGRAMS};
    use super::*;
    use weir_kernel::{feature, stats};

    /// Linux 6.1 and older follow 2.3 times as many instructions of this object as 6.18 does, and give up after a
    /// million (docs/kernels.md).
    const HERE: u64 = 300_000;

    #[test]
    fn root_old_kernels_have_the_patience_for_everything() {
        if !feature::is_at_least(6, 12) {
            return; // it is seen as soon as the probe is loaded
        }
        let demand = Demand {
            decapsulate: true,
            every_netns: true,
            draw_by_content: false,
            dns_ports: crate::dns::Ports::of(&[53]),
            clock: Clock::Fine,
            tables: Tables::ByKey,
            ..Demand::one_interface(64 << 20, 2)
        };
        let layout = Layout::new(demand).expect("64 MiB hold it");
        let flows = Flows::load(layout).expect("the probe loads");
        for program in PROGRAMS {
            let followed = stats::instructions_of(flows.loaded(), program).expect("the kernel tells");
            assert!(followed < HERE, "{program}: {followed}");
        }
    }
}
