//! `weir snapshot`: the sockets, or the processes that have them, as they are now.

mod health;
mod processes;
mod sockets;
mod users;
mod who;

use crate::options;
use crate::output::{self, Output};
use crate::run::{say, settings_with};
use crate::table::{self, Column};
use anyhow::Result;
use clap::{Args, Subcommand};
use serde::Serialize;
use std::io::{self, Write};
use std::process::ExitCode;
use weir_agent::{Runtimes, Settings, Snapshot};

/// What `weir snapshot` can show.
#[derive(Subcommand)]
pub enum Command {
    /// Every TCP and UDP socket, with the process that has it
    Sockets(Arguments),
    /// Every process that has sockets, with what it serves and how many connections it has
    Processes(Arguments),
}

/// Flags of both.
#[derive(Args)]
pub struct Arguments {
    /// Those of every network namespace of the host
    #[arg(long, conflicts_with = "netns")]
    all_netns: bool,

    /// Those of this network namespace instead of the own one: a name in /run/netns, or the id of a process in it
    #[arg(long, value_name = "NAME|PID")]
    netns: Vec<String>,

    /// Container runtimes that are asked for names and images, as in `weir run`
    #[arg(long, value_name = "LIST", default_value = "auto")]
    container_runtimes: Runtimes,

    /// table, or json: one object a line
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Output,
}

/// Looks once, and prints.
pub fn run(command: &Command) -> Result<ExitCode> {
    let (Command::Sockets(arguments) | Command::Processes(arguments)) = command;
    let snapshot = Snapshot::take(&settings(arguments)?)?;
    snapshot.remarks.iter().for_each(|remark| say(remark));
    let printed = match (command, arguments.output) {
        (Command::Sockets(_), Output::Table) => print_table(&sockets::sheet(&snapshot)),
        (Command::Sockets(_), Output::Json) => print_json(sockets::lines(&snapshot)),
        (Command::Processes(_), Output::Table) => print_table(&processes::sheet(&snapshot)),
        (Command::Processes(_), Output::Json) => print_json(processes::lines(&snapshot)),
    };
    output::end(printed)
}

fn settings(arguments: &Arguments) -> Result<Settings> {
    let mut settings = settings_with(&[])?;
    settings.containers.runtimes = arguments.container_runtimes.clone();
    settings.namespaces = options::namespaces(arguments.all_netns, arguments.netns.clone());
    Ok(settings)
}

/// What a table is made of.
struct Sheet {
    /// What there is, in a line.
    summary: String,
    columns: &'static [Column],
    /// Columns that a narrow terminal can do without, the first first.
    expendable: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

fn print_table(sheet: &Sheet) -> io::Result<()> {
    let width = table::room();
    let (columns, rows) = table::narrow(sheet.columns, &sheet.rows, width, sheet.expendable);
    let mut out = anstream::stdout().lock();
    writeln!(out, "{}", sheet.summary)?;
    for line in table::render(&columns, &rows, width) {
        writeln!(out, "{line}")?;
    }
    out.flush()
}

fn print_json(lines: impl Iterator<Item = impl Serialize>) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in lines {
        output::json_line(&mut out, &line)?;
    }
    out.flush()
}

/// `1 socket`, `12 sockets`; of a word that ends so, `2 processes`.
fn plural(count: usize, word: &str) -> String {
    match (count, word.ends_with('s')) {
        (1, _) => format!("1 {word}"),
        (_, true) => format!("{count} {word}es"),
        (_, false) => format!("{count} {word}s"),
    }
}

fn in_namespaces(snapshot: &Snapshot) -> String {
    match snapshot.namespaces {
        1 => String::new(),
        more => format!(" in {more} network namespaces"),
    }
}

/// What stands where nothing is known.
fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".into())
}
