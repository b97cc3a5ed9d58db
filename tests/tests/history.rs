//! What is kept in a directory, as DuckDB reads it.

use serde_json::json;
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;
use weir_tests::agent::{Agent, binary};
use weir_tests::duckdb::{duckdb, table};
use weir_tests::flood::Flood;
use weir_tests::folder::Folder;
use weir_tests::inject::Injector;
use weir_tests::output::Count;
use weir_tests::pair::{INTERFACE, LEFT, Pair, RIGHT};
use weir_tests::wait_for;

const FLOOD: Flood = Flood { packets: 200_000, flows: 20_000, mark: 1 };

fn flows(folder: &Folder) -> String {
    table(&folder.place().join("history"), "flows")
}

/// What is in the files of the packets that were sent; nothing else has ports.
fn kept(folder: &Folder) -> Count {
    let flows = flows(folder);
    let rows = duckdb(&format!(
        "select sum(packets)::bigint, sum(bytes)::bigint from {flows} where source_port is not null"
    ));
    let number = |at: usize| rows[0][at].as_u64().unwrap_or(0);
    Count { packets: number(0), bytes: number(1) }
}

fn agent(pair: &Pair, folder: &Folder, more: &[&str]) -> Agent {
    let directory = folder.path("history");
    let args = ["-i", INTERFACE, "-o", "json", "--interval", "100ms", "--memory-budget", "64MiB"];
    Agent::start(&pair.left, &[&args[..], &["--data-dir", &directory], more].concat())
}

/// Packets and bytes in the files are those that were sent, and what was printed was kept.
#[test]
fn root_duckdb_counts_what_was_sent() {
    let (pair, folder) = (Pair::new(), Folder::new("history"));
    let injector = Injector::open(&pair.left, INTERFACE);
    let agent = agent(&pair, &folder, &[]);
    let sent = FLOOD.send(&injector);
    let outcome = agent.stop();
    outcome.assert_exact();
    assert_eq!(kept(&folder), sent);

    let [sink] = outcome.sinks.as_slice() else { panic!("{:?}", outcome.sinks) };
    let rows = duckdb(&format!("select count(*), count(distinct flow_id) from {}", flows(&folder)));
    assert_eq!((sink.name.as_str(), sink.lost_records), ("history", 0));
    assert_eq!(rows[0], json!([sink.written_records, outcome.flows.len()]));

    let busiest = format!(
        "select source_port, typeof(\"end\"), direction, tcp_flags from {} where source_address = '{}' limit 1",
        flows(&folder),
        outcome.flows[0].source_address.as_deref().expect("an address"),
    );
    let row = &duckdb(&busiest)[0];
    assert!(row[1].as_str().is_some_and(|kind| kind.starts_with("TIMESTAMP")), "{row}");
    assert_eq!((&row[2], &row[3]), (&json!("egress"), &json!(null)), "{row}");
}

/// Whoever connects is in a table of its own, beside what could not be kept, which is nothing; and the windows of the
/// ledger are what it says at the end.
#[test]
fn root_events_and_the_ledger_are_tables_beside() {
    let (pair, folder) = (Pair::new(), Folder::new("history"));
    let agent = agent(&pair, &folder, &["--keep-events", "connect,drop"]);
    let said = pair.left.run(
        "/usr/bin/python3",
        &[
            "-c",
            &format!(
                "import os, socket
for _ in range(100):
    if os.fork() == 0:
        one = socket.socket()
        one.bind(('{LEFT}', 0))
        os.write(1, b'%d %d\\n' % (os.getpid(), one.getsockname()[1]))
        one.connect_ex(('{RIGHT}', 6007))
        os._exit(0)
for _ in range(100): os.wait()"
            ),
        ],
    );
    let truth: BTreeSet<String> =
        said.lines().map(|line| format!("[{},\"ECONNREFUSED\"]", line.replace(' ', ","))).collect();
    assert_eq!(truth.len(), 100);
    let outcome = agent.stop();
    outcome.assert_exact();
    let of = |name| table(&folder.place().join("history"), name);

    let query = "select source_pid, source_port, error from";
    let connects = duckdb(&format!("{query} {} where destination_port = 6007", of("connects")));
    let told: BTreeSet<_> = connects.iter().map(ToString::to_string).collect();
    assert_eq!((connects.len(), told), (100, truth));
    // Each of them was answered with a reset by a host that had no such port.
    let dropped = "select sum(dropped_packets)::bigint from";
    let rows = duckdb(&format!("{dropped} {} where drop_reasons like '%NO_SOCKET%'", of("drops")));
    assert!(rows[0][0].as_u64().is_some_and(|packets| packets >= 100), "{rows:?}");

    let sums = "select interface, direction, sum(seen_packets)::bigint, sum(seen_bytes)::bigint, \
                sum(exported_packets + filtered_packets + lost_packets)::bigint from";
    let windows = duckdb(&format!("{sums} {} group by all order by all", of("ledger")));
    let accounts = ["egress", "ingress"].map(|direction| {
        let seen = outcome.ledger(INTERFACE, direction).seen;
        json!([INTERFACE, direction, seen.packets, seen.bytes, seen.packets])
    });
    assert_eq!(windows, accounts);
}

/// What was acknowledged before a `kill -9` is there after the next start, once.
#[test]
fn root_a_kill_takes_nothing_that_was_acknowledged() {
    let (pair, folder) = (Pair::new(), Folder::new("history"));
    let injector = Injector::open(&pair.left, INTERFACE);
    let first = agent(&pair, &folder, &["--idle-timeout", "200ms"]);
    let sent = FLOOD.send(&injector);
    // All of it is printed and then acknowledged, at the latest with the status that says so.
    let written = || {
        let status =
            Command::new(binary()).args(["status", "-o", "json", "--socket"]).arg(first.socket()).output();
        let status: serde_json::Value = serde_json::from_slice(&status.expect("weir starts").stdout).ok()?;
        let sinks = status["sinks"].as_array()?;
        let history = sinks.iter().find(|sink| sink["name"] == "history")?;
        (history["written"]["packets"].as_u64()? >= sent.packets).then_some(())
    };
    wait_for("the history has it all", Duration::from_secs(30), written);
    first.kill();

    let second = agent(&pair, &folder, &[]);
    second.wait_for_line("recovered from its log", Duration::from_secs(10));
    second.stop();
    assert_eq!(kept(&folder), sent);
}

#[test]
fn root_a_second_agent_is_refused() {
    let (pair, folder) = (Pair::new(), Folder::new("history"));
    let first = agent(&pair, &folder, &[]);
    let directory = folder.path("history");
    let (status, _, stderr) = Agent::run(&pair.left, &[], &["run", "-o", "json", "--data-dir", &directory]);
    assert_eq!(status.code(), Some(1));
    let said = format!("{directory} is written by another agent (process {})", first.pid());
    assert!(stderr.iter().any(|line| line.contains(&said)), "{stderr:?}");
    first.stop();
}

/// Where nobody says where, in a /var/lib of the agent's own; what a test's agents are told otherwise is not.
fn usual(pair: &Pair, mount: &str, told: &str) -> (Option<i32>, Vec<String>) {
    let script = format!("mount -t tmpfs -o {mount} tmpfs /var/lib && exec env {told} \"$@\"");
    let wrapper = ["unshare", "--mount", "sh", "-c", &script, "sh"];
    let args = ["run", "-i", INTERFACE, "-o", "json", "--duration", "300ms"];
    let (status, _, stderr) = Agent::run(&pair.left, &wrapper, &args);
    (status.code(), stderr)
}

#[test]
fn root_records_are_kept_in_the_usual_place() {
    let pair = Pair::new();
    let says = |lines: &[String], words: &str| lines.iter().any(|line| line.contains(words));
    let (code, stderr) = usual(&pair, "rw", "-u WEIR_DATA_DIR");
    assert!(code == Some(0) && says(&stderr, "records are kept in /var/lib/weir"), "{stderr:?}");
    // Where that cannot be had the agent runs all the same, unless it was asked for.
    let (code, stderr) = usual(&pair, "ro", "-u WEIR_DATA_DIR");
    assert!(code == Some(0) && says(&stderr, "no history: cannot create /var/lib/weir"), "{stderr:?}");
    let (code, stderr) = usual(&pair, "ro", "WEIR_DATA_DIR=/var/lib/weir");
    assert!(code == Some(1) && says(&stderr, "cannot create /var/lib/weir"), "{stderr:?}");
    let (code, stderr) = usual(&pair, "rw", "WEIR_DATA_DIR=none");
    assert!(code == Some(0) && !says(&stderr, "/var/lib/weir"), "{stderr:?}");
}
