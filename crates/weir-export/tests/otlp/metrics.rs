//! What `/metrics` says, as OpenTelemetry's metrics: through rotel, and read by google.protobuf.

use crate::SOON;
use crate::collector::taken;
use crate::rotel::Rotel;
use crate::sink::Sink;
use serde_json::{Value, json};
use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};
use weir_export::{Push, Pusher};
use weir_record::{PeerCondition, PushState};
use weir_tests::{free_port, wait_for};

/// A page as the agent makes them, of six series and five families. Of `number` some values are made.
fn page(number: u64) -> String {
    format!(
        "# HELP weir_network_bytes Sent.\n# TYPE weir_network_bytes counter\n# UNIT weir_network_bytes bytes\n\
         weir_network_bytes_total{{interface=\"eth0\",protocol=\"tcp\",sent_by=\"source\"}} {number}\n\
         # HELP weir_network_packets Sent.\n# TYPE weir_network_packets counter\n# UNIT weir_network_packets packets\n\
         weir_network_packets_total{{interface=\"gr\\\"ö\\\\ße\\n\",source_pod=\"\"}} 9007199254740993\n\
         # HELP weir_network_tcp_rtt_seconds Times.\n# TYPE weir_network_tcp_rtt_seconds histogram\n\
         # UNIT weir_network_tcp_rtt_seconds seconds\n\
         weir_network_tcp_rtt_seconds_sum{{direction=\"egress\"}} 0.25\n\
         weir_network_tcp_rtt_seconds_count{{direction=\"egress\"}} {number}\n\
         weir_network_tcp_rtt_seconds_bucket{{le=\"0.001\",direction=\"egress\"}} 1\n\
         weir_network_tcp_rtt_seconds_bucket{{le=\"+Inf\",direction=\"egress\"}} {number}\n\
         # HELP weir_kernel_entries_used Now.\n# TYPE weir_kernel_entries_used gauge\n\
         weir_kernel_entries_used{{map=\"flows\"}} -1\nweir_kernel_entries_used{{map=\"names\"}} 1.5\n\
         # HELP weir_flows Now.\n# TYPE weir_flows gauge\nweir_flows 3\n# EOF\n"
    )
}

fn pusher(url: &str) -> Pusher {
    let push = Push::otlp(url).unwrap_or_else(|mistake| panic!("{url}: {mistake}"));
    push.pusher("here".into(), Box::new(drop))
}

fn push(pusher: &mut Pusher) -> PushState {
    pusher.push(Instant::now() + SOON);
    pusher.state().lock().expect("nobody panics").clone()
}

/// Pushes this page, and no other.
fn tell(pusher: &mut Pusher, page: io::Result<String>) -> PushState {
    // Times are whole milliseconds.
    sleep(Duration::from_millis(3));
    pusher.look(page);
    push(pusher)
}

fn of<'p>(points: &'p [Value], name: &str) -> Vec<&'p Value> {
    points.iter().filter(|point| point["name"] == name).collect()
}

/// Every family with its name, kind and unit there, and every series with its labels and its value, to the last digit.
fn assert_understood(url: impl Fn(u16, u16) -> String) {
    let (sink, port) = (Sink::start(), free_port());
    let rotel = Rotel::start(&sink.folder, "rotel.out", port, sink.port);
    let mut pusher = pusher(&url(port, rotel.grpc));
    let state = tell(&mut pusher, Ok(page(7)));
    assert_eq!((state.taken_samples, state.waiting_samples, state.error), (6, 0, None));
    assert_eq!(state.condition, PeerCondition::Connected);
    let points = taken(&sink, 6);
    let [sum, gauge, histogram] = [
        ("sum", true, "AGGREGATION_TEMPORALITY_CUMULATIVE"),
        ("gauge", false, "AGGREGATION_TEMPORALITY_UNSPECIFIED"),
        ("histogram", false, "AGGREGATION_TEMPORALITY_CUMULATIVE"),
    ];
    let interface = "network.interface.name";
    let expected = [
        (
            ("weir.network.io", "Sent.", "By", sum),
            json!({interface: "eth0", "network.transport": "tcp", "weir.sent_by": "source"}),
            json!(7),
        ),
        (
            ("weir.network.packets", "Sent.", "{packet}", sum),
            json!({interface: "gr\"ö\\ße\n"}),
            json!(9_007_199_254_740_993_u64),
        ),
        (
            ("weir.network.tcp_rtt", "Times.", "s", histogram),
            json!({"weir.network.interface.direction": "egress"}),
            json!({"count": 7, "sum": 0.25, "buckets": [1, 6], "bounds": [0.001]}),
        ),
        (("weir.kernel.entries_used", "Now.", "", gauge), json!({"weir.map": "flows"}), json!(-1)),
        (("weir.kernel.entries_used", "Now.", "", gauge), json!({"weir.map": "names"}), json!(1.5)),
        (("weir.flows", "Now.", "", gauge), json!({}), json!(3)),
    ];
    assert_eq!(points.len(), expected.len(), "{points:#?}");
    for ((name, description, unit, (kind, monotonic, temporality)), attributes, value) in expected {
        let point = points.iter().find(|point| point["name"] == name && point["attributes"] == attributes);
        let point = point.unwrap_or_else(|| panic!("{name} {attributes}: {points:#?}"));
        assert_eq!([&point["description"], &point["unit"], &point["kind"]], [description, unit, kind]);
        assert_eq!((&point["monotonic"], &point["temporality"]), (&monotonic.into(), &temporality.into()));
        assert_eq!((&point["value"], &point["flags"]), (&value, &0.into()), "{point:#}");
        assert_eq!(point["resource"]["service.name"], "weir");
        assert_eq!(point["resource"]["service.instance.id"], "here");
        assert_eq!(point["scope"], json!(["weir", env!("CARGO_PKG_VERSION")]));
        assert!(kind == "gauge" || point["start"].as_u64() < point["time"].as_u64(), "{point:#}");
    }
    rotel.stop();
}

#[test]
fn a_collector_understands_metrics() {
    assert_understood(|http, _| format!("otlp+http://127.0.0.1:{http}"));
}

#[test]
fn a_collector_understands_metrics_by_grpc() {
    assert_understood(|_, grpc| format!("otlp+grpc://127.0.0.1:{grpc}"));
}

/// A sum says since when it has counted: one that vanishes and comes again, or is less than it was, has begun anew.
#[test]
fn sums_have_a_beginning() {
    let sink = Sink::start();
    let mut pusher = pusher(&format!("otlp+http://127.0.0.1:{}", sink.port));
    let without = |number| {
        let page = page(number);
        let lines = page.lines().filter(|line| !line.starts_with("weir_network_bytes_total"));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    for page in [page(7), page(9), without(9), page(9), page(4)] {
        assert_eq!(tell(&mut pusher, Ok(page)).error, None);
    }
    let all = sink.taken();
    let io = of(&all, "weir.network.io");
    let [times, starts] =
        ["time", "start"].map(|key| io.iter().map(|point| point[key].clone()).collect::<Vec<_>>());
    let values: Vec<_> = io.iter().map(|point| (&point["value"], &point["flags"])).collect();
    let value = |number: u64| (json!(number), json!(0));
    let ended = (Value::Null, json!(1));
    let wanted = [value(7), value(9), ended, value(9), value(4)];
    assert_eq!(values, wanted.iter().map(|(value, flags)| (value, flags)).collect::<Vec<_>>());
    assert_eq!(
        starts,
        [&starts[0], &starts[0], &starts[0], &times[2], &times[3]].map(Value::clone),
        "{io:#?}"
    );
    let rtt = of(&all, "weir.network.tcp_rtt");
    assert!(rtt[..4].iter().all(|point| point["start"] == rtt[0]["start"]), "{rtt:#?}");
    assert_eq!(rtt[4]["start"], rtt[3]["time"], "it has counted less");
}

/// While the agent cannot be asked series have no value; then they go on, since when they have counted.
#[test]
fn a_gap_ends_nothing_for_good() {
    let sink = Sink::start();
    let mut pusher = pusher(&format!("otlp+http://127.0.0.1:{}", sink.port));
    tell(&mut pusher, Ok(page(7)));
    for gaps in 1..3 {
        let state = tell(&mut pusher, Err(io::Error::other("nobody answers")));
        assert_eq!((state.gaps, state.taken_samples), (gaps, 12));
        assert_eq!(state.error.as_deref(), Some("there is nothing to push: nobody answers"));
    }
    assert_eq!(tell(&mut pusher, Ok(page(8))).error, None);
    pusher.finish();
    let all = sink.taken();
    assert_eq!(all.len(), 4 * 6);
    let io = of(&all, "weir.network.io");
    let flags: Vec<_> = io.iter().map(|point| point["flags"].clone()).collect();
    assert_eq!(flags, [0, 1, 0, 1]);
    assert_eq!((&io[2]["value"], &io[2]["start"]), (&json!(8), &io[0]["start"]));
}

/// In several requests, none of which is larger than servers take.
#[test]
fn many_series() {
    let sink = Sink::start();
    sink.answers("most 524288");
    let mut pusher = pusher(&format!("otlp+http://127.0.0.1:{}", sink.port));
    let name = "x".repeat(100);
    let lines: String =
        (0..8_000).map(|number| format!("many{{name=\"{name}\",number=\"{number}\"}} {number}\n")).collect();
    let state = tell(&mut pusher, Ok(format!("# TYPE many gauge\n{lines}# EOF\n")));
    assert_eq!((state.taken_samples, state.refused_samples, state.error), (8_000, 0, None));
    assert!(sink.requests().len() > 3);
    let mut numbers: Vec<_> = sink.taken().iter().filter_map(|point| point["value"].as_u64()).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..8_000));
}

/// What the server takes in part, and what it does not understand.
#[test]
fn refusals() {
    let sink = Sink::start();
    let mut pusher = pusher(&format!("otlp+http://127.0.0.1:{}", sink.port));
    for (mode, refused, says) in [
        (
            "partial-points",
            2,
            "/v1/metrics: the server refuses 2 of 6 samples: too\\nold; what it refuses is lost",
        ),
        ("refuse", 6, "/v1/metrics: 400 Bad Request: no such tenant; what it refuses is lost"),
        ("most 10", 6, "/v1/metrics: 413 Payload Too Large; what it refuses is lost"),
    ] {
        sink.answers(mode);
        let before = push(&mut pusher);
        let state = tell(&mut pusher, Ok(page(1)));
        assert_eq!(state.refused_samples - before.refused_samples, refused, "{mode}");
        assert_eq!(state.taken_samples - before.taken_samples, 6 - refused, "{mode}");
        assert!(state.error.as_ref().is_some_and(|error| error.ends_with(says)), "{mode}: {state:?}");
        sink.answers("ok");
        assert_eq!(tell(&mut pusher, Ok(page(1))).error, None);
    }
}

/// A collector that is away, busy or mad has everything once it is well again.
#[test]
fn a_collector_that_comes_back_has_every_look() {
    let (sink, port) = (Sink::start(), free_port());
    let mut pusher = pusher(&format!("otlp+http://127.0.0.1:{port}"));
    tell(&mut pusher, Ok(page(1)));
    let away = tell(&mut pusher, Ok(page(2)));
    assert_eq!((away.condition, away.waiting_samples), (PeerCondition::Away, 12), "{away:?}");
    for (name, number) in [("first.out", 3), ("second.out", 4)] {
        let rotel = Rotel::start(&sink.folder, name, port, sink.port);
        tell(&mut pusher, Ok(page(number)));
        wait_for("nothing waits", SOON, || {
            sleep(Duration::from_millis(20));
            Some(push(&mut pusher)).filter(|state| state.waiting_samples == 0)
        });
        rotel.stop();
    }
    let points = taken(&sink, 24);
    let values: Vec<_> = of(&points, "weir.network.io").iter().map(|point| point["value"].clone()).collect();
    assert_eq!(values, [1, 2, 3, 4]);
    assert_eq!(push(&mut pusher).refused_samples, 0);
}

#[test]
fn a_server_that_answers_nonsense_is_asked_again() {
    for (mode, says) in [("busy", "429 Too Many Requests"), ("garbage", "/v1/metrics: ")] {
        let sink = Sink::start();
        sink.answers(mode);
        let mut pusher = pusher(&format!("otlp+http://127.0.0.1:{}", sink.port));
        let state = tell(&mut pusher, Ok(page(1)));
        assert_eq!((state.condition, state.waiting_samples), (PeerCondition::Away, 6), "{mode}");
        assert!(state.error.is_some_and(|error| error.contains(says)), "{mode}");
        sink.answers("ok");
        let state = wait_for("nothing waits", SOON, || {
            sleep(Duration::from_millis(20));
            Some(push(&mut pusher)).filter(|state| state.waiting_samples == 0)
        });
        assert_eq!((state.taken_samples, state.dropped_samples), (6, 0), "{mode}");
    }
}
