//! What `/metrics` says, pushed: a Prometheus that scrapes the agent has the same twice, and a server of OpenTelemetry has the
//! interface's own sums.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;
use weir_tests::agent::Agent;
use weir_tests::control;
use weir_tests::flood::Flood;
use weir_tests::folder::Folder;
use weir_tests::history::keeping;
use weir_tests::inject::Injector;
use weir_tests::pair::{INTERFACE, Pair};
use weir_tests::python::interpreter;
use weir_tests::servers::prometheus::{PORT, Prometheus};
use weir_tests::shell::serving;
use weir_tests::wait_for;
use weir_tests::witness::settled;

const ADDRESS: &str = "127.0.0.1:7979";
const FLOOD: Flood = Flood { packets: 20_000, flows: 1_000, mark: 1 };
const SOON: Duration = Duration::from_secs(30);

fn agent(pair: &Pair, folder: &Folder, push: [&str; 2]) -> Agent {
    let push = [&push[..], &["--push-interval", "1s"]].concat();
    keeping(pair, folder, &[&["--listen", ADDRESS, "--idle-timeout", "1s"][..], &push].concat())
}

/// All series of an instance, without what tells the two apart.
fn series(prometheus: &Prometheus<'_>, instance: &str) -> BTreeSet<String> {
    let found = prometheus.query(&format!("{{__name__=~\"weir_.*|process_.*\",instance=\"{instance}\"}}"));
    let labels = |mut labels: Value| {
        labels.as_object_mut().expect("labels").remove("instance");
        labels.to_string()
    };
    found.into_iter().map(|(metric, _)| labels(metric)).collect()
}

#[test]
fn root_what_is_pushed_is_what_is_scraped() {
    let (pair, folder) = (Pair::new(), Folder::new("remote_write"));
    pair.left.ip("link set lo up");
    let prometheus = Prometheus::start(&pair.left, ADDRESS);
    let before = settled(&pair.left, INTERFACE);
    let url = format!("http://127.0.0.1:{PORT}/api/v1/write?instance=pushed");
    let agent = agent(&pair, &folder, ["--remote-write", &url]);
    FLOOD.send(&Injector::open(&pair.left, INTERFACE));
    let after = settled(&pair.left, INTERFACE);
    let pushed = format!(
        "sum(weir_network_packets_total{{instance=\"pushed\",interface=\"{INTERFACE}\",direction=\"egress\"}})"
    );
    prometheus.wait_for(&pushed, (after.tx.packets - before.tx.packets) as f64);
    wait_for("both have the same series", SOON, || {
        let [pushed, scraped] = ["pushed", ADDRESS].map(|instance| series(&prometheus, instance));
        (!pushed.is_empty() && pushed == scraped).then_some(())
    });
    prometheus.wait_for("weir_push_connected{instance=\"pushed\"}", 1.0);
    agent.stop();
    assert_eq!(series(&prometheus, "pushed"), BTreeSet::new(), "all have ended");
}

const SINK: &str = include_str!("../../crates/weir-export/tests/common/sink.py");

/// The last value of each series of a family, by its attributes.
fn last<'p>(points: &'p [Value], name: &str) -> BTreeMap<String, &'p Value> {
    let of_it = points.iter().filter(|point| point["name"] == name);
    of_it.map(|point| (point["attributes"].to_string(), point)).collect()
}

#[test]
fn root_opentelemetry_has_the_sums_of_the_interface() {
    let (pair, folder) = (Pair::new(), Folder::new("otlp_metrics"));
    pair.left.ip("link set lo up");
    folder.write("mode", "ok");
    let mut program = Command::new(interpreter());
    program.args([folder.write("sink.py", SINK), folder.place().display().to_string(), "0".into()]);
    let (_server, port) = pair.left.enter(|| serving(&mut program));
    let before = settled(&pair.left, INTERFACE);
    let agent = agent(&pair, &folder, ["--otlp-metrics", &format!("otlp+http://127.0.0.1:{port}")]);
    FLOOD.send(&Injector::open(&pair.left, INTERFACE));
    let after = settled(&pair.left, INTERFACE);
    let points = || {
        let text = std::fs::read_to_string(folder.path("taken")).unwrap_or_default();
        let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        lines.map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<Value>>()
    };
    let sum = |name: &str, points: &[Value]| -> u64 {
        let series = last(points, name).into_values().filter(|point| {
            let attributes = &point["attributes"];
            attributes["network.interface.name"] == INTERFACE
                && attributes["weir.network.interface.direction"] == "egress"
        });
        series.filter_map(|point| point["value"].as_u64()).sum()
    };
    let (packets, bytes) = (after.tx.packets - before.tx.packets, after.tx.bytes - before.tx.bytes);
    wait_for("all was pushed", SOON, || {
        let points = points();
        let sums = [sum("weir.network.packets", &points), sum("weir.network.io", &points)];
        (sums == [packets, bytes]).then_some(())
    });
    let state = &control::status(&agent.socket())["pushes"][0];
    assert_eq!((&state["condition"], &state["refused_samples"]), (&"connected".into(), &0.into()), "{state}");
    agent.stop();
    let points = points();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    let seen = last(&points, "weir.seen.packets");
    assert!(seen.values().all(|point| point["flags"] == 1 && point["unit"] == "{packet}"), "{seen:#?}");
    assert!(
        !seen.is_empty() && points.iter().all(|point| point["resource"]["host.name"] == json!(host.trim()))
    );
}
