//! What real traffic loses to the agent: small UDP packets, and TCP for information, through
//! veth pairs that are alike but for who watches them.

use crate::arms::Arm;
use crate::bench::agent::Agent;
use crate::bench::generator::Generator;
use crate::bench::network::{Network, Pair};
use crate::bench::report::{Report, Row, Table, Target};
use crate::bench::{Effort, iperf};
use crate::namespace::Namespace;
use crate::spread::Spread;
use crate::{interrupt, machine};
use anyhow::{Result, ensure};
use nix::net::if_::if_nametoindex;
use std::time::Duration;
use weir_kernel::Attachment;

/// Traffic changes over to the next pair this often: what disturbs the machine then disturbs all alike.
const SLICE: Duration = Duration::from_millis(20);
/// Seen by every agent that was attached at all.
const FEW_PACKETS: u64 = 1000;

/// One figure for each pair.
type Round = [f64; Pair::ALL.len()];

/// One flow, forty flows, TCP.
pub fn run(effort: Effort, report: &mut Report) -> Result<()> {
    let network = Network::new()?;
    let ends = [&network.sender, &network.receiver];
    let _empty = [empty_programs(ends[0])?, empty_programs(ends[1])?];
    let agents =
        [Agent::start(ends[0], &["-i", Pair::WeirAtOneEnd.interface()])?, Agent::start(ends[1], &[])?];

    let generator = Generator::new(&network)?;
    for (name, flows) in [("one UDP flow", 1), ("40 UDP flows", 40)] {
        let unit = "1000 packets/s of 60 bytes, sent and read back by one thread";
        let round = || machine::on_one_cpu(|| kilopackets(&generator, flows, effort.round));
        report.add(table(name, unit, Some(Target::AtLeast(0.95)), effort, round)?);
    }
    if iperf::installed() {
        let unit = "Gbit/s of iperf3, for information: super-packets, and the scheduler has its say";
        report.add(table("TCP", unit, None, effort, || gigabits(&network, effort.round))?);
    }
    for agent in agents {
        ensure!(agent.stop()? >= FEW_PACKETS, "the agent has not seen the traffic");
    }
    Ok(())
}

fn table(
    name: &str,
    unit: &str,
    target: Option<Target>,
    effort: Effort,
    round: impl Fn() -> Result<Round>,
) -> Result<Table> {
    round()?; // neighbours, routes, caches, clock rate
    let rounds: Vec<Round> = (0..effort.rounds).map(|_| round()).collect::<Result<_>>()?;
    let row = |pair: Pair| Row {
        name: ["native", "empty programs at both ends", "weir at both ends", "weir at one end"]
            [pair as usize]
            .into(),
        value: Spread::of(rounds.iter().map(|round| round[pair as usize])),
        ratio: Some(Spread::of(
            rounds.iter().map(|round| round[pair as usize] / round[Pair::Native as usize]),
        )),
        target: target.filter(|_| matches!(pair, Pair::Weir | Pair::WeirAtOneEnd)),
    };
    Ok(Table {
        title: format!("throughput, {name}"),
        unit: unit.into(),
        digits: 1,
        rows: Pair::ALL.map(row).into(),
        notes: Vec::new(),
    })
}

/// Each pair gets `time`, a slice at a time; who comes first changes.
fn kilopackets(generator: &Generator, flows: u32, time: Duration) -> Result<Round> {
    let slices = time.div_duration_f64(SLICE).ceil() as usize;
    let mut sums = Round::default();
    for slice in 0..slices {
        for turn in 0..Pair::ALL.len() {
            let pair = Pair::ALL[(slice + turn) % Pair::ALL.len()];
            sums[pair as usize] += generator.run(pair, flows, SLICE)?.rate();
        }
    }
    Ok(sums.map(|sum| sum / slices as f64 / 1e3))
}

fn gigabits(network: &Network, time: Duration) -> Result<Round> {
    let mut round = Round::default();
    for pair in Pair::ALL {
        interrupt::check()?;
        round[pair as usize] = iperf::bits(network, pair, time)? / 1e9;
    }
    Ok(round)
}

fn empty_programs(end: &Namespace) -> Result<(Arm, [Attachment; 2])> {
    end.inside(|| {
        let arm = Arm::empty()?;
        let attached = arm.attach(if_nametoindex(Pair::Empty.interface())?)?;
        Ok((arm, attached))
    })
}
