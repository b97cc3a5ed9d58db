//! What the network does, for Prometheus: records summed by labels that the user chooses, within a budget of series.
//!
//! A sink like others, with a thread of its own: a scrape asks nothing of the agent. What goes on is counted when a record
//! of it ends.

mod budget;
mod candidates;
mod labels;
mod resent;
mod sums;
mod told;

use budget::Budget;
use resent::Resent;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use sums::Sums;
use weir_agent::{Closing, Sink};
use weir_record::{Dns, DnsAnswer, Event, FlowRecord, Happening};

pub use labels::Labels;
pub use told::Told;

/// All that is summed.
struct State {
    labels: Labels,
    budget: Budget,
    resent: Resent,
    /// Used for one record after the other.
    key: String,
}

/// What is summed, for the one that adds and those that ask.
#[derive(Clone)]
pub struct Network(Arc<Mutex<State>>);

impl Network {
    /// By these labels, with so many series at most, each of which stays for `grace` without anything to count.
    pub fn new(labels: Labels, most: usize, grace: Duration) -> Self {
        let budget = Budget::new(most, grace, Instant::now());
        Self(Arc::new(Mutex::new(State { labels, budget, resent: Resent::default(), key: String::new() })))
    }

    /// What there is to say now.
    pub fn told(&self) -> Told {
        let state = self.state();
        Told::new(&state.labels, &state.budget)
    }

    /// Counts how long an answer of DNS took, where it is one.
    pub fn add_answer(&self, event: &Event) {
        let Happening::Dns(Dns { answer: Some(DnsAnswer { latency: Some(latency), .. }), .. }) =
            event.happening
        else {
            return;
        };
        self.state().count(&event.flow, &Sums::of_answer(latency), Instant::now());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, records: &[FlowRecord], now: Instant) {
        for record in records {
            let more = Sums::of(record, self.resent.since_last(record, now));
            self.count(record, &more, now);
        }
    }

    fn count(&mut self, whose: &FlowRecord, more: &Sums, now: Instant) {
        self.labels.key_of(whose, &mut self.key);
        // Who is really called so shares its series.
        match Labels::is_other(&self.key) {
            true => self.budget.add_to_others(more),
            false => self.budget.add(&self.key, more, now),
        }
    }
}

impl Sink for Network {
    fn name(&self) -> &str {
        "metrics"
    }

    fn is_output(&self) -> bool {
        false
    }

    fn write(&mut self, records: &[FlowRecord]) -> io::Result<()> {
        self.state().add(records, Instant::now());
        Ok(())
    }

    fn go_on(&mut self) {
        let (mut state, now) = (self.state(), Instant::now());
        if state.budget.turn(now) {
            state.resent.expire(now);
        }
    }

    fn finish(&mut self, _closing: &Closing) -> io::Result<()> {
        Ok(())
    }
}
