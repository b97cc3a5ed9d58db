//! Takes batches to a peer, in order; what it does not take now waits on disk.

use crate::doubt::Doubt;
use crate::peer::{Gather, Later, Peer, Sent, Silence};
use crate::rate::{Allowance, Rate};
use std::borrow::Cow;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use weir_filter::Filter;
use weir_record::{FlowRecord, Pace, PeerCondition, PeerState};
use weir_store::Spool;

/// Where it says what somebody should know: that the peer is away, and that it is there again.
pub type Tell = Box<dyn Fn(String) + Send>;

/// A peer that was there this long after the last byte, and closes in order later, has read all there was.
const READ: Duration = Duration::from_millis(500);
/// How long what waits may take at the end.
const FAREWELL: Duration = Duration::from_secs(3);
/// A batch that takes longer is one of a slow peer's: a second brings one, as a rule.
const SLOW: Duration = Duration::from_millis(250);
/// A peer that comes and goes is told of no more often.
const SELDOM: Duration = Duration::from_secs(60);

/// One peer's.
pub struct Courier {
    name: String,
    peer: Box<dyn Peer>,
    filter: Option<Filter>,
    spool: Option<Spool>,
    /// How much it may be given now; anything without.
    allowance: Option<Allowance>,
    /// What the peer wants at once, where there is a spool that can hold it until then.
    gather: Option<Gather>,
    doubt: Doubt,
    pace: Pace,
    /// Not before this is it tried again.
    retry: Option<Instant>,
    is_connected: bool,
    /// When it was seen to be there last, while nothing was sent.
    seen: Option<Instant>,
    /// Whether it takes so long that what comes had better wait on disk than in memory.
    is_slow: bool,
    state: Arc<Mutex<PeerState>>,
    tell: Tell,
    told: Option<Instant>,
    is_told_away: bool,
}

impl Courier {
    /// To this peer; without a spool what it does not take is lost.
    pub fn new(
        name: String,
        peer: Box<dyn Peer>,
        filter: Option<Filter>,
        spool: Option<Spool>,
        tell: Tell,
    ) -> Self {
        let gather = peer.gather().filter(|_| spool.is_some());
        let spool = spool.map(|spool| match gather {
            Some(gather) => spool.of_files(gather.bytes),
            None => spool,
        });
        let courier = Self {
            name,
            peer,
            filter,
            spool,
            allowance: None,
            gather,
            doubt: Doubt::default(),
            pace: Pace::default(),
            retry: None,
            is_connected: false,
            seen: None,
            is_slow: false,
            state: Arc::default(),
            tell,
            told: None,
            is_told_away: false,
        };
        courier.look_at_spool();
        courier
    }

    /// Gives the peer no more than that; what is beyond it waits.
    pub fn at_most(self, rate: Option<Rate>) -> Self {
        Self { allowance: rate.map(|rate| Allowance::new(rate, Instant::now())), ..self }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it stands, now and later.
    pub fn state(&self) -> Arc<Mutex<PeerState>> {
        Arc::clone(&self.state)
    }

    /// Takes a batch: the peer has it then, or the spool.
    ///
    /// # Errors
    /// Neither: it is lost, and why.
    pub fn write(&mut self, records: &[FlowRecord]) -> io::Result<()> {
        let wanted = self.wanted(records);
        if wanted.is_empty() {
            return Ok(());
        }
        let is_first = self.spool.as_ref().is_none_or(|spool| spool.is_empty() && !self.is_slow);
        if is_first && self.gather.is_none() && self.deliver(&wanted) {
            return Ok(());
        }
        self.look_at_allowance();
        let Some(spool) = &mut self.spool else { return Err(io::Error::other(self.why_not())) };
        // Never a broken pipe: that is a reader who has seen enough.
        let has_room = spool.add(&wanted).map_err(io::Error::other);
        self.look_at_spool();
        match has_room? {
            true => Ok(()),
            false => Err(io::Error::other(format!("the spool of {} is full; {}", self.name, self.why_not()))),
        }
    }

    fn wanted<'r>(&self, records: &'r [FlowRecord]) -> Cow<'r, [FlowRecord]> {
        let Some(filter) = &self.filter else { return records.into() };
        let wanted: Vec<_> = records.iter().filter(|record| filter.matches(record)).cloned().collect();
        self.lock().filtered_records += (records.len() - wanted.len()) as u64;
        wanted.into()
    }

    /// What it sends of records; all without.
    pub fn filter(&self) -> Option<&Filter> {
        self.filter.as_ref()
    }

    /// Makes last what is in the spool. Called when nothing waits, and about once a second.
    ///
    /// # Errors
    /// What was put into the spool does not last.
    pub fn settle(&mut self) -> io::Result<()> {
        if let Some(spool) = &mut self.spool {
            spool.sync().map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Looks after the connection, and sends what has waited longest. Called when nobody waits for an answer.
    pub fn go_on(&mut self) {
        self.look();
        self.drain_one();
        self.look_at_allowance();
    }

    /// Looks first: what was refused is in doubt still.
    fn look(&mut self) {
        if !self.is_connected {
            return;
        }
        match self.peer.look() {
            Ok(()) => self.seen = Some(Instant::now()),
            Err(error) => self.lose(&error),
        }
        if self.is_connected {
            self.doubt.settle(self.peer.silence());
        }
    }

    /// Whether there is more that could be sent now.
    pub fn is_behind(&self) -> bool {
        let waits = self.spool.as_ref().is_some_and(|spool| match self.gather {
            Some(gather) => spool.is_ripe(gather.every),
            None => !spool.is_empty(),
        });
        let is_cut_off = !self.is_connected && !self.doubt.is_empty();
        (waits || is_cut_off) && self.may_try() && !self.doubt.is_full(self.peer.silence())
    }

    /// Sends what can be sent within some seconds. What is left in the spool is the next agent's.
    ///
    /// # Errors
    /// What is in the spool does not last.
    pub fn finish(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + FAREWELL;
        self.look();
        if let Some(gather) = &mut self.gather {
            // Nothing more is collected.
            gather.every = Duration::ZERO;
        }
        while self.is_behind() && Instant::now() < deadline && self.drain_one() {}
        if let Some(spool) = &mut self.spool {
            // What may have been lost with a connection comes before what has waited.
            let again: Vec<_> = self.doubt.batches().filter(|_| !self.is_connected).collect();
            again.into_iter().rev().try_for_each(|batch| spool.add_first(batch)).map_err(io::Error::other)?;
            spool.sync().map_err(io::Error::other)?;
        }
        self.peer.disconnect();
        Ok(())
    }

    /// Sends what has waited longest; whether there is reason to go on.
    fn drain_one(&mut self) -> bool {
        if !self.is_behind() {
            return false;
        }
        let gathers = self.gather.is_some();
        let first = |spool: &mut Spool| if gathers { spool.first_file() } else { spool.first() };
        let take = |spool: &mut Spool| if gathers { spool.take_file() } else { spool.take() };
        let first = match self.spool.as_mut().map(first) {
            Some(Ok(Some(first))) => first,
            Some(Err(error)) => {
                self.lose(&io::Error::other(error));
                return false;
            }
            // Only what is in doubt.
            _ => return self.deliver(&[]),
        };
        let is_taken = self.deliver(&first);
        if is_taken && let Some(Err(error)) = self.spool.as_mut().map(take) {
            self.lock().error = Some(error.to_string());
        }
        self.look_at_spool();
        is_taken
    }

    fn may_try(&self) -> bool {
        self.retry.is_none_or(|retry| Instant::now() >= retry) && !self.is_held_back()
    }

    /// Whether the peer has had as much as its rate allows.
    fn is_held_back(&self) -> bool {
        self.allowance.as_ref().is_some_and(|allowance| !allowance.is_left(Instant::now()))
    }

    fn spend(&mut self, records: usize) {
        if let Some(allowance) = &mut self.allowance {
            allowance.spend(records, Instant::now());
        }
    }

    /// Whether the peer has these now.
    fn deliver(&mut self, records: &[FlowRecord]) -> bool {
        if !self.may_try() {
            return false;
        }
        let start = Instant::now();
        let sent = self.try_deliver(records);
        self.is_slow = start.elapsed() > SLOW && self.spool.is_some();
        if let Err(error) = &sent {
            self.lose(error);
        }
        sent.is_ok()
    }

    fn try_deliver(&mut self, records: &[FlowRecord]) -> io::Result<()> {
        if !self.is_connected {
            self.peer.connect()?;
            self.is_connected = true;
            for batch in self.doubt.batches() {
                let sent = self.peer.send(batch)?;
                let mut state = lock(&self.state);
                state.resent_records += batch.len() as u64;
                state.delivered_records += batch.len() as u64 - sent.refused;
            }
            self.doubt.renew();
            self.spend(self.doubt.records());
        }
        let sent = if records.is_empty() { Sent::default() } else { self.peer.send(records)? };
        self.doubt.add(records, sent.bytes, self.peer.silence());
        self.spend(records.len());
        self.pace = Pace::default();
        self.retry = None;
        let mut state = lock(&self.state);
        state.delivered_records += records.len() as u64 - sent.refused;
        state.refused_records += sent.refused;
        state.condition = PeerCondition::Connected;
        state.error = sent.why;
        drop(state);
        self.tell_back();
        Ok(())
    }

    /// The connection is of no use any more.
    fn lose(&mut self, error: &io::Error) {
        self.peer.disconnect();
        self.is_connected = false;
        // What is seen on one connection says nothing of the next.
        let was_quiet =
            self.seen.take().zip(self.doubt.last()).is_some_and(|(seen, last)| seen > last + READ);
        let has_read = error.kind() == io::ErrorKind::UnexpectedEof && was_quiet;
        match self.peer.silence() {
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
    fn why_not(&self) -> String {
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

    fn tell_back(&mut self) {
        if !std::mem::take(&mut self.is_told_away) {
            return;
        }
        let failures = self.lock().failures;
        let times = if failures == 1 { "once".into() } else { format!("{failures} times") };
        (self.tell)(format!("{} takes records again; so far it failed {times}", self.name));
    }

    fn look_at_allowance(&self) {
        self.lock().held_back = self.is_held_back();
    }

    fn look_at_spool(&self) {
        let Some(spool) = &self.spool else { return };
        let mut state = self.lock();
        state.spooled_records = spool.records();
        state.spooled_bytes = spool.bytes();
        state.spool_capacity_bytes = spool.capacity();
        state.damaged_records = spool.damaged();
    }

    fn lock(&self) -> MutexGuard<'_, PeerState> {
        lock(&self.state)
    }
}

/// What is said of a peer of this name; a URL that says where it went wrong needs no other name.
pub fn about(name: &str, what: &str) -> String {
    if what.starts_with(name) { what.to_owned() } else { format!("{name}: {what}") }
}

/// What another thread was showing when it panicked is as good as before.
pub fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
