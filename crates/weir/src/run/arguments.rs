//! The flags of `weir run`, and the settings that they make.

mod settings;

use crate::metrics::{Labels, Network};
use crate::options;
use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Args, ValueEnum, ValueHint};
use glob::Pattern;
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use weir_agent::{KindRule, KubernetesSource, Label, Runtimes};
use weir_export::{Push, Target};
use weir_filter::{Filter, Rule};
use weir_record::EventKind;

pub use settings::{settings, settings_with};

/// Flags of `weir run`.
#[derive(Args, Clone)]
#[command(
    after_help = "Each flag is also a key of the configuration file and a variable: --idle-timeout is idle_timeout and WEIR_IDLE_TIMEOUT. \
                  `weir config show` shows what holds."
)]
pub struct Arguments {
    /// Interfaces to watch, by name or glob; all of them without this, new ones as they come
    #[arg(short, long, value_name = "GLOB", value_parser = options::glob, help_heading = "What to watch")]
    interface: Vec<Pattern>,

    /// Interfaces not to watch, by name or glob
    #[arg(long, value_name = "GLOB", value_parser = options::glob, help_heading = "What to watch")]
    exclude_interface: Vec<Pattern>,

    /// Kinds of interfaces to watch, such as physical, veth or tunnel; or not to watch: no-veth
    #[arg(long, value_name = "KIND", help_heading = "What to watch")]
    interface_kind: Vec<KindRule>,

    /// Watch interfaces that own an address in this network
    #[arg(long, value_name = "CIDR", value_parser = options::network, help_heading = "What to watch")]
    interface_address: Vec<IpNet>,

    /// Watch every network namespace of the host, new ones as they come
    #[arg(long, conflicts_with = "netns", help_heading = "What to watch")]
    all_netns: bool,

    /// Watch this network namespace instead of the own one: a name in /run/netns, or the id of a process in it
    #[arg(long, value_name = "NAME|PID", help_heading = "What to watch")]
    netns: Vec<String>,

    /// Run before (head) or after (tail) the other programs of an interface
    #[arg(long, value_name = "PLACE", default_value = "head", help_heading = "What to watch")]
    attach: Place,

    /// TCX links (Linux 6.6), clsact filters, or whichever the kernel has
    #[arg(long, value_name = "HOOK", default_value = "auto", help_heading = "What to watch")]
    hook: HookName,

    /// Join both directions into one record
    #[arg(long, value_name = "SWITCH", default_value = "on", help_heading = "What is one conversation")]
    biflow: Switch,

    /// Where packets that several interfaces see are counted: at each (off), where the
    /// conversation was seen first, nearest to the wire (outer) or to the process (inner)
    #[arg(long, value_name = "PLACE", default_value = "first", help_heading = "What is one conversation")]
    dedup: DedupName,

    /// Count packets inside tunnels (VXLAN, Geneve, GRE, IP in IP) as flows of their own, too
    #[arg(long, help_heading = "What is one conversation")]
    decapsulate: bool,

    /// Join what packets say before and behind a NAT of this host, as conntrack has it; not with --dedup off
    #[arg(long, value_name = "SWITCH", default_value = "on", help_heading = "What is one conversation")]
    nat: Switch,

    /// Count the packets that the kernel drops, with its reasons
    #[arg(long, value_name = "SWITCH", default_value = "on", help_heading = "How well they talk")]
    drops: Switch,

    /// Say which processes talk: name, unit and container of both ends, of those of this host
    #[arg(long, value_name = "SWITCH", default_value = "on", help_heading = "Who talks")]
    identity: Switch,

    /// Hear from the kernel what processes run, for those that are soon gone; off: read /proc only
    #[arg(long, value_name = "SWITCH", default_value = "on", help_heading = "Who talks")]
    processes: Switch,

    /// Say how TCP connections fare: round-trip times, what was sent again, what they wait for, why they fail
    #[arg(long, value_name = "SWITCH", default_value = "on", help_heading = "How well they talk")]
    tcp: Switch,

    /// How many characters of a process's command line are kept, secrets masked; 0 for none
    #[arg(long, value_name = "COUNT", default_value_t = 256, value_parser = clap::value_parser!(u32).range(..=4096), help_heading = "Who talks")]
    process_arguments: u32,

    /// Listen to DNS at the interfaces that are watched: questions and answers, and names of addresses
    #[arg(long, value_name = "SWITCH", default_value = "on", help_heading = "Names")]
    dns: Switch,

    /// Ports of DNS servers, four at most
    #[arg(long, value_name = "PORT", default_values_t = [53, 5353], value_parser = clap::value_parser!(u16).range(1..), help_heading = "Names")]
    dns_port: Vec<u16>,

    /// What DNS was asked for and has not answered by then is unanswered
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = options::duration, help_heading = "Names")]
    dns_timeout: Duration,

    /// Name addresses by this file; it is read again when it changes
    #[arg(long, value_name = "FILE", default_value = "/etc/hosts", value_hint = ValueHint::FilePath, help_heading = "Names")]
    hosts_file: PathBuf,

    /// Call a network by a label of your own: 10.1.0.0/16=db-subnet; the narrowest around an address counts
    #[arg(long, value_name = "CIDR=LABEL", help_heading = "Names")]
    label: Vec<Label>,

    /// Say where addresses are and whose, by this database in MaxMind's format; it is read again when it is replaced
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Names")]
    geoip: Vec<PathBuf>,

    /// Ask DNS for the names of addresses that nobody here has a name for
    #[arg(long, value_name = "SWITCH", default_value = "off", help_heading = "Names")]
    reverse_dns: Switch,

    /// Whom to ask about pods and services: auto (the API server, if the agent runs in a pod), off, kubelet, or a kubeconfig file
    #[arg(long, value_name = "auto|off|kubelet|FILE", default_value = "auto", value_parser = options::kubernetes, value_hint = ValueHint::FilePath, help_heading = "Who talks")]
    kubernetes: KubernetesSource,

    /// What Kubernetes calls this node; NODE_NAME, else the host's name without this
    #[arg(long, value_name = "NAME", help_heading = "Who talks")]
    kubernetes_node: Option<String>,

    /// Container runtimes that are asked for names and images: auto, off, or some of docker, podman, containerd and cri-o, each with =PATH where it is not at its usual place
    #[arg(long, value_name = "LIST", default_value = "auto", help_heading = "Who talks")]
    container_runtimes: Runtimes,

    /// Labels of containers that records have, by key or glob; none without this
    #[arg(long, value_name = "GLOB", value_parser = options::glob, help_heading = "Who talks")]
    container_label: Vec<Pattern>,

    /// Count these packets or leave them out: deny EXPR, allow EXPR, allow 1/100 EXPR; the first that fits decides
    #[arg(long, value_name = "RULE", help_heading = "What is counted and written")]
    rule: Vec<Rule>,

    /// Write only records that fit: 'destination_address in 10.0.0.0/8 and not port in 22,443'; see docs/filter.md
    #[arg(long, value_name = "EXPR", help_heading = "What is counted and written")]
    filter: Option<Filter>,

    /// table, json or none; a table on a terminal, JSON lines in a pipe without this
    #[arg(short, long, value_name = "FORMAT", help_heading = "Output")]
    pub(super) output: Option<Output>,

    /// Keep records in this directory, as Parquet files, or keep none; without this in /var/lib/weir as root, else in $XDG_STATE_HOME/weir or ~/.local/state/weir
    #[arg(long, value_name = "DIR|none", value_parser = PathBufValueParser::new().map(DataDir::from), value_hint = ValueHint::DirPath, help_heading = "History")]
    pub(super) data_dir: Option<DataDir>,

    /// How long records are kept
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = options::age, help_heading = "History")]
    pub(super) keep: Duration,

    /// How long their sums by the minute are kept, in the table flows_1m
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = options::age, help_heading = "History")]
    pub(super) keep_1m: Duration,

    /// How long their sums by the hour are kept, in the table flows_1h
    #[arg(long, value_name = "TIME", default_value = "400d", value_parser = options::age, help_heading = "History")]
    pub(super) keep_1h: Duration,

    /// How much is kept at most; the oldest records go first, then their sums
    #[arg(long, value_name = "SIZE", default_value = "10GiB", value_parser = options::size, help_heading = "History")]
    pub(super) keep_bytes: u64,

    /// Keep what happens beside the records, too: some of exec, bind, connect, accept, retransmit, tcp, dns, drop and sni, as `weir trace` tells of them
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = options::event_kind, help_heading = "History")]
    pub(super) keep_events: Vec<&'static EventKind>,

    /// When the disk is full: let the oldest records go, or stop writing until there is room
    #[arg(long, value_name = "WAY", default_value = "drop-oldest", help_heading = "History")]
    pub(super) disk_full: DiskFull,

    /// Send records there, too: ipfix+udp://HOST:PORT, ipfix+tcp://, ipfix+tls://, ipfix+sctp://, netflow9+udp://, netflow5+udp://, syslog+udp://, syslog+tcp://, syslog+tls://, https://URL, otlp+http://HOST, otlp+grpc://, grpc://HOST, kafka://HOST/TOPIC, clickhouse://HOST/DATABASE, s3://BUCKET/PREFIX, gs://, az://, dir:PATH, unix:PATH, file:PATH; with ?filter=EXPR, ?fields=LIST and more, see docs/exporters.md
    #[arg(long, value_name = "URL", help_heading = "Export")]
    pub(crate) export: Vec<Target>,

    /// What may wait on disk for each of them while it is away; 0 for nothing
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = options::size, help_heading = "Export")]
    pub(super) spool_bytes: u64,

    /// Answer questions over HTTP there, or nowhere; without this on 127.0.0.1:7979, the second agent of a host on 7980, and so on
    #[arg(long, value_name = "ADDRESS:PORT|none", value_parser = options::listen, help_heading = "HTTP")]
    pub(crate) listen: Option<Listen>,

    /// A file with a token: whoever knows it may ask, from other hosts, too. Without this only root and the agent's user may, from this host
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "HTTP")]
    pub(crate) api_token_file: Option<PathBuf>,

    /// How long a query may take at most
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = options::patience, help_heading = "HTTP")]
    pub(crate) query_timeout: Duration,

    /// What a query in SQL may hold in memory; what it cannot put into files beyond that fails
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = options::size, help_heading = "HTTP")]
    pub(crate) query_memory: u64,

    /// Count in /metrics what the network does, by these fields of docs/fields.md; or none. Whoever reaches the port reads them
    #[arg(
        long,
        value_name = "FIELDS|none",
        default_value = "interface,direction,protocol",
        help_heading = "Metrics"
    )]
    metrics_by: Labels,

    /// How many combinations of them are counted apart: the heaviest, and all others in one
    #[arg(long, value_name = "COUNT", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000), help_heading = "Metrics")]
    metrics_series: u32,

    /// A combination that has counted nothing for this long vanishes
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = options::age, help_heading = "Metrics")]
    metrics_grace: Duration,

    /// Push what /metrics says there, too, to Prometheus or who takes its remote write: https://HOST/api/v1/write; with ?token_file=FILE and more, see docs/metrics.md
    #[arg(long, value_name = "URL", value_parser = Push::remote_write, help_heading = "Metrics")]
    remote_write: Vec<Push>,

    /// Push the same as OpenTelemetry's metrics: otlp+http://HOST, otlp+https://, otlp+grpc://, otlp+grpcs://; with ?token_file=FILE and more, see docs/metrics.md
    #[arg(long, value_name = "URL", value_parser = Push::otlp, help_heading = "Metrics")]
    otlp_metrics: Vec<Push>,

    /// How often these are pushed
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = options::patience, help_heading = "Metrics")]
    pub(super) push_interval: Duration,

    /// Stop after this long; on SIGINT or SIGTERM without this
    #[arg(long, value_name = "TIME", value_parser = options::duration, help_heading = "Output")]
    pub(super) duration: Option<Duration>,

    /// How precise times are: to the kernel's tick (1 to 10 ms), which costs nothing, or fine (66 microseconds), which takes reading a clock for each packet
    #[arg(long, value_name = "CLOCK", default_value = "tick", help_heading = "Timing")]
    clock: ClockName,

    /// How often the kernel's counts are collected
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = options::interval, help_heading = "Timing")]
    interval: Duration,

    /// A flow without packets for this long has ended
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = options::duration, help_heading = "Timing")]
    idle_timeout: Duration,

    /// A flow that goes on gets a new record after this long
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = options::duration, help_heading = "Timing")]
    active_timeout: Duration,

    /// Kernel memory for all maps together
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = options::size, help_heading = "Limits")]
    memory_budget: u64,

    /// Flows held at the same time; those beyond are exported at every drain
    #[arg(long, value_name = "COUNT", default_value_t = 500_000, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Limits")]
    max_flows: u32,

    /// A file with the options that are not given here; /etc/weir/weir.yaml where it exists without this
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Configuration")]
    config: Option<PathBuf>,

    /// A file of settings that suit this host, made by `weir study --recommend`: they hold where nobody says otherwise
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Configuration")]
    pub(super) tuned: Option<PathBuf>,

    /// Where `weir status` and `weir reload` reach this agent; a place of its own in /run/weir without this
    #[arg(long, value_name = "PATH", help_heading = "Control")]
    pub(super) socket: Option<PathBuf>,
}

/// Where records are kept, where that is said.
#[derive(Clone)]
pub(super) enum DataDir {
    Nowhere,
    Directory(PathBuf),
}

impl From<PathBuf> for DataDir {
    fn from(path: PathBuf) -> Self {
        if path.as_os_str() == "none" { Self::Nowhere } else { Self::Directory(path) }
    }
}

/// Where questions are answered, where that is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    Nowhere,
    At(SocketAddr),
}

#[derive(Clone, Copy, ValueEnum)]
enum Place {
    Head,
    Tail,
}

#[derive(Clone, Copy, ValueEnum)]
enum HookName {
    Auto,
    Tcx,
    Clsact,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

#[derive(Clone, Copy, ValueEnum)]
enum DedupName {
    Off,
    First,
    Outer,
    Inner,
}

#[derive(Clone, Copy, ValueEnum)]
enum ClockName {
    Tick,
    Fine,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum DiskFull {
    DropOldest,
    Stop,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Table,
    Json,
    None,
}

impl Arguments {
    /// What is summed for Prometheus, where anything is.
    pub(crate) fn network(&self) -> Option<Network> {
        let (labels, most) = (self.metrics_by.clone(), self.metrics_series as usize);
        (!labels.is_none()).then(|| Network::new(labels, most, self.metrics_grace))
    }

    /// What metrics are pushed to.
    pub(crate) fn pushes(&self) -> impl Iterator<Item = &Push> {
        self.remote_write.iter().chain(&self.otlp_metrics)
    }

    /// Whether records are of both directions.
    pub(super) fn is_biflow(&self) -> bool {
        self.biflow == Switch::On
    }
}
