//! The sending threads: each on a CPU of its own, walking through its part of the schedule.

mod packet;
mod udp;
mod walk;
mod windows;
mod xdp;

pub use packet::Packet;
pub use udp::Udp;
pub use walk::Walk;
pub use xdp::Xdp;

use windows::{WINDOW, Windows};

use crate::machine;
use anyhow::{Context, Result};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Makes packets. To be used on the thread that it was made on.
pub trait Generator {
    /// Sends about `count` packets, the next ones of the schedule.
    fn send(&mut self, count: u32) -> Result<Done>;

    /// Whether it keeps to so many packets per second by itself, from now on.
    fn keeps_pace(&mut self, _rate: Option<f64>) -> bool {
        false
    }

    /// Packets to begin with when nothing limits the rate, and the most at a time.
    fn chunk(&self) -> (u32, u32) {
        (2048, 8 * WINDOW as u32)
    }
}

/// What a generator has sent at once.
#[derive(Debug, Clone, Default)]
pub struct Done {
    /// Packets.
    pub packets: u64,
    /// How long it took, without what comes once a batch.
    pub time: Duration,
    /// Nanoseconds that a packet took in an even window, and in the odd one after it.
    pub windows: Vec<(f64, f64)>,
}

/// Makes the generator of a sender, on the thread that is going to use it and on its CPU.
pub type Maker = dyn Fn(u32, usize) -> Result<Box<dyn Generator>> + Send + Sync;

/// What senders are to do.
#[derive(Debug, Clone, Copy)]
pub struct Job {
    /// For how long.
    pub time: Duration,
    /// Packets per second, of each; as many as possible without this.
    pub rate: Option<f64>,
}

/// What a sender has done.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Which one.
    pub sender: u32,
    /// What.
    pub done: Done,
}

/// Between two looks at the clock when something does.
const GLANCE: f64 = 0.001;

/// All sending threads.
pub struct Senders {
    threads: Vec<(Sender<Job>, JoinHandle<()>)>,
    results: Receiver<Result<Sent>>,
}

impl Senders {
    /// Starts one on each of `cpus`; they wait.
    ///
    /// # Errors
    /// One of them cannot make packets.
    pub fn start(cpus: &[usize], make: std::sync::Arc<Maker>) -> Result<Self> {
        let (done, results) = mpsc::channel();
        let mut threads = Vec::new();
        for (number, &cpu) in cpus.iter().enumerate() {
            let (jobs, orders) = mpsc::channel();
            let (make, done) = (std::sync::Arc::clone(&make), done.clone());
            let thread = thread::Builder::new().name(format!("sender-{number}"));
            let thread = thread.spawn(move || work(number as u32, cpu, &*make, &orders, &done));
            threads.push((jobs, thread.context("cannot start a thread")?));
        }
        let senders = Self { threads, results };
        // Each says once that it is ready.
        for _ in cpus {
            senders.results.recv().context("a sender has gone")??;
        }
        Ok(senders)
    }

    /// Has all of them begin.
    pub fn begin(&self, job: Job) {
        for (jobs, _) in &self.threads {
            let _ = jobs.send(job);
        }
    }

    /// What the next one to end has done; nothing if none has within `patience`.
    ///
    /// # Errors
    /// It could not go on.
    pub fn wait(&self, patience: Duration) -> Result<Option<Sent>> {
        match self.results.recv_timeout(patience) {
            Ok(result) => result.map(Some),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => anyhow::bail!("the senders have gone"),
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.threads.len()
    }
}

impl Drop for Senders {
    fn drop(&mut self) {
        for (jobs, thread) in self.threads.drain(..) {
            drop(jobs);
            let _ = thread.join();
        }
    }
}

fn work(number: u32, cpu: usize, make: &Maker, orders: &Receiver<Job>, done: &Sender<Result<Sent>>) {
    let made = machine::stay_on(&[cpu]).and_then(|()| make(number, cpu));
    let mut generator = match made {
        Ok(generator) => generator,
        Err(error) => return drop(done.send(Err(error))),
    };
    let _ = done.send(Ok(Sent { sender: number, done: Done::default() }));
    while let Ok(job) = orders.recv() {
        let result = send(generator.as_mut(), job);
        let _ = done.send(result.map(|done| Sent { sender: number, done }));
    }
}

fn send(generator: &mut dyn Generator, job: Job) -> Result<Done> {
    let rate = if generator.keeps_pace(job.rate) { None } else { job.rate };
    let start = Instant::now();
    let mut sum = Done::default();
    while start.elapsed() < job.time {
        let chunk = match rate {
            None => next_chunk(generator.chunk(), &sum, job.time.saturating_sub(start.elapsed())),
            Some(rate) => {
                let due = (rate * (start.elapsed().as_secs_f64() + GLANCE)) as u64;
                u32::try_from(due.saturating_sub(sum.packets)).unwrap_or(u32::MAX).min(generator.chunk().1)
            }
        };
        if chunk == 0 {
            thread::sleep(Duration::from_secs_f64(GLANCE / 2.0));
            continue;
        }
        let batch = generator.send(chunk)?;
        sum.packets += batch.packets;
        sum.time += batch.time;
        sum.windows.extend(batch.windows);
    }
    // A limited rate is over the whole time, pauses included.
    Ok(if rate.is_some() { Done { time: start.elapsed(), ..sum } } else { sum })
}

/// As many packets as fit the time that is left, as far as that can be told.
fn next_chunk((first, most): (u32, u32), so_far: &Done, left: Duration) -> u32 {
    if so_far.packets == 0 {
        return first;
    }
    let rate = so_far.packets as f64 / so_far.time.as_secs_f64().max(1e-9);
    ((rate * left.as_secs_f64()) as u32).clamp(first.min(64), most)
}
