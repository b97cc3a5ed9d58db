//! The program that `weir run` ships, with other settings: what each costs in isolation, and whether it holds the
//! flows. `recommend` chooses among them.

use crate::arms::{Drawn, Driver, LOOPBACK, harness, watch};
use crate::results::{EMPTY, Variant};
use crate::spread::Spread;
use crate::{interrupt, machine};
use anyhow::Result;
use weir_kernel::privilege::online_cpus;
use weir_kernel::{LedgerCell, Loaded, SpillRecord};
use weir_probes::flows::{Clock, Demand, Flows, Layout, Seen, Visitor};

/// Kernel memory for each CPU, in MiB: two of them have 8 to 128 MiB between them, as hosts with more have in
/// proportion.
const MIB_PER_CPU: [u64; 5] = [4, 8, 16, 32, 64];
/// However many CPUs there are.
const MOST_MIB: u64 = 1024;

/// So many flows, one packet of each at a time.
struct Traffic {
    name: &'static str,
    flows: u32,
}

static TRAFFIC: [Traffic; 3] = [
    Traffic { name: "1 flow", flows: 1 },
    Traffic { name: "1 000 flows", flows: 1_000 },
    Traffic { name: "100 000 flows", flows: 100_000 },
];

const ROUNDS: usize = 5;

/// Packets between two looks at the spill ring, at most: some milliseconds' worth at a few hundred thousand a second.
const BETWEEN_READS: u32 = 2_048;

/// What a busy CPU sees in an interval of the agent's, a second.
pub const PACKETS: u32 = 300_000;

/// Runs every clock with every memory budget under every traffic, `packets` to an interval. With [`PACKETS`] all of
/// it takes about ten seconds. `progress` hears of steps done, and of how many there are.
///
/// # Errors
/// No privileges, a kernel that refuses the program, or an interruption.
pub fn try_variants(packets: u32, progress: impl FnMut(usize, usize) + Send) -> Result<Vec<Variant>> {
    let most = MOST_MIB.max(MIB_PER_CPU[0] * u64::from(online_cpus()));
    let budgets = MIB_PER_CPU.map(|mib| mib * u64::from(online_cpus()));
    let budgets: Vec<_> = budgets.into_iter().filter(|mib| *mib <= most).map(|mib| mib << 20).collect();
    let plan = Plan { budgets: &budgets, traffics: &TRAFFIC, rounds: ROUNDS, packets };
    machine::on_one_cpu(|| plan.carry_out(progress))
}

/// What is tried, and how thoroughly.
struct Plan<'a> {
    budgets: &'a [u64],
    traffics: &'a [Traffic],
    rounds: usize,
    packets: u32,
}

impl Plan<'_> {
    fn carry_out(&self, mut progress: impl FnMut(usize, usize)) -> Result<Vec<Variant>> {
        let harness = harness()?;
        let clocks = Clock::ALL.into_iter();
        let settings = clocks.flat_map(|clock| self.budgets.iter().map(move |budget| (clock, *budget)));
        let mut trials = settings.map(Trial::load).collect::<Result<Vec<_>>>()?;
        let steps = self.traffics.len() * (1 + self.rounds);
        let mut variants = Vec::new();
        for (number, traffic) in self.traffics.iter().enumerate() {
            let round = |done| progress(number * (1 + self.rounds) + done, steps);
            self.measure(&harness, traffic, &mut trials, round)?;
            variants.extend(trials.iter_mut().map(|trial| trial.conclude(traffic)));
        }
        Ok(variants)
    }

    /// All trials in turn, again and again. The first round warms up and does not count.
    fn measure(
        &self,
        harness: &Loaded,
        traffic: &Traffic,
        trials: &mut [Trial],
        mut round_done: impl FnMut(usize),
    ) -> Result<()> {
        let driver = Driver::drawing(harness, Drawn { flows: traffic.flows, burst: 1, ipv6: false })?;
        for round in 0..=self.rounds {
            driver.aim_at(&harness.program(EMPTY)?)?;
            let empty = in_portions(self.packets, BETWEEN_READS, |packets| driver.run(packets))?;
            for trial in trials.iter_mut() {
                interrupt::check()?;
                let found = trial.run(&driver, self.packets)?;
                if round > 0 {
                    trial.times.push(found.time - empty);
                    trial.counts.add(found.counts);
                }
            }
            round_done(round + 1);
        }
        Ok(())
    }
}

/// The program with some settings, and what was found of it under the traffic of the moment.
struct Trial {
    flows: Flows,
    budget: u64,
    times: Vec<f64>,
    counts: Counts,
}

/// What one run has found.
struct Found {
    /// Nanoseconds per packet.
    time: f64,
    counts: Counts,
}

impl Trial {
    fn load((clock, budget): (Clock, u64)) -> Result<Self> {
        let demand = Demand { clock, ..Demand::one_interface(budget, online_cpus()) };
        let mut flows = Flows::load(Layout::new(demand)?)?;
        watch(&mut flows, LOOPBACK)?;
        Ok(Self { flows, budget, times: Vec::new(), counts: Counts::default() })
    }

    /// An interval: packets, and spills read as they come; then a drain.
    fn run(&mut self, driver: &Driver<'_>, packets: u32) -> Result<Found> {
        let mut counts = Counts::default();
        driver.aim_at(&self.flows.loaded().program("weir_ingress")?)?;
        let time = in_portions(packets, self.until_woken(), |packets| {
            let time = driver.run(packets)?;
            counts.take_spills(&self.flows)?;
            Ok(time)
        })?;
        let left = self.flows.flip()?;
        counts.take_spills(&self.flows)?;
        self.flows.drain(left, &mut counts)?;
        Ok(Found { time, counts })
    }

    /// How many packets fill, at worst, the quarter of the spill ring at which the agent is woken: left alone for
    /// longer, each further spill would try to wake it.
    fn until_woken(&self) -> u32 {
        let record = size_of::<SpillRecord>() as u32 + 8; // what the ring adds
        (self.flows.layout().spill_bytes / 4 / record).clamp(1, BETWEEN_READS)
    }

    /// What there is to say of it; the next traffic begins anew.
    fn conclude(&mut self, traffic: &Traffic) -> Variant {
        let (times, counts) = (std::mem::take(&mut self.times), std::mem::take(&mut self.counts));
        let layout = self.flows.layout();
        Variant {
            clock: layout.clock.name().into(),
            memory_budget: self.budget,
            flows_per_cpu: layout.entries_per_cpu,
            traffic: traffic.name.into(),
            isolated_ns: Spread::of(times).median,
            spilled_share: counts.share(counts.spilled),
            lost_share: counts.share(counts.lost),
        }
    }
}

/// Nanoseconds per packet of all portions together.
fn in_portions(packets: u32, most: u32, mut run: impl FnMut(u32) -> Result<f64>) -> Result<f64> {
    let mut sum = 0.0;
    for first in (0..packets).step_by(most as usize) {
        let portion = most.min(packets - first);
        sum += run(portion)? * f64::from(portion);
    }
    Ok(sum / f64::from(packets.max(1)))
}

/// Packets, by what became of them.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    seen: u64,
    spilled: u64,
    lost: u64,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.seen += other.seen;
        self.spilled += other.spilled;
        self.lost += other.lost;
    }

    fn take_spills(&mut self, flows: &Flows) -> Result<()> {
        flows.consume_spill(usize::MAX, |record| self.spilled += record.entry.packets)?;
        Ok(())
    }

    fn share(&self, packets: u64) -> f64 {
        packets as f64 / self.seen.max(1) as f64
    }
}

impl Visitor for Counts {
    fn flow(&mut self, _: Seen<'_>) {}

    fn cell(&mut self, _: u16, cell: &LedgerCell) {
        self.seen += cell.seen_packets + cell.nested_packets;
        self.lost += cell.lost_spill_packets + cell.lost_nested_packets;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_too_little_memory_spills_and_enough_does_not() {
        let traffics = [Traffic { name: "few", flows: 10 }, Traffic { name: "many", flows: 10_000 }];
        let budgets = [1 << 20, 64 << 20];
        let plan = Plan { budgets: &budgets, traffics: &traffics, rounds: 2, packets: 20_000 };
        let mut heard = Vec::new();
        let found = machine::on_one_cpu(|| plan.carry_out(|done, all| heard.push((done, all))))
            .expect("root, and a kernel that takes the program");
        assert_eq!(heard, [1, 2, 3, 4, 5, 6].map(|done| (done, 6)));
        assert_eq!(found.len(), 8);
        for variant in &found {
            let is_too_much = variant.memory_budget == budgets[0] && variant.traffic == "many";
            assert_eq!(variant.spilled_share > 0.1, is_too_much, "{variant:?}");
            assert!(variant.spilled_share <= 1.0 && variant.lost_share == 0.0, "{variant:?}");
        }
    }
}
