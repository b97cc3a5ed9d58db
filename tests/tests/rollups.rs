//! Sums by the minute and by the hour, as DuckDB reads them beside the records that they are of.

use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use weir_tests::agent::{Agent, binary};
use weir_tests::duckdb::{duckdb, table};
use weir_tests::flood::Flood;
use weir_tests::folder::Folder;
use weir_tests::inject::Injector;
use weir_tests::iperf::iperf;
use weir_tests::pair::{INTERFACE, Pair, RIGHT};
use weir_tests::wait_for;

const FLOOD: Flood = Flood { packets: 60_000, flows: 20_000, mark: 1 };
const TABLES: [(&str, &str); 2] = [("flows_1m", "minute"), ("flows_1h", "hour")];

/// What the records of a minute, or an hour, and of one key have in common.
const KEY: &str = "direction, protocol, source_address, destination_address, destination_port, source_process, \
    destination_process, flow_end_reason, source_tcp_failure";

/// Fields whose sums have their names.
const SUMS: [&str; 10] = [
    "packets",
    "bytes",
    "reverse_packets",
    "reverse_bytes",
    "dropped_packets",
    "source_tcp_retransmitted_segments",
    "source_tcp_bytes_sent",
    "source_tcp_resets_received",
    "destination_tcp_bytes_received",
    "destination_tcp_retransmitted_bytes",
];

/// Fields of which there is what a mean and a span are made of.
const SPREADS: [&str; 3] = ["source_tcp_rtt", "destination_tcp_rtt", "source_tcp_handshake_time"];

fn of(folder: &Folder, name: &str) -> String {
    table(&PathBuf::from(folder.path("history")), name)
}

fn of_records(folder: &Folder, span: &str) -> String {
    let sums = SUMS.map(|name| format!("sum({name})")).join(", ");
    let spreads =
        SPREADS.map(|name| format!("count({name}), sum({name}), min({name}), max({name})")).join(", ");
    format!(
        "select date_trunc('{span}', \"end\"), {KEY}, count(*), min(start), max(\"end\"), {sums}, {spreads} \
         from {} group by all",
        of(folder, "flows")
    )
}

fn of_sums(folder: &Folder, name: &str) -> String {
    let sums = SUMS.map(|name| format!("sum({name})")).join(", ");
    let spread =
        |name| format!("coalesce(sum({name}_count), 0), sum({name}_sum), min({name}_min), max({name}_max)");
    let spreads = SPREADS.map(spread).join(", ");
    format!(
        "select time, {KEY}, sum(records), min(start), max(\"end\"), {sums}, {spreads} from {} group by all",
        of(folder, name)
    )
}

fn number(query: &str) -> u64 {
    duckdb(query)[0][0].as_u64().expect("a number")
}

/// Sums are those of the records, group by group; how many groups there are.
fn assert_equal(folder: &Folder) -> [u64; 2] {
    TABLES.map(|(name, span)| {
        let (records, sums) = (of_records(folder, span), of_sums(folder, name));
        for (one, other) in [(&records, &sums), (&sums, &records)] {
            let different = duckdb(&format!("({one}) except all ({other}) limit 3"));
            assert_eq!(different, Vec::<Value>::new(), "{name}");
        }
        number(&format!("select count(*) from ({sums})"))
    })
}

fn agent(pair: &Pair, folder: &Folder, more: &[&str]) -> Agent {
    let directory = folder.path("history");
    let args =
        ["-i", INTERFACE, "-o", "json", "--interval", "100ms", "--memory-budget", "64MiB", "--tcp", "on"];
    Agent::start(&pair.left, &[&args[..], &["--data-dir", &directory], more].concat())
}

#[test]
fn root_sums_are_those_of_the_records_and_outlive_them() {
    let (pair, folder) = (Pair::new(), Folder::new("rollups"));
    let injector = Injector::open(&pair.left, INTERFACE);
    // What a killed agent has in its log is summed up by the next one.
    let first = agent(&pair, &folder, &["--idle-timeout", "200ms"]);
    let sent = FLOOD.send(&injector);
    iperf(&pair.left, &pair.right, RIGHT, "20M");
    std::thread::sleep(Duration::from_secs(2));
    first.kill();
    let second = agent(&pair, &folder, &[]);
    second.wait_for_line("recovered from its log", Duration::from_secs(10));
    iperf(&pair.left, &pair.right, RIGHT, "10M");
    second.stop().assert_exact();

    let groups = assert_equal(&folder);
    assert!(groups.iter().all(|groups| *groups > 20), "{groups:?}");
    let flows = of(&folder, "flows");
    let whole = |name: &str, count: &str| {
        let query =
            format!("select sum({count})::bigint, sum(bytes)::bigint, count(*) from {}", of(&folder, name));
        duckdb(&query).remove(0)
    };
    let (minutes, hours) = (whole("flows_1m", "records"), whole("flows_1h", "records"));
    // Fewer rows than records: the client's port is not in them.
    assert!(
        minutes[2].as_u64() < minutes[0].as_u64() && hours[2].as_u64() <= minutes[2].as_u64(),
        "{minutes} {hours}"
    );
    let bytes = number(&format!("select sum(bytes)::bigint from {flows} where source_address = '10.88.1.1'"));
    assert_eq!(bytes, sent.bytes);
    let measured =
        format!("select coalesce(sum(source_tcp_rtt_count), 0)::bigint from {}", of(&folder, "flows_1m"));
    assert!(number(&measured) > 0, "no round-trip times were kept");

    // Records go when they are old, and their sums stay.
    let third = agent(&pair, &folder, &["--keep", "1s"]);
    let is_gone = || {
        let left = std::fs::read_dir(folder.path("history/flows")).ok()?.flatten().filter(|entry| {
            entry.file_name() != "_log"
                && entry.path().read_dir().is_ok_and(|mut files| files.next().is_some())
        });
        (left.count() == 0).then_some(())
    };
    wait_for("the records go", Duration::from_secs(20), is_gone);
    for (name, before) in [("flows_1m", &minutes), ("flows_1h", &hours)] {
        let now = whole(name, "records");
        assert_eq!(json!([now[0], now[1]]), json!([before[0], before[1]]), "{name}");
    }
    third.stop();
    assert_said(&folder);
}

/// Whoever asks for records that have gone is told where their sums are.
fn assert_said(folder: &Folder) {
    let of_days = |entry: &std::fs::DirEntry| entry.file_name() != "_log";
    let days = std::fs::read_dir(folder.path("history/flows")).expect("a directory").flatten();
    days.filter(of_days).for_each(|day| std::fs::remove_dir_all(day.path()).expect("removed"));
    let asked = |more: &[&str]| {
        let mut weir = Command::new(binary());
        weir.args(["flows", "--data-dir", &folder.path("history")]).args(more);
        String::from_utf8(weir.output().expect("weir starts").stderr).expect("text")
    };
    let said = asked(&["--since", "2h"]);
    assert!(said.contains("their sums are in") && said.contains("flows_1m from"), "{said}");
    assert!(!asked(&["--last", "5"]).contains("sums"));
}
