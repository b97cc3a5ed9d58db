//! The agent's resident memory: with nothing to do, with 100 000 flows under way; and what a socket takes whose
//! process is known.

use crate::bench::Effort;
use crate::bench::agent::Agent;
use crate::bench::drain::{FLOWS, INTERVAL, SETTLE};
use crate::bench::generator::Background;
use crate::bench::network::Network;
use crate::bench::report::{Report, Row, Table, Target};
use crate::bench::store::Directory;
use crate::spread::Spread;
use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::thread;
use std::time::Instant;

/// Fewer than there are ports to bind, and than a process may have files in most places.
const SOCKETS: u64 = 16_000;
/// Nobody listens there.
const DISCARD: u16 = 9;
/// Drains that a segment takes to come together, and more.
const SEGMENTS: u32 = 3;

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
    let ingesting = ingesting(&network, effort)?;

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
        rows: vec![
            row("idle".into(), idle, 40.0),
            row(format!("{FLOWS} active flows"), busy, 150.0),
            row(format!("{FLOWS} flows that end each second, into a history"), ingesting, 250.0),
        ],
        notes: Vec::new(),
    });
    sockets(&network, report)
}

/// Each flow has a packet a second, and ends in between: as many records each second as there are flows.
fn ingesting(network: &Network, effort: Effort) -> Result<Spread> {
    let directory = Directory::new()?;
    let place = directory.0.to_str().context("a temporary directory with a name in UTF-8")?;
    let mut agent = Agent::keeping(&network.receiver, place, &["--idle-timeout", "300ms"])?;
    let traffic = Background::start(network, FLOWS, INTERVAL, 0..FLOWS)?;
    let looks = watch(&mut agent, effort.drains * SEGMENTS)?;
    let sent = traffic.stop()?;
    ensure!(agent.stop()? >= sent, "the agent has not seen all {sent} packets");
    Ok(looks)
}

/// What sockets take that are open at once, in the agent and, by its books of slabs, in the kernel.
fn sockets(network: &Network, report: &mut Report) -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    ensure!(most > SOCKETS, "{SOCKETS} sockets are more than this process may open: raise `ulimit -Hn`");
    let bare = slabs_of(network)?;
    let mut agent = Agent::start(&network.receiver, &[])?;
    thread::sleep(SETTLE * INTERVAL);
    let (before, noted) = (agent.resident()?, slabs_of(network)?);
    thread::sleep(SETTLE * INTERVAL);
    let grown = agent.resident()?.saturating_sub(before);
    agent.stop()?;
    let row = |name: &str, bytes: u64| Row {
        name: name.into(),
        value: Spread::of([bytes as f64 / SOCKETS as f64]),
        ratio: None,
        target: None,
    };
    report.add(Table {
        title: "memory per socket".into(),
        unit: format!("bytes that {SOCKETS} sockets add while an agent runs, each"),
        digits: 0,
        rows: vec![row("the agent's VmRSS", grown), row("the kernel's slabs", noted.saturating_sub(bare))],
        notes: vec!["the kernel's are those of the whole host: other work on it shows".into()],
    });
    Ok(())
}

/// By how much slabs grow with the sockets. Each has sent once, so that the kernel has noted whose it is.
fn slabs_of(network: &Network) -> Result<u64> {
    let before = slabs()?;
    let open = || {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.send_to(&[0], (Ipv4Addr::LOCALHOST, DISCARD))?;
        Ok(socket)
    };
    let sockets: Vec<UdpSocket> = network.receiver.inside(|| {
        (0..SOCKETS).map(|_| open()).collect::<std::io::Result<_>>().context("cannot open so many sockets")
    })?;
    thread::sleep(INTERVAL);
    let grown = slabs()?.saturating_sub(before);
    drop(sockets);
    Ok(grown)
}

fn slabs() -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Slab:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kib.context("no Slab in /proc/meminfo")? * 1024)
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
