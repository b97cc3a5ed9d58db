//! How fast the machine is at this moment. Neighbours on the host of a virtual machine take a sixth of its speed, and give
//! it back seconds later: turns of two arms, a few seconds apart, are turns of two machines. Work that no probe has
//! a part in drifts as traffic does, if it is done every few hundredths of a second in between.
//!
//! That work goes through a pipe: it enters the kernel and copies, as traffic does. Neighbours do not slow down both by
//! quite the same factor, so how traffic follows is fitted (see [`power`]). What an agent slows down altogether,
//! the pipe included, is not seen this way.

use crate::{interrupt, machine};
use anyhow::{Context, Result};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::ops::AddAssign;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

const BYTES: usize = 64;
/// Times through the pipe between two looks at the clock.
const TRIPS: u64 = 32;
/// How long traffic of the same thread goes on, and the reference after it. Both are far longer than what it takes
/// the caches to change over, and far shorter than the machine keeps its speed.
const TRAFFIC_SLICE: Duration = Duration::from_millis(10);
const REFERENCE_SLICE: Duration = Duration::from_millis(5);

/// What was done, and how long it took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Work {
    /// Packets, bytes, requests, times through the pipe.
    pub count: u64,
    /// Spent on them.
    pub time: Duration,
}

impl Work {
    /// Of them per second.
    pub fn rate(self) -> f64 {
        self.count as f64 / self.time.as_secs_f64()
    }
}

impl AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.time += other.time;
    }
}

/// Traffic, and the reference work that was done in between.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Measured {
    /// What is to be measured.
    pub traffic: Work,
    /// What it is measured by.
    pub reference: Work,
}

impl Measured {
    /// Traffic beside reference work, which it follows with this power: of use beside another such figure only.
    pub fn normalised(&self, power: f64) -> f64 {
        self.traffic.rate() / self.reference.rate().powf(power)
    }
}

/// With which power traffic follows the reference work as the machine's speed drifts: the slope of one logarithm over
/// the other (least squares) among the turns of each arm. What arms differ by is no part of it. One if nothing drifts.
pub fn power<'a>(arms: impl IntoIterator<Item = &'a [Measured]>) -> f64 {
    let (mut together, mut alone) = (0.0, 0.0);
    for turns in arms {
        let traffic = deviations(turns.iter().map(|turn| turn.traffic));
        let reference = deviations(turns.iter().map(|turn| turn.reference));
        together += traffic.iter().zip(&reference).map(|(one, other)| one * other).sum::<f64>();
        alone += reference.iter().map(|one| one * one).sum::<f64>();
    }
    if alone > 0.0 { together / alone } else { 1.0 }
}

/// By how much the logarithm of each rate is more than their mean.
fn deviations(works: impl Iterator<Item = Work>) -> Vec<f64> {
    let logarithms: Vec<f64> = works.map(|work| work.rate().ln()).collect();
    let mean = logarithms.iter().sum::<f64>() / logarithms.len() as f64;
    logarithms.iter().map(|logarithm| logarithm - mean).collect()
}

/// The reference work, on the thread that asks for it.
pub struct Reference {
    reader: PipeReader,
    writer: PipeWriter,
}

impl Reference {
    /// Opens the pipe.
    pub fn new() -> Result<Self> {
        let (reader, writer) = io::pipe().context("cannot make a pipe")?;
        Ok(Self { reader, writer })
    }

    /// Works for `time`.
    pub fn run(&self, time: Duration) -> Result<Work> {
        let mut bytes = [0; BYTES];
        let mut count = 0;
        let start = Instant::now();
        while start.elapsed() < time {
            for _ in 0..TRIPS {
                (&self.writer).write_all(&bytes)?;
                (&self.reader).read_exact(&mut bytes)?;
            }
            count += TRIPS;
        }
        Ok(Work { count, time: start.elapsed() })
    }

    /// Works in turn with `traffic`, which is told how long, until `time` has passed.
    pub fn beside(&self, time: Duration, traffic: impl Fn(Duration) -> Result<Work>) -> Result<Measured> {
        let mut measured = Measured::default();
        let start = Instant::now();
        while start.elapsed() < time {
            interrupt::check()?;
            measured.traffic += traffic(TRAFFIC_SLICE)?;
            measured.reference += self.run(REFERENCE_SLICE)?;
        }
        Ok(measured)
    }
}

/// The reference work on every CPU at once: what traffic of several processes is measured by.
pub struct OnEveryCpu {
    workers: Vec<Worker>,
}

/// A thread that waits until it is told how long to work, and ends when nobody can tell it any more.
struct Worker {
    order: Sender<Duration>,
    done: Receiver<Result<Work>>,
}

impl OnEveryCpu {
    /// Starts a thread on each CPU.
    pub fn new() -> Result<Self> {
        let workers = machine::allowed()?.into_iter().map(Worker::start).collect::<Result<_>>()?;
        Ok(Self { workers })
    }

    /// Works for `time`. What all have done, in the time of all: the rate is that of one CPU.
    pub fn run(&self, time: Duration) -> Result<Work> {
        for worker in &self.workers {
            worker.order.send(time).context("a thread of the reference work is gone")?;
        }
        let mut sum = Work::default();
        for worker in &self.workers {
            sum += worker.done.recv().context("a thread of the reference work is gone")??;
        }
        Ok(sum)
    }
}

impl Worker {
    fn start(cpu: usize) -> Result<Self> {
        let reference = Reference::new()?;
        let ((order, orders), (answer, done)) = (mpsc::channel(), mpsc::channel());
        thread::spawn(move || {
            for time in orders {
                // Being pinned already costs next to nothing, and whether it works is told with the first answer.
                let work = machine::stay_on(&[cpu]).and_then(|()| reference.run(time));
                if answer.send(work).is_err() {
                    break;
                }
            }
        });
        Ok(Self { order, done })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(2);

    fn work(count: u64, milliseconds: u64) -> Work {
        Work { count, time: Duration::from_millis(milliseconds) }
    }

    /// Traffic that loses more to neighbours than the reference work does: with half the speed it is a quarter.
    fn at(speed: u64, packets: u64) -> Measured {
        Measured { traffic: work(packets * speed * speed, 2000), reference: work(300 * speed, 1000) }
    }

    #[test]
    fn what_neighbours_take_is_no_difference() {
        let (native, watched) = ([at(10, 100), at(20, 100), at(12, 100)], [at(5, 90), at(5, 90), at(8, 90)]);
        let power = power([&native[..], &watched[..]]);
        assert!((power - 2.0).abs() < 1e-9, "{power}");
        for (native, watched) in native.iter().zip(&watched) {
            let ratio = watched.normalised(power) / native.normalised(power);
            assert!((ratio - 0.9).abs() < 1e-9, "{ratio}");
        }
    }

    #[test]
    fn where_nothing_drifts_nothing_is_fitted() {
        assert_eq!(power([&[at(10, 100), at(10, 90)][..]]), 1.0);
        assert_eq!(power([]), 1.0);
        assert_eq!(work(600, 2000).rate(), 300.0);
    }

    #[test]
    fn slices_add_up() {
        let mut sum = work(10, 20);
        sum += work(1, 2);
        assert_eq!(sum, work(11, 22));
    }

    #[test]
    fn traffic_and_reference_take_turns() {
        let reference = Reference::new().expect("there is a pipe");
        let slice = |time| Ok(Work { count: 7, time });
        let measured = reference.beside(4 * REFERENCE_SLICE, slice).expect("it runs");
        let slices = u32::try_from(measured.traffic.count / 7).expect("few");
        assert!(slices >= 1 && measured.traffic.time == slices * TRAFFIC_SLICE, "{measured:?}");
        assert!(measured.reference.time >= slices * REFERENCE_SLICE, "{measured:?}");
        assert!(measured.reference.count >= u64::from(slices) * TRIPS, "{measured:?}");
        let failing = |_| Err(anyhow::anyhow!("no traffic"));
        assert!(reference.beside(SHORT, failing).is_err());
    }

    #[test]
    fn every_cpu_takes_part_every_time() {
        let everywhere = OnEveryCpu::new().expect("there are pipes");
        let cpus = u32::try_from(machine::allowed().expect("some").len()).expect("few");
        for _ in 0..3 {
            let work = everywhere.run(SHORT).expect("it runs");
            assert!(work.time >= cpus * SHORT && work.count >= u64::from(cpus) * TRIPS, "{work:?}");
        }
    }
}
