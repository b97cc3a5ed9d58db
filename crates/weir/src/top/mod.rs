//! `weir top`: who uses the network now.

mod asked;
mod draw;
mod fared;
mod group;
mod keys;
mod layout;
mod listener;
mod once;
mod own;
mod tally;
mod view;

use crate::options;
use crate::output::Output;
use crate::stop::Stop;
use anyhow::{Result, bail};
use asked::Found;
use clap::Args;
use glob::Pattern;
use group::{Group, Sort};
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use weir_filter::Filter;

/// Flags of `weir top`.
#[derive(Args)]
pub struct Arguments {
    /// What a row stands for
    #[arg(value_name = "GROUP", default_value = "process")]
    group: Group,

    /// How often the view changes; how long --once counts
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = options::interval)]
    interval: Duration,

    /// Count for one interval, print the table and end
    #[arg(long)]
    once: bool,

    /// What --once prints: table, or json, a row a line
    #[arg(short, long, value_name = "FORMAT", default_value = "table", requires = "once")]
    output: Output,

    /// Only conversations that fit, as in `weir run`; see docs/filter.md
    #[arg(long, value_name = "EXPR")]
    filter: Option<Filter>,

    /// What comes first: the rate without this
    #[arg(long, value_name = "COLUMN", default_value = "rate")]
    sort: Sort,

    /// The control socket of the agent to ask; the first one of this host that answers without this
    #[arg(long, value_name = "PATH", conflicts_with_all = ["interface", "all_netns"])]
    socket: Option<PathBuf>,

    /// Ask no agent: count at these interfaces, by name or glob
    #[arg(short, long, value_name = "GLOB", value_parser = options::glob)]
    interface: Vec<Pattern>,

    /// Ask no agent: count in every network namespace of the host
    #[arg(long)]
    all_netns: bool,
}

/// Asks the agent that runs, or counts by itself, until it is told to end.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    if !arguments.once && !io::stdout().is_terminal() {
        bail!("weir top needs a terminal: use --once in a pipe");
    }
    let stop = Stop::new(None)?.on_hangup()?;
    match asked::find(arguments)? {
        Found::Agent(agent) => asked::run(arguments, &stop, *agent),
        Found::Nobody(instead) => own::run(arguments, &stop, instead),
    }
}
