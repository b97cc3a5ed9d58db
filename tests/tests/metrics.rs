//! What the agent says of itself to Prometheus: held against `ip -s link`, promtool and a real server.

use libbpf_rs::query::ProgInfoIter;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;
use weir_tests::agent::Agent;
use weir_tests::flood::Flood;
use weir_tests::folder::Folder;
use weir_tests::history::keeping;
use weir_tests::http::{curl, curl_as};
use weir_tests::inject::Injector;
use weir_tests::pair::{INTERFACE, Pair};
use weir_tests::peer::peer;
use weir_tests::servers::prometheus::{Prometheus, promtool};
use weir_tests::wait_for;
use weir_tests::witness::settled;

const ADDRESS: &str = "127.0.0.1:7979";
const URL: &str = "http://127.0.0.1:7979/metrics";
const FLOOD: Flood = Flood { packets: 20_000, flows: 1_000, mark: 1 };
const OPEN: &str =
    "Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
/// Another user of this host: Prometheus seldom runs as root.
const NOBODY: [&str; 4] = ["setpriv", "--reuid", "65534", "--clear-groups"];

fn pair() -> Pair {
    let pair = Pair::new();
    pair.left.ip("link set lo up");
    pair
}

fn agent(pair: &Pair, folder: &Folder) -> Agent {
    keeping(pair, folder, &["--listen", ADDRESS, "--idle-timeout", "1s"])
}

/// As whoever asks for nothing is given them.
fn metrics(pair: &Pair) -> String {
    let response = curl_as(&pair.left, &NOBODY, &[URL]);
    assert_eq!(response.status, 200, "{response:?}");
    response.body
}

/// Each name that has a series.
fn names(metrics: &str) -> BTreeSet<&str> {
    let lines = metrics.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split(['{', ' ']).next()).collect()
}

/// Both forms are what their kind wants, and say the same.
#[test]
fn root_both_forms_are_well_made() {
    let (pair, folder) = (pair(), Folder::new("metrics"));
    let agent = agent(&pair, &folder);
    let text = metrics(&pair);
    let (is_content, said) = promtool(&["check", "metrics"], &text);
    assert!(is_content && said.is_empty(), "{said}\n{text}");

    let open = curl(&pair.left, &["-H", OPEN, URL]);
    assert!(open.status == 200 && open.body.ends_with("# EOF\n"), "{open:?}");
    assert_eq!(names(&open.body), names(&text));
    let head = curl(&pair.left, &["-H", OPEN, "-o", "/dev/null", "-w", "%{content_type}\n%{http_code}", URL]);
    assert!(head.body.contains("application/openmetrics-text; version=1.0.0"), "{head:?}");
    agent.stop();
}

/// What the server has is what the wire says, in packets and in bytes.
#[test]
fn root_a_server_has_what_the_wire_says() {
    let (pair, folder) = (pair(), Folder::new("metrics"));
    let before = settled(&pair.left, INTERFACE);
    let agent = agent(&pair, &folder);
    let prometheus = Prometheus::start(&pair.left, ADDRESS);
    FLOOD.send(&Injector::open(&pair.left, INTERFACE));
    let after = settled(&pair.left, INTERFACE);
    let of = |unit: &str, direction: &str| {
        format!(
            "weir_seen_{unit}_total{{interface=\"{INTERFACE}\",direction=\"{direction}\",decapsulated=\"false\"}}"
        )
    };
    for (direction, before, after) in [("egress", before.tx, after.tx), ("ingress", before.rx, after.rx)] {
        prometheus.wait_for(&of("packets", direction), (after.packets - before.packets) as f64);
        prometheus.wait_for(&of("bytes", direction), (after.bytes - before.bytes) as f64);
    }
    prometheus.wait_for("up", 1.0);
    // All flows end, and the history has them.
    prometheus.wait_for("sum(weir_held_packets)", 0.0);
    prometheus.wait_for("sum(weir_seen_packets_total) - sum(weir_exported_packets_total)", 0.0);
    prometheus.wait_for("min(weir_ledger_balanced)", 1.0);
    let written = prometheus.query("weir_sink_written_records_total{sink=\"history\"}");
    assert!(written.len() == 1 && written[0].1 >= FLOOD.flows as f64, "{written:?}");
    agent.stop();
    prometheus.wait_for("up", 0.0);
}

/// What comes with Weir asks for nothing that is not there.
#[test]
fn root_rules_are_about_what_there_is() {
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/prometheus/");
    for file in fs::read_dir(rules).expect("rules").map(|entry| entry.expect("a file").path()) {
        let what = if is_test(&file) { ["test", "rules"] } else { ["check", "rules"] };
        let (is_content, said) = promtool(&[&what[..], &[&file.display().to_string()]].concat(), "");
        assert!(is_content, "{}: {said}", file.display());
    }
    let (pair, folder) = (pair(), Folder::new("metrics"));
    let agent = agent(&pair, &folder);
    let text = metrics(&pair);
    let described: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .chain(["up"])
        .collect();
    let asked = fs::read_to_string(format!("{rules}alerts.yml")).expect("rules");
    let asked: BTreeSet<_> = asked
        .split(|one: char| !one.is_ascii_alphanumeric() && one != '_')
        .filter(|word| word.starts_with("weir_"))
        .collect();
    assert!(asked.len() > 5, "{asked:?}");
    let unknown: Vec<_> = asked.difference(&described).collect();
    assert!(unknown.is_empty(), "{unknown:?} are no metrics");
    agent.stop();
}

fn is_test(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".test.yml"))
}

/// Each series is there once, and goes on, when an interface comes back under its name.
#[test]
fn root_an_interface_that_comes_back_has_no_second_series() {
    let (pair, folder) = (pair(), Folder::new("metrics"));
    let agent = keeping(&pair, &folder, &["--listen", ADDRESS, "--idle-timeout", "1s", "-i", "weir*"]);
    let sent = |least: f64| {
        wait_for("it sends something", Duration::from_secs(20), || {
            let text = metrics(&pair);
            let series: Vec<_> = text
                .lines()
                .filter(|line| line.starts_with("weir_seen_packets_total") && line.contains("weirback"))
                .filter(|line| line.contains("\"egress\""))
                .collect();
            assert!(series.len() <= 1, "{series:?}");
            let (is_content, said) = promtool(&["check", "metrics"], &text);
            assert!(is_content && said.is_empty(), "{said}");
            series.first()?.rsplit(' ').next()?.parse().ok().filter(|packets| *packets > least)
        })
    };
    let mut packets = 0.0;
    for _ in 0..3 {
        pair.left.ip("link add weirback type veth peer name weirpeer");
        pair.left.ip("link set weirback up");
        pair.left.ip("link set weirpeer up");
        pair.left.ip("address add 10.99.0.1/24 dev weirback");
        // Nobody is there: it asks who is.
        pair.left.run("sh", &["-c", "ping -c 3 -i 0.3 -W 1 10.99.0.2 || true"]);
        packets = sent(packets);
        pair.left.ip("link del weirback");
    }
    agent.stop();
}

/// Each is what `weir status` says it is.
#[test]
fn root_numbers_are_those_of_the_status() {
    let (pair, folder) = (pair(), Folder::new("metrics"));
    let agent = agent(&pair, &folder);
    FLOOD.send(&Injector::open(&pair.left, INTERFACE));
    settled(&pair.left, INTERFACE);
    let status = || curl(&pair.left, &["http://127.0.0.1:7979/api/v1/status"]).json();
    let told = |status: &Value, path: &str| {
        status.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {path}: {status}"))
    };
    wait_for("all flows have ended", Duration::from_secs(20), || {
        (told(&status(), "/sinks/0/written_records") >= FLOOD.flows as f64).then_some(())
    });
    // What goes on meanwhile only grows.
    let (before, text, after) = (status(), metrics(&pair), status());
    for (name, path) in [
        ("weir_uptime_seconds", "/uptime_seconds"),
        ("weir_drains_total", "/drains/count"),
        ("weir_kernel_entries", "/kernel/entries"),
        ("weir_kernel_memory_bytes", "/kernel/memory_bytes"),
        ("process_cpu_seconds_total", "/cost/cpu_seconds"),
    ] {
        let series = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        let numbers = series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        let number: f64 = numbers.sum();
        let (least, most) = (told(&before, path), told(&after, path));
        assert!(
            least <= number && number <= most && most > 0.0,
            "{name}: {number}, {path}: {least} to {most}"
        );
    }
    let (known, room) = (series(&text, "weir_known", "of"), series(&text, "weir_known_capacity", "of"));
    assert!(!known.is_empty() && known.keys().eq(room.keys()), "{known:?} {room:?}");
    assert!(known.iter().all(|(of, number)| *number <= room[of]), "{known:?} {room:?}");
    // docs/identity.md
    assert_eq!(room["sockets"], 262_144.0);
    agent.stop();
}

/// Programs are timed, as long as it is there; after that as before.
struct Timed(String);

const TIMED: &str = "/proc/sys/kernel/bpf_stats_enabled";

impl Timed {
    fn on() -> Self {
        let before = fs::read_to_string(TIMED).expect("the kernel can time programs");
        fs::write(TIMED, "1").expect("root may have it");
        Self(before)
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        let _ = fs::write(TIMED, &self.0);
    }
}

/// How often programs have run, and for how long, by their numbers, as the kernel has it.
fn kernels_own() -> BTreeMap<u64, [f64; 2]> {
    ProgInfoIter::default()
        .map(|one| (one.id.into(), [one.run_cnt as f64, one.run_time_ns as f64 / 1e9]))
        .collect()
}

/// Each series of a family, by one of its labels.
fn series(text: &str, family: &str, label: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(family)?.strip_prefix('{'));
    let series = lines.map(|line| {
        let (_, rest) =
            line.split_once(&format!("{label}=\"")).unwrap_or_else(|| panic!("no {label}: {line}"));
        let value = line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number");
        (rest.split('"').next().expect("a value").to_owned(), value)
    });
    series.collect()
}

/// With all that an agent may have: exporters, one of which is away, somebody it pushes to, and programs that are timed.
#[test]
fn root_exporters_pushes_and_programs_are_told_of() {
    let _timed = Timed::on();
    let (pair, folder) = (pair(), Folder::new("metrics"));
    folder.write("out.mode", "ok");
    let _server = peer(&pair.left, &folder, &format!("http 9995 {}", folder.path("out")));
    let exports = ["http://127.0.0.1:9995/in?name=there", "ipfix+tcp://127.0.0.1:4739?name=away"];
    let more = [
        "--export",
        exports[0],
        "--export",
        exports[1],
        "--remote-write",
        "http://127.0.0.1:9996/?name=push",
    ];
    let usual = ["--listen", ADDRESS, "--idle-timeout", "1s", "--push-interval", "1s"];
    let agent = keeping(&pair, &folder, &[&usual[..], &more].concat());
    FLOOD.send(&Injector::open(&pair.left, INTERFACE));
    let status = || curl(&pair.left, &["http://127.0.0.1:7979/api/v1/status"]).json();
    let sink = |status: &Value, name: &str| {
        let sinks = status["sinks"].as_array().expect("sinks");
        sinks.iter().find(|sink| sink["name"] == name).unwrap_or_else(|| panic!("{sinks:?}")).clone()
    };
    wait_for("one has them, for the other they wait", Duration::from_secs(30), || {
        let (now, all) = (status(), FLOOD.flows);
        let delivered = sink(&now, "there")["peer"]["delivered_records"].as_u64()?;
        let spooled = sink(&now, "away")["peer"]["spooled_records"].as_u64()?;
        let pushed = now["pushes"][0]["failures"].as_u64()?;
        (delivered >= all && spooled >= all && pushed > 0).then_some(())
    });
    // What goes on meanwhile only grows.
    let (programs, before, text, after) = (kernels_own(), status(), metrics(&pair), status());
    let programs_after = kernels_own();
    let (is_content, said) = promtool(&["check", "metrics"], &text);
    assert!(is_content && said.is_empty(), "{said}\n{text}");
    for (family, path) in [
        ("weir_exporter_delivered_records_total", "/peer/delivered_records"),
        ("weir_exporter_resent_records_total", "/peer/resent_records"),
        ("weir_exporter_filtered_records_total", "/peer/filtered_records"),
        ("weir_exporter_refused_records_total", "/peer/refused_records"),
        ("weir_exporter_damaged_records_total", "/peer/damaged_records"),
        ("weir_exporter_failures_total", "/peer/failures"),
        ("weir_exporter_spooled_records", "/peer/spooled_records"),
        ("weir_exporter_spool_bytes", "/peer/spooled_bytes"),
        ("weir_exporter_spool_capacity_bytes", "/peer/spool_capacity_bytes"),
        ("weir_sink_lost_records_total", "/lost_records"),
        ("weir_sink_written_records_total", "/written_records"),
        ("weir_sink_queue_capacity_records", "/queue_capacity"),
    ] {
        let told = series(&text, family, "sink");
        for name in ["there", "away"] {
            let number = |status: &Value| {
                let sink = sink(status, name);
                sink.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {path}: {sink}"))
            };
            let (least, most) = (number(&before), number(&after));
            let value = *told.get(name).unwrap_or_else(|| panic!("no {family} of {name}: {told:?}"));
            assert!(least <= value && value <= most, "{family} of {name}: {value}, {least} to {most}");
        }
    }
    let connected = series(&text, "weir_exporter_connected", "sink");
    assert_eq!((connected["there"], connected["away"]), (1.0, 0.0));
    let queued = series(&text, "weir_sink_queued_records", "sink");
    assert!(queued.contains_key("there") && queued.contains_key("away"), "{queued:?}");
    assert!(series(&text, "weir_push_failures_total", "push")["push"] > 0.0);
    assert_eq!(series(&text, "weir_push_connected", "push")["push"], 0.0);

    assert!(text.contains("\nweir_programs_timed 1\n"), "{text}");
    for (at, family) in ["weir_program_runs_total", "weir_program_run_seconds_total"].into_iter().enumerate()
    {
        let told = series(&text, family, "id");
        assert!(told.values().any(|value| *value > 0.0), "{family}: {told:?}");
        for (id, value) in told {
            let number = |of: &BTreeMap<u64, [f64; 2]>| of[&id.parse().expect("a number")][at];
            let (least, most) = (number(&programs), number(&programs_after));
            assert!(least <= value && value <= most, "{family} of {id}: {value}, {least} to {most}");
        }
    }
    agent.stop_however();
}
