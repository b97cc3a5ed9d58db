//! The agent beside softflowd and pmacctd: the same traffic, exported as IPFIX over UDP to the same collector. What it
//! costs them, what it costs whoever sends the packets, and how much of what was sent is reported.

mod collector;
mod exporter;

use crate::bench::Effort;
use crate::bench::generator::{Generator, Traffic};
use crate::bench::network::Network;
use crate::bench::reference::Work;
use crate::bench::report::{Report, Row, Table};
use crate::machine;
use crate::spread::Spread;
use anyhow::{Context, Result};
use collector::{Collector, Reported};
use exporter::Exporter;
use std::time::Duration;

/// In each turn: 100 000 packets a second.
const TRAFFIC: Traffic = Traffic { flows: 50_000, packets: 4, period: Duration::from_millis(500) };

/// As long, and next to nothing: what a program takes anyway, its end included.
const REST: Traffic = Traffic { flows: 64, ..TRAFFIC };

/// One exporter's turn.
struct Turn {
    sent: Work,
    /// Its CPU time.
    cpu: Duration,
    reported: Reported,
}

impl Turn {
    /// By what this took more than a turn at rest.
    fn microseconds_per_flow(&self, rest: &Self) -> f64 {
        let more = self.cpu.as_secs_f64() - rest.cpu.as_secs_f64();
        more * 1e6 / f64::from(TRAFFIC.flows - REST.flows)
    }
}

/// An exporter's turns, each after one at rest.
struct Arm {
    exporter: Exporter,
    rest: Vec<Turn>,
    turns: Vec<Turn>,
}

impl Arm {
    fn microseconds_per_flow(&self) -> impl Iterator<Item = f64> {
        self.turns.iter().zip(&self.rest).map(|(turn, rest)| turn.microseconds_per_flow(rest))
    }
}

/// All of them in turn, and nobody.
pub fn run(effort: Effort, report: &mut Report) -> Result<()> {
    let network = Network::new()?;
    // Messages as long as on an Ethernet.
    network.receiver.ip("link set lo mtu 1500")?;
    let generator = Generator::new(&network)?;
    let mut unwatched = Vec::new();
    let mut arms = Exporter::ALL.map(|exporter| Arm { exporter, rest: Vec::new(), turns: Vec::new() });
    for _ in 0..effort.turns {
        unwatched.push(send(&generator, TRAFFIC)?);
        for Arm { exporter, rest, turns } in &mut arms {
            for (turns, traffic) in [(rest, REST), (turns, TRAFFIC)] {
                let turn = turn((&network, &generator), *exporter, traffic);
                turns.push(turn.with_context(|| format!("{}'s turn", exporter.name()))?);
            }
        }
    }
    report.add(cpu(&arms));
    report.add(at_rest(&arms));
    report.add(sending(&unwatched, &arms));
    report.add(accuracy(&arms));
    Ok(())
}

fn send(generator: &Generator, traffic: Traffic) -> Result<Work> {
    machine::on_one_cpu(|| generator.pass(traffic))
}

fn turn((network, generator): (&Network, &Generator), exporter: Exporter, traffic: Traffic) -> Result<Turn> {
    let collector = Collector::new(&network.receiver)?;
    let running = exporter.start(&network.receiver, collector.address()?)?;
    let sent = send(generator, traffic)?;
    let cpu = running.end()?;
    Ok(Turn { sent, cpu, reported: collector.read()? })
}

/// What they take themselves.
fn cpu(arms: &[Arm]) -> Table {
    let row = |arm: &Arm| Row {
        name: arm.exporter.name().into(),
        value: Spread::of(arm.microseconds_per_flow()),
        ratio: Some(Spread::of(
            arm.microseconds_per_flow()
                .zip(arms[0].microseconds_per_flow())
                .map(|(this, first)| this / first),
        )),
        target: None,
    };
    Table {
        title: format!("exporters, {} flows of {} packets", TRAFFIC.flows, TRAFFIC.packets),
        unit: "seconds of the program's CPU time per million flows; ratio to softflowd".into(),
        digits: 2,
        rows: arms.iter().map(row).collect(),
        notes: vec![
            format!(
                "method: {} packets a second, IPFIX over UDP, messages as on an Ethernet; utime + stime of",
                rate()
            ),
            "all processes of a program, from when it watches until it has exported everything and ended, less that at rest"
                .into(),
            "what the kernel does while a packet passes is not in it: that is the next table's".into(),
        ],
    }
}

/// What they take themselves of nearly nothing.
fn at_rest(arms: &[Arm]) -> Table {
    let row = |arm: &Arm| Row {
        name: arm.exporter.name().into(),
        value: Spread::of(arm.rest.iter().map(|turn| turn.cpu.as_secs_f64() * 1e3)),
        ratio: None,
        target: None,
    };
    Table {
        title: format!("exporters at rest, {} flows of {} packets", REST.flows, REST.packets),
        unit: "ms of the program's CPU time, from when it watches until it has ended".into(),
        digits: 1,
        rows: arms.iter().map(row).collect(),
        notes: Vec::new(),
    }
}

/// What they take from whoever sends.
fn sending(unwatched: &[Work], arms: &[Arm]) -> Table {
    let nanoseconds = |work: &Work| 1e9 / work.rate();
    let row = |name: &str, works: Vec<&Work>| Row {
        name: name.into(),
        value: Spread::of(works.iter().map(|work| nanoseconds(work))),
        ratio: Some(Spread::of(
            works.iter().zip(unwatched).map(|(work, nobody)| nanoseconds(work) / nanoseconds(nobody)),
        )),
        target: None,
    };
    let mut rows = vec![row("nobody", unwatched.iter().collect())];
    rows.extend(
        arms.iter().map(|arm| row(arm.exporter.name(), arm.turns.iter().map(|turn| &turn.sent).collect())),
    );
    Table {
        title: "exporters, on the way of a packet".into(),
        unit: "ns to send one packet and to read it back; ratio to nobody".into(),
        digits: 0,
        rows,
        notes: vec![
            "where a packet is counted or copied for the one who watches: on the CPU that sends it. A program that".into(),
            "keeps the other CPUs busy slows that down, too".into(),
        ],
    }
}

/// What of the traffic the collector has heard.
fn accuracy(arms: &[Arm]) -> Table {
    let rows = arms.iter().flat_map(|Arm { exporter, turns, .. }| {
        let row = |what: &str, share: fn(&Turn, Exporter) -> f64| Row {
            name: format!("{}: {what}", exporter.name()),
            value: Spread::of(turns.iter().map(|turn| share(turn, *exporter))),
            ratio: None,
            target: None,
        };
        [
            row("flows", |turn, _| turn.reported.flows() as f64 / f64::from(TRAFFIC.flows)),
            row("packets", |turn, _| turn.reported.packets as f64 / turn.sent.count as f64),
            row("bytes", |turn, exporter| {
                turn.reported.bytes as f64 / (turn.sent.count * exporter.bytes_of_packet()) as f64
            }),
        ]
    });
    Table {
        title: "exporters, accuracy".into(),
        unit: "reported ÷ sent".into(),
        digits: 5,
        rows: rows.collect(),
        notes: vec![
            "bytes: weir's with the Ethernet header, the others' without, as each of them counts".into(),
            "softflowd and pmacctd with room for 131 072 flows instead of 8192, and else as they come".into(),
        ],
    }
}

/// Packets a second.
fn rate() -> f64 {
    f64::from(TRAFFIC.flows) / TRAFFIC.period.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: Traffic = Traffic { flows: 300, packets: 3, period: Duration::from_millis(100) };

    /// What makes the others' figures: each has read, exported and been understood to the last packet.
    #[test]
    fn root_the_others_report_what_was_sent() {
        let network = Network::new().expect("root");
        let generator = Generator::new(&network).expect("there are sockets");
        for exporter in [Exporter::Softflowd, Exporter::Pmacctd] {
            if !exporter.installed() {
                eprintln!("skipped: {} is not installed", exporter.name());
                continue;
            }
            let Turn { sent, cpu, reported } = turn((&network, &generator), exporter, FEW)
                .unwrap_or_else(|error| panic!("{}: {error:#}", exporter.name()));
            let expected = (900, 300, 900, 900 * exporter.bytes_of_packet());
            let found = (sent.count, reported.flows(), reported.packets, reported.bytes);
            assert_eq!(found, expected, "{}", exporter.name());
            assert!(cpu > Duration::ZERO, "{}", exporter.name());
        }
    }
}
