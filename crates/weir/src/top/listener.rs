//! Takes in what an agent says: one that runs, or our own.

use super::tally::Tally;
use crate::view::Summary;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use weir_agent::{Flows, Mark, Wanted};

/// Conversations that are told of after each drain, the busiest first; others are counted when they end.
const LIVE: usize = 10_000;

/// What is heard, and the view reads.
#[derive(Default)]
pub struct Board {
    pub tally: Tally,
    pub summary: Summary,
    /// What the counts of the last interval are of.
    pub time: Duration,
    /// Whose counts they are; none if our own.
    pub told_by: Option<String>,
    /// What there is to say.
    pub notice: Option<String>,
}

/// A board, for several threads.
#[derive(Clone, Default)]
pub struct Shared(Arc<Mutex<Board>>);

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first question.
pub const FIRST: Wanted = Wanted { since: None, most: LIVE };

/// What came of listening.
#[derive(PartialEq, Eq)]
pub enum Heard {
    /// An interval has ended.
    More,
    /// The agent has not drained meanwhile.
    Nothing,
    /// Another agent answers: that one is gone.
    Another,
}

/// Whom it listens to, and up to where it has been told.
pub struct Listener {
    board: Shared,
    pid: u32,
    mark: Mark,
    counted: Duration,
}

impl Listener {
    /// Begins the board anew with the answer to the first question.
    pub fn new(board: Shared, first: &Flows) -> Self {
        let mut written = board.lock();
        (written.tally, written.summary) = (Tally::new(first), Summary::told(first));
        drop(written);
        Self { board, pid: first.pid, mark: first.next, counted: counted(first) }
    }

    /// Asks for what has moved since the last time.
    ///
    /// # Errors
    /// Those of `ask`.
    pub fn hear<E>(&mut self, mut ask: impl FnMut(Wanted) -> Result<Flows, E>) -> Result<Heard, E> {
        loop {
            let flows = ask(Wanted { since: Some(self.mark), most: LIVE })?;
            if flows.pid != self.pid {
                return Ok(Heard::Another);
            }
            self.mark = flows.next;
            let mut board = self.board.lock();
            board.tally.end(&flows);
            if flows.is_partial {
                continue;
            }
            if counted(&flows) <= self.counted {
                return Ok(Heard::Nothing);
            }
            board.tally.live(&flows);
            board.summary = Summary::told(&flows);
            board.time = counted(&flows) - self.counted;
            self.counted = counted(&flows);
            return Ok(Heard::More);
        }
    }

    /// How long the agent has counted when it last drained.
    pub fn counted(&self) -> Duration {
        self.counted
    }
}

/// Whoever answers may be anybody: any number is taken.
fn counted(flows: &Flows) -> Duration {
    Duration::try_from_secs_f64(flows.counted_seconds).unwrap_or_default()
}
