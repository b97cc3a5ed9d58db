//! Asks an agent that runs: nothing is attached, nothing counted twice.

use super::listener::{FIRST, Heard, Listener, Shared};
use super::{Arguments, keys, once, view};
use crate::stop::Stop;
use anyhow::{Result, bail};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};
use weir_agent::{Flows, Unanswered, ask_flows, sockets};

/// How long it sleeps at most before it looks whether it shall end.
const GLANCE: Duration = Duration::from_millis(50);

/// How long it is said that another agent runs.
const STAYS: Duration = Duration::from_secs(10);

/// An agent that answers.
pub struct Answering {
    socket: PathBuf,
    first: Flows,
    /// How many others run here.
    others: usize,
}

/// Whom to ask.
pub enum Found {
    /// This one.
    Agent(Box<Answering>),
    /// Nobody, and why not where somebody runs.
    Nobody(Option<String>),
}

/// The agent on the socket that was named, else the first one of this host that answers.
///
/// # Errors
/// The one that was named does not answer.
pub fn find(arguments: &Arguments) -> Result<Found> {
    if let Some(socket) = &arguments.socket {
        let (first, socket) = (ask_flows(socket, FIRST)?, socket.clone());
        return Ok(Found::Agent(Box::new(Answering { socket, first, others: 0 })));
    }
    // Only our own agent counts at interfaces of the user's choice.
    if !arguments.interface.is_empty() || arguments.all_netns {
        return Ok(Found::Nobody(None));
    }
    let (sockets, mut instead) = (sockets(), None);
    for socket in &sockets {
        match ask_flows(socket, FIRST) {
            Ok(first) => {
                let (socket, others) = (socket.clone(), sockets.len() - 1);
                return Ok(Found::Agent(Box::new(Answering { socket, first, others })));
            }
            Err(Unanswered::Nobody(_)) => {}
            Err(why) => drop(instead.get_or_insert(why.to_string())),
        }
    }
    Ok(Found::Nobody(instead))
}

/// Asks until it is told to end.
pub fn run(arguments: &Arguments, stop: &Stop, agent: Answering) -> Result<ExitCode> {
    let board = Shared::default();
    let listener = Listener::new(board.clone(), &agent.first);
    if arguments.once {
        count_once(arguments, stop, &agent, (listener, &board))?;
        return once::print(arguments, &board);
    }
    board.lock().told_by = Some(told_by(&agent, agent.first.pid));
    let screen = keys::Screen::open(board.clone(), view::View::new(arguments))?;
    let interval = arguments.interval;
    // An agent that is stopped holds this thread only; it ends with the process.
    thread::Builder::new()
        .name("weir-ask".into())
        .spawn(move || go_on(&agent, listener, &board, interval))?;
    while !stop.is_due() && !screen.is_closed() {
        sleep(GLANCE);
    }
    screen.close()?;
    Ok(ExitCode::SUCCESS)
}

fn told_by(agent: &Answering, pid: u32) -> String {
    match agent.others {
        0 => format!("told by the agent, process {pid}"),
        others => format!("told by one of {} agents, process {pid}", others + 1),
    }
}

/// Asks again and again. Where nobody answers any more the picture stays, and says so.
fn go_on(agent: &Answering, mut listener: Listener, board: &Shared, interval: Duration) {
    let (mut next, mut began_anew) = (Instant::now() + interval, None::<Instant>);
    let trying = |why| Some(format!("{why}: trying again"));
    loop {
        sleep(next.saturating_duration_since(Instant::now()));
        next = (next + interval).max(Instant::now());
        let notice = match listener.hear(|wanted| ask_flows(&agent.socket, wanted)) {
            Ok(Heard::Another) => match ask_flows(&agent.socket, FIRST) {
                Ok(first) => {
                    listener = Listener::new(board.clone(), &first);
                    board.lock().told_by = Some(told_by(agent, first.pid));
                    began_anew = Some(Instant::now());
                    Some("another agent runs now: what it counts begins here".into())
                }
                Err(why) => trying(why),
            },
            Ok(_) if began_anew.is_some_and(|when| when.elapsed() < STAYS) => continue,
            Ok(_) => None,
            Err(why) => trying(why),
        };
        board.lock().notice = notice;
    }
}

/// From one drain of the agent to another, an interval or a little more apart.
fn count_once(
    arguments: &Arguments,
    stop: &Stop,
    agent: &Answering,
    (mut listener, board): (Listener, &Shared),
) -> Result<()> {
    let (began, asked) = (listener.counted(), Instant::now());
    // Drains are not apart to the millisecond.
    let enough = began + arguments.interval.mul_f64(0.9);
    while !stop.is_due() && listener.counted() < enough {
        let left = arguments.interval.saturating_sub(asked.elapsed());
        sleep(if left.is_zero() { GLANCE } else { left.min(GLANCE) });
        if left.is_zero() && listener.hear(|wanted| ask_flows(&agent.socket, wanted))? == Heard::Another {
            bail!("the agent on {} has ended meanwhile", agent.socket.display());
        }
    }
    board.lock().time = listener.counted() - began;
    Ok(())
}
