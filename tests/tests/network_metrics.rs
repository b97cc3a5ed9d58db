//! What the network does, for Prometheus: held against `ip -s link`, the ledger, nstat and dig, as a real server has it.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::net::UdpSocket;
use std::time::Duration;
use weir_tests::agent::Agent;
use weir_tests::dig::dig;
use weir_tests::flood::Flood;
use weir_tests::folder::Folder;
use weir_tests::history::keeping;
use weir_tests::http::curl;
use weir_tests::inject::Injector;
use weir_tests::pair::{INTERFACE, LEFT, Pair, RIGHT};
use weir_tests::servers::prometheus::{Prometheus, promtool};
use weir_tests::servers::unbound::Unbound;
use weir_tests::shell::reader;
use weir_tests::wait_for;
use weir_tests::witness::{nstat, settled};

const ADDRESS: &str = "127.0.0.1:7979";
const FLOOD: Flood = Flood { packets: 20_000, flows: 1_000, mark: 1 };
/// Everything that was counted, in series that there are and in those that are gone.
const ALL_PACKETS: &str = "sum(weir_network_packets_total) + sum(weir_network_vanished_packets_total)";

struct Watched {
    pair: Pair,
    folder: Folder,
}

impl Watched {
    fn new() -> Self {
        let pair = Pair::new();
        pair.left.ip("link set lo up");
        Self { pair, folder: Folder::new("network_metrics") }
    }

    fn agent(&self, more: &[&str]) -> Agent {
        let usual = ["--listen", ADDRESS, "--idle-timeout", "1s"];
        keeping(&self.pair, &self.folder, &[&usual[..], more].concat())
    }

    fn prometheus(&self) -> Prometheus<'_> {
        Prometheus::start(&self.pair.left, ADDRESS)
    }

    fn metrics(&self) -> String {
        curl(&self.pair.left, &[&format!("http://{ADDRESS}/metrics")]).body
    }
}

#[test]
fn root_each_direction_has_what_the_wire_says() {
    let watched = Watched::new();
    let pair = &watched.pair;
    let before = settled(&pair.left, INTERFACE);
    let agent = watched.agent(&[]);
    let prometheus = watched.prometheus();
    FLOOD.send(&Injector::open(&pair.left, INTERFACE));
    pair.left.run("ping", &["-c", "5", "-i", "0.1", RIGHT]);
    let after = settled(&pair.left, INTERFACE);
    let wire = [("egress", before.tx, after.tx), ("ingress", before.rx, after.rx)];
    for (direction, before, after) in wire {
        let of = |unit: &str| {
            format!("sum(weir_network_{unit}_total{{interface=\"{INTERFACE}\",direction=\"{direction}\"}})")
        };
        prometheus.wait_for(&of("packets"), (after.packets - before.packets) as f64);
        prometheus.wait_for(&of("bytes"), (after.bytes - before.bytes) as f64);
    }
    // What pings said and what was answered are one conversation, and go both ways.
    for (sender, direction) in [("source", "egress"), ("destination", "ingress")] {
        let pings = format!(
            "weir_network_packets_total{{protocol=\"icmp\",direction=\"{direction}\",sent_by=\"{sender}\"}}"
        );
        prometheus.wait_for(&pings, 5.0);
    }
    agent.stop();
}

/// There are no more series than there may be, and no packet is lost or counted twice by that.
#[test]
fn root_a_budget_of_series_keeps_all_sums() {
    let watched = Watched::new();
    let agent = watched.agent(&[
        "--metrics-by",
        "source_port,destination_port",
        "--metrics-series",
        "10",
        "--metrics-grace",
        "3s",
    ]);
    let prometheus = watched.prometheus();
    let injector = Injector::open(&watched.pair.left, INTERFACE);
    FLOOD.send(&injector);
    let whole = |packets: u64| {
        wait_for("all is counted", Duration::from_secs(30), || {
            let all = prometheus.query(ALL_PACKETS).first()?.1;
            (all >= packets as f64).then_some(())
        });
        prometheus.wait_for("sum(weir_held_packets)", 0.0);
        prometheus.wait_for(&format!("{ALL_PACKETS} - sum(weir_exported_packets_total)"), 0.0);
    };
    whole(FLOOD.packets);
    let series = prometheus.query("count(weir_network_records_total)");
    assert!(series.iter().all(|(_, count)| *count <= 11.0), "{series:?}");
    let others =
        "weir_network_packets_total{source_port=\"other\",destination_port=\"other\",sent_by=\"source\"}";
    prometheus.wait_for(others, (FLOOD.packets - 10 * FLOOD.packets / FLOOD.flows) as f64);
    let (is_content, said) = promtool(&["check", "metrics"], &watched.metrics());
    assert!(is_content && said.is_empty(), "{said}");

    // Ports that are silent give way to those that were heavy meanwhile, and what they had counted stays in the sum.
    wait_for("series vanish", Duration::from_secs(20), || {
        let gone = prometheus.query("sum(weir_network_vanished_packets_total)");
        (gone.first()?.1 >= (10 * FLOOD.packets / FLOOD.flows) as f64).then_some(())
    });
    Flood { packets: 5_000, flows: 1, mark: 2 }.send(&injector);
    whole(FLOOD.packets + 5_000);
    agent.stop();
}

/// Of connections over a link that loses segments.
#[test]
fn root_segments_that_were_sent_again_are_those_that_tcp_counts() {
    let watched = Watched::new();
    let pair = &watched.pair;
    let _server = reader(&pair.right);
    let rules = "add table ip weirt; add chain ip weirt in { type filter hook input priority 0; }; \
                 add rule ip weirt in tcp dport 6010 numgen inc mod 10 == 5 drop";
    pair.right.run("nft", &[rules]);
    let agent = watched.agent(&["--active-timeout", "1s", "--metrics-by", "source_process,destination_port"]);
    let prometheus = watched.prometheus();
    let program = format!(
        "import socket, time
for connection in range(3):
    one = socket.create_connection(('{RIGHT}', 6010))
    for part in range(60):
        one.sendall(b'x' * 20000)
        time.sleep(0.02)
    one.shutdown(socket.SHUT_WR)
    one.recv(1)"
    );
    pair.left.run("/usr/bin/python3", &["-c", &program]);
    let counted = nstat(&pair.left, "TcpRetransSegs");
    assert!(counted > 10, "{counted}");
    let labels = "source_process=\"python3\",destination_port=\"6010\"";
    let sent_by_source =
        format!("weir_network_tcp_retransmitted_segments_total{{{labels},sent_by=\"source\"}}");
    prometheus.wait_for(&sent_by_source, counted as f64);
    let records = prometheus.query(&format!("weir_network_records_total{{{labels}}}"));
    let times = prometheus.query(&format!("weir_network_tcp_rtt_seconds_count{{{labels}}}"));
    // Both ends are at this host.
    assert!(
        records[0].1 >= 3.0 && times[0].1 > 0.0 && times[0].1 <= 2.0 * records[0].1,
        "{records:?} {times:?}"
    );
    let classes = format!("weir_network_tcp_rtt_seconds_bucket{{{labels},le=\"+Inf\"}}");
    assert_eq!(prometheus.query(&classes)[0].1, times[0].1);
    let sum = prometheus.query(&format!("weir_network_tcp_rtt_seconds_sum{{{labels}}}"));
    assert!(sum[0].1 > 0.0 && sum[0].1 < times[0].1, "{sum:?}");
    agent.stop();
}

/// What the kernel drops of a flow is in its series, by reason where that is a label; 0 where nothing was dropped.
#[test]
fn root_drops_are_told_by_the_same_labels() {
    let watched = Watched::new();
    let pair = &watched.pair;
    let rules = "add table ip weirt; add chain ip weirt in { type filter hook input priority 0; }; \
                 add rule ip weirt in udp dport 7004 drop";
    pair.left.run("nft", &[rules]);
    let labels = "destination_port,drop_reasons";
    let agent = watched.agent(&["--metrics-by", labels, "--metrics-grace", "3s"]);
    let prometheus = watched.prometheus();
    let socket = pair.right.enter(|| UdpSocket::bind((RIGHT, 0)).expect("a port"));
    for (port, count) in [(7004, 9), (7005, 4)] {
        for _ in 0..count {
            socket.send_to(&[7; 100], (LEFT, port)).expect("it is sent");
        }
    }
    // Somebody takes these.
    let taken = pair.left.enter(|| UdpSocket::bind((LEFT, 7006)).expect("a port"));
    socket.send_to(&[7; 100], (LEFT, 7006)).expect("it is sent");
    let of = |unit: &str, port: &str, reason: &str| {
        format!("weir_network_dropped_{unit}_total{{destination_port=\"{port}\",drop_reasons=\"{reason}\"}}")
    };
    prometheus.wait_for(&of("packets", "7004", "NETFILTER_DROP"), 9.0);
    // With the headers of IP and UDP.
    prometheus.wait_for(&of("bytes", "7004", "NETFILTER_DROP"), 9.0 * 128.0);
    prometheus.wait_for(&of("packets", "7005", "NO_SOCKET"), 4.0);
    prometheus.wait_for(&of("packets", "7006", ""), 0.0);
    // Whoever is gone leaves what it had.
    let all = "sum(weir_network_dropped_packets_total) + sum(weir_network_vanished_dropped_packets_total)";
    prometheus.wait_for("weir_network_vanished_dropped_packets_total", 13.0);
    prometheus.wait_for("weir_network_vanished_dropped_bytes_total", 13.0 * 128.0);
    taken.send_to(&[7; 100], (RIGHT, socket.local_addr().expect("a port").port())).expect("it is sent");
    prometheus.wait_for(all, 13.0);
    let (is_content, said) = promtool(&["check", "metrics"], &watched.metrics());
    assert!(is_content && said.is_empty(), "{said}");
    agent.stop();
}

#[test]
fn root_answers_of_dns_are_told_with_how_long_they_took() {
    let watched = Watched::new();
    let pair = &watched.pair;
    let _server = Unbound::start(
        &pair.right,
        RIGHT,
        " local-zone: example. static\n local-data: \"a.example. A 10.77.0.9\"\n",
    );
    let labels = "source_process,destination_port,interface,direction";
    let agent = watched.agent(&["--metrics-by", labels]);
    for _ in 0..7 {
        dig(&pair.left, RIGHT, &["a.example", "A"]);
    }
    let prometheus = watched.prometheus();
    prometheus.wait_for("weir_dns_latency_seconds_count", 7.0);
    prometheus.wait_for("weir_dns_latency_seconds_count - weir_dns_answers_total", 0.0);
    let sum = prometheus.query("weir_dns_latency_seconds_sum")[0].1;
    assert!(sum > 0.0 && sum < 7.0, "{sum}");
    // By who asked, at the interface that the questions left by: in the series that their packets are in.
    let asked = format!(
        "{{source_process=\"dig\",destination_port=\"53\",interface=\"{INTERFACE}\",direction=\"egress\"}}"
    );
    prometheus.wait_for(&format!("weir_network_dns_latency_seconds_count{asked}"), 7.0);
    prometheus.wait_for(&format!("weir_network_records_total{asked}"), 7.0);
    let own = prometheus.query(&format!("weir_network_dns_latency_seconds_sum{asked}"))[0].1;
    assert!((own - sum).abs() < 1e-6, "{own}, of {sum}");
    let (is_content, said) = promtool(&["check", "metrics"], &watched.metrics());
    assert!(is_content && said.is_empty(), "{said}");
    agent.stop();
}

/// Who asks for no sums has none, nor a sink for them; a mistake in what is asked for is said.
#[test]
fn root_labels_are_chosen() {
    let watched = Watched::new();
    let agent = watched.agent(&["--metrics-by", "none"]);
    let text = watched.metrics();
    assert!(text.contains("weir_seen_packets_total") && !text.contains("weir_network_"), "{text}");
    agent.stop();
    let (_, _, said) = Agent::run(&watched.pair.left, &[], &["run", "--metrics-by", "source_prot"]);
    let said = said.join("\n");
    assert!(said.contains("there is no field source_prot: did you mean source_port?"), "{said}");
}

/// The dashboard asks for nothing that is not there, in a language that the server understands.
#[test]
fn root_the_dashboard_is_about_what_there_is() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/grafana/weir.json");
    let board: Value = serde_json::from_str(&fs::read_to_string(file).expect("a dashboard")).expect("JSON");
    let asked = expressions(&board);
    assert!(asked.len() > 10, "{asked:?}");
    let watched = Watched::new();
    let export = format!("file:{}", watched.folder.path("flows"));
    let agent = watched.agent(&["--export", &export]);
    let prometheus = watched.prometheus();
    something_of_everything(&watched.pair);
    for metric in ["weir_network_tcp_rtt_seconds_count", "weir_dropped_packets_total"] {
        wait_for(metric, Duration::from_secs(30), || (!prometheus.query(metric).is_empty()).then_some(()));
    }
    let labels = |metric: &str| -> BTreeSet<String> {
        let series = prometheus.query(metric);
        series.iter().flat_map(|(labels, _)| labels.as_object().expect("labels").keys().cloned()).collect()
    };
    for expression in &asked {
        let filled = filled(expression);
        prometheus.query(&filled);
        let metrics = selected(&filled);
        assert!(!metrics.is_empty(), "{expression}");
        for (metric, chosen) in metrics {
            let there = labels(metric);
            if there.is_empty() {
                // Nothing is lost here, and so nothing by a cause.
                assert_eq!(metric, "weir_lost_packets_total", "no such metric: {expression}");
                continue;
            }
            let unknown: Vec<_> =
                chosen.into_iter().chain(summed_by(&filled)).filter(|name| !there.contains(*name)).collect();
            assert!(unknown.is_empty(), "{metric} has {there:?}, but not {unknown:?}: {expression}");
        }
    }
    let variables = variables(&board);
    assert!(!variables.is_empty(), "nothing to choose from");
    for (metric, label) in variables {
        assert!(labels(&metric).contains(&label), "{metric} has no {label}");
    }
    agent.stop();
}

/// A connection, and a drop.
fn something_of_everything(pair: &Pair) {
    let _server = reader(&pair.right);
    pair.left.run("bash", &["-c", &format!("echo > /dev/tcp/{RIGHT}/6010")]);
    let socket = pair.right.enter(|| UdpSocket::bind((RIGHT, 0)).expect("a port"));
    socket.send_to(b"nobody", (LEFT, 7005)).expect("it is sent");
}

fn is_of_a_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// The metrics of an expression, and by which labels series of them are chosen.
fn selected(expression: &str) -> Vec<(&str, Vec<&str>)> {
    let begins = |at: &usize| !expression[..*at].ends_with(is_of_a_name);
    let places = ["weir_", "process_"].into_iter().flat_map(|name| expression.match_indices(name));
    let metric = |at: usize| {
        let (name, rest) = expression[at..]
            .split_at(expression[at..].find(|letter| !is_of_a_name(letter)).unwrap_or(expression.len() - at));
        let braces = rest.strip_prefix('{').and_then(|rest| rest.split('}').next()).unwrap_or_default();
        let labels = braces.split(',').filter_map(|one| one.split(['=', '!']).next());
        (name, labels.filter(|label| !label.is_empty()).collect())
    };
    places.map(|(at, _)| at).filter(begins).map(metric).collect()
}

fn summed_by(expression: &str) -> impl Iterator<Item = &str> {
    let lists = expression.split("by (").skip(1).filter_map(|rest| rest.split(')').next());
    lists.flat_map(|list| list.split(',').map(str::trim))
}

/// Of what a user may choose from, as the server is asked for it: `label_values(METRIC, LABEL)`.
fn variables(board: &Value) -> Vec<(String, String)> {
    let all = board["templating"]["list"].as_array().expect("variables").iter();
    let asked = all.filter(|one| one["type"] == "query").map(|one| {
        let query = one["query"]["query"].as_str().expect("a query");
        assert_eq!(one["definition"], query);
        let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
        let (metric, label) = inner.and_then(|inner| inner.split_once(',')).expect("a metric and a label");
        (metric.trim().to_owned(), label.trim().to_owned())
    });
    asked.collect()
}

/// All that it asks the server for.
fn expressions(part: &Value) -> Vec<String> {
    match part {
        Value::Object(members) => {
            let own = members.get("expr").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(members.values().flat_map(expressions)).collect()
        }
        Value::Array(parts) => parts.iter().flat_map(expressions).collect(),
        _ => Vec::new(),
    }
}

/// With the values that Grafana would put in.
fn filled(expression: &str) -> String {
    expression.replace("$__rate_interval", "1m").replace("$instance", ".*").replace("$label", "protocol")
}
