//! The lossy line: a veth pair between the switches that loses packets on their way to the far end.

use super::ip;
use super::network::LINE;
use super::stage::Stage;
use anyhow::{Context, Result};
use serde_json::Value;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How packets can be lost, the better way first: its name, `tc`'s words, and ours.
const KINDS: [(&str, &str); 2] = [
    // Loses packets at random.
    ("netem", "netem loss 2% limit 10000"),
    // A line that is slower than what comes in: its queue overflows. Loses as real lines do.
    ("tbf", "tbf rate 20mbit burst 8kb limit 180kb"),
];

/// How long a queue may take to empty itself.
const PATIENCE: Duration = Duration::from_secs(2);

/// A line that loses packets, as far as the kernel can.
pub struct Line {
    /// Where it is.
    pub stage: Stage,
    /// `netem` or `tbf`; none where the kernel has neither.
    pub kind: Option<&'static str>,
}

impl Line {
    /// Makes the line lossy.
    pub fn spoil(stage: Stage) -> Self {
        let near = LINE[0];
        let takes = |words| ip::tc(&stage.router(), &format!("qdisc add dev {near} root {words}")).is_ok();
        let kind = KINDS.iter().find(|(_, words)| takes(words)).map(|(name, _)| *name);
        Self { stage, kind }
    }

    /// What it is, in a few words.
    pub fn about(&self) -> &'static str {
        match self.kind {
            Some("netem") => "netem: 2 % are lost",
            Some(_) => "tbf: 20 Mbit/s and a queue of 180 kB, which overflows",
            None => "loses nothing: no sch_netem, no sch_tbf here",
        }
    }

    /// Packets that `tc -s qdisc` says were dropped, once the queue is empty.
    ///
    /// # Errors
    /// `tc` refuses, or the queue does not empty itself.
    pub fn dropped(&self) -> Result<Option<u64>> {
        if self.kind.is_none() {
            return Ok(None);
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = ip::tc(&self.stage.router(), &format!("-s -j qdisc show dev {} root", LINE[0]))?;
            let (drops, queued) = read(&shown).context("tc -s qdisc has no drops")?;
            if queued == 0 || Instant::now() > deadline {
                return Ok(Some(drops));
            }
            sleep(Duration::from_millis(10));
        }
    }
}

/// Packets dropped, and packets in the queue.
fn read(shown: &str) -> Option<(u64, u64)> {
    let shown: Value = serde_json::from_str(shown).ok()?;
    let root = shown.as_array()?.iter().find(|qdisc| qdisc["root"] == true)?;
    Some((root["drops"].as_u64()?, root["qlen"].as_u64()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_qdisc_counts() {
        let shown = r#"[{"kind":"tbf","handle":"8001:","root":true,"refcnt":3,"options":{"rate":2500000},
            "bytes":2743587,"packets":1836,"drops":353,"overlimits":5707,"requeues":0,"backlog":0,"qlen":4}]"#;
        assert_eq!(read(shown), Some((353, 4)));
        assert_eq!(read("[]"), None);
        assert_eq!(read("nonsense"), None);
    }
}
