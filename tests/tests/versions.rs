//! What a history says whose segments and logs are of an older version of the schema: what it said then.
//!
//! `histories/version-1` was written by the last weir of that version, in a network of two namespaces: curl asked
//! busybox's httpd, dig asked dnsmasq; then the agent was killed, so half of it is in logs. Lengths of time were in
//! nanoseconds then. What it is compared with is what that weir said of it.

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use twox_hash::XxHash64;
use weir_tests::agent::{Agent, binary};
use weir_tests::duckdb::{duckdb, table};
use weir_tests::folder::Folder;
use weir_tests::history::keeping;
use weir_tests::pair::{INTERFACE, Pair};

/// By `weir sql 'select source_tcp_rtt from flows where source_tcp_rtt is not null order by 1'`, and so on.
const RTT: [u64; 9] = [22_000, 27_000, 29_000, 29_000, 33_000, 35_000, 38_000, 40_000, 60_000];
const HANDSHAKE: [u64; 9] = [26_000, 32_000, 34_000, 35_000, 39_000, 42_000, 45_000, 49_000, 74_000];
const CONNECT: [u64; 9] = [37_797, 46_482, 48_731, 51_199, 55_673, 59_744, 63_278, 69_014, 98_391];
const DNS: [u64; 4] = [37_155, 37_432, 134_236, 137_973];

/// A copy, which may be written.
fn copied() -> Folder {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).expect("a folder");
        for entry in fs::read_dir(from).expect("a folder").flatten() {
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            if from.is_dir() { copy(&from, &to) } else { fs::copy(from, to).map(drop).expect("a copy") }
        }
    }
    let folder = Folder::new("version");
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("histories/version-1");
    copy(&kept, &folder.place().join("history"));
    folder
}

/// The lines that weir prints, asked with these words.
fn said(folder: &Folder, args: &[&str]) -> Vec<Value> {
    let (command, rest) = args.split_first().expect("a command");
    let directory = folder.path("history");
    let all = [&[*command, "--data-dir", &directory, "-o", "json"], rest].concat();
    let output = Command::new(binary()).args(all).output().expect("weir starts");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// What is in a column, in order.
fn numbers(folder: &Folder, table: &str, column: &str) -> Vec<u64> {
    let rows = said(
        folder,
        &["sql", &format!("select {column} as it from {table} where {column} is not null order by it")],
    );
    rows.iter().map(|row| row["it"].as_u64().expect("a number")).collect()
}

fn micros(nanos: &[u64]) -> Vec<u64> {
    nanos.iter().map(|nanos| nanos / 1000).collect()
}

fn assert_the_same(folder: &Folder) {
    let columns = [
        ("flows", "source_tcp_rtt", &RTT[..]),
        ("flows", "source_tcp_handshake_time", &HANDSHAKE),
        ("connects", "connect_latency", &CONNECT),
        ("dns", "dns_latency", &DNS),
    ];
    for (table, column, then) in columns {
        assert_eq!(numbers(folder, table, column), micros(then), "{column}");
    }
    let flows = said(folder, &["flows", "--fields", "source_tcp_rtt", "--filter", "source_tcp_rtt != null"]);
    let mut rtts: Vec<_> =
        flows.iter().map(|one| one["source_tcp_rtt"].as_u64().expect("a number")).collect();
    rtts.sort_unstable();
    assert_eq!(rtts, micros(&RTT));
    // Each as the least and the most that is asked for: statistics of row groups are those of then, too.
    for bound in micros(&RTT) {
        for (operator, expected) in [
            (">=", rtts.iter().filter(|rtt| **rtt >= bound).count()),
            ("<=", rtts.iter().filter(|rtt| **rtt <= bound).count()),
            ("==", rtts.iter().filter(|rtt| **rtt == bound).count()),
        ] {
            let by_flows =
                said(folder, &["flows", "--filter", &format!("source_tcp_rtt {operator} {bound}us")]);
            let condition = format!("select 1 from flows where source_tcp_rtt {operator} {bound}");
            let by_sql = said(folder, &["sql", &condition]);
            assert_eq!([by_flows.len(), by_sql.len()], [expected; 2], "{operator} {bound} µs");
        }
    }
    // What was no whole microsecond; the largest, by which rows are chosen while they are read; and two tables.
    let shortest = CONNECT[0] / 1000;
    for (statement, expected) in [
        (format!("select connect_latency as it from connects where connect_latency <= {shortest}"), shortest),
        ("select dns_latency as it from dns order by it desc limit 1".into(), DNS[3] / 1000),
        (
            "select max(f.source_tcp_rtt) as it from flows f join connects c on f.source_port = c.source_port".into(),
            RTT[8] / 1000,
        ),
    ] {
        assert_eq!(said(folder, &["sql", &statement])[0]["it"], expected, "{statement}");
    }
}

#[test]
fn lengths_of_time_are_as_long_as_they_were() {
    let folder = copied();
    assert_the_same(&folder);
    for table in ["flows_1m", "flows_1h"] {
        let spread = "select sum(source_tcp_rtt_count) as n, sum(source_tcp_rtt_sum) as s, \
                      min(source_tcp_rtt_min) as l, max(source_tcp_rtt_max) as m from";
        let row = &said(&folder, &["sql", &format!("{spread} {table}")])[0];
        assert_eq!([&row["n"], &row["s"], &row["l"], &row["m"]], [6, 200, 22, 60], "{table}");
    }
}

#[test]
fn root_an_agent_takes_it_over() {
    let (pair, folder) = (Pair::new(), copied());
    let agent = keeping(&pair, &folder, &["--keep", "36500d", "--keep-1m", "36500d", "--keep-1h", "36500d"]);
    assert!(agent.start_line().contains("TCX"));
    agent.stop().assert_books();
    assert_the_same(&folder);
    // What was in the log is in a segment of today now; DuckDB sees what they say themselves.
    let files = table(&folder.place().join("history"), "flows");
    let today = format!(
        "(select file_name from parquet_kv_metadata({files}) where key = 'weir.schema_version' and value = '3')"
    );
    let rows = duckdb(&format!(
        "select if(filename in {today}, source_tcp_rtt, source_tcp_rtt // 1000) as rtt, filename in {today} \
         from read_parquet({files}, filename = true) where source_tcp_rtt is not null order by rtt"
    ));
    let told: Vec<_> = rows.iter().map(|row| row[0].as_u64().expect("a number")).collect();
    assert_eq!(told, micros(&RTT));
    assert!(rows.iter().any(|row| row[1] == true));
}

#[test]
fn what_a_later_weir_has_written_is_not_misread() {
    let folder = copied();
    let day = fs::read_dir(folder.place().join("history/flows/2026-11-28")).expect("a day").flatten();
    let path = day.map(|entry| entry.path()).next().expect("a segment");
    let later = folder.path("later.parquet");
    duckdb(&format!(
        "copy (from '{}') to '{later}' (kv_metadata {{'weir.schema_version': '9'}})",
        path.display()
    ));
    // Its name has its checksum.
    let sum = XxHash64::oneshot(0, &fs::read(&later).expect("a file")) as u32;
    let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
    let (stem, _) = name.strip_suffix(".parquet").and_then(|name| name.rsplit_once('.')).expect("a checksum");
    fs::rename(later, path.with_file_name(format!("{stem}.{sum:08x}.parquet"))).expect("it is there");
    fs::remove_file(&path).expect("the one of then");
    let history = folder.path("history");
    let expected = "is from a later weir than this one (version 9 of the schema): use that one";
    for args in [&["flows"][..], &["sql", "select count(source_tcp_rtt) from flows"]] {
        let output = Command::new(binary())
            .args([&args[..1], &["--data-dir", &history], &args[1..]].concat())
            .output()
            .expect("weir starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(&history) && said.contains(expected), "{output:?}");
        assert!(!output.status.success(), "{output:?}");
    }
}

#[test]
fn root_an_agent_leaves_what_a_later_weir_has_written_to_that_one() {
    let (pair, folder) = (Pair::new(), copied());
    let (then, log) = (folder.path("history/flows/log/2.log"), folder.path("history/flows/_log/2.log"));
    let mut bytes = fs::read(&then).expect("a log");
    fs::remove_file(then).expect("it was read");
    fs::create_dir(folder.path("history/flows/_log")).expect("a directory");
    bytes[..8].copy_from_slice(b"WEIRLOG9");
    fs::write(&log, bytes).expect("a log");
    let history = folder.path("history");
    let (status, _, said): (_, Vec<String>, _) =
        Agent::run(&pair.left, &[], &["run", "-i", INTERFACE, "--data-dir", &history]);
    assert!(!status.success(), "{said:?}");
    let expected = "2.log is from a later weir than this one (version 9 of logs): use that one";
    assert!(said.iter().any(|line| line.contains(expected)), "{said:?}");
    assert!(Path::new(&log).exists() && !folder.place().join("history/quarantine").exists());
}
