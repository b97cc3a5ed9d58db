//! Counts by itself, beside whatever agent there is, until it is told to end.

use super::listener::{FIRST, Listener, Shared};
use super::{Arguments, keys, once, view};
use crate::run::{announce, say, settings_with};
use crate::stop::Stop;
use crate::view::Nowhere;
use anyhow::{Result, anyhow};
use std::cell::Cell;
use std::convert::Infallible;
use std::process::ExitCode;
use weir_agent::{Agent, Control, Error, Moment, Namespaces, Notify, Outlet, Settings};

/// `instead` says why no agent could be asked, if one runs.
pub fn run(arguments: &Arguments, stop: &Stop, instead: Option<String>) -> Result<ExitCode> {
    let board = Shared::default();
    let (mut agent, start) = match Agent::attach(settings(arguments)?, notify(&board, arguments.once)) {
        // Whoever may neither ask nor count is told of what is simpler.
        Err(Error::Privilege { .. }) if instead.is_some() => {
            return Err(anyhow!(instead.unwrap_or_default()));
        }
        attached => attached?,
    };
    instead.iter().for_each(|why| say(&format!("{why}; weir top counts by itself")));
    let mut listener = Listener::new(board.clone(), &agent.flows(FIRST));
    let outlet = Outlet::new(Nowhere)?;
    let control = Control::new(Box::new(|| Err("weir top has no configuration".into())), || false);
    let mut hear = |agent: &mut Agent, _| {
        let Ok(_) = listener.hear(|wanted| Ok::<_, Infallible>(agent.flows(wanted)));
    };
    if arguments.once {
        let is_done = Cell::new(false);
        let count = |agent: &mut Agent, moment| {
            hear(agent, moment);
            is_done.set(is_done.get() || moment == Moment::Drained);
        };
        agent.run(outlet, control, || is_done.get() || stop.is_due(), count)?;
        return once::print(arguments, &board);
    }
    announce(&start, Err(&"weir top counts by itself, beside whatever agent runs".into()));
    let screen = keys::Screen::open(board, view::View::new(arguments))?;
    let report = agent.run(outlet, control, || stop.is_due() || screen.is_closed(), hear);
    screen.close()?;
    report?;
    Ok(ExitCode::SUCCESS)
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
