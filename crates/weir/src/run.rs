//! `weir run`: the agent.

use crate::json::JsonLines;
use crate::options;
use crate::stop::Stop;
use crate::text;
use crate::view::{LiveView, Nowhere, Rows, print_balance};
use anyhow::Result;
use clap::{Args, ValueEnum};
use glob::Pattern;
use ipnet::IpNet;
use std::io::{ErrorKind, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;
use weir_agent::{
    Agent, HookChoice, KindRule, Namespaces, Notify, Outlet, Report, Selection, Settings, Start,
};
use weir_kernel::{Hook, Position};

/// Flags of `weir run`.
#[derive(Args)]
pub struct Arguments {
    /// Interfaces to watch, by name or glob; all of them without this, new ones as they come
    #[arg(short, long, value_name = "GLOB", value_parser = options::glob, help_heading = "What to watch")]
    interface: Vec<Pattern>,

    /// Interfaces not to watch, by name or glob
    #[arg(long, value_name = "GLOB", value_parser = options::glob, help_heading = "What to watch")]
    exclude_interface: Vec<Pattern>,

    /// Kinds of interfaces to watch: physical, veth, bridge, tunnel, …; or not to watch: no-veth
    #[arg(long, value_name = "KIND", help_heading = "What to watch")]
    interface_kind: Vec<KindRule>,

    /// Watch interfaces that own an address in this network
    #[arg(long, value_name = "CIDR", value_parser = options::network, help_heading = "What to watch")]
    interface_address: Vec<IpNet>,

    /// Watch every network namespace of the host, new ones as they come
    #[arg(long, conflicts_with = "netns", help_heading = "What to watch")]
    all_netns: bool,

    /// Watch this network namespace instead of the own one: a name in /run/netns, or the id of a process in it
    #[arg(long, value_name = "NAME|PID", help_heading = "What to watch")]
    netns: Vec<String>,

    /// Run before (head) or after (tail) the other programs of an interface
    #[arg(long, value_name = "PLACE", default_value = "head", help_heading = "What to watch")]
    attach: Place,

    /// TCX links (Linux 6.6), clsact filters, or whichever the kernel has
    #[arg(long, value_name = "HOOK", default_value = "auto", help_heading = "What to watch")]
    hook: HookName,

    /// table, json or none; a table on a terminal, JSON lines in a pipe without this
    #[arg(short, long, value_name = "FORMAT", help_heading = "Output")]
    output: Option<Output>,

    /// Stop after this long; on SIGINT or SIGTERM without this
    #[arg(long, value_name = "TIME", value_parser = options::duration, help_heading = "Output")]
    duration: Option<Duration>,

    /// How often the kernel's counts are collected
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = options::interval, help_heading = "Timing")]
    interval: Duration,

    /// A flow without packets for this long has ended
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = options::duration, help_heading = "Timing")]
    idle_timeout: Duration,

    /// A flow that goes on gets a new record after this long
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = options::duration, help_heading = "Timing")]
    active_timeout: Duration,

    /// Kernel memory for all maps together
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = options::size, help_heading = "Limits")]
    memory_budget: u64,

    /// Flows held at the same time; those beyond are exported at every drain
    #[arg(long, value_name = "COUNT", default_value_t = 500_000, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Limits")]
    max_flows: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum Place {
    Head,
    Tail,
}

#[derive(Clone, Copy, ValueEnum)]
enum HookName {
    Auto,
    Tcx,
    Clsact,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
    None,
}

/// Runs the agent until it is told to stop.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let on_terminal = std::io::stdout().is_terminal();
    let output = arguments.output.unwrap_or(if on_terminal { Output::Table } else { Output::Json });
    let interval = arguments.interval;
    // Listen for signals before anything is attached, so that it is taken off again.
    let stop = Stop::new(arguments.duration)?;
    let view = (output == Output::Table && on_terminal).then(|| LiveView::new(interval)).transpose()?;
    let notify: Notify = match &view {
        Some(view) => view.foot(),
        None => Box::new(|line| eprintln!("weir: {line}")),
    };
    let (agent, start) = Agent::attach(settings(arguments), notify)?;
    announce(&start);
    let outlet = match output {
        Output::Json => Outlet::new(JsonLines::new())?,
        Output::Table if !on_terminal => Outlet::new(Rows::new())?,
        Output::Table | Output::None => Outlet::new(Nowhere)?,
    };
    let show = |agent: &Agent| {
        if let Some(view) = &view {
            view.show(agent);
        }
    };
    let report = agent.run(outlet, || stop.is_due(), show)?;
    if view.is_some() {
        eprintln!(); // leave the line where the terminal echoes ^C
    }
    Ok(conclude(&report, output))
}

fn settings(arguments: Arguments) -> Settings {
    Settings {
        namespaces: match arguments.netns {
            _ if arguments.all_netns => Namespaces::Every,
            words if words.is_empty() => Namespaces::Own,
            words => Namespaces::Named(words),
        },
        selection: Selection {
            names: arguments.interface,
            except: arguments.exclude_interface,
            kinds: arguments.interface_kind,
            addresses: arguments.interface_address,
        },
        hook: match arguments.hook {
            HookName::Auto => HookChoice::Auto,
            HookName::Tcx => HookChoice::Tcx,
            HookName::Clsact => HookChoice::Clsact,
        },
        position: match arguments.attach {
            Place::Head => Position::Head,
            Place::Tail => Position::Tail,
        },
        interval: arguments.interval,
        idle_timeout: arguments.idle_timeout,
        active_timeout: arguments.active_timeout,
        memory_budget: arguments.memory_budget,
        max_flows: arguments.max_flows as usize,
    }
}

/// One line: where, how, with how much.
fn announce(start: &Start) {
    let Start { interfaces, namespaces, hook, layout, remarks } = start;
    for remark in remarks {
        eprintln!("weir: {remark}");
    }
    let names = match interfaces.len() {
        0..=6 => interfaces.join(", "),
        more if *namespaces == 1 => format!("{more} interfaces"),
        more => format!("{more} interfaces in {namespaces} network namespaces"),
    };
    let hook = match hook {
        Hook::Tcx => "TCX links",
        Hook::Clsact => "clsact filters",
    };
    eprintln!(
        "weir: attached to {names} with {hook}; {} of kernel maps hold {} flows on each of {} CPUs",
        text::bytes(layout.bytes()),
        text::grouped(layout.entries_per_cpu.into()),
        layout.cpus,
    );
}

fn conclude(report: &Report, output: Output) -> ExitCode {
    if output != Output::Json {
        print_balance(&report.books);
    }
    match &report.output {
        // A reader that has seen enough is no mishap.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("weir: cannot write records: {error}");
            ExitCode::from(1)
        }
        _ => ExitCode::SUCCESS,
    }
}
