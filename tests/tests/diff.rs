//! `weir diff`, held against DuckDB on the same files: what is new, what is gone, and what has changed.

mod kept;

use kept::{interface, keep};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use weir_record::{
    Addresses, Count, Direction, End, Evidence, FlowEndReason, FlowKey, FlowRecord, Name, Process, Reverse,
    TcpFailure, TcpHealth, TcpState,
};
use weir_tests::agent::binary;
use weir_tests::duckdb::{duckdb, table};
use weir_tests::folder::Folder;

const SECOND: u64 = 1_000_000_000;
const HOUR: u64 = 3600 * SECOND;
/// 2023-11-14 22:00 UTC: an hour before, and the one after it.
const START: u64 = 1_699_999_200 * SECOND;
const BEFORE: &str = "2023-11-14T22:00:00Z/2023-11-14T23:00:00Z";
const AFTER: &str = "2023-11-14T23:00:00Z/2023-11-15T00:00:00Z";

/// The columns that tell who is where, as SQL has them: this host is 10.0.0.1.
const ROWS: &str = "select *, case direction when 'egress' then 'to' else 'from' end as role, \
    case direction when 'egress' then destination_address else source_address end as address, \
    case direction when 'egress' then destination_name else source_name end as name, \
    \"end\" < timestamptz '2023-11-14 23:00:00+00' as is_before from";

fn end(process: Option<&str>, name: Option<&str>) -> End {
    let process = process.map(|command| Process { pid: 7, command: command.into(), ..Process::default() });
    let name = name.map(|text| Name { text: text.into(), ..Name::default() });
    End { process: process.map(Arc::new), name: name.map(Arc::new), ..End::default() }
}

/// A TCP connection that this host began, or that was begun to it, and that ended then.
fn record(ended: u64, direction: Direction, other: [u8; 4], port: u16) -> FlowRecord {
    let (own, other) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::from(other));
    let is_out = direction == Direction::Egress;
    let addresses = if is_out { Addresses::V4(own, other) } else { Addresses::V4(other, own) };
    let key = FlowKey::Ip { vlan: None, addresses, protocol: 6, ports: Some((40_000, port)) };
    let count = Count { packets: 3, bytes: 300 };
    let reverse = Some(Reverse { count, tcp_flags: 0x1b, sampling_rate: 1, evidence: Evidence::Syn });
    FlowRecord {
        flow_id: ended,
        start: ended,
        end: ended,
        packets: 4,
        bytes: 700,
        reverse,
        tcp_state: Some(TcpState::Closed),
        end_reason: FlowEndReason::EndOfFlowDetected,
        ..FlowRecord::blank(interface(), direction, key)
    }
}

/// What it prints and says, and how it ends.
fn diff(directory: &Path, args: &[&str]) -> (String, String, Option<i32>) {
    let output = Command::new(binary())
        .args(["diff", "--data-dir", &directory.display().to_string()])
        .args(args)
        .env("TZ", "UTC")
        .output()
        .expect("weir starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (text(output.stdout), text(output.stderr), output.status.code())
}

fn asked(directory: &Path, args: &[&str]) -> Value {
    let always = ["-o", "json", "--before", BEFORE, "--after", AFTER];
    let (stdout, stderr, code) = diff(directory, &[&always, args].concat());
    assert_eq!((stderr.as_str(), code), ("", Some(0)), "{args:?}");
    serde_json::from_str(&stdout).expect("JSON")
}

/// Numbers that are the same each time.
struct Draw(u64);

impl Draw {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// Two hours, a record each three seconds: peers, names, ports and processes of which the second hour has some of the
/// first and some of its own; names that have moved to other addresses; slower and failing services.
fn two_hours() -> Vec<FlowRecord> {
    let mut draw = Draw(7);
    let count = 2 * 1200;
    let mut records: Vec<_> =
        (0..count).map(|number| drawn(&mut draw, number >= count / 2, number)).collect();
    // The history begins and ends with the hours.
    records[0].end = START;
    records[0].start = START;
    let last = records.last_mut().expect("some");
    last.end = START + 2 * HOUR - 1;
    records
}

fn drawn(draw: &mut Draw, is_after: bool, number: u64) -> FlowRecord {
    let shift = if is_after { 15 } else { 0 };
    let host = (draw.below(40) + shift) as u8;
    let direction = if draw.below(3) == 0 { Direction::Ingress } else { Direction::Egress };
    let port = [22, 80, 443, 5432, 8000, 9000, 9100][(draw.below(5) + u64::from(is_after) * 2) as usize];
    // Each third host has a name, and each of them stands at another address later.
    let name = host.is_multiple_of(3).then(|| format!("host{host}.example"));
    let net = if is_after && host.is_multiple_of(6) { 3 } else { 2 };
    let base = record(START + 1 + number * 3 * SECOND, direction, [192, 0, net, host], port);
    let processes = ["a", "b", "c", "d", "e"];
    let process = processes[(draw.below(3) + u64::from(is_after) * 2) as usize];
    let (own, other) = (end((draw.below(4) > 0).then_some(process), None), end(None, name.as_deref()));
    let rtt = (draw.below(3000) + if is_after { 9000 } else { 2000 }) * 1000;
    let failure = (is_after && draw.below(4) == 0).then_some(TcpFailure::Refused);
    let health = TcpHealth { rtt: Some(rtt), failure, ..TcpHealth::default() };
    let own = End { tcp: (draw.below(5) > 0).then(|| Arc::new(health)), ..own };
    let state = if draw.below(30) == 0 { TcpState::Reset } else { TcpState::Closed };
    let bytes = (draw.below(100_000) + 1) * if is_after && port == 443 { 9 } else { 1 };
    let (source, destination) = if direction == Direction::Egress { (own, other) } else { (other, own) };
    FlowRecord { source, destination, tcp_state: Some(state), bytes, ..base }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// A set of rows, each as one text.
fn set<'v>(rows: impl IntoIterator<Item = &'v Value>) -> BTreeSet<String> {
    let row = |row: &Value| row.as_array().expect("a row").iter().map(text).collect::<Vec<_>>().join(" ");
    rows.into_iter().map(row).collect()
}

#[test]
fn new_and_vanished_are_those_of_duckdb() {
    let folder = Folder::new("diff");
    keep(folder.place(), &two_hours(), true);
    let rows = format!("({ROWS} {})", table(folder.place(), "flows"));
    let said = asked(folder.place(), &[]);
    for (which, is_before) in [("new", false), ("vanished", true)] {
        let lists = &said[which];
        let list = |name: &str| lists[name]["list"].as_array().expect(name);
        let peers = duckdb(&format!(
            "select distinct role, coalesce(name, address), destination_port, protocol from {rows} t \
             where is_before = {is_before} and not exists (from {rows} o where o.is_before <> t.is_before and o.role = t.role \
             and o.destination_port = t.destination_port and (o.address = t.address or o.name = t.name))"
        ));
        let ours: Vec<_> = list("peers")
            .iter()
            .map(|peer| {
                let host = if peer["name"].is_null() { &peer["addresses"][0] } else { &peer["name"] };
                json!([peer["role"], host, peer["port"], peer["protocol"]])
            })
            .collect();
        assert!(ours.len() > 20 && ours.len() == lists["peers"]["count"], "{which}: {}", ours.len());
        assert_eq!(set(&ours), set(&peers), "{which}");
        let ports = duckdb(&format!(
            "select distinct if(role = 'to', 'used', 'served'), destination_port from {rows} where is_before = {is_before} \
             and (role, destination_port) not in (select (role, destination_port) from {rows} where is_before <> {is_before})"
        ));
        let ours: Vec<_> = list("ports").iter().map(|port| json!([port["role"], port["port"]])).collect();
        assert_eq!((ours.len(), set(&ours)), (4, set(&ports)), "{which}");
        let processes = duckdb(&format!(
            "with p as (select coalesce(source_process, destination_process) as process, is_before from {rows}) \
             select distinct process from p where is_before = {is_before} and process not in \
             (select process from p where is_before <> {is_before} and process is not null)"
        ));
        let ours: Vec<_> = list("processes").iter().map(|one| json!([one["process"]])).collect();
        assert_eq!((ours.len(), set(&ours)), (2, set(&processes)), "{which}");
    }
    let sums = duckdb(&format!(
        "select count(*), sum(bytes + reverse_bytes)::bigint from {rows} group by is_before order by is_before desc"
    ));
    let sides = ["before", "after"].map(|side| json!([said[side]["records"], said[side]["bytes"]]));
    assert_eq!(sides.to_vec(), sums);
    assert_eq!((&said["before"]["covered"], &said["after"]["covered"]), (&json!(true), &json!(true)));
}

/// A figure of each process and each service in both hours, as DuckDB computes it.
fn figures(rows: &str, figure: &str) -> Vec<Value> {
    let of = |who: &str| {
        format!(
            "select {who} as who, {} as was, {} as is_now from {rows} group by who having who is not null \
             and count(*) filter (is_before) > 0 and count(*) filter (not is_before) > 0",
            figure.replace("WHEN", "is_before"),
            figure.replace("WHEN", "not is_before"),
        )
    };
    let service = "coalesce(destination_name, destination_address) || ':' || destination_port";
    duckdb(&format!("{} union all {}", of("coalesce(source_process, destination_process)"), of(service)))
}

/// Those of the list, each with the figure before and after.
fn changed(list: &Value) -> Vec<(String, f64, f64)> {
    let figure = |one: &Value| {
        let host = if one["name"].is_null() { &one["address"] } else { &one["name"] };
        let service = || format!("{}:{}", text(host), one["port"]);
        let who = one["process"].as_str().map_or_else(service, ToOwned::to_owned);
        let number = |name: &str| one[name].as_f64().expect(name);
        (who, number("before"), number("after"))
    };
    let mut all: Vec<_> = list["list"].as_array().expect("a list").iter().map(figure).collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

/// Those that DuckDB finds to have changed so much.
fn expected(rows: Vec<Value>, is_much: impl Fn(f64, f64) -> bool) -> Vec<(String, f64, f64)> {
    let figure = |row: &Value| {
        let number = |at: usize| row[at].as_f64().or_else(|| row[at].as_str()?.parse().ok());
        Some((text(&row[0]), number(1)?, number(2)?))
    };
    let is_large = |was: f64, is: f64| was.max(is) >= 2.0 * was.min(is) && is_much(was, is);
    let mut all: Vec<_> = rows.iter().filter_map(figure).filter(|one| is_large(one.1, one.2)).collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

#[track_caller]
fn assert_close(ours: &[(String, f64, f64)], theirs: &[(String, f64, f64)], to: f64) {
    let names = |all: &[(String, f64, f64)]| all.iter().map(|one| one.0.clone()).collect::<Vec<_>>();
    assert_eq!(names(ours), names(theirs));
    let is_close = |one: f64, other: f64| (one - other).abs() <= to * other.abs();
    for (our, their) in ours.iter().zip(theirs) {
        assert!(is_close(our.1, their.1) && is_close(our.2, their.2), "{our:?} {their:?}");
    }
}

#[test]
fn what_has_changed_is_what_duckdb_computes() {
    let folder = Folder::new("diff");
    keep(folder.place(), &two_hours(), true);
    let rows = format!("({ROWS} {})", table(folder.place(), "flows"));
    let said = &asked(folder.place(), &[])["changed"];

    let bytes = figures(&rows, "sum(bytes + reverse_bytes) filter (WHEN)::double / 3600");
    let bytes = expected(bytes, |was, is| was.max(is) >= 1000.0);
    assert!(bytes.len() > 2, "{bytes:?}");
    assert_close(&changed(&said["bytes_per_second"]), &bytes, 1e-6);

    let counts = figures(&rows, "count(*) filter (WHEN)::double / 3600");
    let counts = expected(counts, |was, is| was.max(is) * 3600.0 > 9.5);
    assert_close(&changed(&said["conversations_per_second"]), &counts, 1e-6);

    // Of each service and process here the median is more than twice as long: what a step of the median's scale is
    // does not matter.
    let rtt = "greatest(source_tcp_rtt, destination_tcp_rtt)";
    let rtt = figures(
        &rows,
        &format!(
            "if(count({rtt}) filter (WHEN) >= 5, quantile_disc({rtt}, 0.5) filter (WHEN), null)::double"
        ),
    );
    let rtt = expected(rtt, |was, is| (was - is).abs() >= 1e3);
    assert!(rtt.len() > 5, "{rtt:?}");
    assert_close(&changed(&said["rtt"]), &rtt, 0.032);

    let is_failed = "if(coalesce(source_tcp_bytes_sent, destination_tcp_bytes_sent) is null, tcp_state = 'reset', \
                     coalesce(source_tcp_failure, destination_tcp_failure) is not null)";
    let failures =
        figures(&rows, &format!("count(*) filter (WHEN and {is_failed})::double / count(*) filter (WHEN)"));
    let counts = figures(&rows, &format!("count(*) filter (WHEN and {is_failed})"));
    let enough: BTreeSet<_> = counts
        .iter()
        .filter(|row| [1, 2].iter().any(|at| row[*at].as_u64() >= Some(5)))
        .map(|row| text(&row[0]))
        .collect();
    let mut failures = expected(failures, |was, is| (was - is).abs() >= 0.01);
    failures.retain(|one| enough.contains(&one.0));
    assert!(failures.len() > 3, "{failures:?}");
    assert_close(&changed(&said["failure_rate"]), &failures, 1e-9);
}

/// An hour with curl and an API, and one in which somebody else goes elsewhere; in a log that was left behind.
fn quiet(folder: &Folder) {
    let curl = |ended| FlowRecord {
        source: end(Some("curl"), None),
        destination: end(None, Some("api.example.org")),
        ..record(ended, Direction::Egress, [192, 0, 2, 1], 443)
    };
    let nc = FlowRecord {
        source: end(Some("nc"), None),
        ..record(START + HOUR + 60 * SECOND, Direction::Egress, [198, 51, 100, 9], 4444)
    };
    let login = FlowRecord {
        destination: end(Some("sshd"), None),
        ..record(START + HOUR + 90 * SECOND, Direction::Ingress, [203, 0, 113, 5], 22)
    };
    let times = [START, START + HOUR - 1, START + HOUR, START + 2 * HOUR - 1];
    let records: Vec<_> = times.map(curl).into_iter().chain([nc, login]).collect();
    keep(folder.place(), &records, false);
}

#[test]
fn what_shall_not_be_new_has_an_exit_code() {
    let folder = Folder::new("diff");
    quiet(&folder);
    let fails = |rules: &str, more: &[&str]| {
        let args = ["--before", BEFORE, "--after", AFTER, "--fail-on", rules];
        let (stdout, stderr, code) = diff(folder.place(), &[&args, more].concat());
        assert!(stdout.contains("before"), "{stdout}");
        (code, stderr)
    };
    let egress = "weir: new egress: to 198.51.100.9:4444/tcp\n";
    assert_eq!(fails("new-egress", &[]), (Some(3), egress.into()));
    assert_eq!(fails("new-egress", &["--top", "0"]), (Some(3), egress.into()));
    assert_eq!(fails("new-egress", &["--process", "curl"]), (Some(0), String::new()));
    assert_eq!(fails("new-egress", &["--process", "sshd"]), (Some(0), String::new()), "it was begun there");
    let all = "weir: new peer: to 198.51.100.9:4444/tcp, from 203.0.113.5 at :22/tcp\n\
               weir: new port: served 22/tcp, used 4444/tcp\n\
               weir: new process: nc, sshd\n";
    assert_eq!(fails("new-process,new-port,new-peer", &[]), (Some(3), all.into()));
    let (_, stderr, code) = diff(folder.place(), &["--fail-on", "new-egres"]);
    assert!(code == Some(2) && stderr.contains("new-egress"), "{stderr}");
}

#[test]
fn tables_are_for_people() {
    let folder = Folder::new("diff");
    quiet(&folder);
    let args = ["--before", BEFORE, "--after", AFTER];
    let (stdout, stderr, code) = diff(folder.place(), &args);
    assert_eq!((stderr.as_str(), code), ("", Some(0)));
    let wanted = "\
NEW PEERS                     PROCESS  CONVS     BYTES  FIRST
to 198.51.100.9:4444/tcp      nc           1  1000 B    2023-11-14 23:01:00";
    let line = |text: &str| stdout.lines().any(|line| line.split_whitespace().eq(text.split_whitespace()));
    for line_wanted in wanted.replace("1000 B", "1.0 KiB").lines() {
        assert!(line(line_wanted), "{line_wanted}\n{stdout}");
    }
    assert!(line("served 22/tcp sshd 1 1.0 KiB 2023-11-14 23:01:30"), "{stdout}");
    assert!(!stdout.contains("VANISHED") && !stdout.contains("api.example.org"), "{stdout}");
    let (stdout, ..) = diff(folder.place(), &[&args[..], &["--top", "1"]].concat());
    assert!(stdout.contains("(1 others)"), "{stdout}");
    let (stdout, ..) = diff(folder.place(), &[&args[..], &["--process", "curl"]].concat());
    assert!(stdout.ends_with("nothing is new, nothing has vanished, nothing has changed much\n"), "{stdout}");
}

/// What was never recorded is not called new.
#[test]
fn what_the_history_does_not_have_is_said() {
    let folder = Folder::new("diff");
    let said = |args: &[&str], code: i32, mentions: &str| {
        let (stdout, stderr, ended) = diff(folder.place(), args);
        assert_eq!(ended, Some(code), "{args:?}: {stderr}");
        assert!(stderr.lines().count() == 1 && stderr.contains(mentions), "{args:?}: {stderr}");
        stdout
    };
    said(&[], 1, "there is nothing to compare with: there is nothing in");
    quiet(&folder);
    let (earlier, night) =
        ("2023-11-14T20:00:00Z/2023-11-14T21:00:00Z", "2023-11-15T01:00:00Z/2023-11-15T02:00:00Z");
    let none = "there is nothing to compare with: no record is of";
    assert_eq!(said(&["--before", earlier, "--after", AFTER, "--fail-on", "new-egress"], 1, none), "");
    assert_eq!(said(&["--before", BEFORE, "--after", night], 1, none), "");
    // Whatever is asked for: another filter is no other time.
    let (_, stderr, code) = diff(folder.place(), &["--before", BEFORE, "--after", AFTER, "--port", "4444"]);
    assert_eq!((stderr.as_str(), code), ("", Some(0)));
    let half = "2023-11-14T21:00:00Z/2023-11-14T23:00:00Z";
    let shown = said(&["--before", half, "--after", AFTER], 0, "the history has 2023-11-14 22:00:00 to");
    assert!(shown.contains("NEW PEERS"), "{shown}");

    said(&["--before", "today", "--after", "now"], 2, "overlap");
    said(&["--before", "now", "--after", "3h/2h"], 2, "later than");
    said(&["--before", "soon"], 2, "not a period");
    said(&["--after", "2h/3h"], 2, "ends before it begins");
}

/// A connection that had begun before, and one of another period, by words.
#[test]
fn yesterday_and_now_are_those_of_the_host() {
    let folder = Folder::new("diff");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_nanos() as u64;
    let noon = now - now % (24 * HOUR) - 12 * HOUR;
    let known = record(noon, Direction::Egress, [192, 0, 2, 1], 443);
    let long =
        FlowRecord { start: noon, ..record(now - 60 * SECOND, Direction::Egress, [192, 0, 2, 2], 443) };
    let new = record(now - 90 * SECOND, Direction::Egress, [192, 0, 2, 3], 443);
    keep(folder.place(), &[known, long, new], true);
    let (stdout, stderr, code) = diff(folder.place(), &["-o", "json", "--fail-on", "new-egress"]);
    assert!(code == Some(3) && stderr.contains("new egress: to 192.0.2.3:443/tcp\n"), "{stderr}");
    assert!(stderr.contains("of yesterday ("), "it begins at noon: {stderr}");
    let said: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!((&said["new"]["peers"]["count"], &said["vanished"]["peers"]["count"]), (&json!(1), &json!(1)));
}

/// A file that is damaged: an answer that is not whole is not like one that is.
#[test]
fn damage_is_said() {
    let folder = Folder::new("diff");
    let records = [START, START + HOUR].map(|ended| record(ended, Direction::Egress, [192, 0, 2, 1], 443));
    keep(folder.place(), &records[..1], true);
    keep(folder.place(), &records, true);
    let files = duckdb(&format!("select file from glob({}) order by file", table(folder.place(), "flows")));
    let file = text(&files[0][0]);
    let whole = std::fs::read(&file).expect("readable");
    std::fs::write(&file, &whole[..whole.len() / 2]).expect("writable");
    let (_, stderr, code) = diff(folder.place(), &["--before", BEFORE, "--after", AFTER]);
    assert!(code == Some(1) && stderr.contains(&file), "{stderr}");
}
