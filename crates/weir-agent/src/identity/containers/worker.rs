//! The thread that asks runtimes: one that hangs holds nobody else.

use super::details::Found;
use super::runtimes::ContainerSettings;
use super::source::{self, Failure, Source};
use super::{SourceState, users};
use glob::Pattern;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};
use weir_record::{ContainerDetails, Runtime};

/// How long a place that failed is left alone.
const REST: Duration = Duration::from_secs(10);

/// A container that somebody wants to know more of.
#[derive(Debug)]
pub struct Question {
    /// Its id: hexadecimal digits.
    pub id: String,
    /// Who runs it.
    pub runtime: Runtime,
}

/// What could be learned.
#[derive(Debug)]
pub struct Answer {
    /// The container's id.
    pub id: String,
    /// What it is, if somebody knows.
    pub details: Option<ContainerDetails>,
    /// Nobody knows it, but not everybody could be asked.
    pub failed: bool,
    /// How all places are now.
    pub sources: Vec<SourceState>,
}

/// All places, and how they have answered so far.
#[derive(Debug)]
pub struct Asker {
    places: Vec<Place>,
    of_users: Vec<Place>,
    asks_users: bool,
    labels: Vec<Pattern>,
}

impl Asker {
    /// For these settings.
    pub fn new(settings: &ContainerSettings) -> Self {
        let labels = settings.labels.clone();
        let wanted = settings.runtimes.wanted();
        let places = wanted.iter().flat_map(|one| source::sources(one, !labels.is_empty()));
        let of_users = |runtime| matches!(runtime, Runtime::Docker | Runtime::Podman);
        Self {
            places: places.map(Place::new).collect(),
            of_users: Vec::new(),
            asks_users: wanted.iter().any(|one| one.place.is_none() && of_users(one.runtime)),
            labels,
        }
    }

    /// Those of these places alone.
    #[cfg(test)]
    pub fn of(sources: Vec<Source>) -> Self {
        let places = sources.into_iter().map(Place::new).collect();
        Self { places, of_users: Vec::new(), asks_users: false, labels: Vec::new() }
    }

    /// Answers all questions, until nobody asks any more.
    pub fn answer_all(mut self, questions: &Receiver<Question>, answers: &SyncSender<Answer>) {
        for question in questions {
            let answer = self.answer(question);
            if answers.send(answer).is_err() {
                return;
            }
        }
    }

    fn answer(&mut self, question: Question) -> Answer {
        let mut known = ask(&mut self.places, &question);
        // Root's runtimes go first: anybody may claim an id.
        if self.asks_users && !matches!(known, Ok(Some(_))) {
            self.meet_users();
            known = match (ask(&mut self.of_users, &question), known) {
                (Ok(None), Err(Unanswered)) => Err(Unanswered),
                (theirs, _) => theirs,
            };
        }
        Answer {
            id: question.id,
            failed: known.is_err(),
            details: known.ok().flatten().map(|found| found.details(&self.labels)),
            sources: self.states(),
        }
    }

    /// Users come and go.
    fn meet_users(&mut self) {
        let mut known = std::mem::take(&mut self.of_users);
        self.of_users = users::sources(!self.labels.is_empty())
            .into_iter()
            .map(|source| match known.iter().position(|one| one.source.place == source.place) {
                Some(at) => known.swap_remove(at),
                None => Place::new(source),
            })
            .collect();
    }

    /// Those that are there.
    pub fn states(&self) -> Vec<SourceState> {
        self.places.iter().chain(&self.of_users).filter_map(Place::state).collect()
    }

    /// A line for each runtime that is there but lets nobody in.
    pub fn remarks(&self) -> Vec<String> {
        let mut refused: Vec<&Source> = Vec::new();
        let is_open = |source: &Source| source.is_open() == Some(true);
        for Place { source, .. } in &self.places {
            let mut same = self.places.iter().filter(|place| place.source.runtime == source.runtime);
            let is_first = refused.iter().all(|one| one.runtime != source.runtime);
            if source.is_open() == Some(false) && is_first && !same.any(|place| is_open(&place.source)) {
                refused.push(source);
            }
        }
        let remark = |source: &&Source| {
            format!(
                "containers of {} have no names: {} says permission denied; run as root, or as a user who may read it, \
                 or without it (--container-runtimes)",
                source.runtime.as_str(),
                source.place.display()
            )
        };
        refused.iter().map(remark).collect()
    }
}

/// Not everybody could be asked.
#[derive(Debug)]
struct Unanswered;

fn ask(places: &mut [Place], question: &Question) -> Result<Option<Found>, Unanswered> {
    let mut nobody = Ok(None);
    for place in places.iter_mut().filter(|place| place.serves(question.runtime)) {
        match place.ask(&question.id) {
            Ok(Some(found)) => return Ok(Some(found)),
            Ok(None) => {}
            Err(Unanswered) => nobody = Err(Unanswered),
        }
    }
    nobody
}

#[derive(Debug)]
struct Place {
    source: Source,
    /// What was wrong when it was last asked, and until when it is left alone for that.
    problem: Option<(String, Instant)>,
}

impl Place {
    fn new(source: Source) -> Self {
        Self { source, problem: None }
    }

    /// A path need not tell the runtime: then it may be anyone's.
    fn serves(&self, runtime: Runtime) -> bool {
        runtime == self.source.runtime || runtime == Runtime::Unknown
    }

    fn ask(&mut self, id: &str) -> Result<Option<Found>, Unanswered> {
        if self.problem.as_ref().is_some_and(|(_, until)| Instant::now() < *until) {
            return Err(Unanswered);
        }
        self.problem = None;
        self.source.find(id).map_err(|failure: Failure| {
            self.problem = Some((failure.to_string(), Instant::now() + REST));
            Unanswered
        })
    }

    fn state(&self) -> Option<SourceState> {
        let problem = match (&self.problem, self.source.is_open()) {
            (Some((problem, _)), _) => Some(problem.clone()),
            (None, Some(true)) => None,
            (None, Some(false)) => Some(Failure::Refused.to_string()),
            (None, None) => return None,
        };
        Some(SourceState {
            runtime: self.source.runtime.as_str().into(),
            place: self.source.place.display().to_string(),
            problem,
        })
    }
}
