//! What is kept in a directory, as DuckDB reads it.

use serde_json::json;
use std::process::Command;
use std::time::Duration;
use weir_tests::agent::{Agent, binary};
use weir_tests::duckdb::{duckdb, table};
use weir_tests::flood::Flood;
use weir_tests::folder::Folder;
use weir_tests::inject::Injector;
use weir_tests::output::Count;
use weir_tests::pair::{INTERFACE, Pair};
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
