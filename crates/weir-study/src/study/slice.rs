//! The unit of all measurements: one watcher, one traffic, a fraction of a second.

use super::watcher::Watcher;
use crate::arms::readers::{Losses, Pace};
use crate::lab::{Lab, Line};
use crate::results::median;
use crate::senders::{Done, Job, Sent};
use anyhow::{Context, Result, bail};
use nix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// How long an eager reader waits for something to read.
pub const NAP: Duration = Duration::from_millis(2);
/// Between two looks whether anything needs to be done.
const DOZE: Duration = Duration::from_millis(10);
/// How long packets may be on their way.
const SETTLE: Duration = Duration::from_millis(200);
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

/// Which packets a watcher sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sees {
    /// All.
    All,
    /// Those of every other window: the others are taken off the way before.
    EveryOther,
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
    /// Packets that arrived per second while they were sent.
    pub rate: f64,
    /// For how long packets were sent.
    pub time: Duration,
    /// The same, of all senders together.
    pub busy: Duration,
    /// What packets of one window after the other took; nothing where a watcher saw all of them.
    pub nearby: Option<Nearby>,
    /// Packets of each flow that the watcher has reported; nothing where it cannot tell.
    pub tally: Option<Vec<u64>>,
    /// Flows and packets reported.
    pub reported: (Option<u64>, Option<u64>),
    /// Packets lost by causes that the watcher itself knows.
    pub losses: Losses,
    /// CPU time of the consumer.
    pub cpu: Duration,
}

/// Windows that a watcher saw, and the ones after them that it did not see ([`Sees::EveryOther`]): medians, in nanoseconds
/// per packet on the CPU that sent it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nearby {
    /// What those took that it did not see.
    pub unwatched_ns: f64,
    /// How much longer those took that it saw.
    pub difference_ns: f64,
}

impl Nearby {
    fn of(sent: &[Done]) -> Option<Self> {
        let pairs = || sent.iter().flat_map(|done| &done.windows);
        let difference_ns = median(&pairs().map(|(seen, unseen)| seen - unseen).collect::<Vec<_>>())?;
        let unwatched_ns = median(&pairs().map(|(_, unseen)| *unseen).collect::<Vec<_>>())?;
        Some(Self { unwatched_ns, difference_ns })
    }
}

/// Lets `watcher` see what `line` sends.
///
/// # Errors
/// A sender has failed, and the line is broken; or the watcher has, and the line goes on.
pub fn run(
    (lab, line): (&Lab, &mut Line),
    watcher: &mut Watcher,
    job: Job,
    (consumer, sees): (Consumer, Sees),
) -> Result<Slice> {
    let (before, begun) = (line.arrived()?, line.begun());
    watcher.attach(lab)?;
    let (watched, cpu) = timed(|| {
        let _gate = if sees == Sees::EveryOther { Some(line.gate()?) } else { None };
        watch(line, watcher, job, consumer)
    })?;
    let arrived = watched.as_ref().map_or(Ok(0), |watched| settle(line, before, watched));
    let (finished, cpu_at_the_end) = timed(|| watcher.finish())?;
    // Before anything is given up: who watches no more must not hang there.
    let outcome = watcher.detach(lab);
    let Watched { sent, complaint } = watched?;
    let packets: Vec<u64> = sent.iter().map(|done| done.packets).collect();
    line.advance(&packets);
    if let Some(complaint) = complaint {
        return Err(complaint.context("cannot read what was counted"));
    }
    let read = finished.context("cannot read what was counted")?;
    let (outcome, received) = (outcome?, arrived? - before);

    let tally = read.is_some().then(|| watcher.tally().packets(line.schedule().flows));
    let counted = |tally: &Vec<u64>| {
        (Some(tally.iter().filter(|packets| **packets > 0).count() as u64), Some(tally.iter().sum()))
    };
    let all = packets.iter().sum();
    let rate: f64 = sent.iter().map(|done| done.packets as f64 / done.time.as_secs_f64().max(1e-9)).sum();
    Ok(Slice {
        sent: all,
        flows: line.schedule().packets(&begun, &packets),
        observed: line.observed(all, received),
        received,
        rate: rate * received as f64 / (all as f64).max(1.0),
        time: sent.iter().map(|done| done.time).max().unwrap_or_default(),
        busy: sent.iter().map(|done| done.time).sum(),
        nearby: if sees == Sees::EveryOther { Nearby::of(&sent) } else { None },
        reported: tally.as_ref().map_or(outcome.reported, counted),
        tally,
        cpu: if read.is_some() { cpu + cpu_at_the_end } else { outcome.cpu },
        losses: read.into_iter().flatten().chain(outcome.losses).collect(),
    })
}

/// What senders have done, by number; and what a reader had to complain of meanwhile.
struct Watched {
    sent: Vec<Done>,
    complaint: Option<anyhow::Error>,
}

/// Reads until all have sent. A reader that fails reads no more, and the senders are waited for all the same.
fn watch(line: &mut Line, watcher: &mut Watcher, job: Job, consumer: Consumer) -> Result<Watched> {
    let mut sent: Vec<Option<Done>> = vec![None; line.senders().count()];
    let start = Instant::now();
    let mut last_read = start;
    let mut complaint = None;
    line.senders().begin(job);
    while sent.iter().any(Option::is_none) {
        let patience = match consumer {
            Consumer::Reads(interval) if complaint.is_none() => read(watcher, interval, &mut last_read)
                .unwrap_or_else(|error| {
                    complaint = Some(error);
                    Duration::ZERO
                }),
            _ => NAP,
        };
        match line.senders().wait(patience) {
            Ok(Some(Sent { sender, done })) => sent[sender as usize] = Some(done),
            Ok(None) if start.elapsed() > job.time + PATIENCE => {
                line.give_up();
                bail!("a sender is stuck");
            }
            Ok(None) => {}
            Err(error) => {
                line.give_up();
                return Err(error);
            }
        }
    }
    Ok(Watched { sent: sent.into_iter().flatten().collect(), complaint })
}

/// Reads what is to be read now. How long there is nothing to do.
fn read(watcher: &mut Watcher, interval: Duration, last_read: &mut Instant) -> Result<Duration> {
    let Some(pace) = watcher.pace() else { return Ok(interval) };
    if pace == Pace::Eager {
        watcher.read(NAP)?;
        return Ok(Duration::ZERO);
    }
    if last_read.elapsed() >= interval {
        *last_read += interval;
        watcher.read(Duration::ZERO)?;
    }
    let left = interval.saturating_sub(last_read.elapsed());
    if pace == Pace::WhenWoken {
        watcher.relieve(left.min(DOZE))?;
        return Ok(Duration::ZERO);
    }
    Ok(left)
}

/// Packets may still be on their way. What has arrived when all have, or when no more come.
fn settle(line: &Line, before: u64, watched: &Watched) -> Result<u64> {
    let sent: u64 = watched.sent.iter().map(|done| done.packets).sum();
    let start = Instant::now();
    let mut arrived = line.arrived()?;
    while arrived - before < sent && start.elapsed() < SETTLE {
        std::thread::sleep(DOZE);
        let now = line.arrived()?;
        if now == arrived {
            break;
        }
        arrived = now;
    }
    Ok(arrived)
}

/// What `work` comes to, and the CPU time that it took.
fn timed<T>(work: impl FnOnce() -> T) -> Result<(T, Duration)> {
    let before = thread_time()?;
    let result = work();
    Ok((result, thread_time()?.saturating_sub(before)))
}

/// CPU time of the calling thread.
pub fn thread_time() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(windows: &[(f64, f64)]) -> Done {
        Done { packets: 0, time: Duration::ZERO, windows: windows.to_vec() }
    }

    /// By its own neighbour each: the slow pair is as good as the others.
    #[test]
    fn windows_are_held_against_the_next_by_all_senders_together() {
        let sent = [done(&[(170.0, 150.0), (275.0, 255.0)]), done(&[(171.0, 149.0)])];
        assert_eq!(Nearby::of(&sent), Some(Nearby { unwatched_ns: 150.0, difference_ns: 20.0 }));
        assert_eq!(Nearby::of(&[done(&[])]), None);
    }
}
