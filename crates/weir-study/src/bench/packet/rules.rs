//! What rules cost: the shipped program with none, one, sixteen and 256 of them.

use super::traffic::{Traffic, ipv4, ipv6};
use crate::arms::{self, Driver, LOOPBACK};
use crate::bench::Effort;
use crate::bench::report::{Report, Row as Line, Table, Target};
use crate::spread::Spread;
use crate::{interrupt, machine};
use anyhow::Result;
use weir_probes::flows::rules::{Action, Addresses, Compiled, Row, network, transport};
use weir_probes::flows::{Demand, Flows, Layout};

static TRAFFIC: [Traffic; 3] = [
    ipv4("one hot flow", 1, 1, None),
    ipv4("30 000 flows at random", 30_000, 1, None),
    ipv6("IPv6, one hot flow", 1),
];

/// The arm whose time is taken off that of every other: a program that cannot have rules.
const WITHOUT: &str = "without rules";

/// Name, rows, and what they may add at most, in nanoseconds.
type Arm = (&'static str, Vec<Row>, Option<f64>);

/// No packet of the traffic fits any of the rules, and every way through a trie is as long as it can be.
fn rules() -> Vec<Arm> {
    let source = |number| deny(number, true, false);
    let both = |number| deny(number, number % 2 == 0, number % 2 == 1);
    let hosts = |number| beside(both(number), number.into());
    vec![
        (WITHOUT, vec![], None),
        ("0 rules", vec![], Some(5.0)),
        ("1 rule", vec![source(0)], None),
        ("16 CIDR rules", (0..16).map(source).collect(), None),
        ("256 CIDR rules, on the source", (0..256).map(source).collect(), Some(60.0)),
        ("256 CIDR rules, on source or destination", (0..256).map(both).collect(), Some(60.0)),
        ("256 addresses, on source or destination", (0..256).map(hosts).collect(), None),
        ("256 CIDR rules that sample", (0..256).map(source).map(sampling).collect(), None),
        ("256 rules on CIDR, port and protocol", (0..256).map(source).map(narrowed).collect(), None),
    ]
}

/// IPv4: half of the prefixes are addresses that share all but the last byte with the traffic's, half are /24
/// beside it. IPv6: /64 networks that share all but the last byte with that of the traffic.
fn deny(number: u32, at_source: bool, at_destination: bool) -> Row {
    let number = u128::from(number);
    let v4 = match number {
        0..128 => (0x0a00_0080 + number, 0x0a00_0080 + number),
        _ => (0x0a00_0000 + (number << 8), 0x0a00_00ff + (number << 8)),
    };
    let network = 0xfd00 << 112 | (number + 1) << 64;
    let v6 = (network, network | u128::from(u64::MAX));
    let addresses = Addresses { v4: vec![v4], v6: vec![v6], none: false };
    Row {
        source: at_source.then(|| addresses.clone()),
        destination: at_destination.then_some(addresses),
        first: None,
        second: None,
        network: None,
        vlan: None,
        at_points: false,
        action: Action::Deny,
    }
}

/// Each an address that shares all but the last byte with the traffic's: nothing takes longer to tell apart.
fn beside(row: Row, number: u128) -> Row {
    let near = |network: u128| vec![(network + 128 + number, network + 128 + number)];
    let hosts = Addresses { v4: near(0x0a00_0000), v6: near(0xfd00 << 112 | 0x0a00_0000), none: false };
    Row { source: row.source.map(|_| hosts.clone()), destination: row.destination.map(|_| hosts), ..row }
}

fn sampling(row: Row) -> Row {
    Row { action: Action::Allow { one_in: 100 }, ..row }
}

fn narrowed(row: Row) -> Row {
    let port = transport::PORTS + 443;
    let tcp = network::IPV4 + (6 << 8);
    Row { second: Some(vec![(port, port)]), network: Some(vec![(tcp, tcp + 255)]), ..row }
}

/// What rules add, for each pattern of traffic.
pub fn run(effort: Effort, report: &mut Report) -> Result<()> {
    for traffic in &TRAFFIC {
        report.add(machine::on_one_cpu(|| measure(traffic, effort))?);
    }
    Ok(())
}

fn measure(traffic: &Traffic, effort: Effort) -> Result<Table> {
    let harness = arms::harness()?;
    let driver = Driver::drawing(&harness, traffic.drawn)?;
    let arms: Vec<_> = rules().into_iter().map(|arm| Ok((load(&arm)?, arm))).collect::<Result<_>>()?;
    let mut rounds: Vec<Vec<f64>> = vec![Vec::new(); arms.len()];
    for round in 0..=effort.rounds {
        for ((flows, _), times) in arms.iter().zip(&mut rounds) {
            interrupt::check()?;
            driver.aim_at(&flows.loaded().program("weir_ingress")?)?;
            driver.run(effort.packets / 5)?;
            let time = driver.run(effort.packets)?;
            if round > 0 {
                times.push(time); // the first one fills the flow hash
            }
        }
    }
    let without = rounds[0].clone();
    let line = |((_, arm), times): (&(Flows, Arm), &Vec<f64>)| Line {
        name: arm.0.into(),
        value: Spread::of(times.iter().zip(&without).map(|(time, without)| time - without)),
        ratio: None,
        target: arm.2.map(Target::AtMost),
    };
    Ok(Table {
        title: format!("rules, {}", traffic.name),
        unit: format!(
            "ns added to the shipped program without rules ({:.0} ns with the driver)",
            Spread::of(without.iter().copied()).median
        ),
        digits: 1,
        rows: arms.iter().zip(&rounds).skip(1).map(line).collect(),
        notes: vec![],
    })
}

fn load((name, rows, _): &Arm) -> Result<Flows> {
    let cpus = u32::try_from(libbpf_rs::num_possible_cpus()?)?;
    let layout = Layout::new(Demand::one_interface(u64::from(cpus) * (32 << 20), cpus))?;
    let asked = u8::from(*name != WITHOUT);
    let mut flows = Flows::load_with(layout, |opened| opened.set_constant("rules", asked))?;
    arms::watch(&mut flows, LOOPBACK)?;
    flows.set_rules(Compiled::new(rows, layout.rule_room)?);
    // Both generations get them.
    for _ in 0..2 {
        flows.flip()?;
    }
    Ok(flows)
}
