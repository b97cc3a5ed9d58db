//! A thread that pushes from time to time. Nobody waits for it but whoever ends it.

use super::{Push, Pusher};
use crate::courier::Tell;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};
use weir_record::PushState;

/// What is pushed, and how often.
pub struct Pushed {
    /// What tells this agent from others: the label `instance` where the URL says no other, or `service.instance.id`.
    pub instance: String,
    /// From one look to the next.
    pub interval: Duration,
    /// The page of metrics, in OpenMetrics.
    pub page: Box<dyn FnMut() -> io::Result<String> + Send>,
}

/// A thread that pushes.
#[derive(Debug)]
pub struct Running {
    state: Arc<Mutex<PushState>>,
    /// Nothing is sent: it stops when this is gone.
    _stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Push {
    /// Pushes until it is told to stop.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(&self, pushed: Pushed, tell: Tell) -> io::Result<Running> {
        let pusher = self.pusher(pushed.instance.clone(), tell);
        let (state, (stop, stopped)) = (pusher.state(), channel());
        let thread = Builder::new().name("push".into()).spawn(move || run(pusher, pushed, &stopped))?;
        Ok(Running { state, _stop: stop, thread })
    }
}

impl Running {
    /// How it stands, now and later.
    pub fn state(&self) -> Arc<Mutex<PushState>> {
        Arc::clone(&self.state)
    }

    /// Has it say that all series have ended, and send what can be sent within some seconds: then its thread ends.
    pub fn stop(self) -> JoinHandle<()> {
        self.thread
    }
}

fn run(mut pusher: Pusher, mut pushed: Pushed, stopped: &Receiver<()>) {
    // The agent answers once it runs.
    let mut next = Instant::now() + pushed.interval;
    loop {
        let now = Instant::now();
        if now >= next {
            pusher.look((pushed.page)());
            // What was missed meanwhile is not made up for: it would be said of another time.
            next += pushed.interval;
            if next <= now {
                next = now + pushed.interval;
            }
        }
        pusher.push(next);
        let wake = pusher.retry().map_or(next, |retry| retry.min(next));
        match stopped.recv_timeout(wake.saturating_duration_since(Instant::now())) {
            Err(RecvTimeoutError::Timeout) => {}
            _ => return pusher.finish(),
        }
    }
}
