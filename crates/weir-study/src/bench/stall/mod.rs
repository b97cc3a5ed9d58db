//! A collector that hangs for ten minutes while ten thousand flows end each second, beside one that reads: what each of
//! them has in the end, and whether the other one noticed.

mod collector;

use crate::bench::Effort;
use crate::bench::agent::Agent;
use crate::bench::generator::Background;
use crate::bench::network::Network;
use crate::bench::report::{Report, Row, Table, Target};
use crate::bench::store::Directory;
use crate::interrupt;
use crate::spread::Spread;
use anyhow::{Result, ensure};
use collector::Collector;
use std::thread;
use std::time::{Duration, Instant};

/// New flows each second, of one packet each.
const FLOWS: u32 = 10_000;
/// As many as the network has addresses for.
const ALL_FLOWS: u32 = 1 << 22;
const SECOND: Duration = Duration::from_secs(1);
/// Before it hangs.
const CALM: Duration = Duration::from_secs(20);
/// To give the one that hung what it has missed.
const PATIENCE: Duration = Duration::from_secs(300);

/// Lets one hang for as long as the effort says.
pub fn run(effort: Effort, report: &mut Report) -> Result<()> {
    let (network, directory) = (Network::new()?, Directory::new()?);
    let (hung, reading) = (Collector::start(&network.receiver)?, Collector::start(&network.receiver)?);
    let place = directory.0.to_string_lossy().into_owned();
    let urls = [hung.url("hung"), reading.url("reading")];
    let flags = ["--idle-timeout", "1s", "--listen", "none", "--export", &urls[0], "--export", &urls[1]];
    let agent = Agent::keeping(&network.receiver, &place, &flags)?;
    let traffic = Background::start(&network, FLOWS, SECOND, 0..ALL_FLOWS)?;

    wait(CALM)?;
    let before = lags(&reading);
    hung.hang(true);
    wait(effort.stall)?;
    let meanwhile = lags(&reading);
    hung.hang(false);
    let again = Instant::now();
    let missed = reading.look(|seen| seen.distinct()) - hung.look(|seen| seen.distinct());
    wait(CALM)?;
    let sent = traffic.stop()?;
    for collector in [&hung, &reading] {
        let is_patient = || again.elapsed() < PATIENCE;
        while collector.look(|seen| seen.packets) < sent && is_patient() {
            wait(SECOND)?;
        }
    }
    let caught_up = again.elapsed();
    ensure!(agent.stop()? >= sent, "the agent has not seen all {sent} packets");
    thread::sleep(SECOND);
    let table = table(effort, [&hung, &reading], sent, [before, meanwhile], (missed, caught_up));
    report.add(table);
    hung.end()?;
    reading.end()
}

/// Sleeps, unless the user has had enough.
fn wait(time: Duration) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < time {
        interrupt::check()?;
        thread::sleep(time.saturating_sub(start.elapsed()).min(SECOND / 10));
    }
    Ok(())
}

/// How late records were since this was last asked.
fn lags(collector: &Collector) -> Spread {
    Spread::of(collector.look(|seen| std::mem::take(&mut seen.lags)))
}

fn table(
    effort: Effort,
    [hung, reading]: [&Collector; 2],
    sent: u64,
    [before, meanwhile]: [Spread; 2],
    (missed, caught_up): (u64, Duration),
) -> Table {
    let count = |name: &str, value: u64, target| {
        let value = Spread::of([value as f64]);
        Row { name: name.into(), value, ratio: None, target }
    };
    let lost = |collector: &Collector| sent.saturating_sub(collector.look(|seen| seen.packets));
    let again = |collector: &Collector| collector.look(|seen| seen.records - seen.distinct());
    let late = |name: &str, value| Row { name: name.into(), value, ratio: None, target: None };
    let none = Some(Target::AtMost(0.0));
    Table {
        title: format!("stall, {FLOWS} flows a second, {} s", effort.stall.as_secs()),
        unit: "records of one packet each; seconds, where that is said".into(),
        digits: 2,
        rows: vec![
            count("sent", sent, None),
            count("waited for the one that hung", missed, None),
            count("lost to the one that hung", lost(hung), none),
            count("lost to the one that read", lost(reading), none),
            count("repeated to the one that hung", again(hung), None),
            count("repeated to the one that read", again(reading), None),
            late("seconds from a record's end to the one that reads, before", before),
            late("the same, while the other hangs", meanwhile),
            count("seconds until the one that hung had everything", caught_up.as_secs(), None),
        ],
        notes: vec![
            "method: two exporters of one agent, ipfix+tcp, to collectors of this program; one takes no connection and".into(),
            "reads from none for that time. Records are told apart by flow_id, start and end. A record ends 1 s after its".into(),
            "packet (--idle-timeout), and is looked for each second.".into(),
        ],
    }
}
