//! The agent's resident memory: with nothing to do, and with 100 000 flows under way.

use crate::bench::Effort;
use crate::bench::agent::Agent;
use crate::bench::drain::{FLOWS, INTERVAL, SETTLE};
use crate::bench::generator::Background;
use crate::bench::network::Network;
use crate::bench::report::{Report, Row, Table, Target};
use crate::spread::Spread;
use anyhow::{Result, ensure};
use std::thread;
use std::time::Instant;

/// Idle, then busy; the greatest of many looks is what counts.
pub fn run(effort: Effort, report: &mut Report) -> Result<()> {
    let network = Network::new()?;
    let mut agent = Agent::start(&network.receiver, &[])?;
    let idle = watch(&mut agent, effort.drains)?;
    let traffic = Background::start(&network, FLOWS, INTERVAL, 0..FLOWS)?;
    thread::sleep(SETTLE * INTERVAL);
    let busy = watch(&mut agent, effort.drains)?;
    let sent = traffic.stop()?;
    ensure!(agent.stop()? >= sent, "the agent has not seen all {sent} packets");

    let row = |name: String, value: Spread, limit| Row {
        name,
        value: Spread { median: value.greatest, ..value },
        ratio: None,
        target: Some(Target::AtMost(limit)),
    };
    report.add(Table {
        title: "memory".into(),
        unit: "VmRSS of the agent in MB, the greatest seen".into(),
        digits: 1,
        rows: vec![row("idle".into(), idle, 40.0), row(format!("{FLOWS} active flows"), busy, 150.0)],
        notes: Vec::new(),
    });
    Ok(())
}

fn watch(agent: &mut Agent, drains: u32) -> Result<Spread> {
    let start = Instant::now();
    let mut looks = Vec::new();
    while start.elapsed() < drains * INTERVAL {
        looks.push(agent.resident()? as f64 / 1e6);
        thread::sleep(INTERVAL / 50);
    }
    Ok(Spread::of(looks))
}
