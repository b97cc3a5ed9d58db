//! What containers are called, from the runtimes that run them.
//!
//! The agent's thread only looks things up. Whoever is met for the first time becomes a question to a thread of its
//! own; its answer is taken in at the next glance.

mod bundle;
mod details;
mod engine;
mod file;
mod runtimes;
mod source;
mod storage;
mod unix;
mod users;
mod worker;

use crate::Settings;
use hashbrown::HashMap;
pub use runtimes::{ContainerSettings, Runtimes};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use weir_record::{Container, ContainerDetails, FlowRecord, Runtime};
use worker::{Answer, Asker, Question};

/// Containers that are remembered: about 600 bytes each, 4 KiB at most.
const CONTAINERS: usize = 8192;
/// Questions, and answers, that wait.
const WAITING: usize = 1024;
/// After so long a container that is still met is looked up anew: it may have another name.
const FRESH: Duration = Duration::from_secs(60);
/// The same for one that nobody knew.
const AGAIN: Duration = Duration::from_secs(10);
/// How long records may wait for the name of a container that was just met.
pub const PATIENCE: Duration = Duration::from_millis(20);
/// Digits of an id.
const ID: std::ops::RangeInclusive<usize> = 12..=64;

/// What can be said of all that.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainersState {
    /// Containers that are remembered.
    pub known: u64,
    /// Those of them that have details.
    pub named: u64,
    /// Containers that were forgotten for lack of room.
    pub evicted: u64,
    /// Questions that had no answer because a runtime could not be asked.
    pub failed: u64,
    /// Questions that were not asked because too many waited.
    pub unasked: u64,
    /// Where runtimes are asked, of the places that there are.
    pub sources: Vec<SourceState>,
}

/// A place where a runtime is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceState {
    /// Whose it is.
    pub runtime: String,
    /// A socket or a folder.
    pub place: String,
    /// What is wrong with it.
    pub problem: Option<String>,
}

/// A container that was met.
#[derive(Debug)]
struct Known {
    details: Option<Arc<ContainerDetails>>,
    asked: Instant,
    waits: bool,
    /// Since it last had to make room.
    used: Cell<bool>,
}

impl Known {
    fn is_fresh(&self, now: Instant) -> bool {
        self.used.set(true);
        self.waits || now.duration_since(self.asked) < if self.details.is_some() { FRESH } else { AGAIN }
    }
}

/// Containers that were met.
#[derive(Debug)]
pub struct Containers {
    known: HashMap<String, Known>,
    /// All of them, in the order in which they are to make room.
    turns: VecDeque<String>,
    capacity: usize,
    asker: Option<(SyncSender<Question>, Receiver<Answer>)>,
    waiting: usize,
    /// The last answer that was waited for came.
    is_prompt: bool,
    state: ContainersState,
}

impl Containers {
    /// Knows nobody, and asks nobody.
    pub fn off() -> Self {
        Self {
            known: HashMap::new(),
            turns: VecDeque::new(),
            capacity: CONTAINERS,
            asker: None,
            waiting: 0,
            is_prompt: true,
            state: ContainersState::default(),
        }
    }

    /// Starts to ask; and what a user should know of runtimes that do not answer.
    pub fn open(settings: &Settings) -> (Self, Vec<String>) {
        let wanted = &settings.containers;
        if !settings.identity || wanted.runtimes == Runtimes::off() {
            return (Self::off(), Vec::new());
        }
        let asker = Asker::new(wanted);
        let mut remarks = asker.remarks();
        let mut containers = Self::off();
        if let Err(error) = containers.start(asker) {
            remarks.push(format!("containers have no names: no thread to ask for them: {error}"));
        }
        (containers, remarks)
    }

    fn start(&mut self, asker: Asker) -> std::io::Result<()> {
        let (ask, questions) = sync_channel(WAITING);
        let (answer, answers) = sync_channel(WAITING);
        self.state.sources = asker.states();
        let run = move || asker.answer_all(&questions, &answer);
        std::thread::Builder::new().name("containers".into()).spawn(run)?;
        self.asker = Some((ask, answers));
        Ok(())
    }

    /// A socket is used in this container: it is asked for, unless that was done of late.
    pub fn meet(&mut self, container: &Container, now: Instant) {
        let is_named = is_named(container);
        let details = match self.known.get(&container.id) {
            Some(known) if known.is_fresh(now) => return,
            Some(known) => known.details.clone(),
            None => is_named.then(|| Arc::new(by_path(container))),
        };
        let waits = !is_named && self.ask(container);
        if waits || details.is_some() {
            self.remember(container.id.clone(), Known { details, asked: now, waits, used: Cell::new(false) });
        }
    }

    /// Whether the question is on its way.
    fn ask(&mut self, container: &Container) -> bool {
        let Some((questions, _)) = &self.asker else { return false };
        let question = Question { id: container.id.clone(), runtime: container.runtime };
        let waits = questions.try_send(question).is_ok();
        if waits {
            self.waiting += 1;
        } else {
            self.state.unasked += 1;
        }
        waits
    }

    fn remember(&mut self, id: String, known: Known) {
        if self.known.insert(id.clone(), known).is_some() {
            return;
        }
        self.turns.push_back(id);
        while self.known.len() > self.capacity {
            let Some(next) = self.turns.pop_front() else { break };
            // Whoever was used since gets another turn.
            if self.known.get(&next).is_some_and(|known| known.used.replace(false)) {
                self.turns.push_back(next);
            } else {
                self.known.remove(&next);
                self.state.evicted += 1;
            }
        }
    }

    /// Takes in answers.
    pub fn hear(&mut self) {
        while let Some(answer) = self.asker.as_ref().and_then(|(_, answers)| answers.try_recv().ok()) {
            self.learn(answer);
        }
    }

    /// Waits a moment for what was just asked, so that a container has its name in its first record. A runtime that
    /// once takes longer is not waited for until it has answered.
    pub fn settle(&mut self, patience: Duration) {
        let until = Instant::now() + patience;
        while self.waiting > 0 && self.is_prompt {
            let Some((_, answers)) = &self.asker else { return };
            match answers.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(answer) => self.learn(answer),
                Err(_) => self.is_prompt = false,
            }
        }
    }

    fn learn(&mut self, answer: Answer) {
        self.waiting = self.waiting.saturating_sub(1);
        self.is_prompt |= self.waiting == 0;
        self.state.failed += u64::from(answer.failed);
        self.state.sources = answer.sources;
        let Some(known) = self.known.get_mut(&answer.id) else { return };
        known.waits = false;
        // One that is gone keeps what it was: its records may be on their way.
        if let Some(details) = answer.details {
            known.details = Some(Arc::new(details));
        }
    }

    /// What it is, as far as that is known by now.
    pub fn details(&self, container: &Container) -> Option<Arc<ContainerDetails>> {
        let known = self.known.get(&container.id)?;
        known.used.set(true);
        known.details.clone()
    }

    /// Enters what the processes' containers are called, and the pods that these say they are in.
    pub fn attribute(&self, record: &mut FlowRecord) {
        for end in [&mut record.source, &mut record.destination] {
            let container = end.process.as_ref().and_then(|process| process.container.as_ref());
            end.container = container.and_then(|container| self.details(container));
        }
    }

    /// What can be said of it.
    pub fn state(&self) -> ContainersState {
        let named = self.known.values().filter(|known| known.details.is_some()).count();
        ContainersState { known: self.known.len() as u64, named: named as u64, ..self.state.clone() }
    }
}

/// Whether what the path calls an id is the name. Nobody else's ids are put into paths and addresses.
fn is_named(container: &Container) -> bool {
    let is_id = ID.contains(&container.id.len())
        && container.id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    container.runtime == Runtime::Lxc || !is_id
}

fn by_path(container: &Container) -> ContainerDetails {
    ContainerDetails { name: Some(container.id.clone()), ..ContainerDetails::default() }
}

#[cfg(test)]
mod tests;
