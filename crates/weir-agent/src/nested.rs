//! What becomes of a packet that finds its CPU busy, or on a CPU without a part of its own:
//! it goes to the spill ring by itself, and when that is full into the ledger.

use libbpf_rs::ProgramInput;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use weir_kernel::{LedgerCell, PartState, Window};
use weir_probes::flows::{Demand, Flows, InterfaceId, Layout, LinkLayer, Points, Seen, Tables, Visitor};

/// What is counted must not hang on how tables are kept.
pub(crate) fn either_way() -> [Tables; 2] {
    [Tables::here(), Tables::ByKey]
}

/// Has this thread run on one CPU only.
pub(crate) fn stay_on(cpu: usize) {
    let mut only = CpuSet::new();
    only.set(cpu).expect("there is that CPU");
    sched_setaffinity(Pid::from_raw(0), &only).expect("this thread may run there");
}

#[derive(Default)]
struct Sums {
    entries: u64,
    cells: Vec<LedgerCell>,
}

impl Visitor for Sums {
    fn flow(&mut self, seen: Seen<'_>) {
        self.entries += seen.entry.packets;
    }

    fn cell(&mut self, _point: u16, cell: &LedgerCell) {
        self.cells.push(*cell);
    }
}

fn probe(cpus: u32, tables: Tables) -> Flows {
    let demand = Demand { tables, ..Demand::one_interface(1 << 20, cpus) };
    let mut flows = Flows::load(Layout::new(demand).expect("1 MiB holds a flow")).expect("the probe loads");
    let loopback = InterfaceId { netns: 0, index: 1 };
    flows
        .watch(loopback, Points { outer: 2, inner: 0 }, LinkLayer::Ethernet)
        .expect("loopback can be watched");
    flows
}

/// Sends `count` frames of 64 bytes through the program, on whichever CPU.
fn send(flows: &Flows, count: u32) {
    let mut frame = [0; 64];
    frame[12..14].copy_from_slice(&[0x08, 0x06]);
    let input = ProgramInput { data_in: Some(&frame), repeat: count, ..Default::default() };
    let program = flows.loaded().program("weir_ingress").expect("the program is there");
    program.test_run(input).expect("the program runs: these tests need root");
}

/// Packets and losses after `count` frames: every one is in the ring or in the ledger.
fn check(mut flows: Flows, count: u32) {
    send(&flows, count);
    let left = flows.flip().expect("the generation flips");
    let mut spilled = 0;
    flows.consume_spill(usize::MAX, |record| spilled += record.entry.packets).expect("the ring can be read");
    let mut sums = Sums::default();
    flows.drain(left, &mut sums).expect("the generation drains");
    let total = |of: fn(&LedgerCell) -> u64| sums.cells.iter().map(of).sum::<u64>();
    assert_eq!(sums.entries, 0, "the hash was left alone");
    assert_eq!(total(|cell| cell.seen_packets), 0);
    assert_eq!(total(|cell| cell.nested_packets), u64::from(count));
    assert_eq!(total(|cell| cell.nested_bytes), u64::from(count) * 64);
    assert_eq!(spilled + total(|cell| cell.lost_nested_packets), u64::from(count));
    assert!(spilled > 0, "the ring takes some");
}

fn mark_busy(flows: &Flows) {
    let parts = flows.loaded().map("parts").expect("there are parts");
    let mut parts: Window<PartState> =
        Window::new(parts, 0..flows.layout().parts() as usize).expect("they can be mapped");
    for part in parts.iter_mut() {
        part.busy = 1;
    }
}

#[test]
fn root_a_busy_cpu_spills_and_counts() {
    for tables in either_way() {
        let flows = probe(64, tables);
        mark_busy(&flows);
        check(flows, 10);
    }
}

#[test]
fn root_a_busy_cpu_with_a_full_ring_counts_the_loss() {
    let flows = probe(64, Tables::here());
    mark_busy(&flows);
    let more_than_fit = flows.layout().spill_bytes / 64;
    check(flows, more_than_fit);
}

#[test]
fn root_a_cpu_without_a_part_spills_and_counts() {
    if weir_kernel::privilege::online_cpus() < 2 {
        eprintln!("skipped: a second CPU is needed to play one that came online late");
        return;
    }
    stay_on(1);
    for tables in either_way() {
        check(probe(1, tables), 10);
    }
}
