//! What came of trying each feature on this kernel, with these privileges.

use std::fs;
use weir_kernel::feature::{self, Map, NoOp};
use weir_kernel::privilege::{has_btf, missing_capabilities, online_cpus};
use weir_kernel::{Error, GracePeriod, Result, stats, try_pin};
use weir_probes::dns::{self, Dns};
use weir_probes::drops::{self, Drops};
use weir_probes::flows::{self, Demand, Flows, Layout, Tables};
use weir_probes::processes::{self, CommandLines, Processes};
use weir_probes::sockets::{Hooks, Sockets};
use weir_probes::tcp::{self, Tcp};

/// The programs of the flow probe.
pub const PROGRAMS: [&str; 3] = ["weir_ingress", "weir_egress", "weir_clock"];

/// Enough for the tables of a few CPUs, and for one flow on each of many.
const BUDGET: u64 = 1 << 20;
const BUDGET_PER_CPU: u64 = 16 << 10;

/// Why something could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// For want of privileges, rather than of the feature.
    pub is_permission: bool,
    /// The kernel's own words, and the verifier's log.
    pub text: String,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { is_permission: feature::is_permission(&error), text: error.to_string() }
    }
}

/// What came of a try.
pub type Tried = Result<(), Refusal>;

/// Everything that was tried.
#[derive(Debug, Clone)]
pub struct Findings {
    pub release: String,
    /// Capabilities that this process lacks.
    pub missing: Vec<&'static str>,
    /// Where this program is, to give it capabilities.
    pub binary: String,
    pub type_information: bool,
    pub mmapable_array: Tried,
    pub ring_buffer: Tried,
    pub lru_hash: Tried,
    pub membarrier: Tried,
    /// [`GracePeriod`]: by `membarrier(2)` or by the map-in-map that stands in for it.
    pub grace_period: Tried,
    /// The whole probe, as `weir run` loads it.
    pub probe: Tried,
    /// Each of [`PROGRAMS`].
    pub programs: [Tried; 3],
    pub run_by_hand: Tried,
    /// Whether a program becomes machine code; none where that could not be tried.
    pub compiled: Result<bool, Refusal>,
    pub tcx: Tried,
    /// Looked for where TCX is not to be had.
    pub clsact: Option<bool>,
    /// The sockets probe by its first choice.
    pub socket_tracepoints: Tried,
    /// By its second, where that was refused.
    pub socket_functions: Option<Tried>,
    pub processes: Tried,
    /// What listens to DNS.
    pub dns: Tried,
    /// What hears of dropped packets.
    pub drops: Tried,
    /// What looks at how TCP fares.
    pub tcp: Tried,
    pub statistics: Tried,
    /// Whether maps can outlive the agent.
    pub bpffs: Tried,
    /// The kernel keeps its memory from root too, and so from programs.
    pub is_confidential: bool,
}

impl Findings {
    /// Tries everything. Nothing is left behind, and only what hears of system calls is attached, for a moment.
    pub fn gather() -> Self {
        let (probe, programs) = load_probe();
        let no_op = NoOp::load().map_err(Refusal::from);
        let with_no_op = |ask: fn(&NoOp) -> Result<bool>| match &no_op {
            Ok(program) => ask(program).map_err(Refusal::from),
            Err(refusal) => Err(refusal.clone()),
        };
        let socket_tracepoints = try_sockets(Hooks::Tracepoints);
        let tcx = with_no_op(|program| program.try_tcx().map(|()| true)).map(drop);
        Self {
            release: feature::release(),
            missing: missing_capabilities().iter().map(|capability| capability.name).collect(),
            binary: std::env::current_exe().map_or("weir".into(), |path| path.display().to_string()),
            type_information: has_btf(),
            mmapable_array: try_map(Map::MmapableArray),
            ring_buffer: try_map(Map::RingBuffer),
            lru_hash: try_map(Map::LruHash),
            membarrier: feature::try_membarrier().map_err(Refusal::from),
            grace_period: GracePeriod::new().map(drop).map_err(Refusal::from),
            probe,
            programs,
            // What an empty program has of the clock program: that it can be run at all.
            run_by_hand: with_no_op(|program| program.run_time().map(|_| true)).map(drop),
            compiled: with_no_op(NoOp::is_compiled),
            clsact: tcx.is_err().then(feature::has_clsact),
            tcx,
            socket_functions: socket_tracepoints.is_err().then(|| try_sockets(Hooks::Functions)),
            socket_tracepoints,
            processes: try_probe(
                Processes::attach(CommandLines::Read),
                ("processes", processes::OBJECT),
                &processes::PROGRAMS,
            ),
            dns: try_probe(Dns::load(&[53]), ("DNS", dns::OBJECT), &dns::PROGRAMS),
            drops: try_probe(Drops::attach(), ("drops", drops::OBJECT), &[drops::PROGRAM]),
            tcp: try_probe(Tcp::attach(), ("TCP", tcp::OBJECT), &[&tcp::PROGRAMS[..], &[tcp::NOW]].concat()),
            statistics: stats::Statistics::enable().map(drop).map_err(Refusal::from),
            bpffs: try_pin().map_err(Refusal::from),
            is_confidential: fs::read_to_string("/sys/kernel/security/lockdown")
                .is_ok_and(|text| text.contains("[confidentiality]")),
        }
    }

    /// Every refusal, in the kernel's words.
    pub fn refusals(&self) -> impl Iterator<Item = String> {
        let programs = PROGRAMS.into_iter().zip(&self.programs);
        let tried = [
            ("mmap-able array", &self.mmapable_array),
            ("ring buffer", &self.ring_buffer),
            ("LRU hash", &self.lru_hash),
            ("membarrier(2)", &self.membarrier),
            ("grace period", &self.grace_period),
            ("flow probe", &self.probe),
            ("run by hand", &self.run_by_hand),
            ("TCX links", &self.tcx),
            ("socket tracepoints", &self.socket_tracepoints),
            ("process tracepoints", &self.processes),
            ("DNS", &self.dns),
            ("dropped packets", &self.drops),
            ("TCP", &self.tcp),
            ("program statistics", &self.statistics),
            ("bpffs", &self.bpffs),
        ];
        let functions = self.socket_functions.iter().map(|tried| ("socket fentry", tried));
        tried.into_iter().chain(functions).chain(programs).filter_map(|(name, tried)| {
            tried.as_ref().err().map(|refusal| format!("{name}: {}", refusal.text.trim_end()))
        })
    }
}

fn try_map(map: Map) -> Tried {
    feature::try_map(map).map_err(Refusal::from)
}

fn try_sockets(hooks: Hooks) -> Tried {
    Sockets::attach_to(hooks).map(drop).map_err(Refusal::from)
}

/// A probe with hooks of its own; where it is refused, what is said of the first of its programs that is.
fn try_probe<T>(attached: Result<T>, object: (&'static str, &[u8]), programs: &[&'static str]) -> Tried {
    let Err(error) = attached else { return Ok(()) };
    let blamed = programs.iter().find_map(|program| load_program(object, program).err());
    Err(blamed.unwrap_or_else(|| error.into()))
}

/// The probe as a whole, its clock program run once; program by program where the kernel refuses that.
fn load_probe() -> (Tried, [Tried; 3]) {
    match load_small().and_then(|flows| Ok(flows.ticks()?)) {
        Ok(_) => (Ok(()), PROGRAMS.map(|_| Ok(()))),
        Err(refusal) => {
            let object = ("flows", flows::object(flows::can_draw_by_content(), Tables::here()));
            (Err(refusal), PROGRAMS.map(|program| load_program(object, program)))
        }
    }
}

fn load_small() -> Result<Flows, Refusal> {
    let cpus = online_cpus();
    let budget = BUDGET + BUDGET_PER_CPU * u64::from(cpus);
    let layout = Layout::new(Demand::one_interface(budget, cpus))
        .map_err(|error| Refusal { is_permission: false, text: error.to_string() })?;
    Ok(Flows::load(layout)?)
}

fn load_program((name, object): (&'static str, &[u8]), program: &'static str) -> Tried {
    let load = feature::dry_load(name, object, program);
    load.outcome.map_err(|error| {
        let refusal = Refusal::from(error);
        Refusal { text: format!("{}\n{}", refusal.text, end_of(&load.log)), ..refusal }
    })
}

/// The verifier says at the end what it takes offence at, after thousands of lines about what it does not.
fn end_of(log: &str) -> String {
    const MOST: usize = 30;
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(MOST)..].join("\n")
}

#[cfg(test)]
impl Findings {
    /// A kernel that has everything.
    pub fn perfect() -> Self {
        Self {
            release: "6.18.1".into(),
            missing: vec![],
            binary: "/usr/bin/weir".into(),
            type_information: true,
            mmapable_array: Ok(()),
            ring_buffer: Ok(()),
            lru_hash: Ok(()),
            membarrier: Ok(()),
            grace_period: Ok(()),
            probe: Ok(()),
            programs: PROGRAMS.map(|_| Ok(())),
            run_by_hand: Ok(()),
            compiled: Ok(true),
            tcx: Ok(()),
            clsact: None,
            socket_tracepoints: Ok(()),
            socket_functions: None,
            processes: Ok(()),
            dns: Ok(()),
            drops: Ok(()),
            tcp: Ok(()),
            statistics: Ok(()),
            bpffs: Ok(()),
            is_confidential: false,
        }
    }
}
