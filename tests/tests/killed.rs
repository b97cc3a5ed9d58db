//! Agents that are killed under load: what the ledger of the history says after the next start.

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use weir_tests::agent::{Agent, binary};
use weir_tests::bpffs::Bpffs;
use weir_tests::duckdb::{duckdb, in_their_places, table};
use weir_tests::flood::Flood;
use weir_tests::folder::Folder;
use weir_tests::inject::Injector;
use weir_tests::meanwhile::meanwhile;
use weir_tests::pair::{INTERFACE, Pair};
use weir_tests::wait_for;
use weir_tests::witness::{Link, settled};

/// How often an agent is killed; `WEIR_KILLS` asks for more.
const KILLS: u64 = 16;

fn agent(pair: &Pair, directory: &Path, more: &[&str]) -> Agent {
    agent_with(pair, directory, &[&["--interval", "100ms"], more].concat())
}

fn agent_with(pair: &Pair, directory: &Path, more: &[&str]) -> Agent {
    agent_of(pair, directory, &[&["-i", INTERFACE], more].concat())
}

fn agent_of(pair: &Pair, directory: &Path, more: &[&str]) -> Agent {
    let directory = directory.display().to_string();
    let args = ["run", "-o", "none", "--memory-budget", "64MiB", "--data-dir", &directory];
    Agent::start_command(&pair.left, &[&args[..], more].concat())
}

/// Whether there is a file of this table: DuckDB takes none for a mistake.
fn has(directory: &Path, name: &str) -> bool {
    let days = std::fs::read_dir(directory.join(name)).into_iter().flatten().flatten();
    let files = days.flat_map(|day| std::fs::read_dir(day.path()).into_iter().flatten().flatten());
    files.into_iter().any(|file| file.path().extension().is_some_and(|name| name == "parquet"))
}

/// What is in the files holds together: each window balances, none of an account overlaps another, nothing is held, and
/// what was exported is what the records were observed with. All packets that were seen.
fn check(directory: &Path) -> u64 {
    let _files = in_their_places(directory);
    if !has(directory, "ledger") {
        assert!(!has(directory, "flows"), "records, and no ledger of them");
        return 0;
    }
    let of = |name| table(directory, name);
    let ledger = of("ledger");
    let odd = ["packets", "bytes"].map(|unit| {
        format!(
            "seen_{unit} <> exported_{unit} + filtered_{unit} + sampled_out_{unit} + lost_{unit} or held_{unit} > 0 or \
             ahead_{unit} > 0 or lost_{unit} < lost_agent_killed_{unit}"
        )
    });
    let odd = duckdb(&format!("select * from {ledger} where {}", odd.join(" or ")));
    assert!(odd.is_empty(), "windows that do not balance: {odd:?}");
    let account = "netns, interface, direction, decapsulated";
    let before = format!("lag(\"end\") over (partition by {account} order by start, \"end\")");
    let twice = duckdb(&format!(
        "select * from (select {account}, start, \"end\", {before} as before from {ledger}) where start < before"
    ));
    assert!(twice.is_empty(), "windows that overlap: {twice:?}");
    assert_eq!(exported(&ledger), observed(directory), "what was exported against the records");
    number(&duckdb(&format!("select sum(seen_packets)::bigint from {ledger}"))[0][0])
}

fn exported(ledger: &str) -> Vec<Value> {
    duckdb(&format!(
        "select interface, direction, sum(exported_packets)::bigint as packets, sum(exported_bytes)::bigint from {ledger} \
         group by all having sum(exported_packets) > 0 order by all"
    ))
}

/// By interface and direction what the records say. Where one point saw both directions, `observations` is null.
fn observed(directory: &Path) -> Vec<Value> {
    if !has(directory, "flows") {
        return Vec::new();
    }
    let flows = table(directory, "flows");
    let other = "case direction when 'egress' then 'ingress' else 'egress' end";
    duckdb(&format!(
        "with seen as (
            select interface, direction, packets, bytes from {flows} where observations is null
            union all select interface, {other}, reverse_packets, reverse_bytes from {flows}
                where observations is null and reverse_packets > 0
            union all select one.interface, one.direction, one.packets, one.bytes
                from (select unnest(observations) as one from {flows} where observations is not null))
         select interface, direction, sum(packets)::bigint as packets, sum(bytes)::bigint from seen
         group by all having sum(packets) > 0 order by all"
    ))
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}

/// No two alike, and others each time it is run.
fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

/// Whatever the moment, and in whatever state the next agent is killed in its turn.
#[test]
fn root_after_each_kill_the_ledger_says_what_became_of_all() {
    let (bpffs, pair, folder) = (Bpffs::mounted(), Pair::new(), Folder::new("killed"));
    let (injector, directory) = (Injector::open(&pair.left, INTERFACE), folder.place().join("history"));
    let kills = std::env::var("WEIR_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_nanos();
    let mut seed = now as u64;
    println!("seed {seed}");
    let load = || {
        Flood { packets: 4_000, flows: 400, mark: 1 }.send(&injector);
        sleep(Duration::from_millis(20));
    };
    meanwhile(load, || {
        // Some flows end within the life of an agent, some go on.
        let ends: [&[&str]; 2] =
            [&["--idle-timeout", "100ms", "--active-timeout", "200ms"], &["--active-timeout", "700ms"]];
        let mut seen = 0;
        for kill in 0..kills {
            let agent = agent(&pair, &directory, ends[(kill % 2) as usize]);
            let by_now = check(&directory);
            assert!(by_now >= seen, "{by_now} after {seen}");
            seen = by_now;
            sleep(Duration::from_millis(random(&mut seed) % 800));
            agent.kill();
        }
    });
    let last = agent(&pair, &directory, &[]);
    last.stop();
    assert!(check(&directory) > 0);
    let left = std::fs::read_dir(directory.join("flows/_log")).expect("a directory").count();
    assert_eq!(bpffs.names(), Vec::<String>::new());
    assert!(left == 0 && !directory.join("ledger/_open").exists(), "a clean stop leaves something behind");
}

fn status(agent: &Agent) -> Option<Value> {
    let status =
        Command::new(binary()).args(["status", "-o", "json", "--socket"]).arg(agent.socket()).output();
    serde_json::from_slice(&status.expect("weir starts").stdout).ok()
}

/// How much the agent has in its flow table, by its own word.
fn held(agent: &Agent) -> Option<u64> {
    Some(status(agent)?["ledger"].as_array()?.iter().filter_map(|one| one["held_packets"].as_u64()).sum())
}

#[test]
fn root_what_a_killed_agent_held_is_lost_and_said() {
    let (pair, folder) = (Pair::new(), Folder::new("killed"));
    let (injector, directory) = (Injector::open(&pair.left, INTERFACE), folder.place().join("history"));
    let flood = Flood { packets: 20_000, flows: 2_000, mark: 1 };
    let first = agent(&pair, &directory, &["--idle-timeout", "1h", "--active-timeout", "1h"]);
    flood.send(&injector);
    wait_for("all is held", Duration::from_secs(10), || (held(&first)? >= flood.packets).then_some(()));
    // It was held at a drain; by the next one that is written down.
    sleep(Duration::from_millis(500));
    first.kill();

    let second = agent(&pair, &directory, &[]);
    let line = second.wait_for_line("that it held are lost", Duration::from_secs(10));
    second.signal(Signal::SIGINT);
    second.wait();
    let sums = "sum(lost_agent_killed_packets)::bigint, sum(lost_agent_killed_bytes)::bigint";
    let lost = duckdb(&format!("select {sums} from {}", table(&directory, "ledger")));
    let (packets, bytes) = (number(&lost[0][0]), number(&lost[0][1]));
    assert!(packets >= flood.packets, "{packets} packets");
    let said = format!(
        "ledger: the last agent did not stop in order: {packets} packets ({bytes} bytes) that it held are lost \
         (agent_killed in the ledger)"
    );
    let (_, more) = line.split_once(&said).unwrap_or_else(|| panic!("{line}"));
    let is_known = more.is_empty();
    assert!(
        is_known || more.starts_with("; what came after 20") && more.ends_with("was not counted"),
        "{line}"
    );
    assert_eq!(is_known, Bpffs::is_there());
    check(&directory);
}

/// What no drain has read is in the kernel, and there for the next agent; what one has read is in the file.
#[test]
fn root_what_came_since_the_last_interval_is_known() {
    let bpffs = Bpffs::mounted();
    for (interval, hook) in [("50s", "auto"), ("1s", "auto"), ("1s", "clsact")] {
        let (pair, folder) = (Pair::new(), Folder::new("killed"));
        let (injector, directory) = (Injector::open(&pair.left, INTERFACE), folder.place().join("history"));
        let before = settled(&pair.left, INTERFACE);
        let first = agent_with(
            &pair,
            &directory,
            &["--interval", interval, "--hook", hook, "--active-timeout", "1h"],
        );
        let flood = Flood { packets: 20_000, flows: 2_000, mark: 1 };
        flood.send(&injector);
        sleep(Duration::from_millis(1_300));
        flood.send(&injector);
        settled(&pair.left, INTERFACE);
        first.kill();
        // Filters stay when their agent is killed, and count until the next one takes them off; links go with it.
        if hook == "clsact" {
            flood.send(&injector);
        }
        let after = settled(&pair.left, INTERFACE);

        let second = agent(&pair, &directory, &[]);
        let line = second.wait_for_line("that it held are lost", Duration::from_secs(10));
        second.stop();
        assert!(line.ends_with("(agent_killed in the ledger)"), "{line}");
        let expected = ["egress", "ingress"].map(|direction| sent(INTERFACE, direction, before, after));
        assert_eq!(
            lost(&directory),
            expected.into_iter().flatten().collect::<Vec<_>>(),
            "against ip -s link"
        );
        check(&directory);
    }
    assert_eq!(bpffs.names(), Vec::<String>::new(), "a map is left behind");
}

/// Its account is younger than the last interval.
#[test]
fn root_an_interface_that_came_since_the_last_interval_is_known() {
    let (_bpffs, pair, folder) = (Bpffs::mounted(), Pair::new(), Folder::new("killed"));
    let directory = folder.place().join("history");
    let first = agent_of(&pair, &directory, &["-i", "*0", "--interval", "50s"]);
    pair.left.ip("link add late0 type veth peer name late1");
    pair.left.ip("link set late1 up");
    pair.left.ip("link set late0 up");
    wait_for("it is watched", Duration::from_secs(10), || {
        let watched = status(&first)?["interfaces"].to_string();
        watched.contains("late0").then_some(())
    });
    // The file is written by another thread.
    sleep(Duration::from_millis(500));
    let before = settled(&pair.left, "late0");
    let injector = Injector::open(&pair.left, "late0");
    Flood { packets: 1_000, flows: 10, mark: 1 }.send(&injector);
    let after = settled(&pair.left, "late0");
    first.kill();
    let second = agent(&pair, &directory, &[]);
    second.wait_for_line("that it held are lost", Duration::from_secs(10));
    second.stop();
    let mut lost = lost(&directory);
    lost.retain(|row| row[0] == "late0");
    // What the kernel sent by itself when the interface came up was seen as well.
    let sent = sent("late0", "egress", before, after).expect("something was sent");
    assert!(
        lost.len() == 1 && lost[0][1] == "egress" && number(&lost[0][2]) >= number(&sent[2]),
        "{lost:?} {sent}"
    );
    check(&directory);
}

/// What the history has answered since the last drain is booked when somebody asks for the status. What is written down
/// then, because an interface has come, says as much of the logs.
#[test]
fn root_what_was_booked_between_two_drains_is_exported_once() {
    let (_bpffs, pair, folder) = (Bpffs::mounted(), Pair::new(), Folder::new("killed"));
    let (injector, directory) = (Injector::open(&pair.left, INTERFACE), folder.place().join("history"));
    let ends = ["--interval", "5s", "--idle-timeout", "100ms", "--active-timeout", "100ms"];
    let first = agent_of(&pair, &directory, &[&["-i", "*0"], &ends[..]].concat());
    let before = settled(&pair.left, INTERFACE);
    Flood { packets: 20_000, flows: 2_000, mark: 1 }.send(&injector);
    let after = settled(&pair.left, INTERFACE);
    let exported = |status: &Value| -> Option<u64> {
        Some(status["ledger"].as_array()?.iter().filter_map(|one| one["exported_packets"].as_u64()).sum())
    };
    wait_for("it is exported", Duration::from_secs(20), || {
        (exported(&status(&first)?)? >= after.tx.packets - before.tx.packets).then_some(())
    });
    pair.left.ip("link add late0 type veth peer name late1");
    wait_for("it is watched", Duration::from_secs(3), || {
        status(&first)?["interfaces"].to_string().contains("late0").then_some(())
    });
    // The file is written by another thread.
    sleep(Duration::from_millis(300));
    first.kill();
    agent(&pair, &directory, &[]).stop();
    check(&directory);
}

/// A copy of a history is not the history: what the kernel has for that is left alone.
#[test]
fn root_a_copy_of_a_history_takes_nothing_from_it() {
    let (bpffs, pair, folder) = (Bpffs::mounted(), Pair::new(), Folder::new("killed"));
    let (directory, copy) = (folder.place().join("history"), folder.place().join("copy"));
    let first = agent_with(&pair, &directory, &["--interval", "100ms"]);
    let (from, to) = (directory.display().to_string(), copy.display().to_string());
    assert!(Command::new("cp").args(["-r", &from, &to]).status().expect("cp is there").success());
    let names = bpffs.names();
    assert_eq!(names.len(), 1, "{names:?}");
    let second = agent(&pair, &copy, &[]);
    let line = second.wait_for_line("did not stop in order", Duration::from_secs(10));
    assert!(line.ends_with("was not counted"), "{line}");
    second.stop();
    assert_eq!(bpffs.names(), names);
    first.stop();
    assert_eq!(bpffs.names(), Vec::<String>::new());
}

/// By interface and direction, what the ledger says was lost of what was seen.
fn lost(directory: &Path) -> Vec<Value> {
    duckdb(&format!(
        "select interface, direction, sum(seen_packets)::bigint, sum(seen_bytes)::bigint,
             sum(lost_agent_killed_packets)::bigint
         from {} where lost_agent_killed_packets > 0 group by all order by all",
        table(directory, "ledger")
    ))
}

/// A row of that, if all of it was.
fn sent(interface: &str, direction: &str, before: Link, after: Link) -> Option<Value> {
    let (before, after) = if direction == "egress" { (before.tx, after.tx) } else { (before.rx, after.rx) };
    let (packets, bytes) = (after.packets - before.packets, after.bytes - before.bytes);
    (packets > 0).then(|| json!([interface, direction, packets, bytes, packets]))
}

/// Damage to what is written down costs that, and nothing else.
#[test]
fn root_a_damaged_open_ledger_is_set_aside() {
    let (pair, folder) = (Pair::new(), Folder::new("killed"));
    let directory = folder.place().join("history");
    agent(&pair, &directory, &[]).kill();
    let file = directory.join("ledger/_open");
    let mut bytes = std::fs::read(&file).expect("it was written");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&file, bytes).expect("it is damaged");

    let second = agent(&pair, &directory, &[]);
    second.wait_for_line("open is damaged: it is not as it was written: set aside", Duration::from_secs(10));
    second.stop();
    assert!(directory.join("quarantine/ledger__open").exists() && !file.exists());
}
