//! What it costs to say who talks. The programs that hear of sockets hear of those of the whole host: no pair of
//! interfaces is without them while an agent runs. So each arm has the machine for itself for a round, and they take turns.

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
    /// And which processes talk, but no names from DNS: that probe meets packets, the others system calls.
    Processes = 2,
    Everything = 3,
}

impl Arm {
    const ALL: [Self; 4] = [Self::Nobody, Self::Flows, Self::Processes, Self::Everything];

    fn name(self) -> &'static str {
        ["native", "weir, --identity off --dns off", "weir, --dns off", "weir"][self as usize]
    }

    fn start(self, network: &Network) -> Result<Option<Agent>> {
        match self {
            Self::Nobody => Ok(None),
            Self::Flows => Agent::start(&network.receiver, &["--identity", "off", "--dns", "off"]).map(Some),
            Self::Processes => Agent::start(&network.receiver, &["--dns", "off"]).map(Some),
            Self::Everything => Agent::start(&network.receiver, &[]).map(Some),
        }
    }
}

/// Forty flows, TCP, a connection for each request.
pub fn run(effort: Effort, report: &mut Report) -> Result<()> {
    let network = Network::new()?;
    let generator = Generator::new(&network)?;
    let udp = || machine::on_one_cpu(|| Ok(generator.rate(PAIR, 40, effort.round)? / 1e3));
    let unit = "1000 packets/s of 60 bytes, sent and read back by one thread";
    report.add(table(&network, ("40 UDP flows", unit), 0.95, effort, udp)?);
    if iperf::installed() {
        let tcp = || iperf::gigabits(&network, PAIR, effort.round);
        report.add(table(&network, ("TCP", "Gbit/s of iperf3"), 0.95, effort, tcp)?);
    }
    if web::installed() {
        let server = web::Server::start(&network)?;
        let connections = || server.kilorequests(&network, PAIR, effort.round);
        let unit = "1000 requests/s of wrk to nginx, a connection for each";
        report.add(table(&network, ("connections", unit), 0.92, effort, connections)?);
    }
    Ok(())
}

fn table(
    network: &Network,
    (name, unit): (&str, &str),
    target: f64,
    effort: Effort,
    measure: impl Fn() -> Result<f64>,
) -> Result<Table> {
    measure()?; // neighbours, routes, caches, clock rate
    let mut figures = Vec::new();
    for round in 0..effort.rounds {
        let mut figure = [0.0; Arm::ALL.len()];
        for turn in 0..Arm::ALL.len() {
            let arm = Arm::ALL[(round + turn) % Arm::ALL.len()];
            let agent = arm.start(network)?;
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
        target: matches!(arm, Arm::Everything).then_some(Target::AtLeast(target)),
    };
    Ok(Table {
        title: format!("identity, {name}"),
        unit: unit.into(),
        digits: 1,
        rows: Arm::ALL.map(row).into(),
        notes: Vec::new(),
    })
}
