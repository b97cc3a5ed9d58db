//! `weir cost`, from the outside, with real packets. Other agents may run on the host meanwhile:
//! BPF programs are not apart in network namespaces.

mod common;

use common::{WEIR, output, require_root, succeed, text};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ends what it was made with, however the test ends.
struct Running(Child);

impl Running {
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
        let mut run = inside(WEIR, &["run", "-i", "lo", "-o", "none"]);
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
        let held = format!("/proc/{}/fdinfo", self.agent.0.id());
        let descriptors = std::fs::read_dir(held).expect("the agent is there").flatten();
        let ids: Vec<u64> = descriptors
            .filter_map(|descriptor| std::fs::read_to_string(descriptor.path()).ok())
            .filter_map(|info| info.lines().find_map(|l| l.strip_prefix("prog_id:")?.trim().parse().ok()))
            .collect();
        let programs = cost["programs"].as_array().expect("a list of programs");
        programs.iter().filter(|p| p["id"].as_u64().is_some_and(|id| ids.contains(&id))).cloned().collect()
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
    assert!(table.lines().any(|line| line.contains(" ns per packet and ")), "{table}");
    assert!(table.contains(&watched.agent.0.id().to_string()), "{table}");
    assert!(table.contains("PROGRAM") && table.contains("weir_egress"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
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
