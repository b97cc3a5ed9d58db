//! What it costs to say who talks, and how well. The programs that hear of sockets hear of those of the whole host: no
//! pair of interfaces is without them while an agent runs. So each arm has the machine for itself for a turn, and they
//! take turns. The machine is not the same from turn to turn, so traffic is compared by [`crate::bench::reference`].

use crate::bench::agent::Agent;
use crate::bench::client::Pauses;
use crate::bench::generator::Generator;
use crate::bench::network::{Network, Pair};
use crate::bench::reference::{self, Measured, OnEveryCpu, Reference};
use crate::bench::report::{Report, Row, Table, Target};
use crate::bench::{Effort, iperf, web};
use crate::machine;
use crate::spread::Spread;
use anyhow::Result;
use std::time::Duration;

/// All traffic goes through this pair, whoever watches.
const PAIR: Pair = Pair::Weir;
const FLOWS: u32 = 40;
/// What an agent does once only, when it meets the first of a kind, is no part of what traffic costs.
const WARM_UP: Duration = Duration::from_millis(300);

/// Who watches, at the receiving end.
#[derive(Clone, Copy)]
enum Arm {
    Nobody = 0,
    /// The same once more: by as much as this differs, others differ by chance.
    NobodyAgain = 1,
    Flows = 2,
    /// And which processes talk, and what the addresses are called.
    Identity = 3,
    /// And how well: all that an agent does unless it is told otherwise.
    Everything = 4,
}

impl Arm {
    const ALL: [Self; 5] = [Self::Nobody, Self::NobodyAgain, Self::Flows, Self::Identity, Self::Everything];
    /// What switches off what an arm does without, one probe after the other.
    const OFF: [&str; 8] = ["--tcp", "off", "--drops", "off", "--identity", "off", "--dns", "off"];

    /// Whose turn it is. Who begins changes from round to round, and nobody comes right after nobody.
    fn at(round: usize, turn: usize) -> Self {
        Self::ALL[(round + 2 * turn) % Self::ALL.len()]
    }

    fn name(self) -> &'static str {
        [
            "native",
            "native again",
            "weir, --tcp off --drops off --identity off --dns off",
            "weir, --tcp off --drops off",
            "weir",
        ][self as usize]
    }

    fn start(self, network: &Network) -> Result<Option<Agent>> {
        let off = match self {
            Self::Nobody | Self::NobodyAgain => return Ok(None),
            Self::Flows => &Self::OFF[..],
            Self::Identity => &Self::OFF[..4],
            Self::Everything => &[],
        };
        Agent::start(&network.receiver, off).map(Some)
    }
}

/// What goes through the pair.
struct Traffic {
    name: &'static str,
    unit: &'static str,
    /// How many of what is counted make one of the unit.
    per_unit: f64,
    /// How many times as often it is measured: where the scheduler has its say, single turns scatter more.
    repeats: usize,
    /// What is aimed at: of what saying who talks costs, and of all that there is.
    identity: f64,
    everything: f64,
}

const UDP: Traffic = Traffic {
    name: "40 UDP flows",
    unit: "1000 packets/s of 60 bytes, sent and read back by one thread",
    per_unit: 1e3,
    repeats: 1,
    identity: 0.95,
    everything: 0.93,
};
const TCP: Traffic = Traffic {
    name: "TCP",
    unit: "Gbit/s of iperf3",
    per_unit: 1e9 / 8.0,
    repeats: 1,
    identity: 0.95,
    everything: 0.93,
};
const CONNECTIONS: Traffic = Traffic {
    name: "connections",
    unit: "1000 requests/s of wrk to nginx, a connection for each",
    per_unit: 1e3,
    repeats: 2,
    identity: 0.92,
    everything: 0.90,
};

/// Forty flows of datagrams.
pub fn udp(effort: Effort, report: &mut Report) -> Result<()> {
    let network = Network::new()?;
    let (generator, reference) = (Generator::new(&network)?, Reference::new()?);
    let slice = |time| generator.run(PAIR, FLOWS, time);
    let udp = |_: Option<&Agent>, time| machine::on_one_cpu(|| reference.beside(time, slice));
    report.add(UDP.table(&network, effort, udp)?);
    Ok(())
}

/// One connection with much to carry, where iperf3 is installed.
pub fn tcp(effort: Effort, report: &mut Report) -> Result<()> {
    if !iperf::installed() {
        return Ok(());
    }
    let (network, reference) = (Network::new()?, OnEveryCpu::new()?);
    let tcp = |agent: Option<&Agent>, time| {
        iperf::bytes(&network, PAIR, time, Pauses { agent, reference: &reference })
    };
    report.add(TCP.table(&network, effort, tcp)?);
    Ok(())
}

/// A connection for each request, where wrk and nginx are installed.
pub fn connections(effort: Effort, report: &mut Report) -> Result<()> {
    if !web::installed() {
        return Ok(());
    }
    let (network, reference) = (Network::new()?, OnEveryCpu::new()?);
    let server = web::Server::start(&network)?;
    let connections = |agent: Option<&Agent>, time| {
        server.requests(&network, PAIR, time, Pauses { agent, reference: &reference })
    };
    report.add(CONNECTIONS.table(&network, effort, connections)?);
    Ok(())
}

impl Traffic {
    /// `measure` makes the traffic for a time, while an agent watches or none does.
    fn table(
        &self,
        network: &Network,
        effort: Effort,
        measure: impl Fn(Option<&Agent>, Duration) -> Result<Measured>,
    ) -> Result<Table> {
        let mut turns = vec![Vec::new(); Arm::ALL.len()];
        for round in 0..effort.turns * self.repeats {
            for turn in 0..Arm::ALL.len() {
                let arm = Arm::at(round, turn);
                let agent = arm.start(network)?;
                measure(agent.as_ref(), WARM_UP)?;
                turns[arm as usize].push(measure(agent.as_ref(), effort.turn)?);
                agent.map(Agent::stop).transpose()?;
            }
        }
        let power = reference::power(turns.iter().map(Vec::as_slice));
        Ok(Table {
            title: format!("identity, {}", self.name),
            unit: self.unit.into(),
            digits: 1,
            rows: Arm::ALL.map(|arm| self.row(arm, &turns, power)).into(),
            notes: vec![
                format!(
                    "ratio: at the same speed of the machine, by other work in between (power {power:.2});"
                ),
                "by as much as native again differs from native, others differ by chance".into(),
            ],
        })
    }

    fn row(&self, arm: Arm, turns: &[Vec<Measured>], power: f64) -> Row {
        let (own, native) = (&turns[arm as usize], &turns[Arm::Nobody as usize]);
        let ratios =
            own.iter().zip(native).map(|(one, other)| one.normalised(power) / other.normalised(power));
        Row {
            name: arm.name().into(),
            value: Spread::of(own.iter().map(|one| one.traffic.rate() / self.per_unit)),
            ratio: Some(Spread::of(ratios)),
            target: match arm {
                Arm::Identity => Some(Target::AtLeast(self.identity)),
                Arm::Everything => Some(Target::AtLeast(self.everything)),
                Arm::Nobody | Arm::NobodyAgain | Arm::Flows => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::reference::Work;

    #[test]
    fn each_has_a_turn_in_each_round_and_nobody_comes_right_after_nobody() {
        for round in 0..Arm::ALL.len() {
            let order: Vec<usize> = (0..Arm::ALL.len()).map(|turn| Arm::at(round, turn) as usize).collect();
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4]);
            assert!(order.windows(2).all(|pair| pair[0].max(pair[1]) > 1), "{order:?}");
        }
    }

    /// Watching takes a tenth; the native turn of the second round had twice the machine.
    #[test]
    fn ratios_are_normalised_and_values_are_not() {
        let second = Duration::from_secs(1);
        let work = |count| Work { count, time: second };
        let at = |speed: u64, count| Measured { traffic: work(count * speed), reference: work(5000 * speed) };
        let mut turns = vec![vec![at(200, 1000), at(200, 1000)]; 5];
        turns[Arm::Identity as usize] = vec![at(200, 900), at(100, 900)];
        let row = UDP.row(Arm::Identity, &turns, 1.0);
        assert_eq!((row.value.least, row.value.greatest), (90.0, 180.0));
        let ratio = row.ratio.expect("it has one");
        assert!((ratio.least - 0.9).abs() < 1e-9 && (ratio.greatest - 0.9).abs() < 1e-9, "{ratio:?}");
    }
}
