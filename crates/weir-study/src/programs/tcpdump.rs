//! tcpdump, writing to nowhere.

use super::process::Process;
use super::{BUFFER_FULL, FILTER, NOT_REPORTED, Outcome};
use anyhow::Result;
use nix::sys::signal::Signal;
use std::process::Command;
use std::time::{Duration, Instant};

/// It is handed a block that is not full after a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// One that runs.
pub struct Tcpdump {
    process: Process,
    /// What its socket took before it had its filter, such as what a new interface's neighbours say: it is
    /// among what was received ever after, and never captured.
    unfiltered: u64,
}

impl Tcpdump {
    pub fn start(mut command: Command, interface: &str) -> Result<Self> {
        command.args(["-i", interface, "-w", "/dev/null", FILTER]);
        let mut process = Process::start("tcpdump", &mut command)?;
        // It says so when it has set its filter.
        process.wait_for("watch", |process| Ok(process.errors().contains("listening on").then_some(())))?;
        let unfiltered = process.wait_for("say what it has received", |process| {
            process.signal(Signal::SIGUSR1)?;
            Ok(counts(&process.errors()).map(Counts::unread))
        })?;
        Ok(Self { process, unfiltered })
    }

    pub fn process(&self) -> &Process {
        &self.process
    }

    pub fn stop(mut self) -> Result<Outcome> {
        let start = Instant::now();
        let unfiltered = self.unfiltered;
        let old_words = self.process.errors().len();
        self.process.wait_for("say what it has captured", |process| {
            let counts = process.errors().get(old_words..).and_then(counts);
            if counts.is_some_and(|counts| counts.unread() <= unfiltered) || start.elapsed() > PATIENCE {
                return Ok(Some(()));
            }
            process.signal(Signal::SIGUSR1)?;
            Ok(None)
        })?;
        self.process.signal(Signal::SIGINT)?;
        self.process.ended_well()?;
        let counts = counts(&self.process.errors());
        let counts = counts.ok_or_else(|| self.process.misunderstood("does not say what it has captured"))?;
        let mut outcome = Outcome { packets: Some(counts.captured), ..Outcome::default() };
        outcome.lose(BUFFER_FULL, counts.dropped);
        outcome.lose(NOT_REPORTED, counts.unread().saturating_sub(unfiltered));
        Ok(outcome)
    }
}

/// What it has counted by its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    captured: u64,
    /// By the kernel, for its filter; those dropped included.
    received: u64,
    dropped: u64,
}

impl Counts {
    fn unread(self) -> u64 {
        self.received.saturating_sub(self.dropped).saturating_sub(self.captured)
    }
}

/// What it said last: in a line when it is asked, in three when it ends.
fn counts(text: &str) -> Option<Counts> {
    let last = |what: &str| {
        let parts = text.rsplit(['\n', ',']).map(|part| part.trim().trim_start_matches("tcpdump: "));
        parts.filter_map(|part| part.strip_suffix(what)).find_map(|count| {
            let count = count.strip_suffix(" packets ").or_else(|| count.strip_suffix(" packet "))?;
            count.parse().ok()
        })
    };
    let (captured, received) = (last("captured")?, last("received by filter")?);
    Some(Counts { captured, received, dropped: last("dropped by kernel")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LISTENING: &str =
        "tcpdump: listening on vb, link-type EN10MB (Ethernet), snapshot length 262144 bytes\n";
    const ASKED: &str =
        "tcpdump: 7 packets captured, 1000 packets received by filter, 3 packets dropped by kernel\n";
    const CLOSING: &str =
        "990 packets captured\n1000 packets received by filter\n1 packet dropped by kernel\n";

    #[test]
    fn the_last_words_count() {
        assert_eq!(counts(LISTENING), None);
        let asked = Counts { captured: 7, received: 1000, dropped: 3 };
        assert_eq!(counts(&format!("{LISTENING}{ASKED}")), Some(asked));
        assert_eq!(asked.unread(), 990);
        let closing = Counts { captured: 990, received: 1000, dropped: 1 };
        assert_eq!(counts(&format!("{LISTENING}{ASKED}{CLOSING}")), Some(closing));
        assert_eq!(closing.unread(), 9);
        assert_eq!(counts("many packets captured\n-1 packets received by filter\n"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String, first: u64, second: u64, third: u64) {
            let _ = counts(&text);
            let line = format!(
                "{text}\n{first} packets captured, {second} packets received by filter, \
                 {third} packets dropped by kernel{text}"
            );
            let _ = counts(&line).map(Counts::unread);
        }
    }
}
