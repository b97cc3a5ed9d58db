//! `weir top`: who uses the network now.

mod draw;
mod group;
mod keys;
mod once;
mod tally;
mod view;

use crate::options;
use crate::run::{announce, say, settings_with};
use crate::stop::Stop;
use crate::view::Summary;
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use glob::Pattern;
use group::{Group, Sort};
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tally::Tally;
use weir_agent::{Agent, Closing, Control, Namespaces, Notify, Outlet, Settings, Sink};
use weir_filter::Filter;
use weir_record::FlowRecord;

/// Conversations that are looked at after each drain, the busiest first; others are counted when they end.
const LIVE: usize = 10_000;

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

    /// Interfaces to watch, by name or glob; all of them without this
    #[arg(short, long, value_name = "GLOB", value_parser = options::glob)]
    interface: Vec<Pattern>,

    /// Watch every network namespace of the host
    #[arg(long)]
    all_netns: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
}

/// What the agent's threads write and the view reads.
#[derive(Default)]
struct Board {
    tally: Tally,
    summary: Summary,
    /// What the counts of the last interval are of.
    time: Duration,
    /// The agent's last line.
    notice: Option<String>,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Board>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look_at(&self, agent: &Agent) {
        let busiest = agent.busiest(LIVE);
        let mut board = self.lock();
        board.tally.live(busiest.iter().map(|live| &live.record));
        board.summary = Summary::of(agent.books(), agent.flow_count());
        board.time = agent.last_interval();
    }
}

/// Records as they leave the agent.
struct Ended(Shared);

impl Sink for Ended {
    fn name(&self) -> &'static str {
        "top"
    }

    fn write(&mut self, records: &[FlowRecord]) -> io::Result<()> {
        let mut board = self.0.lock();
        records.iter().for_each(|record| board.tally.end(record));
        Ok(())
    }

    fn finish(&mut self, _closing: &Closing) -> io::Result<()> {
        Ok(())
    }
}

/// Counts by itself, beside whatever agent there is, until it is told to end.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    if !arguments.once && !io::stdout().is_terminal() {
        bail!("weir top needs a terminal: use --once in a pipe");
    }
    let mut stop = Stop::new(None)?.on_hangup()?;
    let board = Shared::default();
    let (agent, start) = Agent::attach(settings(&arguments)?, notify(&board, arguments.once))?;
    if !arguments.once {
        announce(&start, Err(&"weir top counts by itself, beside whatever agent runs".into()));
    }
    stop.after(arguments.once.then_some(arguments.interval));
    let outlet = Outlet::new(Ended(board.clone()))?;
    let control = Control::new(Box::new(|| Err("weir top has no configuration".into())), || false);
    if arguments.once {
        once::run(&arguments, board, |board| {
            let report = agent.run(outlet, control, || stop.is_due(), |_| {})?;
            let mut board = board.lock();
            board.summary = Summary::of(&report.books, board.tally.flows().count());
            Ok(())
        })
    } else {
        let screen = keys::Screen::open(board.clone(), view::View::new(&arguments))?;
        let show = |agent: &Agent| board.look_at(agent);
        let report = agent.run(outlet, control, || stop.is_due() || screen.is_closed(), show);
        screen.close()?;
        report?;
        Ok(ExitCode::SUCCESS)
    }
}

fn settings(arguments: &Arguments) -> Result<Settings> {
    let mut settings = settings_with(&[])?;
    settings.interval = arguments.interval;
    settings.selection.names.clone_from(&arguments.interface);
    if arguments.all_netns {
        settings.namespaces = Namespaces::Every;
    }
    Ok(settings)
}

/// Lines of the agent go to the foot of the view.
fn notify(board: &Shared, once: bool) -> Notify {
    let board = board.clone();
    Box::new(move |line| match once {
        true => say(&line),
        false => board.lock().notice = Some(line),
    })
}
