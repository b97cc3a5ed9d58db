//! `weir flows --from clickhouse://…`: what the agent has sent there is what its history has, question by question.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::Command;
use std::time::Duration;
use weir_tests::agent::{Agent, binary};
use weir_tests::control::status;
use weir_tests::flood::Flood;
use weir_tests::folder::Folder;
use weir_tests::history::keeping;
use weir_tests::inject::Injector;
use weir_tests::pair::{INTERFACE, Pair};
use weir_tests::python::interpreter;
use weir_tests::shell::{Shell, shell};
use weir_tests::wait_for;

const SERVER: &str = include_str!("../../crates/weir-export/tests/common/clickhouse.py");
const URL: &str = "clickhouse://127.0.0.1:8123/weir";
const FLOOD: Flood = Flood { packets: 3_000, flows: 1_000, mark: 1 };
const SOON: Duration = Duration::from_secs(60);

fn server(pair: &Pair, folder: &Folder) -> Shell {
    let program = folder.write("server.py", SERVER);
    let (python, data) = (interpreter(), folder.path("clickhouse"));
    std::fs::create_dir_all(&data).expect("a directory");
    shell(&pair.left, &format!("exec {} {program} 8123 {data}", python.display())).ready()
}

/// All records were taken by each of its sinks, and nothing waits.
fn is_settled(agent: &Agent) -> bool {
    let status = status(&agent.socket());
    let sinks = status["sinks"].as_array().expect("sinks").iter();
    let mut kept = sinks.filter(|sink| sink["name"] == "history" || sink["name"] == "ch");
    kept.all(|sink| {
        let is_sent = sink["peer"].is_null() || sink["peer"]["spooled_records"] == 0;
        sink["written_records"].as_u64() >= Some(FLOOD.flows) && sink["queued_records"] == 0 && is_sent
    })
}

/// What `weir flows` prints and says, asked at the left end, and how it ends.
fn flows(pair: &Pair, from: &[&str], words: &str) -> (String, String, Option<i32>) {
    let mut command = Command::new(binary());
    command.arg("flows").args(from).args(words.split_whitespace());
    let output = pair.left.enter(|| command.output()).expect("weir starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (text(output.stdout), text(output.stderr), output.status.code())
}

#[test]
fn root_answers_are_those_of_the_history() {
    let (pair, folder) = (Pair::new(), Folder::new("clickhouse_flows"));
    let mut server = server(&pair, &folder);
    let agent = keeping(&pair, &folder, &["--idle-timeout", "500ms", "--export", &format!("{URL}?name=ch")]);
    let sent = FLOOD.send(&Injector::open(&pair.left, INTERFACE));
    wait_for("all was sent", SOON, || is_settled(&agent).then_some(()));
    agent.stop().assert_books();
    let (history, there) = (["--data-dir", &folder.path("history")], ["--from", URL]);
    for words in [
        "--all -o json",
        "--all --protocol udp --not --port 1-100 -o json",
        "--last 7 -o csv",
        "--last 7 -o wide",
        "--since 1h --min-bytes 1 --fields source_address,destination_port,packets -o csv",
        "--sum-by protocol,source_address -o json",
        "--sum-by destination_port --top 3 --sort first",
    ] {
        let sorted = |(text, said, code): (String, String, Option<i32>)| {
            assert_eq!((said.as_str(), code), ("", Some(0)), "{words}");
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            // Of those that are alike in what comes first any may come first.
            lines.sort_unstable();
            lines
        };
        let (kept, told) = (sorted(flows(&pair, &history, words)), sorted(flows(&pair, &there, words)));
        assert!(!told.is_empty() && told == kept, "{words}: {told:?}, and {kept:?}");
    }
    let (sums, ..) = flows(&pair, &there, "--sum-by source_address --from 10.88.1.1 -o json");
    let sums: serde_json::Value = serde_json::from_str(&sums).expect("one line of JSON");
    assert_eq!((&sums["packets"], &sums["bytes"]), (&sent.packets.into(), &sent.bytes.into()));

    let (_, said, code) = flows(&pair, &there, "--port 1 --process nobody");
    assert!(
        code == Some(0) && said.contains(&format!("no such flow: the history in {URL} is from")),
        "{said}"
    );
    let (_, said, code) = flows(&pair, &there, "--follow");
    assert!(code == Some(2) && said.contains("--follow asks an agent"), "{said}");
    // A table that can be opened, and not read: whatever is asked, no part is printed as the whole.
    for statement in [
        "CREATE DATABASE odd",
        "CREATE TABLE odd.flows ENGINE = MergeTree ORDER BY `end` AS SELECT * REPLACE(toFloat64(bytes) AS bytes) FROM weir.flows",
    ] {
        pair.left.run("curl", &["-sSf", "-m", "30", "-d", statement, "http://127.0.0.1:8123/"]);
    }
    let odd = ["--from", "clickhouse://127.0.0.1:8123/odd"];
    for words in ["--last 5 -o json", "--all -o json", "--all -o csv", "--sum-by protocol -o json"] {
        let (text, said, code) = flows(&pair, &odd, words);
        // A line of titles comes before any row.
        assert!(
            code == Some(1) && text.lines().count() <= usize::from(words.ends_with("csv")),
            "{words}: {text}"
        );
        assert!(said.lines().count() == 1 && said.contains("bytes"), "{words}: {said}");
    }
    kill(Pid::from_raw(server.0.id() as i32), Signal::SIGKILL).expect("it runs");
    server.0.wait().expect("it is ours");
    let (text, said, code) = flows(&pair, &there, "--all -o json");
    assert!(text.is_empty() && code == Some(1) && said.contains("Connection refused"), "{said}");
}
