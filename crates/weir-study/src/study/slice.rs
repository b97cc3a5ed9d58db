//! The unit of all measurements: one watcher, one traffic, a fraction of a second.

use super::watcher::Watcher;
use crate::arms::readers::{Losses, Pace};
use crate::lab::{Lab, Line};
use crate::senders::{Job, Sent};
use anyhow::{Context, Result, bail};
use nix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// How long an eager reader waits for something to read.
pub const NAP: Duration = Duration::from_millis(2);
/// Senders that do not end within this after they should have are stuck.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether anybody reads what a watcher counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consumer {
    /// As an agent would: eager readers all the time, the others once an interval.
    Reads(Duration),
    /// Nobody until the end: what overflows is lost.
    Starves,
}

/// What was seen in a slice.
#[derive(Debug, Clone)]
pub struct Slice {
    /// Packets sent.
    pub sent: u64,
    /// Packets of each flow sent.
    pub flows: Vec<u64>,
    /// Packets that came by where they are observed.
    pub observed: u64,
    /// Packets that arrived.
    pub received: u64,
    /// For how long packets were sent.
    pub time: Duration,
    /// The same, of all senders together.
    pub busy: Duration,
    /// Packets of each flow that the watcher has reported; nothing where it cannot tell.
    pub tally: Option<Vec<u64>>,
    /// Flows and packets reported.
    pub reported: (Option<u64>, Option<u64>),
    /// Packets lost by causes that the watcher itself knows.
    pub losses: Losses,
    /// CPU time of the consumer.
    pub cpu: Duration,
}

/// Lets `watcher` see what `line` sends.
pub fn run(
    (lab, line): (&Lab, &mut Line),
    watcher: &mut Watcher,
    job: Job,
    consumer: Consumer,
) -> Result<Slice> {
    let (before, begun) = (line.arrived()?, line.begun());
    watcher.attach(lab)?;
    let cpu_before = thread_time()?;
    let watched = watch(line, watcher, job, consumer);
    let finished = watcher.finish();
    let arrived = line.arrived();
    let cpu = thread_time()?.saturating_sub(cpu_before);
    // Before anything is given up: who watches no more must not hang there.
    let outcome = watcher.detach(lab);
    let (sent, read, outcome) = (watched?, finished.context("cannot read what was counted")?, outcome?);
    let received = arrived?.packets - before.packets;

    let packets: Vec<u64> = sent.iter().map(|sent| sent.packets).collect();
    line.advance(&packets);
    let tally = read.is_some().then(|| watcher.tally().packets(line.schedule().flows));
    let counted = |tally: &Vec<u64>| {
        (Some(tally.iter().filter(|packets| **packets > 0).count() as u64), Some(tally.iter().sum()))
    };
    Ok(Slice {
        sent: packets.iter().sum(),
        flows: line.schedule().packets(&begun, &packets),
        observed: line.observed(packets.iter().sum(), received),
        received,
        time: sent.iter().map(|sent| sent.time).max().unwrap_or_default(),
        busy: sent.iter().map(|sent| sent.time).sum(),
        reported: tally.as_ref().map_or(outcome.reported, counted),
        tally,
        cpu: if read.is_some() { cpu } else { outcome.cpu },
        losses: read.into_iter().flatten().chain(outcome.losses).collect(),
    })
}

/// Reads until all have sent. What each has sent, by number.
fn watch(line: &Line, watcher: &mut Watcher, job: Job, consumer: Consumer) -> Result<Vec<Sent>> {
    let mut sent: Vec<Option<Sent>> = vec![None; line.senders().count()];
    let start = Instant::now();
    let mut last_read = start;
    line.senders().begin(job);
    while sent.iter().any(Option::is_none) {
        let patience = match (watcher.pace(), consumer) {
            (Some(Pace::Eager), Consumer::Reads(_)) => {
                watcher.read(NAP)?;
                Duration::ZERO
            }
            (Some(Pace::EveryInterval), Consumer::Reads(interval)) => {
                if last_read.elapsed() >= interval {
                    last_read += interval;
                    watcher.read(Duration::ZERO)?;
                }
                interval.saturating_sub(last_read.elapsed())
            }
            _ => job.time,
        };
        if let Some(done) = line.senders().wait(patience)? {
            sent[done.sender as usize] = Some(done);
        }
        if start.elapsed() > job.time + PATIENCE {
            bail!("a sender is stuck");
        }
    }
    Ok(sent.into_iter().flatten().collect())
}

/// CPU time of the calling thread.
fn thread_time() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}
