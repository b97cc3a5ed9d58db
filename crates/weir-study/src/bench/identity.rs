//! What it costs to say who talks, and how well. The programs that hear of sockets hear of those of the whole host: no
//! pair of interfaces is without them while an agent runs. So each arm has the machine for itself for a turn, and they
//! take turns.

use crate::bench::agent::Agent;
use crate::bench::generator::Generator;
use crate::bench::network::{Network, Pair};
use crate::bench::report::{Report, Row, Table, Target};
use crate::bench::{Effort, iperf, web};
use crate::machine;
use crate::spread::Spread;
use anyhow::Result;

/// All traffic goes through this pair, whoever watches.
const PAIR: Pair = Pair::Weir;

/// Who watches, at the receiving end.
#[derive(Clone, Copy)]
enum Arm {
    Nobody = 0,
    Flows = 1,
    /// And which processes talk, and what the addresses are called.
    Identity = 2,
    /// And how well: all that an agent does unless it is told otherwise.
    Everything = 3,
}

impl Arm {
    const ALL: [Self; 4] = [Self::Nobody, Self::Flows, Self::Identity, Self::Everything];
    /// What switches off what an arm does without, one probe after the other.
    const OFF: [&str; 8] = ["--tcp", "off", "--drops", "off", "--identity", "off", "--dns", "off"];

    fn name(self) -> &'static str {
        [
            "native",
            "weir, --tcp off --drops off --identity off --dns off",
            "weir, --tcp off --drops off",
            "weir",
        ][self as usize]
    }

    fn start(self, network: &Network) -> Result<Option<Agent>> {
        let off = match self {
            Self::Nobody => return Ok(None),
            Self::Flows => &Self::OFF[..],
            Self::Identity => &Self::OFF[..4],
            Self::Everything => &[],
        };
        Agent::start(&network.receiver, off).map(Some)
    }
}

/// What is aimed at: of what saying who talks costs, and of all that there is.
struct Targets {
    identity: f64,
    everything: f64,
}

/// Forty flows, TCP, a connection for each request.
pub fn run(effort: Effort, report: &mut Report) -> Result<()> {
    let network = Network::new()?;
    let throughput = || Targets { identity: 0.95, everything: 0.93 };
    let generator = Generator::new(&network)?;
    let udp = || machine::on_one_cpu(|| Ok(generator.rate(PAIR, 40, effort.turn)? / 1e3));
    let unit = "1000 packets/s of 60 bytes, sent and read back by one thread";
    report.add(table(&network, ("40 UDP flows", unit), throughput(), effort, udp)?);
    if iperf::installed() {
        let tcp = || iperf::gigabits(&network, PAIR, effort.round);
        report.add(table(&network, ("TCP", "Gbit/s of iperf3"), throughput(), effort, tcp)?);
    }
    if web::installed() {
        let server = web::Server::start(&network)?;
        let connections = || server.kilorequests(&network, PAIR, effort.round);
        let unit = "1000 requests/s of wrk to nginx, a connection for each";
        let targets = Targets { identity: 0.92, everything: 0.90 };
        report.add(table(&network, ("connections", unit), targets, effort, connections)?);
    }
    Ok(())
}

fn table(
    network: &Network,
    (name, unit): (&str, &str),
    targets: Targets,
    effort: Effort,
    measure: impl Fn() -> Result<f64>,
) -> Result<Table> {
    let mut figures = Vec::new();
    for round in 0..effort.turns {
        let mut figure = [0.0; Arm::ALL.len()];
        for turn in 0..Arm::ALL.len() {
            let arm = Arm::ALL[(round + turn) % Arm::ALL.len()];
            let agent = arm.start(network)?;
            // What an agent does once only, when it meets the first of a kind, is no part of what traffic costs.
            measure()?;
            figure[arm as usize] = measure()?;
            agent.map(Agent::stop).transpose()?;
        }
        figures.push(figure);
    }
    let of = |arm: Arm| figures.iter().map(move |figure| figure[arm as usize]);
    let ratios = |arm: Arm| of(arm).zip(of(Arm::Nobody)).map(|(one, native)| one / native);
    let row = |arm: Arm| Row {
        name: arm.name().into(),
        value: Spread::of(of(arm)),
        ratio: Some(Spread::of(ratios(arm))),
        target: match arm {
            Arm::Identity => Some(Target::AtLeast(targets.identity)),
            Arm::Everything => Some(Target::AtLeast(targets.everything)),
            Arm::Nobody | Arm::Flows => None,
        },
    };
    Ok(Table {
        title: format!("identity, {name}"),
        unit: unit.into(),
        digits: 1,
        rows: Arm::ALL.map(row).into(),
        notes: Vec::new(),
    })
}
