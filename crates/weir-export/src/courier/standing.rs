//! How a peer stands, and what is said of it.

use super::{Courier, READ, SELDOM, about, lock};
use crate::peer::{Later, Silence};
use std::io;
use std::sync::MutexGuard;
use std::time::Instant;
use weir_record::{PeerCondition, PeerState};

impl Courier {
    /// The connection is of no use any more.
    pub(super) fn lose(&mut self, error: &io::Error) {
        drop(self.messenger.ask(|peer| peer.disconnect()));
        self.connected = None;
        // What is seen on one connection says nothing of the next.
        let was_quiet =
            self.seen.take().zip(self.doubt.last()).is_some_and(|(seen, last)| seen > last + READ);
        let has_read = error.kind() == io::ErrorKind::UnexpectedEof && was_quiet;
        match self.silence {
            Silence::Bytes(_) if has_read => self.doubt.clear(),
            _ => {}
        }
        let wait = self.pace.wait().max(Later::wait(error).unwrap_or_default());
        self.retry = Some(Instant::now() + wait);
        let mut state = lock(&self.state);
        state.condition = PeerCondition::Away;
        state.failures += 1;
        state.error = Some(error.to_string());
        drop(state);
        self.tell_away();
    }

    /// Why the peer is not given anything now.
    pub(super) fn why_not(&self) -> String {
        // What it has said of what it was sent before is not why.
        if self.retry.is_none() && self.is_held_back() {
            return "it has had as much as its rate allows".into();
        }
        self.lock().error.clone().unwrap_or_else(|| "nothing was tried yet".into())
    }

    fn tell_away(&mut self) {
        let is_recent = self.told.is_some_and(|told| told.elapsed() < SELDOM);
        if self.is_told_away || is_recent {
            return;
        }
        (self.told, self.is_told_away) = (Some(Instant::now()), true);
        let waits = match self.spool {
            Some(_) => "what it should have waits on disk",
            None => "what it should have is lost: there is no spool",
        };
        (self.tell)(format!("{}; {waits}", about(&self.name, &self.why_not())));
    }

    pub(super) fn tell_back(&mut self) {
        if !std::mem::take(&mut self.is_told_away) {
            return;
        }
        let failures = self.lock().failures;
        let times = if failures == 1 { "once".into() } else { format!("{failures} times") };
        (self.tell)(format!("{} takes records again; so far it failed {times}", self.name));
    }

    pub(super) fn look_at_allowance(&self) {
        self.lock().held_back = self.is_held_back();
    }

    pub(super) fn look_at_spool(&self) {
        let Some(spool) = &self.spool else { return };
        let mut state = self.lock();
        state.spooled_records = spool.records();
        state.spooled_bytes = spool.bytes();
        state.spool_capacity_bytes = spool.capacity();
        state.damaged_records = spool.damaged();
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, PeerState> {
        lock(&self.state)
    }
}
