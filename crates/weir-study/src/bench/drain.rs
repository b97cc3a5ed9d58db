//! The agent's CPU time per flow and drain: its own utime and stime while 100 000 flows pass
//! in every interval, less what it takes while none does, over the flows that were drained.

use crate::bench::Effort;
use crate::bench::agent::Agent;
use crate::bench::generator::Background;
use crate::bench::network::Network;
use crate::bench::report::{Report, Row, Table, Target};
use crate::spread::Spread;
use anyhow::{Result, ensure};
use std::thread;
use std::time::{Duration, Instant};

/// Flows per drain.
pub const FLOWS: u32 = 100_000;
/// The agent's default.
pub const INTERVAL: Duration = Duration::from_secs(1);
/// Drains until the agent's flow table has grown, and ended flows have left it.
pub const SETTLE: u32 = 4;
/// As many as the network has addresses for.
const ALL_FLOWS: u32 = 1 << 22;
const WINDOWS: usize = 3;

/// Flows that go on, and flows that are new in every interval.
pub fn run(effort: Effort, report: &mut Report) -> Result<()> {
    let network = Network::new()?;
    let going_on = measure(&network, effort, FLOWS, &[])?;
    let new = measure(&network, effort, ALL_FLOWS, &["--idle-timeout", "1s"])?;
    let unsummed = ["--idle-timeout", "1s", "--metrics-by", "none"];
    let unsummed = measure(&network, effort, ALL_FLOWS, &unsummed)?;
    let row = |name: &str, value, target| Row { name: name.into(), value, ratio: None, target };
    report.add(Table {
        title: format!("drain, {FLOWS} flows per drain"),
        unit: "µs of the agent's CPU time per flow and drain".into(),
        digits: 2,
        rows: vec![
            row("the same flows every time", going_on, Some(Target::AtMost(1.0))),
            row("new ones every time, the old ones ended and exported", new, None),
            row("the same, and not summed for Prometheus (--metrics-by none)", unsummed, None),
        ],
        notes: vec![
            format!(
                "method: one packet per flow and {INTERVAL:?} interval at an even pace; utime + stime of all threads of"
            ),
            format!(
                "`weir run -o none` over {} drains, less that of an idle agent, by packets; {WINDOWS} times",
                effort.drains
            ),
        ],
    });
    Ok(())
}

fn measure(network: &Network, effort: Effort, flows: u32, more: &[&str]) -> Result<Spread> {
    let mut agent = Agent::start(&network.receiver, more)?;
    thread::sleep(INTERVAL);
    let (idle, _) = cpu_time_of(&mut agent, effort.drains, || 0)?;

    let traffic = Background::start(network, FLOWS, INTERVAL, 0..flows)?;
    thread::sleep(SETTLE * INTERVAL);
    let mut per_flow = Vec::new();
    for _ in 0..WINDOWS {
        let (busy, packets) = cpu_time_of(&mut agent, effort.drains, || traffic.packets())?;
        per_flow.push(busy.saturating_sub(idle).as_secs_f64() * 1e6 / packets as f64);
    }
    let sent = traffic.stop()?;
    ensure!(agent.stop()? >= sent, "the agent has not seen all {sent} packets");
    Ok(Spread::of(per_flow))
}

/// The agent's CPU time over `drains` drains, and how far `packets` moved meanwhile.
fn cpu_time_of(agent: &mut Agent, drains: u32, packets: impl Fn() -> u64) -> Result<(Duration, u64)> {
    let (time, count, start) = (agent.cpu_time()?, packets(), Instant::now());
    while start.elapsed() < drains * INTERVAL {
        thread::sleep(INTERVAL / 10);
        agent.cpu_time()?; // fails as soon as it is gone, or the user has had enough
    }
    Ok((agent.cpu_time()? - time, packets() - count))
}
