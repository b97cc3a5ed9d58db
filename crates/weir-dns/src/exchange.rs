//! One question, and what has come by of it.

use crate::lookup::{Lookup, Outcome, Reply, Seen};
use crate::message::{Message, Question};
use crate::{Ends, Place};
use smallvec::{SmallVec, smallvec};

/// A way across an interface, and what has come by there.
#[derive(Debug)]
struct Crossing {
    place: Place,
    is_egress: bool,
    /// When the question came by first.
    first: u64,
    /// How often.
    times: u32,
}

#[derive(Debug)]
enum State {
    Asked,
    /// What holds so far: the answer may still come by where the question did first.
    Answered(Reply),
    /// It has been told.
    Over,
    /// That nobody has answered has been told.
    GivenUp,
}

/// What an answer was to a question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The first one.
    News,
    /// The same one, elsewhere.
    Same,
    /// There was one already.
    Repeated,
    /// Nobody waits for it any more.
    Late,
}

#[derive(Debug)]
pub(crate) struct Exchange {
    /// Tells it from all others.
    pub(crate) serial: u64,
    /// When something becomes of it if nothing is heard.
    pub(crate) due: u64,
    pub(crate) question: Question,
    asked: Seen,
    crossings: SmallVec<[Crossing; 2]>,
    /// The ways that the answer took.
    answered: SmallVec<[(Place, bool); 2]>,
    state: State,
}

impl Exchange {
    pub(crate) fn new(question: Question, asked: Seen, serial: u64, due: u64) -> Self {
        let Seen { time, place, is_egress } = asked;
        let crossings = smallvec![Crossing { place, is_egress, first: time, times: 1 }];
        Self { serial, due, question, asked, crossings, answered: SmallVec::new(), state: State::Asked }
    }

    /// Nothing more is to be told of it.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Over | State::GivenUp)
    }

    /// Nothing has been heard of an answer.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Asked)
    }

    /// The answer is known, and not told yet.
    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.state, State::Answered(_))
    }

    /// Whether the question has come this way before.
    pub(crate) fn has_come(&self, seen: Seen) -> bool {
        self.crossings.iter().any(|one| (one.place, one.is_egress) == (seen.place, seen.is_egress))
    }

    /// The question has come by. Whether it is asked again.
    pub(crate) fn ask(&mut self, seen: Seen) -> bool {
        let same = |one: &&mut Crossing| (one.place, one.is_egress) == (seen.place, seen.is_egress);
        if let Some(crossing) = self.crossings.iter_mut().find(same) {
            crossing.times = crossing.times.saturating_add(1);
            return true;
        }
        let Seen { time, place, is_egress } = seen;
        if self.crossings.len() < CROSSINGS {
            self.crossings.push(Crossing { place, is_egress, first: time, times: 1 });
        }
        false
    }

    /// An answer has come by.
    pub(crate) fn answer(&mut self, seen: Seen, message: &Message) -> Heard {
        let way = (seen.place, seen.is_egress);
        if matches!(self.state, State::GivenUp) {
            return Heard::Late;
        }
        if self.answered.contains(&way) {
            return Heard::Repeated;
        }
        if self.answered.len() < CROSSINGS {
            self.answered.push(way);
        }
        let latency = self.latency(seen);
        match &mut self.state {
            // Where the question came by first is nearest to who asked.
            State::Answered(reply) if seen.place == self.asked.place => reply.latency = latency,
            State::Answered(reply) => reply.latency = reply.latency.max(latency),
            State::Asked => {
                let Message { code, is_truncated, ref records, .. } = *message;
                let records = records.clone();
                self.state = State::Answered(Reply { latency, code, is_truncated, records });
                return Heard::News;
            }
            State::Over | State::GivenUp => {}
        }
        Heard::Same
    }

    /// Whether what is known will not get better: it has come by where the question did first.
    pub(crate) fn is_settled(&self) -> bool {
        self.answered.iter().any(|(place, _)| *place == self.asked.place)
    }

    /// Since the question came by there.
    fn latency(&self, seen: Seen) -> Option<u64> {
        let there = self.crossings.iter().filter(|one| one.place == seen.place);
        seen.time.checked_sub(there.map(|one| one.first).min()?)
    }

    /// What became of it, to be told once; `now` it is known.
    pub(crate) fn finish(&mut self, ends: Ends, now: u64) -> Option<Lookup> {
        let outcome = match std::mem::replace(&mut self.state, State::Over) {
            State::Answered(reply) => Outcome::Answered(reply),
            State::Asked => {
                self.state = State::GivenUp;
                Outcome::Unanswered
            }
            over => {
                self.state = over;
                return None;
            }
        };
        let retries = self.crossings.iter().map(|one| one.times - 1).max().unwrap_or(0);
        Some(Lookup {
            asked: self.asked,
            ends,
            question: self.question.clone(),
            retries,
            outcome,
            ended: now,
        })
    }
}

/// Ways across interfaces that are told apart: a packet does not cross more on one host.
const CROSSINGS: usize = 16;
