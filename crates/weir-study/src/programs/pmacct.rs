//! pmacct's pmacctd, printing flows.

use super::process::Process;
use super::{BUFFER_FULL, FILTER, NOT_REPORTED, Outcome, PORTS};
use anyhow::{Result, bail};
use nix::sys::signal::Signal;
use std::collections::HashSet;
use std::net::IpAddr;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// What makes a flow.
const AGGREGATE: &str = "src_host,dst_host,src_port,dst_port,proto";
/// What it then prints above its lines.
const COLUMNS: &str = "SRC_IP,DST_IP,SRC_PORT,DST_PORT,PROTOCOL,PACKETS,BYTES";
/// Seconds between two prints: more than any measurement takes, so that it prints at the end. Its default, 60, is
/// as far from one that lasts a second or two.
const REFRESH: &str = "3600";
/// After that a block that is not full has been handed to it.
const HANDED_OVER: Duration = Duration::from_millis(1100);
/// One that has anything to do is busy within this time.
const LULL: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(10);
/// What it says before the number of packets that its socket was given.
const RECEIVED: &str = "received_packets=";
/// What it says once it has printed all of its flows.
const PRINTED: &str = "Purging cache - END";

/// One that runs.
pub struct Pmacct {
    process: Process,
    /// What its socket took before it had its filter: among what was received ever after, and never read.
    unfiltered: u64,
}

impl Pmacct {
    pub fn start(mut command: Command, interface: &str) -> Result<Self> {
        command.args(["-i", interface, "-P", "print", "-O", "csv"]);
        command.args(["-c", AGGREGATE, "-r", REFRESH, FILTER]);
        let mut process = Process::start("pmacct", &mut command)?;
        // Its core handles signals once it has set its filter; its plugin tells of the cache when it is ready.
        process.wait_for("watch", |process| {
            let ready = [Signal::SIGINT, Signal::SIGUSR1].iter().all(|&signal| process.handles(signal))
                && process.errors().contains("cache entries=");
            Ok(ready.then_some(()))
        })?;
        let (unfiltered, _) = ask(&mut process)?;
        Ok(Self { process, unfiltered })
    }

    pub fn process(&self) -> &Process {
        &self.process
    }

    pub fn stop(mut self) -> Result<Outcome> {
        wait_until_read(&self.process)?;
        let (received, dropped) = ask(&mut self.process)?;
        self.process.signal(Signal::SIGINT)?;
        let status = self.process.ended()?;
        // Its core fails where it sees that its plugin has ended before it ends by itself, and then says no more.
        if !status.success() && !self.process.errors().contains(PRINTED) {
            return Err(self.process.misunderstood(&format!("has ended, with {status}")));
        }
        let printed = printed(&self.process.output())?;
        let mut outcome =
            Outcome { flows: Some(printed.flows), packets: Some(printed.packets), ..Outcome::default() };
        let handed_over = received.saturating_sub(dropped).saturating_sub(self.unfiltered);
        outcome.lose(BUFFER_FULL, dropped);
        outcome.lose(NOT_REPORTED, handed_over.saturating_sub(printed.packets));
        Ok(outcome)
    }
}

/// Until it has read what its buffers hold: once told to end it reads no more.
pub fn wait_until_read(process: &Process) -> Result<()> {
    thread::sleep(HANDED_OVER);
    let start = Instant::now();
    loop {
        let before = process.cpu()?;
        thread::sleep(LULL);
        if process.cpu()? == before || start.elapsed() > PATIENCE {
            return Ok(());
        }
    }
}

/// Packets received and dropped until now.
fn ask(process: &mut Process) -> Result<(u64, u64)> {
    let answers = |process: &Process| [process.output(), process.errors()].map(|text| answers(&text));
    let before = answers(process);
    process.wait_for("say how many packets it has received", |process| {
        process.signal(Signal::SIGUSR1)?;
        let is_new = answers(process) != before;
        Ok(received(&process.output()).or_else(|| received(&process.errors())).filter(|_| is_new))
    })
}

/// How often it has said what it received. It may be in the middle of a line.
fn answers(text: &str) -> usize {
    text.split_inclusive('\n').filter(|line| line.ends_with('\n') && line.contains(RECEIVED)).count()
}

/// Flows and packets of the study.
#[derive(Debug, Default, PartialEq, Eq)]
struct Printed {
    flows: u64,
    packets: u64,
}

/// Reads what it has printed, among what it says else. A flow may be printed more than once.
fn printed(output: &str) -> Result<Printed> {
    let mut flows = HashSet::new();
    let mut packets = 0u64;
    for line in output.lines() {
        if line.starts_with("SRC_IP,") && line != COLUMNS {
            bail!("pmacct prints other columns than {COLUMNS}: {line}");
        }
        if let Some((flow, count)) = flow(line) {
            flows.insert(flow);
            packets = packets.saturating_add(count);
        }
    }
    Ok(Printed { flows: flows.len() as u64, packets })
}

type Flow = (IpAddr, IpAddr, u16, u16);

/// A flow of the study, with its packets.
fn flow(line: &str) -> Option<(Flow, u64)> {
    let mut fields = line.split(',');
    let (source, destination) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let (from, to) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let ours = ["udp", "17"].contains(&fields.next()?) && PORTS.contains(&to);
    ours.then_some(((source, destination, from, to), fields.next()?.parse().ok()?))
}

/// Packets that its socket was given, and those of them that were dropped, by what it said last.
fn received(text: &str) -> Option<(u64, u64)> {
    let line = text.lines().rfind(|line| line.contains(RECEIVED))?;
    let value = |name: &str| line.split_whitespace().find_map(|word| word.strip_prefix(name)?.parse().ok());
    Some((value(RECEIVED)?, value("dropped_packets=")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OUTPUT: &str = "SRC_IP,DST_IP,SRC_PORT,DST_PORT,PROTOCOL,PACKETS,BYTES\n\
        10.9.0.1,10.9.0.2,55060,10000,udp,25,1150\n\
        10.9.0.1,10.9.0.2,55060,10001,udp,24,1104\n\
        10.9.0.1,10.9.0.2,55060,9999,udp,5,1104\n\
        10.9.0.1,10.9.0.2,55060,10001,tcp,5,1104\n\
        SRC_IP,DST_IP,SRC_PORT,DST_PORT,PROTOCOL,PACKETS,BYTES\n\
        10.9.0.1,10.9.0.2,55060,10001,udp,1,46\n\
        fd00::1,fd00::2,55060,42767,17,9,414\n\
        fd00::1,fd00::2,55060,42768,17,9,414\n\
        10.9.0.1,10.9.0.2,550\n\
        NOTICE ( default/core ): +++\n\
        NOTICE ( default/core ): stats [vb,0] time=1795394206 received_packets=70 dropped_packets=8\n\
        NOTICE ( default/core ): ---\n";

    #[test]
    fn flows_of_the_study_are_counted_once() {
        assert_eq!(printed(OUTPUT).expect("its columns"), Printed { flows: 3, packets: 59 });
        assert_eq!(received(OUTPUT), Some((70, 8)));
        assert_eq!(printed("").expect("nothing"), Printed::default());
        assert_eq!(received("INFO: started"), None);
        assert_eq!(answers(OUTPUT), 1);
        assert_eq!(answers(&format!("{OUTPUT}NOTICE: received_packets=71 dropped_pa")), 1);
        let other = printed("SRC_IP,DST_IP,PACKETS\n1.2.3.4,1.2.3.5,8\n").expect_err("other columns");
        assert!(other.to_string().ends_with("SRC_IP,DST_IP,PACKETS"), "{other}");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String, field: String, count: u64) {
            let _ = (printed(&text), received(&text));
            let line = format!("10.9.0.1,10.9.0.2,{count},10000,udp,{count},{field}\n");
            let twice = printed(&format!("{text}\n{line}{line}{text}"));
            if let Ok(printed) = twice {
                prop_assert!(printed.flows <= 2 + 2 * text.lines().count() as u64);
            }
            let _ = received(&format!("received_packets={count} dropped_packets={field}"));
        }
    }
}
