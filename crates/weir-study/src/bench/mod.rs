//! What Weir costs, measured on this machine: its program per packet beside other ways to do
//! the same, its weight on real traffic, its drain, its memory.
//!
//! Times are never asserted: a missed target is printed as such, and the exit code is 0.

mod agent;
mod client;
mod drain;
mod export;
mod exporters;
mod generator;
mod identity;
mod iperf;
mod memory;
mod network;
mod packet;
mod query;
mod reference;
mod report;
mod stall;
mod store;
mod throughput;
mod web;

use crate::{interrupt, machine};
use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use report::Report;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Parser)]
#[command(name = "weir-bench", about = "What Weir costs on this machine. Needs root.")]
struct Arguments {
    /// What to measure
    #[arg(value_enum, default_value = "all")]
    what: What,
    /// Fewer and shorter rounds: to see that it works, not to quote
    #[arg(long)]
    quick: bool,
    /// Also write the figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Nanoseconds per packet of the BPF program, beside other programs
    Packet,
    /// What rules add to the BPF program
    Rules,
    /// Packets per second through a veth pair, with and without the agent
    Throughput,
    /// The same, with TCP, and with connections by the thousand: what saying who talks, and how well, adds
    Identity,
    /// Of these, 40 UDP flows alone
    IdentityUdp,
    /// TCP alone
    IdentityTcp,
    /// Connections alone
    IdentityConnections,
    /// The agent's CPU time per flow
    Drain,
    /// The agent's resident memory
    Memory,
    /// Records a second into the history, and their size on disk
    Store,
    /// Questions to the history, beside DuckDB
    Query,
    /// Records a second into what exporters send
    Export,
    /// CPU time per flow, and what of the traffic is reported: beside softflowd and pmacctd
    Exporters,
    /// A collector that hangs for ten minutes, and one that does not
    Stall,
    /// All of these but the last one
    All,
}

/// How long to measure.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Times that each arm is measured; the medians are taken over these.
    pub rounds: usize,
    /// Packets per round through a BPF program.
    pub packets: u32,
    /// How long real traffic runs per round.
    pub round: Duration,
    /// Times that an arm has its turn where each has the machine for itself.
    pub turns: usize,
    /// How long one is: whole seconds, since clients count in these.
    pub turn: Duration,
    /// Drains per measurement of the agent.
    pub drains: u32,
    /// For how long a collector hangs.
    pub stall: Duration,
}

impl Effort {
    const FULL: Self = Self {
        rounds: 11,
        packets: 500_000,
        round: Duration::from_secs(1),
        turns: 11,
        turn: Duration::from_secs(2),
        drains: 10,
        stall: Duration::from_secs(600),
    };
    const QUICK: Self = Self {
        rounds: 3,
        packets: 100_000,
        round: Duration::from_millis(300),
        turns: 3,
        turn: Duration::from_secs(1),
        drains: 3,
        stall: Duration::from_secs(10),
    };
}

/// The program `weir-bench`.
pub fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weir-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    machine::go_first();
    interrupt::catch()?;
    let effort = if arguments.quick { Effort::QUICK } else { Effort::FULL };
    let wants = |what| arguments.what == what || arguments.what == What::All;
    let wants_of_identity = |part| arguments.what == part || wants(What::Identity);

    let mut report = Report::new(machine::describe());
    if wants(What::Packet) {
        packet::run(effort, &mut report)?;
    }
    if wants(What::Rules) {
        packet::rules::run(effort, &mut report)?;
    }
    if wants(What::Throughput) {
        throughput::run(effort, &mut report)?;
    }
    if wants_of_identity(What::IdentityUdp) {
        identity::udp(effort, &mut report)?;
    }
    if wants_of_identity(What::IdentityTcp) {
        identity::tcp(effort, &mut report)?;
    }
    if wants_of_identity(What::IdentityConnections) {
        identity::connections(effort, &mut report)?;
    }
    if wants(What::Drain) {
        drain::run(effort, &mut report)?;
    }
    if wants(What::Memory) {
        memory::run(effort, &mut report)?;
    }
    if wants(What::Store) {
        store::run(effort, &mut report)?;
    }
    if wants(What::Query) {
        query::run(effort, &mut report)?;
    }
    if wants(What::Export) {
        export::run(effort, &mut report)?;
    }
    if wants(What::Exporters) {
        exporters::run(effort, &mut report)?;
    }
    if arguments.what == What::Stall {
        stall::run(effort, &mut report)?;
    }
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&report.to_json())?;
        std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
