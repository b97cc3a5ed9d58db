//! What a study has found: the types behind `results.json`, and all that is concluded from them.
//!
//! No I/O and no clock in here: the same results make the same report anywhere.

mod article;
mod compare;
mod csv;
mod domination;
mod flow_law;
mod lessons;
#[cfg(test)]
mod made_up;
mod read;
#[cfg(test)]
mod schema;
mod statistics;
mod usl;

pub use article::{ARTICLE, Published};
pub use compare::{Comparison, Figure, Judgement, compare};
pub use csv::csv;
pub use domination::{CHEAPER, Domination, dominated};
pub use flow_law::{by_flows, flow_scaling};
pub use lessons::{CONFIRMED, NOT_MEASURABLE, REFUTED, lessons};
pub use read::read;
pub use statistics::{ENOUGH_ROUNDS, Interval, bootstrap, bootstrap_difference, median};
pub use usl::fit;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The arm that nothing watches: what every ratio is taken to.
pub const NONE: &str = "none";
/// The arm whose program does nothing.
pub const EMPTY: &str = "empty";
/// The program that `weir run` ships.
pub const WEIR: &str = "weir";

/// Number of the format. It changes when a field changes its meaning, not when one is added.
pub const FORMAT: u32 = 1;

/// A whole study: `results.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Results {
    /// Number of the format.
    pub format: u32,
    /// Version of Weir that made it.
    pub weir: String,
    /// When it began: RFC 3339, UTC.
    pub started: String,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Why it ended before everything was measured; nothing for a whole one.
    pub partial: Option<String>,
    /// Where it was measured.
    pub machine: Machine,
    /// What was measured, and how.
    pub config: Config,
    /// One for each arm and traffic, in the order of `config`.
    pub results: Vec<Measured>,
    /// Some arms again at given rates.
    pub load: Vec<LoadPoint>,
    /// Some arms again with more and more senders.
    pub scaling: Vec<Scaling>,
    /// Every arm's cost by the number of flows.
    #[serde(default)]
    pub flow_scaling: Vec<FlowScaling>,
    /// What the article taught, held against these figures.
    pub lessons: Vec<Lesson>,
    /// What suits this host.
    pub recommendation: Option<Recommendation>,
}

/// The machine, and what cannot be measured on it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Machine {
    /// Its model name.
    pub cpu: String,
    /// CPUs that the study may use.
    pub cpus: u32,
    /// CPUs that are threads of one core: a list for each core.
    pub siblings: Vec<Vec<u32>>,
    /// Bytes of memory.
    pub memory: u64,
    /// Release of the kernel.
    pub kernel: String,
    /// Against flaws of the CPU, those in force: `spectre_v2: Mitigation: …`.
    pub mitigations: Vec<String>,
    /// What it runs on, if it is a virtual machine: `kvm`.
    pub hypervisor: Option<String>,
    /// Who sets the clock rate: `performance`; nothing where nobody does.
    pub governor: Option<String>,
    /// Whether BPF programs are compiled to machine code.
    pub jit: bool,
    /// What compiled the programs.
    pub compiler: String,
    /// What cannot be measured here, and why: one sentence each.
    pub limits: Vec<String>,
}

/// What was measured, and how.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Config {
    /// `quick`, `standard` or `full`.
    pub effort: String,
    /// How often each arm was measured under each traffic.
    pub rounds: u32,
    /// How long an arm was measured at a time, in seconds.
    pub slice: f64,
    /// How often consumers that read at intervals do so, in seconds; at the end of each slice at least.
    pub interval: f64,
    /// Threads that sent, each on a CPU of its own.
    pub senders: u32,
    /// `veth`, or the name of a real interface.
    pub link: String,
    /// The arms, in order.
    pub arms: Vec<ArmInfo>,
    /// The traffic models, in order.
    pub traffics: Vec<TrafficInfo>,
}

/// One way to watch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ArmInfo {
    /// As on the command line.
    pub name: String,
    /// What it does, in a few words.
    pub about: String,
    /// `baseline`, `postcards` (a record per packet), `aggregate` (a record per flow) or `program` (another tool).
    pub kind: String,
    /// Why it could not be measured, if so.
    pub skipped: Option<String>,
}

/// One traffic model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TrafficInfo {
    /// As on the command line.
    pub name: String,
    /// What it is, in a few words.
    pub about: String,
    /// Flows in it.
    pub flows: u32,
    /// How it was sent: `xdp`, `packet` or `udp`.
    pub generator: String,
    /// Bytes of a frame, on average.
    pub bytes: f64,
}

/// What one arm did under one traffic.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Measured {
    /// Name of the arm.
    pub arm: String,
    /// Name of the traffic.
    pub traffic: String,
    /// Million packets per second that arrived at the far end: the median of the rounds.
    pub mpps: f64,
    /// The least of the rounds.
    pub mpps_low: f64,
    /// The greatest of the rounds.
    pub mpps_high: f64,
    /// `mpps` over that of `none` in the same round: the median.
    pub ratio: f64,
    /// Lower end of the 95 % bootstrap interval of that median.
    pub ratio_low: f64,
    /// Its upper end.
    pub ratio_high: f64,
    /// Nanoseconds that a packet took longer on the sending CPU than one that nobody watched: the median of the rounds.
    pub slower_ns: f64,
    /// Windows were timed, and the machine was too slow too often: `slower_ns` is of a slower machine than that of others.
    #[serde(default)]
    pub disturbed: bool,
    /// `slower_ns`, and the consumer's CPU time per packet: all that watching costs the host.
    pub cost_ns: f64,
    /// The program's own time per packet by the kernel's statistics, less that of `empty`; none for arms without one.
    pub added_ns: Option<f64>,
    /// The same in isolation (`BPF_PROG_TEST_RUN`), less that of an empty program; none for arms without one.
    pub isolated_ns: Option<f64>,
    /// Flows reported ÷ flows sent; none where an arm cannot tell flows.
    pub accuracy_flows: Option<f64>,
    /// Packets reported ÷ packets that passed the observation point; none where an arm reports none.
    pub accuracy_packets: Option<f64>,
    /// Packets sent, in all rounds.
    pub sent: u64,
    /// Packets that arrived, in all rounds.
    pub received: u64,
    /// Packets that the arm did not report, in all rounds.
    pub lost: u64,
    /// The same by cause; `unexplained` is what the arm itself has not counted.
    pub lost_by_cause: BTreeMap<String, u64>,
    /// CPU time of the consumer ÷ time: 1 is a whole CPU.
    pub consumer_cpu: f64,
    /// Kernel memory of its maps, in bytes.
    pub map_bytes: u64,
    /// `mpps` of each round.
    pub mpps_rounds: Vec<f64>,
    /// `ratio` of each round.
    pub ratio_rounds: Vec<f64>,
    /// `slower_ns` of each round.
    pub slower_ns_rounds: Vec<f64>,
}

/// What one arm did at a given rate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LoadPoint {
    /// Name of the arm.
    pub arm: String,
    /// Name of the traffic.
    pub traffic: String,
    /// Million packets per second that were to be sent.
    pub offered_mpps: f64,
    /// Million packets per second that arrived.
    pub mpps: f64,
    /// Packets not reported ÷ packets that passed the observation point.
    pub lost_share: f64,
    /// CPU time of the consumer ÷ time.
    pub consumer_cpu: f64,
}

/// What one arm did with more and more senders.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Scaling {
    /// Name of the arm.
    pub arm: String,
    /// Name of the traffic.
    pub traffic: String,
    /// Rates by number of senders.
    pub points: Vec<ScalingPoint>,
    /// The law that fits them; none where there are too few.
    pub fit: Option<Usl>,
    /// How far the fit is to be trusted, in a sentence.
    pub note: String,
}

/// One number of senders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ScalingPoint {
    /// CPUs that sent.
    pub senders: u32,
    /// Million packets per second that arrived, all together.
    pub mpps: f64,
}

/// Universal scalability law: `X(n) = λ·n / (1 + σ·(n − 1) + κ·n·(n − 1))`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Usl {
    /// λ: what one CPU does alone, in million packets per second.
    pub lambda: f64,
    /// σ: the share that waits for others (contention).
    pub sigma: f64,
    /// κ: what keeping in step costs, per pair of CPUs (coherence).
    pub kappa: f64,
}

/// What one arm costs with more and more flows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FlowScaling {
    /// Name of the arm.
    pub arm: String,
    /// `cost_ns` by number of flows; those of a slow machine (`disturbed`) are left out.
    pub points: Vec<FlowPoint>,
    /// The law that fits them; none where there are too few.
    pub fit: Option<KneeLaw>,
    /// By how much it misses the cost that it misses most, as a share of that cost, or of 10 ns.
    pub miss: f64,
    /// How far the fit is to be trusted, in a sentence.
    pub note: String,
}

/// One number of flows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FlowPoint {
    /// Flows that packets were drawn from.
    pub flows: u32,
    /// All that watching a packet costs the host, in nanoseconds.
    pub cost_ns: f64,
}

/// Level up to a knee, then so much more with each doubling: `c(f) = base + slope · max(0, log2(f ÷ knee))`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct KneeLaw {
    /// What a packet costs with few flows, in nanoseconds.
    pub base_ns: f64,
    /// Flows up to which that is so.
    pub knee: f64,
    /// What each doubling beyond adds, in nanoseconds; 0 where the cost does not rise.
    pub per_doubling_ns: f64,
}

/// What the article taught, held against the figures of a study.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Lesson {
    /// What the article says.
    pub claim: String,
    /// `confirmed`, `refuted` or `not measurable here`.
    pub verdict: String,
    /// Why, with the numbers, in a sentence or two.
    pub because: String,
    /// The numbers, by name.
    pub numbers: BTreeMap<String, f64>,
}

/// What suits this host, and what it costs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Recommendation {
    /// Options of `weir run`, by their names in the configuration file.
    pub settings: BTreeMap<String, String>,
    /// What they cost, in isolation: nanoseconds per packet.
    pub cost_ns: f64,
    /// Reasons, a sentence each.
    pub because: Vec<String>,
    /// Everything that was tried.
    pub tried: Vec<Variant>,
}

/// `weir run`'s program with other settings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Variant {
    /// What stamps packets: `tick` or `fine`.
    pub clock: String,
    /// Bytes of kernel memory for all maps.
    pub memory_budget: u64,
    /// Flows that one CPU holds between two drains.
    pub flows_per_cpu: u32,
    /// Name of the traffic.
    pub traffic: String,
    /// In isolation, less an empty program: nanoseconds per packet.
    pub isolated_ns: f64,
    /// Packets that left through the spill ring ÷ all.
    pub spilled_share: f64,
    /// Packets lost ÷ all.
    pub lost_share: f64,
}

impl Results {
    /// An arm that could be measured under some traffic was not left out, whatever it could not do under another.
    pub fn forget_skips(&mut self) {
        let measured = |arm: &str| self.results.iter().any(|one| one.arm == arm);
        for arm in self.config.arms.iter_mut().filter(|arm| measured(&arm.name)) {
            arm.skipped = None;
        }
    }

    /// What an arm did under a traffic.
    pub fn of(&self, arm: &str, traffic: &str) -> Option<&Measured> {
        self.results.iter().find(|one| one.arm == arm && one.traffic == traffic)
    }
}

impl Measured {
    /// Whether it reported every packet of every flow.
    pub fn is_lossless(&self) -> bool {
        self.lost == 0 && self.accuracy_packets == Some(1.0) && self.accuracy_flows == Some(1.0)
    }

    /// Whether the machine was quick enough for both, so that their costs can be held against each other.
    pub fn is_comparable_with(&self, other: &Self) -> bool {
        !self.disturbed && !other.disturbed
    }
}
