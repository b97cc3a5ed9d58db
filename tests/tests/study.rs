//! `weir study`: it measures what is there, leaves its files, and nothing else, however it ends.

use libbpf_rs::query::ProgInfoIter;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use weir_tests::agent::binary;
use weir_tests::netns::{require_root, succeed};
use weir_tests::pair::{INTERFACE, Pair};
use weir_tests::wait_for;

const USAGE: i32 = 2;
const ENVIRONMENT: i32 = 1;
const SOON: Duration = Duration::from_secs(30);
/// Names of programs that only a study loads.
const PROGRAMS: [&str; 4] = ["sink", "generate", "percpu_hash", "drive_ipv4"];

/// A directory for a report, removed with the value.
struct Out(PathBuf);

impl Out {
    fn new(name: &str) -> Self {
        require_root();
        let path = std::env::temp_dir().join(format!("weir-study-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn text(&self) -> &str {
        self.0.to_str().expect("it is text")
    }

    fn results(&self) -> Value {
        results(&self.0.join("results.json"))
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn results(path: &Path) -> Value {
    let text = fs::read_to_string(path).expect("there are results");
    serde_json::from_str(&text).expect("they are JSON")
}

fn study(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.arg("study").args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    study(arguments).output().expect("weir can be run")
}

/// Fails with this code and one line, which names each of `mentions`.
fn refuse(command: &mut Command, code: i32, mentions: &[&str]) {
    let output = command.output().expect("it can be run");
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.starts_with("weir: ") && !said.contains('\n'), "{said}");
    for mention in mentions {
        assert!(said.contains(mention), "no {mention} in: {said}");
    }
}

/// Of the process `pid`, in /run/netns.
fn namespaces(pid: u32) -> usize {
    let entries = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let begin = format!("weir-study-{pid}-");
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&begin)).count()
}

fn programs() -> usize {
    ProgInfoIter::default().filter(|info| PROGRAMS.contains(&&*info.name.to_string_lossy())).count()
}

/// The kernel frees programs a moment after the last who held them has gone.
fn assert_no_trace(pid: u32) {
    assert_eq!(namespaces(pid), 0);
    wait_for("the kernel to forget the programs", SOON, || (programs() == 0).then_some(()));
}

/// Every arm that this machine has, under both traffics. How long it takes is the bench's business.
#[test]
fn root_a_quick_study_is_whole() {
    let out = Out::new("quick");
    let output = run(&["--quick", "--out", out.text()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let results = out.results();
    assert_eq!(results["partial"], Value::Null);
    let measured = results["results"].as_array().expect("a list");
    for arm in results["config"]["arms"].as_array().expect("a list") {
        let of_arm: Vec<_> = measured.iter().filter(|one| one["arm"] == arm["name"]).collect();
        let skipped = arm["skipped"].is_string();
        assert_eq!(of_arm.len(), if skipped { 0 } else { 2 }, "{arm}");
        if arm["kind"] == "aggregate" {
            for one in of_arm {
                assert_eq!(
                    (&one["accuracy_packets"], &one["accuracy_flows"]),
                    (&1.0.into(), &1.0.into()),
                    "{one}"
                );
                assert_eq!((&one["lost"], &one["received"]), (&0.into(), &one["sent"]), "{one}");
            }
        }
    }
    assert_eq!(results["lessons"].as_array().map(Vec::len), Some(3));
    let settings = &results["recommendation"]["settings"];
    assert!(settings["memory_budget"].is_string(), "{settings}");
    for file in ["report.html", "results.csv", "throughput-one-flow.svg", "loss-by-rate.svg", "tuned.yaml"] {
        assert!(fs::metadata(out.0.join(file)).is_ok_and(|found| found.len() > 100), "{file}");
    }
    // What it recommends is what `weir run` takes.
    let tuned = out.0.join("tuned.yaml");
    let check = Command::new(binary()).args(["config", "check"]).arg(&tuned).output().expect("it can be run");
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    wait_for("the kernel to forget the programs", SOON, || (programs() == 0).then_some(()));
}

/// As many differences as rounds, however busy the machine is, and whether it was. What they are made of is the arithmetic
/// of units' tests; how large they are is for a bench to say.
#[test]
fn root_costs_are_told_by_windows() {
    let out = Out::new("windows");
    let arms = ["--arms", "empty,percpu-hash", "--traffic", "1-flow", "--rounds", "3", "--out", out.text()];
    assert!(run(&arms).status.success());
    let results = out.results();
    assert_eq!(results["partial"], Value::Null);
    let measured = results["results"].as_array().expect("a list");
    let costs = |arm: &str| -> Vec<f64> {
        let of_arm = measured.iter().find(|one| one["arm"] == arm).expect("it was measured");
        let rounds = of_arm["slower_ns_rounds"].as_array().expect("a list").iter();
        rounds.map(|cost| cost.as_f64().expect("a number")).collect()
    };
    assert!(measured.iter().all(|one| one["disturbed"].is_boolean()));
    assert_eq!(costs("none"), [0.0; 3]);
    for arm in ["empty", "percpu-hash"] {
        let costs = costs(arm);
        assert!(costs.len() == 3 && costs.iter().all(|cost| cost.is_finite()), "{arm}: {costs:?}");
        // Windows are told in fractions of a nanosecond: one difference may be nothing by chance, not all of them.
        assert!(costs.iter().any(|cost| *cost != 0.0), "{arm}: {costs:?}");
    }
}

#[test]
fn root_a_study_is_no_other_than_itself() {
    let out = Out::new("compare");
    let arms =
        ["--arms", "hash,weir", "--traffic", "40-flows", "--rounds", "4", "--quick", "--out", out.text()];
    assert!(run(&arms).status.success());
    let path = out.0.join("results.json");
    let path = path.to_str().expect("it is text");
    let output = run(&["compare", path, path]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.starts_with("nothing changed beyond noise"), "{said}");
    refuse(&mut study(&["compare", path, "/nowhere.json"]), ENVIRONMENT, &["/nowhere.json"]);
    refuse(&mut study(&["compare", path, "/proc/version"]), ENVIRONMENT, &["/proc/version"]);
}

/// A study that has begun to measure.
fn begin(out: &Out) -> Child {
    let mut command =
        study(&["--quick", "--arms", "percpu-hash,weir", "--rounds", "1000", "--out", out.text()]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("weir can be run");
    wait_for("the study to measure", SOON, || (namespaces(child.id()) == 2 && programs() > 1).then_some(()));
    child
}

#[test]
fn root_an_interrupted_study_leaves_what_it_has_found_and_nothing_else() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let out = Out::new("interrupted");
        let child = begin(&out);
        let pid = child.id();
        kill(Pid::from_raw(pid as i32), signal).expect("it runs");
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(ENVIRONMENT), "{said}");
        assert!(said.contains("not whole") && said.contains("interrupted"), "{said}");
        assert_no_trace(pid);
        let results = out.results();
        assert!(
            results["partial"].as_str().is_some_and(|why| why.contains("interrupted")),
            "{}",
            results["partial"]
        );
        let left: Vec<_> =
            fs::read_dir(&out.0).expect("it is there").flatten().map(|file| file.file_name()).collect();
        assert!(left.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{left:?}");
    }
}

/// Nothing can be cleared up by a process that is killed; its successor does.
#[test]
fn root_what_a_killed_study_has_left_the_next_one_removes() {
    let out = Out::new("killed");
    let mut child = begin(&out);
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert_eq!(namespaces(child.id()), 2);
    let next = begin(&out);
    assert_eq!(namespaces(child.id()), 0);
    kill(Pid::from_raw(next.id() as i32), Signal::SIGINT).expect("it runs");
    let pid = next.id();
    next.wait_with_output().expect("it ends");
    assert_no_trace(pid);
}

#[test]
fn root_bad_input_is_one_line() {
    let out = Out::new("refused");
    let out = out.text();
    refuse(&mut study(&["--arms", "hash,hush"]), USAGE, &["hush", "percpu-hash"]);
    refuse(&mut study(&["--traffic", "40-flows,tcp"]), USAGE, &["'tcp'", "flow-per-cpu"]);
    refuse(&mut study(&["--rounds", "0"]), USAGE, &["--rounds"]);
    refuse(&mut study(&["--interface", "eth0"]), USAGE, &["--to"]);
    refuse(&mut study(&["--traffic", "pcap:/nowhere.pcap", "--out", out]), ENVIRONMENT, &["/nowhere.pcap"]);
    refuse(&mut study(&["--quick", "--out", "/proc/nowhere"]), ENVIRONMENT, &["/proc/nowhere"]);
    let link = ["--interface", "nosuch0", "--to", "192.0.2.1", "--out", out];
    refuse(&mut study(&link), ENVIRONMENT, &["nosuch0"]);

    let weir = binary();
    let mut one_cpu = Command::new("taskset");
    one_cpu.args(["-c", "0"]).arg(&weir).args(["study", "--quick", "--out", out]);
    refuse(&mut one_cpu, ENVIRONMENT, &["too few CPUs"]);
    let mut powerless = Command::new("setpriv");
    powerless
        .args(["--bounding-set=-all", "--inh-caps=-all"])
        .arg(&weir)
        .args(["study", "--quick", "--out", out]);
    refuse(&mut powerless, ENVIRONMENT, &["CAP_", "root"]);
}

/// A full disk: what was found before stays, and says that it is not all.
#[test]
fn root_a_full_disk_leaves_a_partial_result() {
    let out = Out::new("full");
    fs::create_dir(&out.0).expect("it can be made");
    succeed(Command::new("mount").args(["-t", "tmpfs", "-o", "size=16k", "weir-study", out.text()]));
    let traffics = "1-flow,2-flows,3-flows,4-flows,5-flows,6-flows";
    let arms = "hash,percpu-hash,weir";
    let output =
        run(&["--quick", "--rounds", "1", "--arms", arms, "--traffic", traffics, "--out", out.text()]);
    let kept = fs::read_to_string(out.0.join("results.json"));
    succeed(Command::new("umount").arg(out.text()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(ENVIRONMENT), "{said}");
    assert!(said.trim().lines().count() == 1 && said.contains("No space left"), "{said}");
    let kept: Value = serde_json::from_str(&kept.expect("it was written")).expect("it is whole JSON");
    assert!(kept["partial"].is_string());
    assert!(!kept["results"].as_array().expect("a list").is_empty());
}

/// Over a link that is there, with the sink as another process: what is sent is what arrives, and is reported.
#[test]
fn root_a_study_over_a_real_link() {
    let out = Out::new("link");
    let pair = Pair::new();
    let inside = |name: &str| {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", name]).arg(binary()).arg("study").stdin(Stdio::null());
        command
    };
    let mut sink = inside(pair.right.name());
    sink.args(["sink", "--interface", INTERFACE]);
    let sink = sink.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the sink runs");
    let listens = || pair.right.run("ss", &["-ltn"]).contains(":7980").then_some(());
    wait_for("the sink to listen", SOON, listens);

    let to = weir_tests::pair::RIGHT;
    let mut near = inside(pair.left.name());
    near.args(["--quick", "--rounds", "1", "--arms", "hash,weir,tcpdump", "--traffic", "40-flows"]);
    let output =
        near.args(["--interface", INTERFACE, "--to", to, "--out", out.text()]).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    kill(Pid::from_raw(sink.id() as i32), Signal::SIGINT).expect("it runs");
    let said = sink.wait_with_output().expect("it ends");
    assert!(String::from_utf8_lossy(&said.stderr).contains("have arrived"), "{said:?}");

    let results = out.results();
    assert_eq!(results["config"]["link"], INTERFACE);
    let measured = results["results"].as_array().expect("a list");
    assert_eq!(measured.len(), 3, "tcpdump is left out");
    for one in measured {
        assert_eq!(one["received"], one["sent"], "{one}");
        if one["arm"] != "none" {
            assert_eq!(one["accuracy_packets"], 1.0, "{one}");
        }
    }
}
