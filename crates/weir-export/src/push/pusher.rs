//! Sends samples, oldest first; what is not taken now waits in memory for some minutes.

use crate::batch::{Answer, Carrier, Form};
use crate::courier::{Tell, about, lock};
use crate::peer::Later;
use jiff::Timestamp;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use weir_record::{Pace, PeerCondition, PushState};

/// How long samples wait for a server that is away.
const PATIENCE: Duration = Duration::from_secs(300);
/// What they may take meanwhile.
const ROOM: usize = 64 << 20;
/// How long what waits may take at the end.
const FAREWELL: Duration = Duration::from_secs(3);
/// Lines of the log are this far apart at least.
const SELDOM: Duration = Duration::from_secs(60);

/// How a protocol says what is on a page.
pub trait Words: Send {
    /// What its requests are.
    fn form(&self) -> Form;

    /// Requests of what is so at this time in milliseconds, by this page of metrics. Without one all series have ended.
    ///
    /// # Errors
    /// It is no page.
    fn requests(&mut self, page: Option<&str>, time: i64) -> io::Result<Vec<Request>>;
}

/// A request that waits.
pub struct Request {
    /// What is posted.
    pub body: Vec<u8>,
    /// How many samples are in it.
    pub samples: u64,
}

/// To whom, and in which words.
pub type Spoken = (Box<dyn Carrier>, Box<dyn Words>);

/// Pushes to one server.
pub struct Pusher {
    carrier: Box<dyn Carrier>,
    words: Box<dyn Words>,
    is_connected: bool,
    /// Of when the last page was, and whether there was one.
    time: i64,
    has_page: bool,
    waiting: VecDeque<(Instant, Request)>,
    pace: Pace,
    retry: Option<Instant>,
    /// Of which page something was refused last.
    refused: Option<Instant>,
    state: Arc<Mutex<PushState>>,
    tell: Tell,
    said: Option<Instant>,
    /// How many complaints there were since, of which the log has no line.
    unsaid: u64,
}

impl Pusher {
    /// To this server, in these words.
    pub(super) fn new(name: String, (carrier, words): Spoken, tell: Tell) -> Self {
        Self {
            carrier,
            words,
            is_connected: false,
            time: i64::MIN,
            has_page: false,
            waiting: VecDeque::new(),
            pace: Pace::default(),
            retry: None,
            refused: None,
            state: Arc::new(Mutex::new(PushState { name, ..PushState::default() })),
            tell,
            said: None,
            unsaid: 0,
        }
    }

    /// How it stands, now and later.
    pub fn state(&self) -> Arc<Mutex<PushState>> {
        Arc::clone(&self.state)
    }

    /// When it may be tried again, where it has failed.
    pub fn retry(&self) -> Option<Instant> {
        self.retry
    }

    /// Takes a page as what is so now. Where there is none, or none that can be read, all series have ended, as they have
    /// with a scrape that fails.
    pub fn look(&mut self, page: io::Result<String>) {
        let requests = page.and_then(|page| self.say(Some(&page)));
        self.has_page = requests.is_ok();
        let requests = requests.or_else(|error| {
            self.lock().gaps += 1;
            self.complain(format!("there is nothing to push: {error}"));
            self.say(None)
        });
        // That nothing is there can be said of anything.
        self.add(requests.unwrap_or_default());
    }

    fn say(&mut self, page: Option<&str>) -> io::Result<Vec<Request>> {
        let now = Timestamp::now().as_millisecond();
        // Two samples of one time would be at odds.
        self.time = if now == self.time { now + 1 } else { now };
        self.words.requests(page, self.time)
    }

    /// Puts requests behind what waits.
    fn add(&mut self, requests: Vec<Request>) {
        let now = Instant::now();
        self.waiting.extend(requests.into_iter().map(|request| (now, request)));
        self.make_room();
        self.look_at_queue();
    }

    /// The oldest go first.
    fn make_room(&mut self) {
        let mut bytes = self.bytes();
        while let Some((since, request)) = self.waiting.front()
            && (since.elapsed() > PATIENCE || bytes > ROOM)
        {
            bytes -= request.body.len();
            self.lock().dropped_samples += request.samples;
            self.waiting.pop_front();
        }
    }

    /// Sends what waits, until then at most, or until it fails.
    pub fn push(&mut self, until: Instant) {
        if self.retry.is_some_and(|retry| Instant::now() < retry) {
            return;
        }
        // Nobody waits for what has been dropped meanwhile.
        self.retry = None;
        while let Some((since, request)) = self.waiting.pop_front() {
            match self.carry(&request) {
                Ok(answer) => self.enter(answer, since, request.samples),
                Err(error) => {
                    self.waiting.push_front((since, request));
                    self.is_away(&error);
                }
            }
            self.look_at_queue();
            if self.retry.is_some() || Instant::now() >= until {
                return;
            }
        }
    }

    fn carry(&mut self, request: &Request) -> io::Result<Answer> {
        if !self.is_connected {
            self.carrier.connect()?;
            self.is_connected = true;
        }
        self.carrier.carry(&request.body, self.words.form())
    }

    /// What came of so many samples of a page.
    fn enter(&mut self, answer: Answer, since: Instant, samples: u64) {
        self.pace = Pace::default();
        let refusal = match answer {
            Answer::Taken(_, verdict) => verdict.refusal(samples, "samples"),
            Answer::TooLarge(why) | Answer::Refused(why) => Some((samples, why)),
        };
        let refused = refusal.as_ref().map_or(0, |(refused, _)| *refused);
        let mut state = self.lock();
        state.condition = PeerCondition::Connected;
        state.taken_samples += samples - refused;
        state.refused_samples += refused;
        drop(state);
        match refusal {
            None => self.was_taken(since),
            Some((_, why)) => self.was_refused(since, &why),
        }
    }

    fn is_away(&mut self, error: &io::Error) {
        self.disconnect();
        let wait = self.pace.wait().max(Later::wait(error).unwrap_or_default());
        self.retry = Some(Instant::now() + wait);
        let mut state = self.lock();
        state.condition = PeerCondition::Away;
        state.failures += 1;
        drop(state);
        self.complain(error.to_string());
    }

    /// Where there was nothing to push, the reason stays; and that of a part of the same page.
    fn was_taken(&mut self, since: Instant) {
        if self.has_page && self.refused.is_none_or(|refused| since > refused) {
            self.lock().error = None;
        }
    }

    fn was_refused(&mut self, since: Instant, why: &str) {
        self.refused = Some(since);
        // A password may be another one by now.
        self.disconnect();
        let why = self.carrier.failed(format_args!("{why}; what it refuses is lost"));
        self.complain(why.to_string());
    }

    fn disconnect(&mut self) {
        self.carrier.disconnect();
        self.is_connected = false;
    }

    /// Says that all series have ended, and sends what can be sent within some seconds; the rest is dropped.
    pub fn finish(mut self) {
        // What waits goes at once: nobody comes back to it.
        self.retry = None;
        let ends = self.say(None).unwrap_or_default();
        self.add(ends);
        self.push(Instant::now() + FAREWELL);
        let left: u64 = self.waiting.drain(..).map(|(_, request)| request.samples).sum();
        self.lock().dropped_samples += left;
        self.look_at_queue();
    }

    /// For `weir status` always, for the log now and then.
    fn complain(&mut self, what: String) {
        let line = about(&self.lock().name, &what);
        self.lock().error = Some(what);
        if self.said.is_some_and(|said| said.elapsed() < SELDOM) {
            self.unsaid += 1;
            return;
        }
        self.said = Some(Instant::now());
        (self.tell)(match std::mem::take(&mut self.unsaid) {
            0 => line,
            1 => format!("{line}; since the last such line it failed once more"),
            times => format!("{line}; since the last such line it failed {times} times more"),
        });
    }

    fn bytes(&self) -> usize {
        self.waiting.iter().map(|(_, request)| request.body.len()).sum()
    }

    fn look_at_queue(&self) {
        let (samples, bytes) =
            (self.waiting.iter().map(|(_, request)| request.samples).sum(), self.bytes() as u64);
        let mut state = self.lock();
        (state.waiting_samples, state.waiting_bytes) = (samples, bytes);
    }

    fn lock(&self) -> MutexGuard<'_, PushState> {
        lock(&self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt;
    use std::net::IpAddr;
    use std::sync::mpsc;

    /// Whoever is asked, is away.
    struct Away;

    impl Carrier for Away {
        fn largest(&self) -> usize {
            1
        }

        fn connect(&mut self) -> io::Result<Option<IpAddr>> {
            Err(self.failed(format_args!("away")))
        }

        fn carry(&mut self, _: &[u8], _: Form) -> io::Result<Answer> {
            unreachable!("it cannot be reached")
        }

        fn failed(&self, why: fmt::Arguments<'_>) -> io::Error {
            io::Error::other(format!("http://in.example/: {why}"))
        }

        fn disconnect(&mut self) {}
    }

    /// Nothing is on any page.
    struct Silent;

    impl Words for Silent {
        fn form(&self) -> Form {
            unreachable!("nothing is sent")
        }

        fn requests(&mut self, _: Option<&str>, _: i64) -> io::Result<Vec<Request>> {
            Ok(vec![Request { body: vec![0], samples: 1 }])
        }
    }

    #[test]
    fn a_line_says_how_many_have_had_none() {
        let (sender, lines) = mpsc::channel();
        let tell: Tell = Box::new(move |line| sender.send(line).expect("it is listened to"));
        let mut pusher = Pusher::new("mimir".into(), (Box::new(Away), Box::new(Silent)), tell);
        let mut fail = |times: u64| {
            // As if the last line were long ago.
            pusher.said = pusher.said.and_then(|said| said.checked_sub(SELDOM));
            for _ in 0..times {
                pusher.retry = None;
                pusher.look(Ok(String::new()));
                pusher.push(Instant::now());
            }
            lines.try_iter().collect::<Vec<_>>()
        };
        let line = "mimir: http://in.example/: away";
        assert_eq!(fail(1), [line]);
        assert_eq!(fail(2), [line]);
        assert_eq!(fail(15), [format!("{line}; since the last such line it failed once more")]);
        assert_eq!(fail(1), [format!("{line}; since the last such line it failed 14 times more")]);
        assert_eq!(fail(1), [line]);
        assert_eq!(pusher.state().lock().expect("a state").failures, 20);
    }
}
