//! `weir run`: the agent.

mod arguments;
mod exports;
mod history;
mod pushes;

pub use arguments::{Arguments, Listen, Output, settings, settings_with};

use crate::api::{self, OpenedApi};
use crate::columns::columns;
use crate::config::{Configuration, Sources};
use crate::json::JsonLines;
use crate::metrics::Network;
use crate::stop::{Hangup, Stop};
use crate::text;
use crate::view::{LiveView, Rows, print_balance};
use anyhow::Result;
use history::OpenedHistory;
pub use history::WORD;
use pushes::Pushes;
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use weir_agent::{Agent, Control, Instance, Moment, Notify, OnLookup, Outlet, Reload, Report, Start};
use weir_kernel::Hook;

/// Runs the agent until it is told to stop.
pub fn run(sources: Sources, configuration: Configuration) -> Result<ExitCode> {
    let arguments = configuration.arguments.clone();
    let on_terminal = std::io::stdout().is_terminal();
    let output = arguments.output.unwrap_or(if on_terminal { Output::Table } else { Output::Json });
    let columns = columns(arguments.is_biflow());
    // Listen for signals before anything is attached, so that it is taken off again.
    let stop = Stop::new(arguments.duration)?;
    let hangup = Hangup::new()?;
    let instance = claim(arguments.socket.as_deref())?;
    let view =
        (output == Output::Table && on_terminal).then(|| LiveView::new(columns, Vec::new())).transpose()?;
    let notify: Notify = match &view {
        Some(view) => view.foot(),
        None => Box::new(|line| say(&line)),
    };
    let (mut agent, start) = Agent::attach(settings(arguments), notify)?;
    // What is said next is that all is there.
    let OpenedHistory { history, directory, remarks } = history::open(&configuration.arguments, &mut agent)?;
    let exports = exports::open(&configuration.arguments, directory.as_deref())?;
    let OpenedApi { server, network, remark } =
        api::open(&configuration.arguments, instance.as_ref().ok(), directory)?;
    announce(&start, instance.as_ref());
    remarks.iter().chain(&exports.remarks).chain(&remark).for_each(|remark| say(remark));
    if let Some(file) = &configuration.file {
        say(&format!("configured by {}", file.display()));
    }
    if let Some(file) = &configuration.arguments.tuned {
        say(&format!("tuned by {}", file.display()));
    }
    let pushes = Pushes::start(&configuration.arguments, instance.as_ref().ok(), network.as_ref())?;
    let control = control(instance.ok(), reload(sources, configuration), hangup.clone())?;
    let control = control.pushing(pushes.states());
    let printed = match output {
        Output::Json => Some(Outlet::new(JsonLines::new())?),
        Output::Table if !on_terminal => Some(Outlet::new(Rows::new(columns))?),
        Output::Table | Output::None => None,
    };
    let (printed, said) = exports.beside(printed)?;
    let history::Running { outlet, told, mut beside } = history::beside(printed, history)?;
    let agent = agent.telling_lookups(network.clone().map(on_lookup));
    let outlet = network.into_iter().try_fold(outlet, Outlet::and)?;
    let show = |agent: &mut Agent, moment| {
        told.try_iter().chain(said.try_iter()).chain(pushes.told()).for_each(|line| agent.notice(line));
        if let Some(beside) = &mut beside {
            beside.look(agent);
        }
        if let Some(view) = view.as_ref().filter(|_| moment == Moment::Drained) {
            view.show(agent);
        }
    };
    let report = agent.run(outlet, control, || stop.is_due() || hangup.is_farewell(), show)?;
    pushes.finish().into_iter().for_each(|line| say(&line));
    drop(server);
    if let Some(beside) = beside {
        beside.finish(&report.books);
    }
    told.try_iter().chain(said.try_iter()).for_each(|line| say(&line));
    if view.is_some() {
        let _ = writeln!(std::io::stderr()); // leave the line where the terminal echoes ^C
    }
    Ok(conclude(&report, output))
}

fn on_lookup(network: Network) -> OnLookup {
    Box::new(move |event| network.add_answer(event))
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

fn control(instance: Option<Instance>, reload: Reload, hangup: Hangup) -> Result<Control> {
    let control = Control::new(reload, move || hangup.asks_for_reload());
    Ok(match instance {
        Some(instance) => control.listen(instance)?,
        None => control,
    })
}

/// What is decided once, when the agent starts, beside its own settings.
const FIXED: [&str; 22] = [
    "api_token_file",
    "data_dir",
    "disk_full",
    "duration",
    "export",
    "keep",
    "keep_1h",
    "keep_1m",
    "keep_bytes",
    "keep_events",
    "listen",
    "metrics_by",
    "metrics_grace",
    "metrics_series",
    "otlp_metrics",
    "output",
    "push_interval",
    "query_memory",
    "query_timeout",
    "remote_write",
    "socket",
    "spool_bytes",
];

/// Reads flags, environment and file again.
fn reload(mut sources: Sources, first: Configuration) -> Reload {
    Box::new(move || {
        let wanted = sources.load().map_err(|mistakes| mistakes.to_string())?;
        match wanted.differences(&first).into_iter().find(|key| FIXED.contains(key)) {
            Some(key) => Err(format!("{key} cannot change while the agent runs: restart it for that")),
            None => Ok(settings(wanted.arguments)),
        }
    })
}

/// One line: where, how, beside how many others, with how much. Then what else there is to know.
pub fn announce(start: &Start, instance: std::result::Result<&Instance, &String>) {
    let Start { interfaces, namespaces, hook, layout, remarks } = start;
    let names = match interfaces.len() {
        0..=6 => interfaces.join(", "),
        more if *namespaces == 1 => format!("{more} interfaces"),
        more => format!("{more} interfaces in {namespaces} network namespaces"),
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
    say(&format!(
        "attached to {names} with {hook}{beside}; {} of kernel maps hold {} flows on each of {} CPUs",
        text::bytes(layout.bytes()),
        text::grouped(layout.entries_per_cpu.into()),
        layout.cpus,
    ));
    for remark in remarks.iter().chain(instance.err()) {
        say(remark);
    }
}

/// A line of Weir's own, on standard error. Who started it may have stopped reading there.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "weir: {line}");
}

/// The balance, and the exit code.
pub fn conclude(report: &Report, output: Output) -> ExitCode {
    if output != Output::Json {
        print_balance(&report.books);
    }
    match &report.output {
        // A reader that has seen enough is no mishap.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            say(&format!("cannot write records: {error}"));
            ExitCode::from(1)
        }
        _ => ExitCode::SUCCESS,
    }
}
