//! `weir flows`: held against what was sent, and against DuckDB on the same files.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;
use weir_tests::agent::binary;
use weir_tests::duckdb::{duckdb, table};
use weir_tests::flood::Flood;
use weir_tests::folder::Folder;
use weir_tests::history::{self, keeping};
use weir_tests::inject::Injector;
use weir_tests::lines::Lines;
use weir_tests::output::Count;
use weir_tests::pair::{INTERFACE, Pair};
use weir_tests::wait_for;

const FLOOD: Flood = Flood { packets: 20_000, flows: 1_000, mark: 1 };
const PATIENCE: Duration = Duration::from_secs(20);

/// What `weir flows` prints and says of this directory, and how it ends.
fn flows(folder: &Folder, args: &[&str]) -> (Vec<u8>, String, Option<i32>) {
    let output = Command::new(binary())
        .args(["flows", "--data-dir", &folder.path("history")])
        .args(args)
        .output()
        .expect("weir starts");
    (output.stdout, String::from_utf8(output.stderr).expect("text"), output.status.code())
}

/// Its JSON, where nothing went wrong.
fn asked(folder: &Folder, args: &[&str]) -> Vec<Value> {
    let (stdout, stderr, code) = flows(folder, &[&["-o", "json"], args].concat());
    let is_quiet = stderr.is_empty() || stderr.starts_with("weir: no such flow");
    assert!(is_quiet && code == Some(0), "{args:?}: {stderr}");
    let text = String::from_utf8(stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn number(line: &Value, name: &str) -> u64 {
    line[name].as_u64().unwrap_or_else(|| panic!("no {name}: {line}"))
}

fn total(lines: &[Value]) -> Count {
    let sum = |name: &str| lines.iter().map(|line| number(line, name)).sum();
    Count { packets: sum("packets"), bytes: sum("bytes") }
}

/// A history with the flood in it, and its agent gone.
fn kept(pair: &Pair, folder: &Folder) -> Count {
    history::kept(pair, folder, &FLOOD, &[])
}

#[test]
fn root_what_is_asked_is_what_duckdb_says() {
    let (pair, folder) = (Pair::new(), Folder::new("flows"));
    let sent = kept(&pair, &folder);
    let files = table(&folder.place().join("history"), "flows");

    let all = asked(&folder, &["--all", "--port", "0-65535"]);
    assert_eq!((all.len() as u64, total(&all)), (FLOOD.flows, sent));
    let ends = all.iter().map(|line| line["end"].as_str().expect("a time"));
    assert!(ends.is_sorted(), "the oldest come first");

    // Flags and the same words of SQL.
    let same = [
        (&["--port", "1030"][..], "1030 in (source_port, destination_port)"),
        (
            &["--not", "--port", "1030", "--protocol", "udp"],
            "protocol = 'udp' and 1030 not in (source_port, destination_port)",
        ),
        (
            &["--from", "10.88.0.0/16", "--filter", "packets > 19"],
            "source_address like '10.88.%' and packets > 19",
        ),
        (&["--min-bytes", "1KiB"], "bytes >= 1024 or reverse_bytes >= 1024"),
        (&["--interface", "nosuch*"], "false"),
        (&["--dropped"], "dropped_packets > 0"),
    ];
    for (flags, condition) in same {
        let (stdout, _, code) =
            flows(&folder, &[&["--all", "-o", "json", "--fields", "flow_id"], flags].concat());
        let mut ids: Vec<Value> = String::from_utf8(stdout)
            .expect("text")
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["flow_id"].clone())
            .collect();
        ids.sort_by_key(Value::to_string);
        let wanted = duckdb(&format!(
            "select flow_id from {files} where {condition} order by '\"' || flow_id || '\"'"
        ));
        let wanted: Vec<_> = wanted.into_iter().map(|row| row[0].clone()).collect();
        assert_eq!((code, ids), (Some(0), wanted), "{flags:?}");
    }

    let newest = asked(&folder, &["--last", "7", "--fields", "end"]);
    let ends = duckdb(&format!(
        "select strftime(\"end\" at time zone 'UTC', '%Y-%m-%dT%H:%M:%S') from {files} order by \"end\" desc limit 7"
    ));
    let seconds = |value: &Value| value.as_str().expect("a time")[..19].to_owned();
    let mut shown: Vec<_> = newest.iter().map(|line| seconds(&line["end"])).collect();
    shown.reverse();
    assert_eq!(shown, ends.iter().map(|row| seconds(&row[0])).collect::<Vec<_>>());
    assert_eq!(asked(&folder, &[]).len(), 20);
}

/// More than is held at once comes in order, and each once.
#[test]
fn root_many_are_in_order_too() {
    let (pair, folder) = (Pair::new(), Folder::new("flows"));
    let injector = Injector::open(&pair.left, INTERFACE);
    let agent = keeping(&pair, &folder, &[]);
    Flood { packets: 100_000, flows: 100_000, mark: 1 }.send(&injector);
    agent.stop().assert_books();
    let (stdout, stderr, code) = flows(&folder, &["--all", "-o", "csv", "--fields", "end,packets,flow_id"]);
    assert_eq!((stderr.as_str(), code), ("", Some(0)));
    let text = String::from_utf8(stdout).expect("text");
    let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split(',').collect()).collect();
    assert!(rows.len() > 65_536 && rows.iter().map(|row| row[0]).is_sorted(), "{} rows", rows.len());
    let packets: u64 = rows.iter().map(|row| row[1].parse::<u64>().expect("a number")).sum();
    let files = table(&folder.place().join("history"), "flows");
    let kept = duckdb(&format!("select count(*), sum(packets)::bigint from {files}"));
    assert_eq!(kept[0], json!([rows.len(), packets]));
}

#[test]
fn root_sums_are_those_of_duckdb() {
    let (pair, folder) = (Pair::new(), Folder::new("flows"));
    let sent = kept(&pair, &folder);
    let files = table(&folder.place().join("history"), "flows");
    let sums = asked(&folder, &["--sum-by", "destination_port,protocol", "--filter", "source_port != null"]);
    let key = |port: &Value, protocol: &Value| format!("{port} {protocol}");
    let ours: BTreeMap<_, _> = sums
        .iter()
        .map(|sum| {
            let names = ["conversations", "records", "packets", "bytes", "reverse_packets", "reverse_bytes"];
            (key(&sum["destination_port"], &sum["protocol"]), names.map(|name| number(sum, name)))
        })
        .collect();
    let theirs: BTreeMap<_, _> = duckdb(&format!(
        "select destination_port, protocol, count(*) filter (where flow_end_reason <> 'active_timeout'), count(*), \
         sum(packets)::bigint, sum(bytes)::bigint, coalesce(sum(reverse_packets), 0)::bigint, \
         coalesce(sum(reverse_bytes), 0)::bigint from {files} where source_port is not null group by all"
    ))
    .iter()
    .map(|row| (key(&row[0], &row[1]), [2, 3, 4, 5, 6, 7].map(|at| row[at].as_u64().expect("a number"))))
    .collect();
    assert_eq!(ours, theirs);

    // What is not among the first is in the last line.
    let top = asked(&folder, &["--sum-by", "source_port", "--top", "3", "--filter", "source_port != null"]);
    assert_eq!((top.len(), total(&top)), (4, sent));
    let others = top.last().expect("four");
    assert_eq!((&others["type"], &others["groups"]), (&json!("others"), &json!(997)));
    assert!(top.windows(2).take(2).all(|two| number(&two[0], "bytes") >= number(&two[1], "bytes")));
}

#[test]
fn root_csv_and_parquet_are_read_by_others() {
    let (pair, folder) = (Pair::new(), Folder::new("flows"));
    let sent = kept(&pair, &folder);
    let sums = |from: &str| {
        let rows = duckdb(&format!(
            "select sum(packets)::bigint, sum(bytes)::bigint, count(*) from {from} where source_port is not null"
        ));
        rows[0].clone()
    };
    let expected = json!([sent.packets, sent.bytes, FLOOD.flows]);
    let written = |name: &str, args: &[&str]| {
        let (stdout, stderr, code) = flows(&folder, args);
        assert_eq!((stderr.as_str(), code), ("", Some(0)), "{args:?}");
        folder.write(name, stdout)
    };
    let csv = written("all.csv", &["--all", "-o", "csv"]);
    assert_eq!(sums(&format!("read_csv('{csv}')")), expected);
    let parquet = written("all.parquet", &["--all", "-o", "parquet"]);
    assert_eq!(sums(&format!("'{parquet}'")), expected);
    let files = table(&folder.place().join("history"), "flows");
    for (from, to) in [(&files, &format!("'{parquet}'")), (&format!("'{parquet}'"), &files)] {
        assert_eq!(
            duckdb(&format!("select count(*) from (from {from} except all from {to})"))[0],
            json!([0])
        );
    }
    let some = written("some.parquet", &["--all", "-o", "parquet", "--fields", "source_port,packets,bytes"]);
    assert_eq!(sums(&format!("'{some}'")), expected);
    let sum = written("sum.csv", &["-o", "csv", "--sum-by", "protocol,source_port", "--top", "5"]);
    assert_eq!(duckdb(&format!("select count(*) from read_csv('{sum}')"))[0], json!([6]));
}

/// Whenever it is asked, each packet is there once: in a record that was kept, in an interim one, or open.
#[test]
fn root_live_and_kept_make_one() {
    let (pair, folder) = (Pair::new(), Folder::new("flows"));
    let injector = Injector::open(&pair.left, INTERFACE);
    let agent = keeping(&pair, &folder, &["--active-timeout", "300ms", "--idle-timeout", "700ms"]);
    let is_seen = |packets: u64| {
        let lines = asked(&folder, &["--sum-by", "source_address", "--from", "10.88.0.0/16"]);
        (total(&lines).packets >= packets).then_some(())
    };
    let mut sent = Count::default();
    // It goes on while others have interim records, and while they end.
    for _ in 0..8 {
        sent = sent + Flood { packets: 2_000, flows: 100, mark: 1 }.send(&injector);
        wait_for("the flood is counted", PATIENCE, || is_seen(sent.packets));
        let sums = asked(&folder, &["--sum-by", "source_address", "--from", "10.88.0.0/16"]);
        assert_eq!(total(&sums), sent);
        sleep(Duration::from_millis(50));
    }
    let mut records = Vec::new();
    for _ in 0..20 {
        let lines = asked(&folder, &["--all", "--from", "10.88.0.0/16"]);
        assert_eq!(total(&lines), sent);
        records.push(lines.len());
        sleep(Duration::from_millis(60));
    }
    assert!(records.iter().all(|count| *count > 100), "interim records: {records:?}");
    agent.stop();
    assert_eq!(total(&asked(&folder, &["--all", "--from", "10.88.0.0/16"])), sent);
}

/// What is followed comes once, what there was before with it.
#[test]
fn root_follow_shows_each_record_once() {
    let (pair, folder) = (Pair::new(), Folder::new("flows"));
    let injector = Injector::open(&pair.left, INTERFACE);
    let agent = keeping(&pair, &folder, &["--idle-timeout", "300ms"]);
    let before = Flood { mark: 1, ..FLOOD }.send(&injector);
    wait_for("some have ended", PATIENCE, || {
        let ended =
            asked(&folder, &["--sum-by", "source_address", "--filter", "flow_end_reason == idle_timeout"]);
        (total(&ended).packets > 0).then_some(())
    });
    let mut follower = Command::new(binary())
        .args([
            "flows",
            "--follow",
            "--since",
            "1h",
            "--from",
            "10.88.0.0/16",
            "-o",
            "json",
            "--data-dir",
            &folder.path("history"),
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("weir starts");
    let lines = Lines::of(follower.stdout.take().expect("a pipe"));
    let after = Flood { mark: 2, ..FLOOD }.send(&injector);
    let followed = |lines: &[String]| {
        let lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        total(&lines)
    };
    wait_for("all has ended", PATIENCE, || {
        lines.look(|lines| (followed(lines).packets >= (before + after).packets).then_some(()))
    });
    sleep(Duration::from_millis(500));
    assert_eq!(lines.look(followed), before + after);

    // Nobody could tell what comes: it ends.
    agent.stop();
    let ended = wait_for("the follower ends", PATIENCE, || follower.try_wait().expect("ours"));
    assert_eq!(ended.code(), Some(1));
}

#[test]
fn root_what_cannot_be_answered_is_said_in_one_line() {
    let (pair, folder) = (Pair::new(), Folder::new("flows"));
    let said = |args: &[&str], code: i32, mentions: &[&str]| {
        let (stdout, stderr, ended) = flows(&folder, args);
        assert_eq!((stdout.len(), ended), (0, Some(code)), "{args:?}: {stderr}");
        assert!(stderr.starts_with("weir: ") && stderr.trim_end().lines().count() == 1, "{args:?}: {stderr}");
        mentions.iter().for_each(|mention| assert!(stderr.contains(mention), "{args:?}: {stderr}"));
    };
    said(&[], 1, &["there is no history in", "weir run --data-dir"]);
    kept(&pair, &folder);
    said(&["--since", "1s", "--until", "2s"], 2, &["--until is before --since"]);
    said(&["--since", "soonish"], 2, &["--since", "not a time"]);
    said(&["--fields", "byts"], 2, &["did you mean bytes?"]);
    said(&["--sum-by", "nonsense of mine"], 2, &["docs/fields.md"]);
    said(&["--port", "http"], 2, &["--port", "takes a number"]);
    said(&["--not"], 2, &["--not stands before"]);
    said(&["--top", "3"], 2, &["--sum-by"]);
    said(&["--follow"], 1, &["no agent", "weir run"]);
    said(&["--until", "2020-01-01"], 0, &["no flow until 2020-01-01", "the history in", "is from"]);
    said(&["--port", "9"], 0, &["no such flow", "is from"]);

    let files = folder.place().join("history/flows");
    let mut days = std::fs::read_dir(files).expect("days").flatten().map(|entry| entry.path());
    let day = days.find(|path| !path.ends_with("_log")).expect("a day");
    let file = std::fs::read_dir(day).expect("files").flatten().next().expect("a file").path();
    let whole = std::fs::read(&file).expect("readable");
    std::fs::write(&file, &whole[..whole.len() / 2]).expect("writable");
    said(&["--all"], 1, &["is damaged", &file.display().to_string()]);
}

/// Lines of a table are never wider than the terminal, and hold what people ask for.
#[test]
fn root_tables_are_for_people() {
    let (pair, folder) = (Pair::new(), Folder::new("flows"));
    kept(&pair, &folder);
    let text = |args: &[&str]| String::from_utf8(flows(&folder, args).0).expect("text");
    let shown = text(&["--last", "3", "--from", "10.88.1.1"]);
    assert!(shown.starts_with("ENDED") && shown.lines().count() == 4, "{shown}");
    assert!(shown.contains("10.88.1.1:") && shown.contains("1.2 KiB"), "{shown}");
    let sums = text(&["--sum-by", "source_address", "--top", "1"]);
    assert!(sums.contains("SOURCE ADDRESS") && sums.contains("1.1 MiB"), "{sums}");
    let wide = text(&["--last", "1", "-o", "wide"]);
    assert!(wide.contains("DESTINATION CONTAINER NAME"), "{wide}");
    let fields = text(&["--last", "1", "--fields", "source_port,process"]);
    assert!(fields.starts_with("SOURCE PORT  PROCESS"), "{fields}");
}
