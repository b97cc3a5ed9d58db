//! The ways to watch that a study compares. Their C lies here, too.

mod arm;
mod driver;
mod load;
pub mod readers;
mod records;
mod tally;

pub use arm::{Arm, LOOPBACK, watch};
pub use driver::{Drawn, Driver};
pub use load::{Clock, WINDOWS, cpus, harness, harness_along, hash_per_cpu, hashes, mix, postcards, traffic};
pub use tally::{Counters, Key, Tally};

use crate::results::{ArmInfo, EMPTY, NONE, WEIR};

/// What an arm keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: what the others are held against.
    Baseline,
    /// A record for every packet.
    Postcards,
    /// A record for every flow.
    Aggregate,
    /// Whatever another program keeps.
    Program,
}

impl Kind {
    fn name(self) -> &'static str {
        ["baseline", "postcards", "aggregate", "program"][self as usize]
    }
}

/// One way to watch.
#[derive(Debug, PartialEq)]
pub struct Spec {
    /// As on the command line.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// What it keeps.
    pub kind: Kind,
}

const fn arm(name: &'static str, kind: Kind, about: &'static str) -> Spec {
    Spec { name, about, kind }
}

/// All of them, in the order of the reports.
pub static ARMS: [Spec; 21] = [
    arm(NONE, Kind::Baseline, "nobody watches"),
    arm(EMPTY, Kind::Baseline, "a program that does nothing: what the hook costs"),
    arm("ringbuf", Kind::Postcards, "a record per packet through a ring buffer"),
    arm("ringbuf-wakeup", Kind::Postcards, "the same, with a wake-up for every record"),
    arm("perfbuf", Kind::Postcards, "a record per packet through perf buffers, one per CPU"),
    arm("array", Kind::Postcards, "a record per packet into one array, written round and round"),
    arm("percpu-array", Kind::Postcards, "a record per packet into a per-CPU array"),
    arm("hash", Kind::Aggregate, "one hash for all CPUs, atomic adds"),
    arm("hash-spinlock", Kind::Aggregate, "one hash for all CPUs, a spin lock in every value"),
    arm(
        "hash-published",
        Kind::Aggregate,
        "one hash as the article had it: changed in place, then updated again",
    ),
    arm("percpu-hash", Kind::Aggregate, "a per-CPU hash, changed in place"),
    arm("percpu-hash-published", Kind::Aggregate, "a per-CPU hash as the article had it: updated again"),
    arm("lru-hash", Kind::Aggregate, "one LRU hash for all CPUs, atomic adds"),
    arm("lru-percpu-hash", Kind::Aggregate, "a per-CPU LRU hash"),
    arm("hash-per-cpu", Kind::Aggregate, "a plain hash for every CPU"),
    arm("arena", Kind::Aggregate, "a hash of our own in a BPF arena, a table for every CPU"),
    arm(WEIR, Kind::Aggregate, "the program that weir run ships"),
    arm("tcpdump", Kind::Program, "tcpdump, writing to /dev/null"),
    arm("af-packet", Kind::Program, "a packet socket with a mapped ring (TPACKET_V3), every packet read"),
    arm("softflowd", Kind::Program, "softflowd, exporting NetFlow"),
    arm("pmacct", Kind::Program, "pmacctd, printing flows"),
];

impl Spec {
    /// For the results.
    pub fn info(&self, skipped: Option<String>) -> ArmInfo {
        ArmInfo { name: self.name.into(), about: self.about.into(), kind: self.kind.name().into(), skipped }
    }
}

/// The arm of that name.
pub fn find(name: &str) -> Option<&'static Spec> {
    ARMS.iter().find(|arm| arm.name == name)
}
