//! `weir run`: the agent.

use crate::columns::columns;
use crate::json::JsonLines;
use crate::options;
use crate::stop::{Hangup, Stop};
use crate::text;
use crate::view::{LiveView, Nowhere, Rows, print_balance};
use anyhow::Result;
use clap::{Args, FromArgMatches, ValueEnum, ValueHint};
use glob::Pattern;
use std::io::{ErrorKind, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use weir_agent::{
    Agent, Control, Dedup, HookChoice, Instance, Joining, Notify, Outlet, Reload, Report, Selection,
    Settings, Start,
};
use weir_kernel::{Hook, Position};

/// Flags of `weir run`.
#[derive(Args)]
#[command(
    after_help = "Each flag is also a key of the configuration file and a variable: --idle-timeout is idle_timeout and WEIR_IDLE_TIMEOUT. \
                  `weir config show` shows what holds."
)]
pub struct Arguments {
    /// Interfaces to watch, by name or glob; all of them without this, new ones as they come
    #[arg(short, long, value_name = "GLOB", value_parser = options::glob, help_heading = "What to watch")]
    interface: Vec<Pattern>,

    /// Run before (head) or after (tail) the other programs of an interface
    #[arg(long, value_name = "PLACE", default_value = "head", help_heading = "What to watch")]
    attach: Place,

    /// TCX links (Linux 6.6), clsact filters, or whichever the kernel has
    #[arg(long, value_name = "HOOK", default_value = "auto", help_heading = "What to watch")]
    hook: HookName,

    /// Join both directions into one record
    #[arg(long, value_name = "SWITCH", default_value = "on", help_heading = "What is one conversation")]
    biflow: Switch,

    /// Where packets that several interfaces see are counted: at each (off), where the
    /// conversation was seen first, nearest to the wire (outer) or to the process (inner)
    #[arg(long, value_name = "PLACE", default_value = "first", help_heading = "What is one conversation")]
    dedup: DedupName,

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

    /// A file with the options that are not given here; /etc/weir/weir.yaml where it exists without this
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Configuration")]
    config: Option<PathBuf>,

    /// Where `weir status` and `weir reload` reach this agent; a place of its own in /run/weir without this
    #[arg(long, value_name = "PATH", help_heading = "Control")]
    socket: Option<PathBuf>,
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
enum Switch {
    On,
    Off,
}

#[derive(Clone, Copy, ValueEnum)]
enum DedupName {
    Off,
    First,
    Outer,
    Inner,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Live on a terminal, rows in a pipe.
    Table,
    /// A JSON object a line.
    Json,
    /// No records.
    None,
}

/// Runs the agent until it is told to stop.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let on_terminal = std::io::stdout().is_terminal();
    let output = arguments.output.unwrap_or(if on_terminal { Output::Table } else { Output::Json });
    let columns = columns(arguments.biflow == Switch::On);
    // Listen for signals before anything is attached, so that it is taken off again.
    let stop = Stop::new(arguments.duration)?;
    let hangup = Hangup::new()?;
    let instance = claim(arguments.socket.as_deref())?;
    let view =
        (output == Output::Table && on_terminal).then(|| LiveView::new(columns, Vec::new())).transpose()?;
    let notify: Notify = match &view {
        Some(view) => view.foot(),
        None => Box::new(|line| eprintln!("weir: {line}")),
    };
    let (agent, start) = Agent::attach(settings(arguments), notify)?;
    announce(&start, instance.as_ref());
    let control = control(instance.ok(), hangup.clone())?;
    let outlet = match output {
        Output::Json => Outlet::new(JsonLines::new())?,
        Output::Table if !on_terminal => Outlet::new(Rows::new(columns))?,
        Output::Table | Output::None => Outlet::new(Nowhere)?,
    };
    let show = |agent: &Agent| {
        if let Some(view) = &view {
            view.show(agent);
        }
    };
    let report = agent.run(outlet, control, || stop.is_due() || hangup.is_farewell(), show)?;
    if view.is_some() {
        eprintln!(); // leave the line where the terminal echoes ^C
    }
    Ok(conclude(&report, output))
}

/// The settings of `weir run` with these flags.
pub fn settings_with(flags: &[&str]) -> Result<Settings, clap::Error> {
    let command = Arguments::augment_args(clap::Command::new("run").no_binary_name(true));
    Ok(settings(Arguments::from_arg_matches(&command.try_get_matches_from(flags)?)?))
}

fn settings(arguments: Arguments) -> Settings {
    Settings {
        selection: Selection::new(arguments.interface),
        hook: match arguments.hook {
            HookName::Auto => HookChoice::Auto,
            HookName::Tcx => HookChoice::Tcx,
            HookName::Clsact => HookChoice::Clsact,
        },
        position: match arguments.attach {
            Place::Head => Position::Head,
            Place::Tail => Position::Tail,
        },
        joining: Joining {
            biflow: arguments.biflow == Switch::On,
            dedup: match arguments.dedup {
                DedupName::Off => Dedup::Off,
                DedupName::First => Dedup::First,
                DedupName::Outer => Dedup::Outer,
                DedupName::Inner => Dedup::Inner,
            },
        },
        interval: arguments.interval,
        idle_timeout: arguments.idle_timeout,
        active_timeout: arguments.active_timeout,
        memory_budget: arguments.memory_budget,
        max_flows: arguments.max_flows as usize,
    }
}

/// A place among the agents of this host, or a word on why there is none: the agent runs all the same.
///
/// # Errors
/// A path was asked for, and cannot be had.
fn claim(socket: Option<&Path>) -> Result<std::result::Result<Instance, String>> {
    match Instance::claim(socket) {
        Ok(instance) => Ok(Ok(instance)),
        Err(error) if socket.is_some() => Err(error.into()),
        Err(error) => Ok(Err(format!("no control socket: {error}"))),
    }
}

fn control(instance: Option<Instance>, hangup: Hangup) -> Result<Control> {
    let control = Control::new(reload(), move || hangup.asks_for_reload());
    Ok(match instance {
        Some(instance) => control.listen(instance)?,
        None => control,
    })
}

/// What the agent is told by flags alone stays as it is.
fn reload() -> Reload {
    Box::new(|_agent| Err("nothing to reload: no configuration file".into()))
}

/// One line: where, how, beside how many others, with how much. Then what else there is to know.
pub fn announce(start: &Start, instance: std::result::Result<&Instance, &String>) {
    let Start { interfaces, hook, layout, remarks } = start;
    let names = match interfaces.len() {
        0..=6 => interfaces.join(", "),
        more => format!("{more} interfaces"),
    };
    let hook = match hook {
        Hook::Tcx => "TCX links",
        Hook::Clsact => "clsact filters",
    };
    let beside = match instance {
        Ok(instance) if instance.number() > 1 => {
            let (number, socket) = (instance.number(), instance.socket().display());
            format!(", as the {} agent on this host (control socket {socket})", text::ordinal(number))
        }
        _ => String::new(),
    };
    eprintln!(
        "weir: attached to {names} with {hook}{beside}; {} of kernel maps hold {} flows on each of {} CPUs",
        text::bytes(layout.bytes()),
        text::grouped(layout.entries_per_cpu.into()),
        layout.cpus,
    );
    for remark in remarks.iter().chain(instance.err()) {
        eprintln!("weir: {remark}");
    }
}

/// The balance, and the exit code.
pub fn conclude(report: &Report, output: Output) -> ExitCode {
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
