//! The agent that runs: what it holds open, and what has ended since it was first asked.

use super::Asker;
use anyhow::{Result, bail};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};
use weir_agent::{Flows, Mark, Request, SinkState, Unanswered, Wanted, ask, ask_flows, sockets};
use weir_record::{FlowEndReason, FlowRecord};

/// Open conversations that are told at most: the busiest.
const OPEN: usize = 10_000;
/// How long a record is on its way into the history at most.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// An agent that answers.
pub struct Agent {
    socket: PathBuf,
    pub pid: u32,
}

/// The agent on this socket, or all of this host that answer, and why one does not.
///
/// # Errors
/// The one that was named does not answer.
pub fn agents(named: Option<&Path>) -> Result<(Vec<Agent>, Option<Unanswered>)> {
    let nothing = Wanted { since: None, most: 0 };
    let meet = |socket: &Path| {
        ask_flows(socket, nothing).map(|flows| Agent { socket: socket.into(), pid: flows.pid })
    };
    if let Some(socket) = named {
        return Ok((vec![meet(socket)?], None));
    }
    let (mut found, mut silent) = (Vec::new(), None);
    for socket in sockets() {
        match meet(&socket) {
            Ok(agent) => found.push(agent),
            Err(Unanswered::Nobody(_)) => {}
            Err(why) => drop(silent.get_or_insert(why)),
        }
    }
    Ok((found, silent))
}

/// What an agent holds at one moment.
pub struct Held {
    /// Conversations that go on, as their records would be if they ended then.
    pub open: Vec<FlowRecord>,
    /// The moment.
    mark: Mark,
}

impl Agent {
    /// What it holds now.
    ///
    /// # Errors
    /// It does not answer.
    pub fn hold(&self, asker: &mut Asker) -> Result<Held> {
        let Flows { mut live, next, flows, .. } = self.ask(None)?;
        if live.len() >= OPEN && flows > OPEN as u64 {
            asker.tell_missing(format!(
                "of {flows} open conversations the {OPEN} busiest are told: sums are of these"
            ));
        }
        // More of it will follow.
        live.iter_mut().for_each(|record| record.end_reason = FlowEndReason::ActiveTimeout);
        Ok(Held { open: live, mark: next })
    }

    /// The records that have ended since, and whether that is all of them.
    ///
    /// # Errors
    /// It does not answer.
    pub fn ended(&self, held: &mut Held) -> Result<(Vec<FlowRecord>, u64)> {
        let (mut all, mut missed) = (Vec::new(), 0);
        loop {
            let flows = self.ask(Some(held.mark))?;
            held.mark = flows.next;
            missed += flows.missed_records;
            all.extend(flows.ended);
            if !flows.is_partial {
                return Ok((all, missed));
            }
        }
    }

    fn ask(&self, since: Option<Mark>) -> Result<Flows> {
        let flows = ask_flows(&self.socket, Wanted { since, most: if since.is_none() { OPEN } else { 0 } })?;
        if flows.pid != self.pid {
            bail!("the agent on {} has ended meanwhile, and another one runs", self.socket.display());
        }
        Ok(flows)
    }

    /// Waits until all that has ended by now is in the agent's history.
    ///
    /// # Errors
    /// It does not answer.
    pub fn settle(&self, asker: &mut Asker) -> Result<()> {
        let Some(first) = self.history()? else { return Ok(()) };
        let done = |state: &SinkState| state.written_records + state.lost_records;
        let (wanted, deadline) = (done(&first) + first.queued_records, Instant::now() + PATIENCE);
        let mut so_far = done(&first);
        while so_far < wanted && Instant::now() < deadline {
            sleep(PAUSE);
            so_far = self.history()?.as_ref().map_or(wanted, done);
        }
        if so_far < wanted {
            asker.tell_missing(format!(
                "{} records are still on their way into the history, and not shown",
                wanted - so_far
            ));
        }
        Ok(())
    }

    fn history(&self) -> Result<Option<SinkState>> {
        #[derive(Deserialize)]
        struct Sinks {
            #[serde(default)]
            sinks: Vec<SinkState>,
        }
        let told: Sinks = serde_json::from_str(&ask(&self.socket, Request::Status)?)?;
        Ok(told.sinks.into_iter().find(|sink| sink.name == "history"))
    }
}
