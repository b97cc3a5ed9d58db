//! `weir export`: its files as DuckDB and tshark read them.

use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;
use weir_tests::agent::binary;
use weir_tests::duckdb::{duckdb, table};
use weir_tests::flood::Flood;
use weir_tests::folder::Folder;
use weir_tests::history::{self, keeping};
use weir_tests::iperf::iperf;
use weir_tests::ipfix;
use weir_tests::output::Count;
use weir_tests::pair::{Pair, RIGHT, RIGHT_IPV6};
use weir_tests::terminal::Terminal;

const FLOOD: Flood = Flood { packets: 20_000, flows: 1_000, mark: 1 };

/// A file that names the right end.
fn hosts(folder: &Folder) -> String {
    folder.write("hosts", format!("{RIGHT} files.internal\n"))
}

/// What it writes to standard output, what it says, and how it ends.
fn export(folder: &Folder, args: &[&str]) -> (Vec<u8>, String, Option<i32>) {
    let output = Command::new(binary())
        .args(["export", "--data-dir", &folder.path("history")])
        .args(args)
        .output()
        .expect("weir starts");
    (output.stdout, String::from_utf8(output.stderr).expect("text"), output.status.code())
}

/// A file of this name, and what was said of it.
fn exported(folder: &Folder, name: &str, args: &[&str]) -> (String, String) {
    let file = folder.path(name);
    let (stdout, stderr, code) = export(folder, &[&[file.as_str()], args].concat());
    assert_eq!((stdout.len(), code), (0, Some(0)), "{name} {args:?}: {stderr}");
    (file, stderr)
}

fn lines(file: &str) -> Vec<Value> {
    let text = fs::read_to_string(file).expect("a file");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// A history with the flood in it, and its agent gone.
fn kept(pair: &Pair, folder: &Folder) -> Count {
    history::kept(pair, folder, &FLOOD, &["--hosts-file", &hosts(folder)])
}

/// Nothing else is in the folder: neither a part of a file nor a file.
fn has(folder: &Folder, names: &[&str]) -> bool {
    let mut there: Vec<_> = fs::read_dir(folder.place())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
        .filter(|name| !["history", "hosts"].contains(&name.as_str()))
        .collect();
    there.sort();
    there == names
}

#[test]
fn root_every_format_has_the_sums_of_the_history() {
    let (pair, folder) = (Pair::new(), Folder::new("export"));
    let sent = kept(&pair, &folder);
    let files = table(&folder.place().join("history"), "flows");
    let sums = |from: &str| {
        let condition = "where source_port is not null";
        duckdb(&format!("select count(*), sum(packets)::bigint, sum(bytes)::bigint from {from} {condition}"))
            [0]
        .clone()
    };
    let expected = json!([FLOOD.flows, sent.packets, sent.bytes]);
    assert_eq!(sums(&files), expected);
    let all = duckdb(&format!("select count(*) from {files}"))[0][0].clone();
    for (name, read) in [("a.parquet", "read_parquet"), ("a.csv", "read_csv"), ("a.jsonl", "read_json")] {
        let (file, said) = exported(&folder, name, &[]);
        assert_eq!(sums(&format!("{read}('{file}')")), expected, "{name}");
        assert!(
            said.starts_with(&format!("weir: {all} flows written to {file}; the history is from")),
            "{said}"
        );
    }
    let (file, _) = exported(&folder, "a.ipfix", &[]);
    let flows = ipfix::flows(&file);
    assert_eq!(json!(flows.len()), all);
    let of_flood = || flows.iter().filter(|flow| flow.contains_key("source_port"));
    let sum = |name: &str| of_flood().map(|flow| flow[name].as_u64().expect("a number")).sum::<u64>();
    assert_eq!(json!([of_flood().count(), sum("packets"), sum("bytes")]), expected);

    // Of a part, with a part of each, and through a pipe, what the flags say is what the file has.
    let half = ["--filter", "source_port < 1500", "--fields", "source_port,packets"];
    let (file, _) = exported(&folder, "half.parquet", &half);
    let wanted = duckdb(&format!("select count(*) from {files} where source_port < 1500"))[0].clone();
    assert_eq!(duckdb(&format!("select count(*) from '{file}'"))[0], wanted);
    assert_eq!(duckdb(&format!("select count(*) from (describe from '{file}')"))[0], json!([2]));
    let (stdout, said, _) = export(&folder, &[&["-o", "ipfix"], &half[..]].concat());
    let flows = ipfix::flows(&folder.write("half.ipfix", stdout));
    assert_eq!(json!([flows.len()]), wanted, "{said}");
    assert!(flows.iter().all(|flow| flow.len() == 2), "{flows:?}");
}

/// Each field of each flow as tshark reads it is as in JSON, and nothing is missing.
#[test]
fn root_tshark_reads_every_field() {
    let (pair, folder) = (Pair::with_ipv6(), Folder::new("export"));
    let agent = keeping(&pair, &folder, &["--hosts-file", &hosts(&folder)]);
    iperf(&pair.left, &pair.right, RIGHT, "1M");
    iperf(&pair.left, &pair.right, RIGHT_IPV6, "1M");
    for address in [RIGHT, RIGHT_IPV6] {
        pair.left.run("ping", &["-c", "2", "-i", "0.2", "-Q", "0x2e", address]);
    }
    sleep(Duration::from_millis(300));
    agent.stop().assert_observed();
    let (json, _) = exported(&folder, "a.json", &[]);
    let (file, _) = exported(&folder, "a.ipfix", &[]);
    let (ours, theirs) = (lines(&json), ipfix::flows(&file));
    assert_eq!(ours.len(), theirs.len());
    let mut met = std::collections::BTreeSet::new();
    for (ours, theirs) in ours.iter().zip(&theirs) {
        met.extend(ipfix::compare(ours.as_object().expect("an object"), theirs));
    }
    for name in [
        "tcp_state",
        "reverse_tcp_flags",
        "icmp_type",
        "source_process",
        "source_tcp_rtt",
        "destination_name",
    ] {
        assert!(met.contains(name), "there is no {name} in it");
    }
}

#[test]
fn root_a_file_is_there_whole_or_not_at_all() {
    let (pair, folder) = (Pair::new(), Folder::new("export"));
    kept(&pair, &folder);
    // A link stays one, and what it leads to is replaced.
    let before = folder.write("before.csv", "before");
    symlink(&before, folder.path("link.csv")).expect("a link");
    exported(&folder, "link.csv", &["--fields", "bytes"]);
    assert!(fs::read_to_string(&before).expect("a file").starts_with("bytes\n"));
    assert!(fs::symlink_metadata(folder.path("link.csv")).expect("a link").is_symlink());
    assert!(has(&folder, &["before.csv", "link.csv"]));

    // Nowhere to write, and no room: what was there is still there.
    let refused = |file: &str, args: &[&str], mention: &str| {
        let (_, stderr, code) = export(&folder, &[&[file], args].concat());
        assert!(
            code == Some(1) && stderr.contains(mention) && stderr.lines().count() == 1,
            "{file}: {stderr}"
        );
    };
    refused("/dev/null", &["-o", "csv"], "no file that could be replaced");
    refused(&folder.path(""), &["-o", "csv"], "no file that could be replaced");
    refused(&folder.path("none/a.csv"), &[], "cannot write");
    fs::write(&before, "before").expect("writable");
    let limited = format!(
        "ulimit -f 8; trap '' XFSZ; exec {} export --data-dir {} {before}",
        binary().display(),
        folder.path("history")
    );
    let output = Command::new("bash").args(["-c", &limited]).output().expect("bash");
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.code() == Some(1) && said.contains("before.csv is not written"), "{said}");
    assert_eq!(fs::read_to_string(&before).expect("a file"), "before");
    assert!(has(&folder, &["before.csv", "link.csv"]));

    // A reader that has seen enough.
    let mut child = Command::new(binary())
        .args(["export", "-o", "csv", "--data-dir", &folder.path("history")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("weir starts");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn root_what_cannot_be_is_said_in_one_line() {
    let (pair, folder) = (Pair::new(), Folder::new("export"));
    let said = |args: &[&str], code: i32, mentions: &[&str]| {
        let (stdout, stderr, ended) = export(&folder, args);
        assert_eq!((stdout.len(), ended), (0, Some(code)), "{args:?}: {stderr}");
        assert!(stderr.starts_with("weir: ") && stderr.trim_end().lines().count() == 1, "{args:?}: {stderr}");
        mentions.iter().for_each(|mention| assert!(stderr.contains(mention), "{args:?}: {stderr}"));
        stderr
    };
    let file = folder.path("a.csv");
    said(&[&file], 1, &["there is no history in"]);
    assert!(has(&folder, &[]));
    kept(&pair, &folder);
    said(&[], 2, &["which format", "-o parquet, csv, json or ipfix"]);
    said(&["a.txt"], 2, &["a.txt"]);
    said(&[&file, "--since", "1s", "--until", "2s"], 2, &["--until is before --since"]);
    said(&[&file, "--fields", "byts"], 2, &["did you mean bytes?"]);
    said(&["-o", "ipfix", "--fields", "community_id"], 2, &["no element in IPFIX"]);
    said(&[&file, "--port", "9"], 0, &["0 flows written to", "the history is from"]);
    assert_eq!(fs::read_to_string(&file).expect("a file").lines().count(), 1, "the header");

    let terminal = Terminal::open(&pair.left);
    let command = format!("{} export -o ipfix --data-dir {}", binary().display(), folder.path("history"));
    terminal.line(&command);
    terminal.wait_for("not for a terminal");

    // What is left of a damaged history is written, and it is said.
    let flows = folder.place().join("history/flows");
    let mut days = fs::read_dir(flows).expect("days").flatten().map(|entry| entry.path());
    let day = days.find(|path| !path.ends_with("_log")).expect("a day");
    let damaged = fs::read_dir(day).expect("files").flatten().next().expect("a file").path();
    let whole = fs::read(&damaged).expect("readable");
    fs::write(&damaged, &whole[..whole.len() / 2]).expect("writable");
    let (_, stderr, code) = export(&folder, &[&file]);
    assert_eq!(code, Some(1), "{stderr}");
    for mention in ["is damaged", &damaged.display().to_string(), "without what could not be read"] {
        assert!(stderr.contains(mention), "{stderr}");
    }
}
