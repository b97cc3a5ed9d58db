//! Takes batches to a peer, in order; what it does not take now waits on disk.

mod messenger;
mod standing;

use self::messenger::{Delivery, Errant, Load, Messenger};
use crate::doubt::Doubt;
use crate::peer::{Gather, Peer, Sent, Silence};
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
/// A batch that takes longer is one of a slow peer's: a second brings one, as a rule. What comes meanwhile is put on disk, so
/// that it does not wait in memory for however long a peer may take.
const SLOW: Duration = Duration::from_millis(250);
/// As long as it takes.
const PATIENT: Duration = Duration::MAX;
/// A connection that has lasted so long is one: whoever takes connections and closes them is as good as away, whatever our own
/// kernel has taken from us before it heard.
const LASTING: Duration = Duration::from_secs(3);
/// A peer that comes and goes is told of no more often.
const SELDOM: Duration = Duration::from_secs(60);

/// One peer's.
pub struct Courier {
    name: String,
    messenger: Messenger,
    /// What the peer says of what it was sent.
    silence: Silence,
    filter: Option<Filter>,
    spool: Option<Spool>,
    /// What is on its way; until it is known what came of it nothing else is.
    errant: Option<Errant>,
    /// How much it may be given now; anything without.
    allowance: Option<Allowance>,
    /// What the peer wants at once, where there is a spool that can hold it until then.
    gather: Option<Gather>,
    doubt: Doubt,
    pace: Pace,
    /// Not before this is it tried again.
    retry: Option<Instant>,
    /// Since when it is connected.
    connected: Option<Instant>,
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
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn new(
        name: String,
        peer: Box<dyn Peer>,
        filter: Option<Filter>,
        spool: Option<Spool>,
        tell: Tell,
    ) -> io::Result<Self> {
        let (gather, silence) = (peer.gather().filter(|_| spool.is_some()), peer.silence());
        let spool = spool.map(|spool| match gather {
            Some(gather) => spool.of_files(gather.bytes),
            None => spool,
        });
        let courier = Self {
            name,
            messenger: Messenger::start(peer)?,
            silence,
            filter,
            spool,
            errant: None,
            allowance: None,
            gather,
            doubt: Doubt::default(),
            pace: Pace::default(),
            retry: None,
            connected: None,
            seen: None,
            is_slow: false,
            state: Arc::default(),
            tell,
            told: None,
            is_told_away: false,
        };
        courier.look_at_spool();
        Ok(courier)
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
        if self.is_first() && self.is_taken_at_once(&wanted) {
            return Ok(());
        }
        self.look_at_allowance();
        if self.is_put_away(&wanted)? {
            return Ok(());
        }
        let away = self.why_not();
        Err(io::Error::other(match self.spool {
            Some(_) => format!("the spool of {} is full; {away}", self.name),
            None => away,
        }))
    }

    /// Whether what comes now may go to the peer, past the spool.
    fn is_first(&self) -> bool {
        let nothing_waits = self.spool.as_ref().is_none_or(|spool| spool.is_empty() && !self.is_slow);
        nothing_waits && self.errant.is_none() && self.gather.is_none() && self.may_try()
    }

    /// Whether the peer has these now; or takes its time for them, and the spool has them meanwhile.
    fn is_taken_at_once(&mut self, records: &[FlowRecord]) -> bool {
        self.send(records.to_vec());
        let patience = if self.spool.is_some() { SLOW } else { PATIENT };
        if let Some(is_taken) = self.hear(patience) {
            return is_taken;
        }
        if !matches!(self.is_put_away(records), Ok(true)) {
            // Then it is in memory only.
            return self.hear(PATIENT) == Some(true);
        }
        // Only what was read is taken, once it has arrived; what cannot be is sent once more then.
        let _ = self.spool.as_mut().map(Spool::first);
        self.keep_on_disk();
        true
    }

    /// Whether the spool has these now.
    fn is_put_away(&mut self, records: &[FlowRecord]) -> io::Result<bool> {
        let Some(spool) = &mut self.spool else { return Ok(false) };
        // Never a broken pipe: that is a reader who has seen enough.
        let has_room = spool.add(records).map_err(io::Error::other);
        self.look_at_spool();
        has_room
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
        if self.connected.is_none() || self.errant.is_some() {
            return;
        }
        match self.messenger.ask(|peer| peer.look()).recv().unwrap_or_else(|_| Err(messenger::gone())) {
            Ok(()) => self.seen = Some(Instant::now()),
            Err(error) => return self.lose(&error),
        }
        if self.connected.is_some_and(|since| since.elapsed() > LASTING) {
            self.pace = Pace::default();
        }
        self.doubt.settle(self.silence);
    }

    /// Whether there is more that could be sent now, or is on its way.
    pub fn is_behind(&self) -> bool {
        let waits = self.spool.as_ref().is_some_and(|spool| match self.gather {
            Some(gather) => spool.is_ripe(gather.every),
            None => !spool.is_empty(),
        });
        let is_cut_off = self.connected.is_none() && !self.doubt.is_empty();
        let may_send = (waits || is_cut_off) && self.may_try() && !self.doubt.is_full(self.silence);
        self.errant.is_some() || may_send
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
        let is_in_doubt = !self.has_left_in_order();
        if let Some(spool) = &mut self.spool {
            // What may have been lost with a connection comes before what has waited.
            let again: Vec<_> = self.doubt.batches().filter(|_| is_in_doubt).collect();
            again.into_iter().rev().try_for_each(|batch| spool.add_first(batch)).map_err(io::Error::other)?;
            spool.sync().map_err(io::Error::other)?;
        }
        self.look_at_spool();
        Ok(())
    }

    /// Whether the peer is there until the end, so that it has all that it was sent: a stream's says so by closing it, too.
    fn has_left_in_order(&mut self) -> bool {
        let left = self.messenger.ask(|peer| peer.leave());
        let may_answer = self.connected.is_some() && self.errant.is_none();
        let has_closed = may_answer && matches!(left.recv_timeout(FAREWELL), Ok(Ok(())));
        match self.silence {
            Silence::Bytes(_) => has_closed,
            Silence::None | Silence::Time(_) => self.connected.is_some(),
        }
    }

    /// Sends what has waited longest; whether there is reason to go on.
    fn drain_one(&mut self) -> bool {
        if self.errant.is_some() {
            return self.hear(SLOW) != Some(false);
        }
        if !self.is_behind() {
            return false;
        }
        let first = match (&mut self.spool, self.gather) {
            (Some(spool), Some(_)) => spool.first_file(),
            (Some(spool), None) => spool.first(),
            (None, _) => Ok(None),
        };
        match first {
            Ok(Some(first)) => {
                self.send(first);
                self.keep_on_disk();
            }
            // Only what is in doubt.
            Ok(None) => self.send(Vec::new()),
            Err(error) => {
                self.lose(&io::Error::other(error));
                return false;
            }
        }
        self.hear(SLOW) != Some(false)
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

    /// Sends these on their way, behind what may have been lost with the connection before.
    fn send(&mut self, records: Vec<FlowRecord>) {
        let is_new = self.connected.is_none();
        let again = is_new.then(|| self.doubt.batches().map(<[_]>::to_vec).collect());
        self.errant = Some(self.messenger.bring(Load { again, records }));
    }

    /// What is on its way is what was read first of the spool, and stays there until it has arrived.
    fn keep_on_disk(&mut self) {
        if let Some(errant) = &mut self.errant {
            errant.is_spooled = true;
        }
    }

    /// Waits so long for what is on its way. Whether the peer has it, where that is known.
    fn hear(&mut self, patience: Duration) -> Option<bool> {
        let delivery = self.errant.as_ref()?.hear(patience);
        self.is_slow = self.spool.is_some() && delivery.as_ref().is_none_or(|delivery| delivery.time > SLOW);
        let (Delivery { records, sent, again, .. }, errant) = (delivery?, self.errant.take()?);
        let mut state = self.lock();
        state.resent_records += again.records;
        state.delivered_records += again.records - again.refused;
        drop(state);
        match sent {
            Ok(sent) => self.enter(records, sent),
            Err(error) => {
                self.lose(&error);
                return Some(false);
            }
        }
        if errant.is_spooled {
            self.take();
        }
        Some(true)
    }

    /// The peer has these, as far as it says so.
    fn enter(&mut self, records: Vec<FlowRecord>, sent: Sent) {
        let count = records.len();
        if self.connected.is_none() {
            self.connected = Some(Instant::now());
            self.doubt.renew();
            self.spend(self.doubt.records());
        }
        self.doubt.add(records, sent.bytes, self.silence);
        self.spend(count);
        if matches!(self.silence, Silence::None) {
            self.pace = Pace::default();
        }
        self.retry = None;
        let mut state = self.lock();
        state.delivered_records += count as u64 - sent.refused;
        state.refused_records += sent.refused;
        state.condition = PeerCondition::Connected;
        state.error = sent.why;
        drop(state);
        self.tell_back();
    }

    /// What was spooled first has arrived.
    fn take(&mut self) {
        let gathers = self.gather.is_some();
        let take = |spool: &mut Spool| if gathers { spool.take_file() } else { spool.take() };
        if let Some(Err(error)) = self.spool.as_mut().map(take) {
            self.lock().error = Some(error.to_string());
        }
        self.look_at_spool();
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
