//! The unit of all measurements: one watcher, one traffic, a fraction of a second.

use super::watcher::Watcher;
use crate::arms::Tally;
use crate::arms::readers::{Losses, Pace};
use crate::lab::{Lab, Line};
use crate::senders::{Job, Sent};
use anyhow::{Context, Result, bail};
use nix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// How long an eager reader waits for something to read.
const NAP: Duration = Duration::from_millis(2);
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
    /// Packets that arrived.
    pub received: u64,
    /// For how long packets were sent.
    pub time: Duration,
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
pub fn run(lab: &Lab, line: &mut Line, watcher: &mut Watcher, job: Job, consumer: Consumer) -> Result<Slice> {
    let before = line.arrived();
    let begun = line.begun();
    watcher.attach(lab)?;
    let mut tally = Tally::new(line.schedule().flows);
    let cpu_before = thread_time()?;
    let sent = watch(line, watcher, job, consumer, &mut tally);
    let mut losses = Losses::new();
    let read = match watcher.reader() {
        Some(reader) => reader.finish(&mut tally).map(|lost| losses = lost).map(|()| true),
        None => Ok(false),
    };
    let cpu = thread_time()?.saturating_sub(cpu_before);
    let outcome = watcher.detach(lab)?;
    let sent = sent?;
    let read = read.context("cannot read what was counted")?;
    losses.extend(outcome.losses);

    let packets: Vec<u64> = sent.iter().map(|sent| sent.packets).collect();
    line.advance(&packets);
    let reported = match outcome.reported {
        Some(reported) => reported,
        None if read => (Some(tally.flows()), Some(tally.packets())),
        None => (None, None),
    };
    Ok(Slice {
        sent: packets.iter().sum(),
        flows: line.schedule().packets(&begun, &packets),
        received: line.arrived().packets - before.packets,
        time: sent.iter().map(|sent| sent.time).max().unwrap_or_default(),
        tally: read.then(|| tally.each().to_vec()),
        reported,
        losses,
        cpu: if read { cpu } else { outcome.cpu },
    })
}

/// Reads until all have sent. What each has sent, by number.
fn watch(
    line: &Line,
    watcher: &mut Watcher,
    job: Job,
    consumer: Consumer,
    tally: &mut Tally,
) -> Result<Vec<Sent>> {
    let mut sent: Vec<Option<Sent>> = vec![None; line.senders().count()];
    let start = Instant::now();
    let mut next_read = start;
    line.senders().begin(job);
    while sent.iter().any(Option::is_none) {
        let mut patience = job.time;
        if let (Some(reader), Consumer::Reads(interval)) = (watcher.reader(), consumer) {
            match reader.pace() {
                Pace::Eager => {
                    reader.read(NAP, tally)?;
                    patience = Duration::ZERO;
                }
                Pace::EveryInterval => {
                    if next_read + interval <= Instant::now() {
                        next_read += interval;
                        reader.read(Duration::ZERO, tally)?;
                    }
                    patience = (next_read + interval).saturating_duration_since(Instant::now());
                }
            }
        }
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
