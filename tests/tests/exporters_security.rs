//! `--export` where what it stands on is not there.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::net::UdpSocket;
use std::time::Duration;
use weir_tests::agent::Agent;
use weir_tests::control::status;
use weir_tests::flood::Flood;
use weir_tests::folder::Folder;
use weir_tests::inject::Injector;
use weir_tests::pair::{INTERFACE, Pair};
use weir_tests::wait_for;

const SOON: Duration = Duration::from_secs(60);
const FLOWS: u64 = 300;

fn peer(agent: &Agent, name: &str) -> Value {
    let status = status(&agent.socket());
    let sinks = status["sinks"].as_array().expect("sinks");
    let sink = sinks.iter().find(|sink| sink["name"] == name).unwrap_or_else(|| panic!("{sinks:?}"));
    sink["peer"].clone()
}

/// The ids of the records in these lines.
fn ids(lines: &str) -> BTreeSet<[String; 3]> {
    let records = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let flows = records.filter(|record| record["type"] == "flow");
    flows.map(|flow| ["flow_id", "start", "end"].map(|name| flow[name].to_string())).collect()
}

/// A resolver that says nothing: whoever needs it is away for that reason and keeps its records, and nobody else notices.
#[test]
fn root_dns_that_stops_stops_nobody_else() {
    let (pair, folder) = (Pair::new(), Folder::new("exporters"));
    let (resolv, nsswitch) = (
        folder.write("resolv.conf", "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n"),
        folder.write("nsswitch.conf", "hosts: files dns\n"),
    );
    let script = format!(
        "mount --bind {resolv} /etc/resolv.conf && mount --bind {nsswitch} /etc/nsswitch.conf && exec \"$@\""
    );
    let wrapper = ["unshare", "-m", "sh", "-c", &script, "sh"];
    let resolver = pair.left.enter(|| UdpSocket::bind("127.0.0.1:53").expect("a socket"));
    let (away, directory) = ("ipfix+udp://collector.example:4739", folder.path("history"));
    let file = folder.path("flows.json");
    let beside = format!("file:{file}");
    let run = ["run", "-o", "json", "-i", INTERFACE, "--interval", "100ms", "--idle-timeout", "500ms"];
    let exports = ["--data-dir", &directory, "--export", away, "--export", &beside];
    let mut agent = Agent::start_under(&pair.left, &wrapper, &[&run[..], &exports].concat());
    agent.read();
    for mark in 1..=3 {
        let flood = Flood { packets: 900, flows: FLOWS, mark };
        flood.send(&Injector::open(&pair.left, INTERFACE));
    }
    wait_for("the file has them", SOON, || {
        (peer(&agent, &beside)["delivered_records"] == 3 * FLOWS).then_some(())
    });
    let state = wait_for("it is known to be away", SOON, || {
        let state = peer(&agent, away);
        (state["condition"] == "away" && state["spooled_records"] == 3 * FLOWS).then_some(state)
    });
    assert_eq!(state["error"], "cannot connect to collector.example:4739: DNS does not answer", "{state}");
    assert!(resolver.recv(&mut [0; 512]).expect("it was asked") > 0);
    let printed = ids(&agent.stop_and_read().join("\n"));
    assert_eq!(ids(&fs::read_to_string(&file).expect("a file")), printed);
}
