//! A history on a disk that is full: what is lost is counted, the agent goes on, and the oldest go first where they may.

mod kept;

use kept::{interface, keep};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use weir_record::{Addresses, Direction, End, FlowKey, FlowRecord, Process};
use weir_tests::agent::Agent;
use weir_tests::control::status;
use weir_tests::disk::Disk;
use weir_tests::duckdb::{duckdb, table};
use weir_tests::flood::Flood;
use weir_tests::folder::Folder;
use weir_tests::inject::Injector;
use weir_tests::output::{Count, Sink};
use weir_tests::pair::{INTERFACE, Pair};
use weir_tests::wait_for;

const PATIENCE: Duration = Duration::from_secs(20);
const FLOOD: Flood = Flood { packets: 40_000, flows: 20_000, mark: 1 };

fn agent(pair: &Pair, disk: &Disk, when_full: &str) -> Agent {
    let directory = disk.place().join("history").display().to_string();
    let args = ["-i", INTERFACE, "-o", "json", "--interval", "100ms", "--idle-timeout", "200ms"];
    let kept = ["--memory-budget", "64MiB", "--data-dir", &directory, "--disk-full", when_full];
    Agent::start(&pair.left, &[&args[..], &kept].concat())
}

/// What the running agent says of its history.
fn history(agent: &Agent) -> Value {
    let status = status(&agent.socket());
    let sinks = status["sinks"].as_array().expect("a list");
    sinks.iter().find(|sink| sink["name"] == "history").expect("it has one").clone()
}

/// Packets that it has, and packets that it has lost, once they are so many together.
fn counted(agent: &Agent, packets: u64) -> (u64, u64) {
    wait_for("the history is told of all", PATIENCE, || {
        let sink = history(agent);
        let of = |name: &str| sink[name]["packets"].as_u64().expect("a number");
        (of("written") + of("lost") >= packets).then(|| (of("written"), of("lost")))
    })
}

/// What is in the files of a flood.
fn kept_of(disk: &Disk, flood: &Flood) -> Count {
    let flows = table(&disk.place().join("history"), "flows");
    let of_flood = format!("source_address = '10.88.{}.1'", flood.mark);
    let sums = "select coalesce(sum(packets), 0)::bigint, coalesce(sum(bytes), 0)::bigint from";
    let rows = duckdb(&format!("{sums} {flows} where {of_flood}"));
    let number = |at: usize| rows[0][at].as_u64().expect("a number");
    Count { packets: number(0), bytes: number(1) }
}

/// What comes while the disk is full is printed and told, not kept; what comes later is kept again.
#[test]
fn root_where_nothing_makes_room_the_agent_goes_on() {
    let (pair, folder) = (Pair::new(), Folder::new("disk"));
    let (disk, injector) = (Disk::of(&folder, "16m"), Injector::open(&pair.left, INTERFACE));
    let agent = agent(&pair, &disk, "stop");
    let [before, during, after] = [1, 2, 3].map(|mark| Flood { mark, ..FLOOD });
    let sent = before.send(&injector);
    assert_eq!(counted(&agent, sent.packets), (sent.packets, 0));
    assert_eq!(history(&agent)["last_error"], Value::Null);

    disk.fill();
    let sent = sent + during.send(&injector);
    agent.wait_for_flow("what is not kept is printed", PATIENCE, |flow| during.owns(flow));
    let (_, lost) = counted(&agent, sent.packets);
    assert!(lost > 0);
    let said = history(&agent)["last_error"].as_str().expect("an error").to_owned();
    assert!(said.contains("No space left on device"), "{said}");

    disk.free();
    let sent = sent + after.send(&injector);
    assert_eq!(counted(&agent, sent.packets), (sent.packets - lost, lost));
    let outcome = agent.stop_however();
    outcome.assert_exact();
    assert_eq!(outcome.flows.iter().map(|flow| flow.count()).sum::<Count>(), sent);
    // Records that were asked for are not there: that is no success.
    assert_eq!(outcome.status.code(), Some(1), "{:?}", outcome.stderr);
    let [Sink { written, lost, lost_records, last_error, .. }] = &outcome.sinks[..] else {
        panic!("{:?}", outcome.sinks)
    };
    assert!(*lost_records > 0 && last_error.as_ref() == Some(&said), "{:?}", outcome.sinks);
    assert_eq!(*written + *lost, sent);
    let [first, some, last] = [before, during, after].map(|flood| kept_of(&disk, &flood));
    assert_eq!((first, last), (before.total(), after.total()));
    assert_eq!((first + some + last, some + *lost), (*written, during.total()));
}

/// Days that ended before this one.
const DAYS: u64 = 4;
const DAY: u64 = 86_400_000_000_000;

/// 24 MiB of records that ended so many days ago. At once the agent makes 64 MiB of room: three such days.
fn day(ago: u64) -> Vec<FlowRecord> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_nanos() as u64;
    let interface = interface();
    // Words that cannot be compressed.
    let mut seed = ago;
    let mut word = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b' ' + (seed >> 33) as u8 % 95)
    };
    let mut record = |id| {
        let arguments = Some((0..5000).map(|_| word()).collect());
        let source =
            End { process: Some(Arc::new(Process { arguments, ..Process::default() })), ..End::default() };
        let addresses = Addresses::V4(Ipv4Addr::new(10, 99, 0, 1), Ipv4Addr::new(10, 99, 0, 2));
        let key = FlowKey::Ip { vlan: None, addresses, protocol: 17, ports: Some((4000, 4000)) };
        let end = now - ago * DAY;
        let blank = FlowRecord::blank(Arc::clone(&interface), Direction::Egress, key);
        FlowRecord { flow_id: id, start: end, end, packets: ago, bytes: 60 * ago, source, ..blank }
    };
    (1..=6000).map(&mut record).collect()
}

#[test]
fn root_the_oldest_days_make_room_for_what_comes() {
    let (pair, folder) = (Pair::new(), Folder::new("disk"));
    let (disk, injector) = (Disk::of(&folder, "192m"), Injector::open(&pair.left, INTERFACE));
    let directory = disk.place().join("history");
    (1..=DAYS).rev().for_each(|ago| keep(&directory, &day(ago), true));
    let flows = table(&directory, "flows");
    let days = || {
        duckdb(&format!(
            "select packets, count(*) from {flows} where source_address = '10.99.0.1' group by all order by 1"
        ))
    };
    assert_eq!(days().len() as u64, DAYS);

    let agent = agent(&pair, &disk, "drop-oldest");
    disk.fill();
    let sent = FLOOD.send(&injector);
    assert_eq!(counted(&agent, sent.packets), (sent.packets, 0));
    let outcome = agent.stop();
    outcome.assert_exact();
    let [sink] = &outcome.sinks[..] else { panic!("{:?}", outcome.sinks) };
    assert_eq!((sink.lost_records, sink.written, &sink.last_error), (0, sent, &None));
    assert_eq!((kept_of(&disk, &FLOOD), days()), (sent, vec![json!([1, 6000])]));
}
