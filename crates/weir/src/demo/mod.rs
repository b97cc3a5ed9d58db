//! `weir demo`: a small network of namespaces, with real programs and real traffic, and what Weir sees of it.

pub mod actor;
mod actors;
mod ip;
mod line;
mod network;
mod picture;
mod programs;
mod stage;
mod summary;
mod tally;

use crate::columns::columns;
use crate::json::JsonLines;
use crate::options;
use crate::run::{Output, announce, conclude, say, settings_with};
use crate::stop::Stop;
use crate::view::{LiveView, Nowhere, Rows};
use actors::Actors;
use anyhow::{Result, bail};
use clap::Args;
use line::Line;
use network::Network;
use programs::Cast;
use stage::Stage;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;
use tally::{Overheard, Tally};
use weir_agent::{Agent, Control, Instance, Notify, Outlet, Report, Settings, Sink};

/// How long it lasts where nobody looks on who could press Ctrl-C.
const IN_A_PIPE: Duration = Duration::from_secs(15);
/// For the last packets of clients that were ended.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Flags of `weir demo`.
#[derive(Args)]
pub struct Arguments {
    /// Stop after this long; without this at Ctrl-C, in a pipe after 15s
    #[arg(long, value_name = "TIME", value_parser = options::duration)]
    duration: Option<Duration>,

    /// table, json or none; a table on a terminal, JSON lines in a pipe without this
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Output>,

    /// Use weir's own small servers and clients, whatever is installed
    #[arg(long)]
    stand_ins: bool,
}

/// Builds the network, shows what the agent sees of it, and clears up.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    require_means()?;
    let on_terminal = std::io::stdout().is_terminal();
    let show = Show {
        output: arguments.output.unwrap_or(if on_terminal { Output::Table } else { Output::Json }),
        on_terminal,
        duration: arguments.duration.or((!on_terminal).then_some(IN_A_PIPE)),
        // Listens for signals before anything is built, so that it is taken down again.
        stop: Stop::new(None)?.on_hangup()?,
    };
    let stage = Stage::own();
    let demo = Demo::build(stage, arguments.stand_ins, &show.stop)?;
    let names: Vec<_> = stage.namespaces().flat_map(|name| ["--netns".into(), name]).collect();
    let flags: Vec<_> = names.iter().map(String::as_str).collect();
    demo.perform(settings_with(&flags)?, show)
}

/// On standard error, which may be closed.
fn print(line: &str) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

fn require_means() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("weir demo needs root: it builds network namespaces. Try: sudo weir demo");
    }
    match ["ip", "tc"].iter().find(|program| programs::path_of(program).is_none()) {
        Some(missing) => bail!("weir demo needs `{missing}`: install iproute2"),
        None => Ok(()),
    }
}

/// How it is shown, and for how long.
struct Show {
    output: Output,
    on_terminal: bool,
    duration: Option<Duration>,
    stop: Stop,
}

/// What a demo consists of. Dropped in this order: first the actors leave, then the network goes.
struct Demo {
    actors: Actors,
    line: Line,
    network: Network,
    banner: Vec<String>,
    tally: Arc<Mutex<Tally>>,
}

impl Demo {
    /// The network with its servers; nothing has been sent yet.
    fn build(stage: Stage, stand_ins: bool, stop: &Stop) -> Result<Self> {
        let swept = network::sweep();
        if swept > 0 {
            say(&format!("removed what {swept} killed demos left behind"));
        }
        let network = Network::build(stage)?;
        let line = Line::spoil(stage);
        let banner = picture::lines(stage, &Cast::choose(stand_ins), &line);
        let mut actors = Actors::new(stage, stand_ins);
        actors.start_servers(|| stop.is_due())?;
        Ok(Self { actors, line, network, banner, tally: Arc::default() })
    }

    /// Runs the agent, and the clients as soon as it sees their first packet.
    fn perform(mut self, settings: Settings, mut show: Show) -> Result<ExitCode> {
        let live = show.output == Output::Table && show.on_terminal;
        let view = live.then(|| LiveView::new(columns(true), self.banner.clone())).transpose()?;
        let notify: Notify = match &view {
            Some(view) => view.foot(),
            None => Box::new(|line| say(&line)),
        };
        if view.is_none() {
            self.banner.iter().for_each(|line| print(line));
        }
        let (agent, start) = Agent::attach(settings, notify)?;
        let instance = Instance::claim(None).map_err(|error| format!("no control socket: {error}"));
        announce(&start, instance.as_ref());
        let outlet = self.outlet(&show)?;
        self.actors.start_clients()?;
        show.stop.after(show.duration);
        let mut dropped = None;
        let is_over = || {
            show.stop.is_due() && {
                dropped = self.bring_down_the_curtain();
                true
            }
        };
        let redraw = |agent: &mut Agent, _| {
            if let Some(view) = &view {
                view.show(agent);
            }
        };
        let control = Control::new(Box::new(|| Err("the demo has no configuration".into())), || false);
        let control = match instance {
            Ok(instance) => control.listen(instance)?,
            Err(_) => control,
        };
        let report = agent.run(outlet, control, is_over, redraw)?;
        if view.is_some() {
            print(""); // leave the line where the terminal echoes ^C
        }
        Ok(self.sum_up(&report, show.output, dropped))
    }

    fn outlet(&self, show: &Show) -> Result<Outlet> {
        fn of(sink: impl Sink, tally: &Arc<Mutex<Tally>>) -> weir_agent::Result<Outlet> {
            Outlet::new(Overheard::new(sink, tally))
        }
        Ok(match show.output {
            Output::Json => of(JsonLines::new(), &self.tally),
            Output::Table if !show.on_terminal => of(Rows::new(columns(true)), &self.tally),
            Output::Table | Output::None => of(Nowhere, &self.tally),
        }?)
    }

    /// Ends the traffic before the agent, so that both ends of the line have seen the same packets, and
    /// returns how many `tc` says were dropped between them.
    fn bring_down_the_curtain(&mut self) -> Option<u64> {
        self.actors.end();
        sleep(LAST_WORDS);
        let dropped = self.network.cut_off_hosts().and_then(|()| self.line.dropped());
        dropped.unwrap_or_else(|error| {
            say(&format!("cannot compare the lossy line with tc: {error:#}"));
            None
        })
    }

    fn sum_up(&self, report: &Report, output: Output, dropped: Option<u64>) -> ExitCode {
        let code = conclude(report, output);
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        for line in summary::lines(&tally, &report.books, dropped) {
            print(&line);
        }
        code
    }
}
