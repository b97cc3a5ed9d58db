//! `weir cost`, from the outside, with real packets. Other agents may run on the host meanwhile:
//! BPF programs are not apart in network namespaces.

mod common;

use common::{WEIR, output, require_root, succeed, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ends what it was made with, however the test ends.
struct Running(Child);

impl Running {
    /// The BPF programs that it holds, by number, with how often they ran and for how many nanoseconds: what the kernel
    /// says of its descriptors.
    fn programs(&self) -> BTreeMap<u64, [u64; 2]> {
        let held = format!("/proc/{}/fdinfo", self.0.id());
        let descriptors = std::fs::read_dir(held).expect("it is there").flatten();
        let infos = descriptors.filter_map(|descriptor| std::fs::read_to_string(descriptor.path()).ok());
        let program = |info: String| {
            let number = |name| info.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
            Some((number("prog_id:")?, [number("run_cnt:")?, number("run_time_ns:")?]))
        };
        infos.filter_map(program).collect()
    }

    fn interrupt(&mut self) -> std::process::ExitStatus {
        succeed(Command::new("kill").args(["-INT", &self.0.id().to_string()]));
        self.0.wait().expect("a child can be waited for")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Asked first: an agent that is killed leaves its control socket for the next one.
        let _ = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status();
        let patience = Instant::now() + Duration::from_secs(10);
        while matches!(self.0.try_wait(), Ok(None)) && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A network namespace with its loopback up, an agent on it, and packets.
struct Watched {
    name: String,
    agent: Running,
    _ping: Running,
}

impl Watched {
    fn new() -> Self {
        let name = format!("weir-cost-{}", std::process::id());
        succeed(Command::new("ip").args(["netns", "add", &name]));
        let inside = |program: &str, arguments: &[&str]| {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", &name, program]).args(arguments);
            command
        };
        succeed(&mut inside("ip", &["link", "set", "lo", "up"]));
        let mut run = inside(WEIR, &["run", "-i", "lo", "-o", "none", "--data-dir", "none"]);
        let mut agent = run.stderr(Stdio::piped()).spawn().expect("the agent starts");
        let said = BufReader::new(agent.stderr.take().expect("a pipe")).lines();
        let attached = said.map_while(Result::ok).any(|line| line.contains("attached to lo"));
        let agent = Running(agent);
        assert!(attached, "the agent did not start");
        let mut ping = inside("ping", &["-q", "-f", "127.0.0.1"]);
        let ping = Running(ping.stdout(Stdio::null()).spawn().expect("ping starts"));
        Self { name, agent, _ping: ping }
    }

    /// The agent's programs among those that were measured: `ip netns exec` becomes what it runs.
    fn programs(&self, cost: &Value) -> Vec<Value> {
        let held = self.agent.programs();
        let programs = cost["programs"].as_array().expect("a list of programs");
        programs
            .iter()
            .filter(|p| p["id"].as_u64().is_some_and(|id| held.contains_key(&id)))
            .cloned()
            .collect()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

#[test]
fn root_without_an_agent_it_says_so_in_one_line() {
    require_root();
    // Somebody else's agent is given the time to go.
    let patience = Instant::now() + Duration::from_secs(120);
    loop {
        let outcome = output(Command::new(WEIR).args(["cost", "--for", "100ms"]));
        let said = text(&outcome.stderr);
        if outcome.status.code() == Some(1) && said.contains("no agent is running") {
            assert_eq!(said.lines().count(), 1, "{said}");
            assert!(outcome.stdout.is_empty(), "{}", text(&outcome.stdout));
            return;
        }
        assert!(Instant::now() < patience, "an agent is running all the time: {said}");
        std::thread::sleep(Duration::from_millis(500));
    }
}

#[test]
fn root_packets_under_an_agent_have_a_cost() {
    require_root();
    let watched = Watched::new();
    let json = succeed(Command::new(WEIR).args(["cost", "--for", "1s", "-o", "json"]));
    let cost: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(cost["type"], "cost");
    assert!(cost["seconds"].as_f64().is_some_and(|seconds| (0.8..10.0).contains(&seconds)), "{json}");
    assert!(cost["measuring_ns"].as_u64().is_some_and(|ns| (1..5_000).contains(&ns)), "{json}");
    let programs = watched.programs(&cost);
    let names: Vec<_> = programs.iter().map(|program| program["name"].as_str().unwrap_or_default()).collect();
    assert_eq!(names[..2], ["weir_ingress", "weir_egress"], "{json}");
    // `ping` sends, too: the programs that follow sockets have heard of it.
    assert!(names[2..].contains(&"weir_sent"), "{json}");
    for program in &programs[..2] {
        assert_eq!(program["pid"].as_u64(), Some(watched.agent.0.id().into()), "{program}");
        // `ping -f` sends at least a hundred a second.
        assert!(program["runs"].as_u64().is_some_and(|runs| runs > 100), "{program}");
        let time = program["ns_per_run"].as_f64().unwrap_or_default();
        assert!((10.0..50_000.0).contains(&time), "{program}");
        let share = program["cpu_percent"].as_f64().unwrap_or_default();
        let cpus = cost["cpus"].as_f64().unwrap_or_default();
        assert!(share > 0.0 && share < 100.0 * cpus, "{program}");
        let of_all = program["cpu_percent_of_all"].as_f64().unwrap_or_default();
        assert!((of_all * cpus - share).abs() < 1e-6, "{program}");
    }

    let table = succeed(Command::new(WEIR).args(["cost", "--for", "300ms"]));
    assert!(table.lines().any(|line| line.contains(" ns per packet, ")), "{table}");
    assert!(table.contains(&watched.agent.0.id().to_string()), "{table}");
    assert!(table.contains("PROGRAM") && table.contains("weir_egress"), "{table}");
    assert!(table.contains("SHARE") && table.lines().any(|line| line.contains(" flows ")), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
}

/// Whatever hears of everything that is not counted.
fn trace() -> Running {
    let kinds = ["exec", "bind", "connect", "accept", "retransmit", "sni"];
    let mut trace = Command::new(WEIR);
    trace.arg("trace").args(kinds).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut trace = trace.spawn().expect("it starts");
    let said = BufReader::new(trace.stderr.take().expect("a pipe")).lines();
    let hears = said.map_while(Result::ok).any(|line| line.contains("hears of"));
    let trace = Running(trace);
    assert!(hears, "it hears of nothing");
    trace
}

/// All that one process holds is listed, no more of it than the kernel says, and its probes are the whole.
fn assert_whole(cost: &Value, pid: u32, [before, after]: &[BTreeMap<u64, [u64; 2]>; 2], probes: &[&str]) {
    let of_it = |list: &str| -> Vec<Value> {
        let all = cost[list].as_array().expect("a list").iter();
        all.filter(|one| one["pid"] == pid).cloned().collect()
    };
    let (programs, shares) = (of_it("programs"), of_it("probes"));
    let number = |of: &Value, name: &str| of[name].as_u64().unwrap_or_else(|| panic!("{name}: {of}"));
    let listed: BTreeSet<_> = programs.iter().map(|program| number(program, "id")).collect();
    assert_eq!(listed, after.keys().copied().collect(), "{programs:#?}");
    for program in &programs {
        let id = number(program, "id");
        let (runs, time) = (number(program, "runs"), number(program, "run_time_ns"));
        // The kernel counts from before the first reading until after the last.
        let most = [0, 1].map(|of| after[&id][of] - before[&id][of]);
        assert!(runs <= most[0] && time <= most[1], "{program}: {most:?}");
        assert!(most[0] < 1000 || runs > most[0] / 2, "{program}: {most:?}");
    }
    let named: Vec<_> =
        shares.iter().map(|share| share["probe"].as_str().expect("a probe of ours")).collect();
    assert!(probes.iter().all(|probe| named.contains(probe)), "{named:?}");
    for share in &shares {
        let of_probe = programs.iter().filter(|program| program["probe"] == share["probe"]);
        let time: u64 = of_probe.map(|program| number(program, "run_time_ns")).sum();
        assert_eq!(number(share, "run_time_ns"), time, "{share}");
    }
    let sum = |list: &[Value], name: &str| list.iter().filter_map(|one| one[name].as_f64()).sum::<f64>();
    assert!((sum(&shares, "share_percent") - 100.0).abs() < 1e-6, "{shares:#?}");
    assert!((sum(&shares, "cpu_percent") - sum(&programs, "cpu_percent")).abs() < 1e-6, "{shares:#?}");
}

#[test]
fn root_every_program_of_every_probe_has_its_share() {
    require_root();
    let (watched, trace) = (Watched::new(), trace());
    let held = || [&watched.agent, &trace].map(Running::programs);
    let before = held();
    let json = succeed(Command::new(WEIR).args(["cost", "--for", "1s", "-o", "json"]));
    let ([agent_before, trace_before], [agent_after, trace_after]) = (before, held());
    let cost: Value = serde_json::from_str(&json).expect("JSON");
    let of_agent = ["flows", "sockets", "processes", "dns", "tcp", "drops"];
    assert_whole(&cost, watched.agent.0.id(), &[agent_before, agent_after], &of_agent);
    let of_trace = ["calls", "retransmits", "hellos", "sockets", "processes"];
    assert_whole(&cost, trace.0.id(), &[trace_before, trace_after], &of_trace);
    // The kernel keeps no more than 15 characters of a name.
    let names: Vec<_> =
        cost["programs"].as_array().expect("a list").iter().filter_map(|one| one["name"].as_str()).collect();
    for name in ["weir_clock", "weir_existing", "weir_tcp_was_reset", "weir_retransmit_synack"] {
        assert!(names.contains(&name), "{names:?}");
    }
}

/// With what there is.
#[test]
fn root_an_interrupt_ends_it_early() {
    require_root();
    let _watched = Watched::new();
    let mut command = Command::new(WEIR);
    command.args(["cost", "--for", "10m"]).stdout(Stdio::piped()).process_group(0);
    let begin = Instant::now();
    let mut cost = Running(command.spawn().expect("weir cost starts"));
    std::thread::sleep(Duration::from_millis(700));
    let status = cost.interrupt();
    assert!(status.success(), "{status}");
    assert!(begin.elapsed() < Duration::from_secs(30));
    let mut table = String::new();
    let mut out = cost.0.stdout.take().expect("a pipe");
    std::io::Read::read_to_string(&mut out, &mut table).expect("text");
    assert!(table.contains("weir_ingress"), "{table}");
}
