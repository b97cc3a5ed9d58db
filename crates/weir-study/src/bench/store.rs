//! The history: how fast records are taken in by one thread, log and segments and all, and how large they are on disk.

pub mod records;

use crate::bench::Effort;
use crate::bench::report::{Report, Row, Table, Target};
use crate::spread::Spread;
use crate::study::thread_time;
use anyhow::{Context, Result};
use records::Records;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use weir_store::{Keeper, Opened, Question, Retention, Store, flow_batch};

/// Records in a batch, as the agent sends them.
const BATCH: usize = 2048;
/// Batches that are made to last at once, as a busy agent's are.
const TOGETHER: usize = 32;
/// Records that end in a second.
const A_SECOND: usize = 50_000;
/// Noon of a day that is over.
const NOON: u64 = 1_795_003_200_000_000_000;

/// Writes the same records again and again, each time into a directory of its own.
pub fn run(effort: Effort, report: &mut Report) -> Result<()> {
    let seconds = if effort.rounds > 3 { 20 } else { 4 };
    let records = seconds * A_SECOND;
    let (mut rates, mut busy, mut sizes, mut scans) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.rounds.min(5) {
        let directory = Directory::new()?;
        let taken = ingest(&directory.0, seconds)?;
        rates.push(records as f64 / taken.elapsed.as_secs_f64() / 1000.0);
        busy.push(records as f64 / taken.cpu.as_secs_f64() / 1000.0);
        sizes.push(bytes(&directory.0.join("flows"))? as f64 / records as f64);
        scans.push(records as f64 / scan(&directory.0)? / 1e6);
    }
    let row = |name: &str, samples: Vec<f64>, target| Row {
        name: name.into(),
        value: Spread::of(samples),
        ratio: None,
        target,
    };
    report.add(Table {
        title: "store".into(),
        unit: format!("{records} records of TCP and UDP with both directions, process and TCP's own figures"),
        digits: 1,
        rows: vec![
            row("taken in, thousand a second of one CPU", busy, Some(Target::AtLeast(300.0))),
            row("the same on the clock, the disk's part with it", rates, None),
            row("bytes a record on disk", sizes, Some(Target::AtMost(30.0))),
            row("summed over `bytes`, million a second", scans, None),
        ],
        notes: vec![
            "a server: 100 000 clients, 500 servers, 40 services by Zipf's law; what else is assumed of it is in docs/history.md".into(),
        ],
    });
    Ok(())
}

/// How long it took.
#[derive(Default)]
struct Taken {
    elapsed: Duration,
    /// Of that, what the thread that takes them in was at work.
    cpu: Duration,
}

impl Taken {
    /// Adds the time that this takes.
    fn during<T>(&mut self, work: impl FnOnce() -> weir_store::Result<T>) -> Result<T> {
        let (start, cpu) = (Instant::now(), thread_time()?);
        let done = work()?;
        self.elapsed += start.elapsed();
        self.cpu += thread_time()? - cpu;
        Ok(done)
    }
}

/// Takes in what ends in so many seconds. Records are made batch by batch between what is measured: an agent's are just
/// made, too, when they come to the history, and not among a million others that no cache holds.
fn ingest(directory: &Path, seconds: usize) -> Result<Taken> {
    let tables = vec![weir_store::Table::flows()];
    let Opened { mut writers, keeper, .. } =
        Keeper::open(directory, tables, Retention::default(), Box::new(drop))?;
    let writer = writers.first_mut().context("a table has a writer")?;
    let (mut made, mut taken, mut batches) = (Records::new(), Taken::default(), 0);
    for second in 0..seconds {
        let time = NOON + second as u64 * 1_000_000_000;
        let mut left = A_SECOND;
        while left > 0 {
            let records = made.make(left.min(BATCH), time);
            left -= records.len();
            taken.during(|| writer.append(flow_batch(&records)?))?;
            batches += 1;
            if batches % TOGETHER == 0 {
                taken.during(|| writer.commit())?;
            }
        }
    }
    taken.during(|| writer.write_segment())?;
    drop(keeper);
    Ok(taken)
}

/// Seconds to read one column of all.
fn scan(directory: &Path) -> Result<f64> {
    let start = Instant::now();
    let store = Store::open(directory)?;
    let snapshot = store.snapshot(weir_store::Table::flows())?;
    for batch in snapshot.scan(Question { columns: Some(vec!["bytes"]), ..Question::default() }) {
        batch?;
    }
    Ok(start.elapsed().as_secs_f64())
}

fn bytes(directory: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let about = entry.metadata()?;
        sum += if about.is_dir() { bytes(&entry.path())? } else { about.len() };
    }
    Ok(sum)
}

/// A directory that goes with all that is in it.
pub struct Directory(pub PathBuf);

impl Directory {
    /// An empty one.
    pub fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("weir-bench-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
