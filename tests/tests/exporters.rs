//! `--export`: what arrives at real collectors, and at peers that stop, stall and talk nonsense.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;
use weir_tests::agent::Agent;
use weir_tests::control::status;
use weir_tests::flood::Flood;
use weir_tests::folder::Folder;
use weir_tests::history::keeping;
use weir_tests::inject::Injector;
use weir_tests::ipfix;
use weir_tests::pair::{INTERFACE, Pair};
use weir_tests::peer::peer;
use weir_tests::servers::nfcapd::{Nfcapd, collected};
use weir_tests::shell::Shell;
use weir_tests::wait_for;

const PORT: u16 = 9995;
const SOON: Duration = Duration::from_secs(60);

fn flood(mark: u8) -> Flood {
    Flood { packets: 900, flows: 300, mark }
}

/// Sends one, and waits until its flows have ended and are written.
fn send(pair: &Pair, agent: &Agent, mark: u8) {
    let before = written(agent);
    flood(mark).send(&Injector::open(&pair.left, INTERFACE));
    wait_for("the flows have ended", SOON, || (written(agent) >= before + flood(mark).flows).then_some(()));
}

fn sink(agent: &Agent, name: &str) -> Value {
    let status = status(&agent.socket());
    let sinks = status["sinks"].as_array().expect("sinks");
    sinks.iter().find(|sink| sink["name"] == name).unwrap_or_else(|| panic!("{sinks:?}")).clone()
}

fn written(agent: &Agent) -> u64 {
    sink(agent, "history")["written_records"].as_u64().expect("a number")
}

fn wait_for_peer(agent: &Agent, name: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    wait_for(what, SOON, || Some(sink(agent, name)["peer"].clone()).filter(&is_so))
}

/// It is connected, and nothing waits.
fn wait_until_all_is_there(agent: &Agent, name: &str) -> Value {
    wait_for_peer(agent, name, "everything was sent", |peer| {
        let queued = sink(agent, name)["queued_records"].as_u64();
        peer["condition"] == "connected" && peer["spooled_records"] == 0 && queued == Some(0)
    })
}

fn agent(pair: &Pair, folder: &Folder, exports: &[&str]) -> Agent {
    let exports = exports.iter().flat_map(|url| ["--export", url]);
    keeping(pair, folder, &["--idle-timeout", "500ms"].into_iter().chain(exports).collect::<Vec<_>>())
}

fn signal(peer: &Shell, signal: Signal) {
    kill(Pid::from_raw(peer.0.id() as i32), signal).expect("it runs");
}

type Id = (String, String, String);

fn id(record: &Value) -> Id {
    let text = |name: &str| record[name].as_str().unwrap_or_else(|| panic!("{record}")).to_owned();
    (text("flow_id"), text("start"), text("end"))
}

/// The records among these lines by their ids, and how many there were with repeats.
fn records<'l>(lines: impl IntoIterator<Item = &'l str>) -> (BTreeMap<Id, Value>, usize) {
    let (mut records, mut count) = (BTreeMap::new(), 0);
    for line in lines {
        let record: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        if record["type"] == "flow" {
            count += 1;
            let id = id(&record);
            let before = records.insert(id, record.clone());
            assert!(before.is_none_or(|before| before == record), "another of the same id: {record}");
        }
    }
    (records, count)
}

/// Stops it: what it has printed itself.
fn printed(agent: Agent) -> BTreeMap<Id, Value> {
    let lines = agent.stop_and_read();
    let (printed, count) = records(lines.iter().map(String::as_str));
    assert_eq!(printed.len(), count, "ids tell records apart");
    printed
}

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What each connection has brought.
fn connections(out: &str) -> Vec<String> {
    let names = (1..).map(|number| format!("{out}.{number}"));
    names.take_while(|name| Path::new(name).exists()).collect()
}

/// nfcapd has each flow of every flood once, with its packets and bytes, though it was away for one and was started anew.
#[test]
fn root_nfcapd_has_every_flow_across_a_restart() {
    let (pair, folder) = (Pair::with_ipv6(), Folder::new("exporters"));
    let name = format!("ipfix+udp://127.0.0.1:{PORT}");
    let first = Nfcapd::start(&pair.left, &folder, "first", PORT);
    let agent = agent(&pair, &folder, &[&name]);
    send(&pair, &agent, 1);
    wait_until_all_is_there(&agent, &name);
    // By then it is known that they have arrived.
    sleep(Duration::from_secs(3));
    first.stop();
    send(&pair, &agent, 2);
    let away = wait_for_peer(&agent, &name, "it is known to be away", |peer| peer["condition"] == "away");
    assert!(away["error"].as_str().is_some_and(|error| error.contains("refused")), "{away}");
    send(&pair, &agent, 3);
    let second = Nfcapd::start(&pair.left, &folder, "second", PORT);
    send(&pair, &agent, 4);
    wait_until_all_is_there(&agent, &name);
    agent.stop().assert_books();
    second.stop();
    let flows = [collected(&folder, "first"), collected(&folder, "second")].concat();
    for mark in 1..=4 {
        let (source, flood) = (format!("10.88.{mark}.1"), flood(mark));
        let of_flood: Vec<_> = flows.iter().filter(|flow| flow.0 == source).collect();
        let once: BTreeSet<_> = of_flood.iter().map(|flow| (flow.1, flow.3)).collect();
        assert_eq!((of_flood.len() as u64, once.len() as u64), (flood.flows, flood.flows), "flood {mark}");
        let packets: u64 = of_flood.iter().map(|flow| flow.4).sum();
        let bytes: u64 = of_flood.iter().map(|flow| flow.5).sum();
        assert_eq!((packets, bytes), (flood.total().packets, flood.total().bytes), "flood {mark}");
    }
}

/// A server that is busy, answers nonsense, takes a batch and does not say so, does not answer at all, and is killed: each
/// record is there, as the agent has printed it.
#[test]
fn root_a_server_of_many_moods_has_each_record() {
    let (pair, folder) = (Pair::new(), Folder::new("exporters"));
    let (out, name) = (folder.path("out"), format!("http://127.0.0.1:{PORT}/in"));
    let mode = |mode: &str| folder.write("out.mode", mode);
    mode("ok");
    let server = peer(&pair.left, &folder, &format!("http {PORT} {out}"));
    let token = folder.write("token", "s3cret\n");
    let agent = agent(&pair, &folder, &[&format!("{name}?token_file={token}")]);
    send(&pair, &agent, 1);
    wait_until_all_is_there(&agent, &name);
    for (mark, mood) in [(2, "busy"), (3, "garbage"), (4, "late"), (5, "stall")] {
        mode(mood);
        send(&pair, &agent, mark);
        let away = wait_for_peer(&agent, &name, mood, |peer| peer["condition"] == "away");
        assert!(away["error"].is_string(), "{away}");
        mode("ok");
        wait_until_all_is_there(&agent, &name);
    }
    drop(server);
    send(&pair, &agent, 6);
    wait_for_peer(&agent, &name, "killed", |peer| peer["condition"] == "away");
    let _server = peer(&pair.left, &folder, &format!("http {PORT} {out}"));
    send(&pair, &agent, 7);
    let state = wait_until_all_is_there(&agent, &name);
    assert!(state["failures"].as_u64().is_some_and(|failures| failures >= 5), "{state}");
    let printed = printed(agent);
    let received = text(&out);
    let (received, count) = records(received.lines());
    assert_eq!(received, printed);
    // What came twice is what it took and did not say so.
    assert!(count > received.len() && count <= received.len() + 2 * flood(4).flows as usize, "{count}");
    let headers = text(&format!("{out}.headers"));
    assert!(
        headers.lines().all(|line| line.ends_with("/in Bearer s3cret application/x-ndjson")),
        "{headers}"
    );
}

/// A batch that the server calls wrong is not sent for ever: it is counted, and the next one arrives.
#[test]
fn root_what_is_refused_for_good_is_counted() {
    let (pair, folder) = (Pair::new(), Folder::new("exporters"));
    let (out, name) = (folder.path("out"), format!("http://127.0.0.1:{PORT}/"));
    folder.write("out.mode", "refuse");
    let _server = peer(&pair.left, &folder, &format!("http {PORT} {out}"));
    let agent = agent(&pair, &folder, &[&name]);
    send(&pair, &agent, 1);
    let refused = |peer: &Value| peer["refused_records"] == flood(1).flows;
    let state = wait_for_peer(&agent, &name, "all are refused", refused);
    assert!(
        state["error"].as_str().is_some_and(|error| error.contains("refuses") && error.contains("400")),
        "{state}"
    );
    folder.write("out.mode", "ok");
    send(&pair, &agent, 2);
    let state = wait_until_all_is_there(&agent, &name);
    assert_eq!((&state["refused_records"], &state["error"]), (&flood(1).flows.into(), &Value::Null));
    agent.stop();
    assert_eq!(records(text(&out).lines()).1 as u64, flood(2).flows);
}

/// IPFIX over a stream: the collector stalls, and is killed with what it has not read. Each connection begins anew, and
/// together they have each record; another exporter and the history do not notice.
#[test]
fn root_a_stream_that_stalls_and_breaks() {
    let (pair, folder) = (Pair::new(), Folder::new("exporters"));
    let (out, name) = (folder.path("out"), format!("ipfix+tcp://127.0.0.1:{PORT}"));
    let socket = folder.path("beside.sock");
    let beside = format!("unix:{socket}");
    let _beside = peer(&pair.left, &folder, &format!("unix {socket} {}", folder.path("beside")));
    let collector = peer(&pair.left, &folder, &format!("tcp {PORT} {out}"));
    let agent = agent(&pair, &folder, &[&name, &beside]);
    send(&pair, &agent, 1);
    wait_until_all_is_there(&agent, &name);
    signal(&collector, Signal::SIGSTOP);
    send(&pair, &agent, 2);
    send(&pair, &agent, 3);
    wait_until_all_is_there(&agent, &beside);
    drop(collector);
    send(&pair, &agent, 4);
    wait_for_peer(&agent, &name, "it is known to be away", |peer| peer["failures"] != 0);
    let collector = peer(&pair.left, &folder, &format!("tcp {PORT} {out}"));
    send(&pair, &agent, 5);
    let state = wait_until_all_is_there(&agent, &name);
    assert!(state["resent_records"].as_u64().is_some_and(|resent| resent > 0), "{state}");
    let printed = printed(agent);
    sleep(Duration::from_secs(1));
    drop(collector);
    let files = connections(&out);
    assert_eq!(files.len(), 2, "{files:?}");
    let flows: Vec<_> = files.iter().flat_map(|file| ipfix::flows(file)).map(Value::Object).collect();
    let ids: BTreeSet<_> = flows
        .iter()
        .map(|flow| (flow["flow_id"].clone().to_string(), flow["start"].to_string(), flow["end"].to_string()))
        .collect();
    let wanted: BTreeSet<_> = printed
        .values()
        .map(|flow| (flow["flow_id"].clone().to_string(), flow["start"].to_string(), flow["end"].to_string()))
        .collect();
    assert_eq!(ids, wanted);
    let lines: Vec<_> = connections(&folder.path("beside")).iter().map(|file| text(file)).collect();
    let (received, count) = records(lines.iter().flat_map(|text| text.lines()));
    assert_eq!((count, received), (printed.len(), printed));
}

/// What waits when the agent ends is sent by the next one, in order; and what none of them has a name for is told of.
#[test]
fn root_what_waits_is_the_next_agents() {
    let (pair, folder) = (Pair::new(), Folder::new("exporters"));
    let (out, name) = (folder.path("out"), "noc");
    let url = format!("http://127.0.0.1:{PORT}/?name={name}");
    folder.write("out.mode", "ok");
    let first = agent(&pair, &folder, &[&url]);
    send(&pair, &first, 1);
    wait_for_peer(&first, name, "they wait", |peer| peer["spooled_records"] == flood(1).flows);
    let said = first.wait_for_line("what it should have waits on disk", SOON);
    assert!(said.starts_with("weir: noc: http://127.0.0.1:9995/"), "{said}");
    let mut wanted = printed(first);
    let without = agent(&pair, &folder, &[]);
    without.wait_for_line("300 records wait in", SOON);
    without.stop();
    let _server = peer(&pair.left, &folder, &format!("http {PORT} {out}"));
    let second = agent(&pair, &folder, &[&url]);
    send(&pair, &second, 2);
    wait_until_all_is_there(&second, name);
    wanted.extend(printed(second));
    let received = text(&out);
    let (received, count) = records(received.lines());
    assert_eq!((count, received), (wanted.len(), wanted));
}

/// A spool that is full: what has no room is lost to that exporter, and to nobody else.
#[test]
fn root_what_has_no_room_is_lost_and_counted() {
    let (pair, folder) = (Pair::new(), Folder::new("exporters"));
    let name = format!("ipfix+tcp://127.0.0.1:{PORT}");
    let arguments = ["--idle-timeout", "500ms", "--export", &name, "--spool-bytes", "10000"];
    let agent = keeping(&pair, &folder, &arguments);
    for mark in 1..=6 {
        send(&pair, &agent, mark);
    }
    let all = 6 * flood(1).flows;
    let state = wait_for("all are accounted for", SOON, || {
        let sink = sink(&agent, &name);
        let (lost, waits) = (sink["lost_records"].as_u64()?, sink["peer"]["spooled_records"].as_u64()?);
        (lost + waits == all).then_some(sink)
    });
    assert!(state["lost_records"].as_u64().is_some_and(|lost| lost > 0 && lost < all), "{state}");
    assert!(state["peer"]["spooled_bytes"].as_u64().is_some_and(|bytes| bytes <= 10_000), "{state}");
    assert!(state["last_error"].as_str().is_some_and(|error| error.contains("is full")), "{state}");
    let outcome = agent.stop_however();
    outcome.assert_books();
    let lost: u64 = outcome.ledgers.iter().map(|ledger| ledger.lost.packets).sum();
    assert_eq!(lost, 0, "the history has them");
}

/// Filters, fields and a rate of its own; files that begin anew; and syslog, as RFC 5424 has it.
#[test]
fn root_each_has_its_own_view() {
    let (pair, folder) = (Pair::new(), Folder::new("exporters"));
    let (out, file) = (folder.path("syslog"), folder.path("flows.json"));
    let syslog = format!(
        "syslog+udp://127.0.0.1:{PORT}?filter=source_address == 10.88.2.1&fields=flow_id,start,end,bytes"
    );
    let rotating = format!("file:{file}?rotate=100000&keep=9");
    let _daemon = peer(&pair.left, &folder, &format!("udp {PORT} {out}"));
    let slow = folder.path("slow.json");
    let limited = format!("file:{slow}?name=limited&rate=1/s");
    let agent = agent(&pair, &folder, &[&syslog, &rotating, &limited]);
    for mark in 1..=3 {
        send(&pair, &agent, mark);
    }
    let state = wait_until_all_is_there(&agent, &format!("syslog+udp://127.0.0.1:{PORT}"));
    assert_eq!((&state["delivered_records"], &state["filtered_records"]), (&300.into(), &600.into()));
    // What it got at first is more than it may have for minutes.
    let limited = wait_for("the rest waits", SOON, || {
        let sink = sink(&agent, "limited");
        (sink["peer"]["spooled_records"].as_u64()? + sink["peer"]["delivered_records"].as_u64()? == 900)
            .then_some(sink)
    });
    assert_eq!(
        (&limited["peer"]["held_back"], &limited["lost_records"]),
        (&true.into(), &0.into()),
        "{limited}"
    );
    let printed = printed(agent);
    let (received, count) = records(text(&slow).lines());
    let delivered = limited["peer"]["delivered_records"].as_u64().expect("a number");
    assert_eq!((count as u64, received.len() as u64), (delivered, delivered));
    assert!(received.iter().all(|(id, record)| printed.get(id) == Some(record)) && delivered < 900);
    let lines = text(&out);
    assert_eq!(lines.lines().count(), 300);
    let (record, host) = (
        printed.values().find(|record| record["source_address"] == "10.88.2.1"),
        fs::read_to_string("/proc/sys/kernel/hostname"),
    );
    let (record, host) = (record.expect("it was printed"), host.expect("a name"));
    let line = lines
        .lines()
        .find(|line| line.contains(record["flow_id"].as_str().expect("an id")))
        .expect("it was sent");
    let (header, body) = line.split_once(" - {").expect("a header");
    let words: Vec<_> = header.split(' ').collect();
    assert_eq!((words[0], words[2], words[3], words[5]), ("<134>1", host.trim(), "weir", "flow"), "{header}");
    assert!(record["end"].as_str().expect("a time").starts_with(words[1].trim_end_matches('Z')), "{header}");
    let body: Value = serde_json::from_str(&format!("{{{body}")).expect("JSON");
    assert_eq!(
        body.as_object().expect("an object").keys().collect::<BTreeSet<_>>(),
        ["type", "flow_id", "start", "end", "bytes"].map(String::from).iter().collect()
    );
    assert_eq!(body["bytes"], record["bytes"]);
    let names: Vec<_> =
        (1..10).map(|number| format!("{file}.{number}")).filter(|name| Path::new(name).exists()).collect();
    assert!(names.len() > 1, "{names:?}");
    let texts: Vec<_> =
        names.iter().chain(Path::new(&file).exists().then_some(&file)).map(|name| text(name)).collect();
    let (received, count) = records(texts.iter().flat_map(|text| text.lines()));
    assert_eq!((count, received), (printed.len(), printed));
}
