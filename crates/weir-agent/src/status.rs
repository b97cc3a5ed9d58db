//! The agent's state at one moment, as `weir status` shows it.

use crate::{DropsState, HealthState, IdentityState, NatState, Settings};
use serde::{Deserialize, Serialize, Serializer};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use weir_record::{Account, Count, FlowRecord, PeerState, PushState, Statement};

/// Everything that an agent says of itself. `L` is an entry of the ledger: the agent writes
/// [`Statement`]s, and who reads them takes from them what it needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status<L = Entry> {
    /// Which of the host's agents: 1 is the first.
    pub instance: u32,
    /// Its control socket.
    pub socket: PathBuf,
    /// Its process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Since it was attached.
    pub uptime_seconds: f64,
    /// How its programs hang on the interfaces: `tcx` or `clsact`.
    pub hook: String,
    /// What it watches.
    pub interfaces: Vec<WatchedInterface>,
    /// The accounts, those of interfaces that are gone first.
    pub ledger: Vec<L>,
    /// The kernel's side.
    pub kernel: KernelMaps,
    /// Flows that have not ended.
    pub flows: u64,
    /// How the drains go.
    pub drains: Drains,
    /// Where records go.
    pub sinks: Vec<SinkState>,
    /// How metrics fare that are pushed.
    #[serde(default)]
    pub pushes: Vec<PushState>,
    /// What it knows of processes.
    #[serde(default)]
    pub identity: IdentityState,
    /// What it knows of TCP connections.
    #[serde(default)]
    pub tcp: HealthState,
    /// What it knows of translated addresses.
    #[serde(default)]
    pub nat: NatState,
    /// What it knows of packets that were dropped.
    #[serde(default)]
    pub drops: DropsState,
    /// What it costs.
    pub cost: Cost,
    /// What it was told, as far as it can be read here.
    pub settings: Effective,
}

/// An interface with the agent's programs on it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WatchedInterface {
    /// Its network namespace.
    #[serde(default)]
    pub netns: String,
    /// Whether that is the agent's own.
    #[serde(default)]
    pub own_netns: bool,
    /// Its name.
    pub interface: String,
    /// Its number.
    pub interface_index: u32,
    /// Since the programs were attached.
    pub attached_seconds: f64,
    /// How many programs hang there: none where the interface is gone and its last packets are on their way.
    pub programs: usize,
}

/// An account as it goes over the wire.
#[derive(Debug, Clone)]
pub struct Entry(pub Account);

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Statement(&self.0).serialize(serializer)
    }
}

/// The maps of the probe.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KernelMaps {
    /// What they take together.
    pub memory_bytes: u64,
    /// Flow entries that the last drain found, on all CPUs.
    pub entries_used: u64,
    /// Flow entries that there are, on all CPUs; each CPU has its part.
    pub entries: u64,
}

/// How the drains go.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Drains {
    /// How many there were.
    pub count: u64,
    /// How long the last one took.
    pub last_seconds: f64,
    /// How long they take on average.
    pub mean_seconds: f64,
    /// From the beginning of the last but one to that of the last.
    pub apart_seconds: f64,
}

/// What has become of a sink's records.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SinkState {
    /// Its name.
    pub name: String,
    /// Records that it has taken.
    pub written_records: u64,
    /// What they count, at the points where their packets were counted, both directions.
    #[serde(default)]
    pub written: Count,
    /// Records that wait for it.
    pub queued_records: u64,
    /// Records that may wait.
    pub queue_capacity: u64,
    /// Records that it could not take.
    pub lost_records: u64,
    /// What they count, likewise.
    #[serde(default)]
    pub lost: Count,
    /// The last thing that went wrong.
    pub last_error: Option<String>,
    /// How it stands with the program that it sends to, where it sends to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerState>,
}

impl SinkState {
    pub(crate) fn new(name: &str, queue: usize) -> Self {
        let (name, queue_capacity) = (name.to_string(), queue as u64);
        let (written_records, queued_records, lost_records) = (0, 0, 0);
        let (written, lost, last_error) = (Count::default(), Count::default(), None);
        Self {
            name,
            written_records,
            written,
            queued_records,
            queue_capacity,
            lost_records,
            lost,
            last_error,
            peer: None,
        }
    }

    /// Counts in a batch that was sent.
    pub(crate) fn add<'r>(
        &mut self,
        batch: impl Iterator<Item = &'r FlowRecord> + Clone,
        error: Option<&io::Error>,
    ) {
        match error {
            None => {
                self.written_records += batch.clone().count() as u64;
                self.written += counted(batch);
            }
            Some(error) => {
                self.lose(batch);
                self.last_error = Some(error.to_string());
            }
        }
    }

    /// Counts in a batch that it does not have.
    pub(crate) fn lose<'r>(&mut self, batch: impl Iterator<Item = &'r FlowRecord> + Clone) {
        self.lost_records += batch.clone().count() as u64;
        self.lost += counted(batch);
    }
}

/// What records count, both directions, each packet once.
fn counted<'r>(records: impl Iterator<Item = &'r FlowRecord>) -> Count {
    let mut sum = Count::default();
    for record in records {
        sum += Count { packets: record.packets, bytes: record.bytes };
        sum += record.reverse.map(|reverse| reverse.count).unwrap_or_default();
    }
    sum
}

/// What the agent costs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cost {
    /// Whether the host times its BPF programs now (`kernel.bpf_stats_enabled`); where not, see `weir cost`.
    pub timed: bool,
    /// The agent's programs.
    pub programs: Vec<ProgramRuns>,
    /// CPU time of the process, user and system.
    pub cpu_seconds: f64,
    /// Resident memory of the process.
    pub resident_bytes: u64,
}

/// A program, and what it has done while programs were timed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProgramRuns {
    /// Its name.
    pub name: String,
    /// The kernel's number for it.
    pub id: u32,
    /// How often it was seen to run.
    pub runs: u64,
    /// How long that took.
    pub run_time_ns: u64,
}

/// Settings in effect.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Effective {
    /// `--interval`
    pub interval_seconds: f64,
    /// `--idle-timeout`
    pub idle_timeout_seconds: f64,
    /// `--active-timeout`
    pub active_timeout_seconds: f64,
    /// `--memory-budget`
    pub memory_budget_bytes: u64,
    /// `--max-flows`
    pub max_flows: u64,
    /// `--filter`
    #[serde(default)]
    pub filter: Option<String>,
    /// `--rule`, in order.
    #[serde(default)]
    pub rules: Vec<String>,
}

impl From<&Settings> for Effective {
    fn from(settings: &Settings) -> Self {
        Self {
            interval_seconds: settings.interval.as_secs_f64(),
            idle_timeout_seconds: settings.idle_timeout.as_secs_f64(),
            active_timeout_seconds: settings.active_timeout.as_secs_f64(),
            memory_budget_bytes: settings.memory_budget,
            max_flows: settings.max_flows as u64,
            filter: settings.policy.filter.as_ref().map(ToString::to_string),
            rules: settings.policy.rules.iter().map(ToString::to_string).collect(),
        }
    }
}

/// The agent's watch on its drains.
#[derive(Debug)]
pub(crate) struct DrainWatch {
    count: u64,
    last: Duration,
    total: Duration,
    began: Instant,
    apart: Duration,
}

impl DrainWatch {
    /// None yet; the first is due after `interval`.
    pub(crate) fn new(interval: Duration) -> Self {
        let (last, total) = (Duration::ZERO, Duration::ZERO);
        Self { count: 0, last, total, began: Instant::now(), apart: interval }
    }

    /// A drain that began at `began` has ended.
    pub(crate) fn add(&mut self, began: Instant) {
        self.last = began.elapsed();
        self.total += self.last;
        self.count += 1;
        self.apart = began - self.began;
        self.began = began;
    }

    /// When the last one began; before the first, when there could have been any.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// What the last one's counts are of.
    pub(crate) fn apart(&self) -> Duration {
        self.apart
    }

    pub(crate) fn report(&self) -> Drains {
        Drains {
            count: self.count,
            last_seconds: self.last.as_secs_f64(),
            mean_seconds: self.total.as_secs_f64() / self.count.max(1) as f64,
            apart_seconds: self.apart.as_secs_f64(),
        }
    }
}
