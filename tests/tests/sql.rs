//! `weir sql`: the same answers as DuckDB and `weir flows`, what the log holds with them, and nothing but answers.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;
use weir_tests::agent::binary;
use weir_tests::chdb::{self, chdb};
use weir_tests::duckdb::{duckdb, table};
use weir_tests::flood::Flood;
use weir_tests::folder::Folder;
use weir_tests::history::{self, keeping};
use weir_tests::inject::Injector;
use weir_tests::iperf::iperf;
use weir_tests::output::Count;
use weir_tests::pair::{INTERFACE, LEFT, LEFT_IPV6, Pair, RIGHT, RIGHT_IPV6};
use weir_tests::python::python;
use weir_tests::shell::is_running;
use weir_tests::terminal::Terminal;
use weir_tests::wait_for;

const FLOOD: Flood = Flood { packets: 20_000, flows: 1_000, mark: 1 };
const PATIENCE: Duration = Duration::from_secs(20);

/// A history with the flood in it, and its agent gone.
fn kept(pair: &Pair, folder: &Folder) -> Count {
    history::kept(pair, folder, &FLOOD, &[])
}

/// What `weir sql` prints and says of this directory, and how it ends.
fn sql(folder: &Folder, args: &[&str]) -> (String, String, Option<i32>) {
    let output = Command::new(binary())
        .args(["sql", "--data-dir", &folder.path("history")])
        .args(args)
        .output()
        .expect("weir starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (text(output.stdout), text(output.stderr), output.status.code())
}

/// Its rows, where nothing went wrong.
fn asked(folder: &Folder, statement: &str) -> Vec<Value> {
    let (stdout, stderr, code) = sql(folder, &["-o", "json", statement]);
    let said: Vec<_> = stderr.lines().filter(|line| !line.contains("nothing is kept in")).collect();
    assert_eq!((said, code), (vec![], Some(0)), "{statement}");
    stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The same rows, each an array of its values.
fn values(folder: &Folder, statement: &str) -> Vec<Value> {
    let (titles, _, _) = sql(folder, &["-o", "csv", statement]);
    let columns: Vec<_> = titles.lines().next().expect("titles").split(',').collect();
    let rows = asked(folder, statement);
    rows.iter().map(|row| columns.iter().map(|column| row[*column].clone()).collect()).collect()
}

fn a_segment(folder: &Folder) -> PathBuf {
    let days = fs::read_dir(folder.place().join("history/flows")).expect("days").flatten();
    let day = days.map(|entry| entry.path()).find(|path| !path.ends_with("_log")).expect("a day");
    fs::read_dir(day).expect("files").flatten().next().expect("a file").path()
}

/// Whatever reads the directory as it lies has the same answer.
#[test]
fn root_readers_agree() {
    let (pair, folder) = (Pair::new(), Folder::new("sql"));
    kept(&pair, &folder);
    let directory = folder.place().join("history");
    let (files, click) = (table(&directory, "flows"), chdb::table(&directory, "flows"));
    for question in [
        "select count(*) n, cast(sum(packets) as bigint) p, cast(sum(bytes) as bigint) b from {}",
        "select flow_id, source_port, packets, bytes, reverse_bytes from {} where source_address = '10.88.1.1' order by flow_id",
        "select protocol, direction, count(*) n from {} group by protocol, direction order by n desc, protocol, direction",
    ] {
        let ours = values(&folder, &question.replace("{}", "flows"));
        assert!(!ours.is_empty());
        assert_eq!(ours, duckdb(&question.replace("{}", &files)), "DuckDB: {question}");
        assert_eq!(ours, chdb(&question.replace("{}", &click)), "chDB: {question}");
    }
    const PANDAS: &str = "import json, pandas, sys\n\
        flows = pandas.read_parquet(sys.argv[1])\n\
        print(json.dumps([len(flows), int(flows['packets'].sum()), int(flows['bytes'].sum())]))";
    let day = a_segment(&folder).parent().expect("a day").display().to_string();
    let whole = "select count(*) n, sum(packets) p, sum(bytes) b from flows";
    assert_eq!(python(PANDAS, &day), values(&folder, whole), "pandas");
}

/// Connections that lose packets, by both families, between ends with names: numbers, words and what is not there.
#[test]
fn root_readers_agree_on_tcp_and_names() {
    let (pair, folder) = (Pair::with_ipv6(), Folder::new("sql"));
    let names = [(LEFT, "client"), (RIGHT, "files"), (LEFT_IPV6, "client6"), (RIGHT_IPV6, "files6")];
    let hosts: String = names.iter().map(|(address, name)| format!("{address} {name}.internal\n")).collect();
    let agent = keeping(&pair, &folder, &["--hosts-file", &folder.write("hosts", hosts)]);
    let lossy = "add table inet weirt; add chain inet weirt in { type filter hook input priority 0; }; \
                 add rule inet weirt in tcp dport 5201 tcp flags & (syn | fin | rst) == 0 numgen inc mod 10 == 7 drop";
    pair.right.run("nft", &[lossy]);
    for address in [RIGHT, RIGHT_IPV6] {
        iperf(&pair.left, &pair.right, address, "2M");
        pair.left.run("ping", &["-c", "2", "-i", "0.01", address]);
    }
    agent.stop().assert_observed();
    let directory = folder.place().join("history");
    let (files, click) = (table(&directory, "flows"), chdb::table(&directory, "flows"));
    let ends = |words: &str| {
        let both =
            words.split(' ').flat_map(|word| [format!("source_{word}"), format!("destination_{word}")]);
        both.collect::<Vec<_>>()
    };
    let sums: String =
        ends("tcp_rtt tcp_min_rtt tcp_handshake_time tcp_retransmitted_segments tcp_bytes_received")
            .iter()
            .map(|name| {
                format!(", count({name}) as c_{name}, cast(coalesce(sum({name}), 0) as bigint) as s_{name}")
            })
            .collect();
    let fields = ends(
        "address port name name_origin process pid executable tcp_rtt tcp_congestion_window tcp_slow_start_threshold \
         tcp_delivery_rate tcp_zero_window tcp_bytes_acknowledged tcp_resets_sent tcp_failure",
    );
    let questions = [
        format!("select protocol, destination_name, source_process, count(*) as n{sums} from {{}} group by protocol, destination_name, source_process order by protocol, destination_name, source_process"),
        format!("select flow_id, tcp_state, tcp_flags, reverse_tcp_flags, {} from {{}} order by flow_id", fields.join(", ")),
        "select source_address, destination_name, cast(sum(bytes) as bigint) as b, count(reverse_bytes) as c, cast(coalesce(sum(reverse_bytes), 0) as bigint) as r from {} where source_address like '%:%' group by source_address, destination_name order by destination_name, source_address".into(),
    ];
    for question in questions {
        let ours = values(&folder, &question.replace("{}", "flows"));
        assert!(!ours.is_empty());
        assert_eq!(ours, duckdb(&question.replace("{}", &files)), "DuckDB: {question}");
        assert_eq!(ours, chdb(&question.replace("{}", &click)), "chDB: {question}");
    }
    // There was something to agree on.
    let met = "select destination_name, cast(sum(source_tcp_retransmitted_segments) as bigint) > 0 as again, \
               cast(sum(destination_tcp_bytes_received) as bigint) > 0 as there, min(source_tcp_rtt) > 0 as far \
               from flows where source_process = 'iperf3' and protocol = 'tcp' group by destination_name order by 1";
    let met = values(&folder, met);
    assert_eq!(
        met,
        [json!(["files.internal", true, true, true]), json!(["files6.internal", true, true, true])]
    );
}

#[test]
fn root_answers_are_those_of_duckdb_and_of_flows() {
    let (pair, folder) = (Pair::new(), Folder::new("sql"));
    let sent = kept(&pair, &folder);
    let files = table(&folder.place().join("history"), "flows");
    let questions = [
        "select count(*) n, cast(sum(packets) as bigint) p, cast(sum(bytes) as bigint) b from {} where source_port is not null",
        "select source_port, protocol, packets, bytes from {} where source_port between 1025 and 1040 order by 1, 2",
        "select destination_port, count(*) n, max(bytes) most from {} group by destination_port order by 1, 2",
        "select count(*) n from {} where source_address like '10.88.%' and packets > 19",
        "select count(distinct source_address) n from {} where \"end\" <= now() and \"end\" > now() - interval '1 hour'",
        "select flow_id from {} where source_address = '10.88.1.1' order by flow_id",
        "select direction, flow_end_reason, count(*) n from {} group by 1, 2 order by 1, 2",
        "select cast(sum(bytes) as bigint) - cast(sum(packets) as bigint) * 60 d from {}",
    ];
    for question in questions {
        let (ours, theirs) = (question.replace("{}", "flows"), question.replace("{}", &files));
        let answer = values(&folder, &ours);
        assert!(!answer.is_empty(), "{question}");
        assert_eq!(answer, duckdb(&theirs), "{question}");
    }
    let whole = &asked(&folder, &questions[0].replace("{}", "flows"))[0];
    assert_eq!((&whole["p"], &whole["b"]), (&json!(sent.packets), &json!(sent.bytes)));

    let flows = Command::new(binary())
        .args(["flows", "--all", "-o", "json", "--fields", "flow_id,start,end,source_address,packets"])
        .args(["--data-dir", &folder.path("history")])
        .output()
        .expect("weir starts");
    let mut flows: Vec<Value> = String::from_utf8(flows.stdout)
        .expect("text")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let mut rows = asked(&folder, "select flow_id, start, \"end\", source_address, packets from flows");
    flows.iter_mut().for_each(|row| drop(row.as_object_mut().expect("an object").remove("type")));
    flows.sort_by_key(Value::to_string);
    rows.sort_by_key(Value::to_string);
    assert_eq!(rows, flows, "times and all are written alike");
}

/// Nothing has a file of its own yet while the agent is at work: all of it is in the log.
#[test]
fn root_what_is_in_the_log_is_there_too() {
    let (pair, folder) = (Pair::new(), Folder::new("sql"));
    let injector = Injector::open(&pair.left, INTERFACE);
    let agent = keeping(&pair, &folder, &["--idle-timeout", "300ms"]);
    let sent = FLOOD.send(&injector);
    let packets = "select coalesce(sum(packets), 0) as n from flows where source_port is not null";
    wait_for("all has ended", PATIENCE, || (asked(&folder, packets)[0]["n"] == sent.packets).then_some(()));
    let explained = asked_explained(&folder, packets);
    assert!(explained.is_empty(), "there is no file yet: {explained:?}");
    agent.stop();
    assert_eq!(asked(&folder, packets)[0]["n"], sent.packets, "each once");
    assert_eq!(asked_explained(&folder, packets).len(), 1);
}

fn asked_explained(folder: &Folder, statement: &str) -> Vec<Value> {
    let (stdout, stderr, code) = sql(folder, &["--explain", "-o", "json", statement]);
    let said: Vec<_> = stderr.lines().filter(|line| !line.contains("nothing is kept in")).collect();
    assert_eq!((said, code), (vec![], Some(0)), "{statement}");
    stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Which file is read, and which is not.
#[test]
fn root_what_cannot_match_is_not_read() {
    let (pair, folder) = (Pair::new(), Folder::new("sql"));
    kept(&pair, &folder);
    let fate = |condition: &str| {
        let files = asked_explained(&folder, &format!("select sum(bytes) from flows where {condition}"));
        assert_eq!(files.len(), 1, "{files:?}");
        (files[0]["fate"].clone(), files[0]["read_bytes"].as_u64().expect("a number"))
    };
    assert_eq!(fate("\"end\" < timestamp '2020-01-01'"), (json!("skipped"), 0));
    assert_eq!(fate("source_address = '192.0.2.77'").0, "ruled_out");
    assert_eq!(fate("destination_port = 64999").0, "ruled_out");
    let (one, all) = (fate("source_address = '10.88.1.1'"), fate("true"));
    assert_eq!((&one.0, &all.0), (&json!("read"), &json!("read")));
    let size = fs::metadata(a_segment(&folder)).expect("a file").len();
    assert!(all.1 < size, "one column is read: {} of {size}", all.1);
    let (text, _, _) =
        sql(&folder, &["--explain", "select sum(bytes) from flows where \"end\" < timestamp '2020-01-01'"]);
    assert!(text.contains("0 of 1 files read") && text.contains("passed over by its name"), "{text}");
}

#[test]
fn root_tables_and_columns_are_listed() {
    let (pair, folder) = (Pair::new(), Folder::new("sql"));
    kept(&pair, &folder);
    let tables = asked(&folder, "show tables");
    let names: Vec<_> = tables.iter().map(|row| row["table"].as_str().expect("a name")).collect();
    assert!(
        ["flows", "ledger", "dns", "drops", "lost_events"].iter().all(|name| names.contains(name)),
        "{names:?}"
    );
    let columns = asked(&folder, "describe flows");
    let there =
        duckdb(&format!("describe select * from {}", table(&folder.place().join("history"), "flows")));
    let ours: Vec<_> = columns.iter().map(|row| &row["column"]).collect();
    assert_eq!(ours, there.iter().map(|row| &row[0]).collect::<Vec<_>>());
    for name in names {
        assert_eq!(asked(&folder, &format!("select count(*) n from {name}")).len(), 1);
    }
    let balance = "select sum(seen_packets) + sum(ahead_packets) as one, sum(exported_packets) + sum(filtered_packets) + sum(sampled_out_packets) + sum(lost_packets) as other from ledger";
    let balance = &asked(&folder, balance)[0];
    assert_eq!(balance["one"], balance["other"]);
}

#[test]
fn root_differences_have_a_sign_and_formats_are_raw() {
    let (pair, folder) = (Pair::new(), Folder::new("sql"));
    kept(&pair, &folder);
    let below =
        &asked(&folder, "select min(packets - bytes) as d from flows where source_port is not null")[0];
    assert!(below["d"].as_i64().is_some_and(|number| number < 0), "{below}");

    let (csv, _, _) = sql(&folder, &["-o", "csv", "select 'a,\"b' as x, cast(null as text) as y, 1 as z"]);
    assert_eq!(csv, "x,y,z\n\"a,\"\"b\",,1\n");
    let (empty, _, code) = sql(&folder, &["-o", "csv", "select packets from flows where false"]);
    assert_eq!((empty.as_str(), code), ("packets\n", Some(0)));
    let (table, _, _) = sql(&folder, &["select packets, source_address from flows where false"]);
    assert_eq!(table, "packets  source_address\n");
    let (two, _, _) = sql(&folder, &["-o", "csv", "select 1 as a; select 2 as b"]);
    assert_eq!(two, "a\n1\nb\n2\n");

    let mut piped = Command::new(binary())
        .args(["sql", "-o", "csv", "--data-dir", &folder.path("history")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("weir starts");
    piped.stdin.take().expect("a pipe").write_all(b"select 1 as a;\n").expect("written");
    assert_eq!(piped.wait_with_output().expect("it ends").stdout, b"a\n1\n");
}

#[test]
fn root_what_cannot_be_answered_is_said() {
    let (pair, folder) = (Pair::new(), Folder::new("sql"));
    let said = |args: &[&str], code: i32, mentions: &[&str]| {
        let (stdout, stderr, ended) = sql(&folder, args);
        assert_eq!((stdout.as_str(), ended), ("", Some(code)), "{args:?}: {stderr}");
        assert!(stderr.starts_with("weir: ") && stderr.trim_end().lines().count() == 1, "{args:?}: {stderr}");
        mentions.iter().for_each(|mention| assert!(stderr.contains(mention), "{args:?}: {stderr}"));
    };
    said(&["select 1"], 1, &["there is no history in"]);
    kept(&pair, &folder);
    said(&["selekt 1"], 2, &["selekt"]);
    said(&["select byts from flows"], 2, &["byts", "bytes"]);
    said(&["select * from flow"], 2, &["no table flow", "show tables"]);
    said(&["select count(*) from flows where source_address = 5"], 2, &["Cannot cast string"]);
    said(&["describe flow"], 2, &["no table flow", "show tables"]);
    for change in
        ["drop table flows", "delete from flows", "create table x as select 1", "copy flows to '/tmp/x.csv'"]
    {
        said(&[change], 2, &["only read"]);
    }
    said(&[" -- nothing"], 1, &["no statement"]);
    let (_, stderr, code) = sql(&folder, &["select * from drops"]);
    assert!(stderr.contains("nothing is kept in drops: weir run --keep-events drop"), "{stderr}");
    assert_eq!(code, Some(0));
    // As many groups as there are rows, each with all that a join makes of it.
    let hungry = "select count(*) from (select distinct a.flow_id, b.flow_id, c.source_port from flows a, flows b, flows c where a.packets <= b.packets)";
    said(&["--memory", "1MiB", hungry], 1, &["more memory than the 1 MiB", "--memory"]);
    // What an expression makes of its values nobody counts but the kernel.
    let all = "select string_agg(flow_id, 'y') as s from flows";
    for growing in [
        format!("select length(replace(replace(s, '0', s || s), '0', s || s)) from ({all})"),
        "select repeat('x', 1000000000)".into(),
    ] {
        said(&["--memory", "16MiB", &growing], 1, &["more memory than the 16 MiB", "an expression"]);
    }

    let file = a_segment(&folder);
    let whole = fs::read(&file).expect("readable");
    let mut bent = whole.clone();
    bent.truncate(whole.len() / 2);
    fs::write(&file, &bent).expect("writable");
    let (stdout, stderr, code) = sql(&folder, &["-o", "csv", "select count(*) as n from flows"]);
    assert_eq!((stdout.as_str(), code), ("n\n0\n", Some(1)), "{stderr}");
    assert!(stderr.contains(&file.display().to_string()) && stderr.contains("without it"), "{stderr}");
}

/// By whoever asks, with no agent there; as long as nobody reads it, it is no trouble.
#[test]
fn root_a_flipped_bit_is_named_by_whoever_reads_it() {
    let (pair, folder) = (Pair::new(), Folder::new("sql"));
    kept(&pair, &folder);
    let file = a_segment(&folder);
    kept(&pair, &folder);
    let count =
        |files: &str| duckdb(&format!("select count(*) from {files}"))[0][0].as_u64().expect("a number");
    let of_file = format!("'{}'", file.display());
    let all = count(&table(&folder.place().join("history"), "flows"));
    let others = all - count(&of_file);
    assert!(others >= 1000, "{others}");
    // The last values of a column that is all values and no page header there.
    let end = "coalesce(dictionary_page_offset, data_page_offset) + total_compressed_size";
    let place = format!("select {end} - 9 from parquet_metadata({of_file}) where path_in_schema = 'flow_id'");
    let place = usize::try_from(duckdb(&place)[0][0].as_u64().expect("a number")).expect("a small one");
    let whole = fs::read(&file).expect("readable");
    for bit in 0..8 {
        let mut bent = whole.clone();
        bent[place] ^= 1 << bit;
        fs::write(&file, &bent).expect("writable");
        let is_named = |said: &str| said.contains(&format!("{} is damaged: the bytes at ", file.display()));
        let (stdout, stderr, code) =
            sql(&folder, &["-o", "csv", "select count(distinct flow_id) as n from flows"]);
        assert_eq!((stdout, code), (format!("n\n{others}\n"), Some(1)), "{stderr}");
        assert!(is_named(&stderr) && stderr.contains("without it"), "{stderr}");
        let args =
            ["flows", "--all", "--fields", "flow_id", "-o", "json", "--data-dir", &folder.path("history")];
        let output = Command::new(binary()).args(args).output().expect("weir starts");
        let (lines, said) = (output.stdout.iter().filter(|byte| **byte == b'\n').count(), output.stderr);
        let said = String::from_utf8(said).expect("text");
        assert_eq!((lines as u64, output.status.code()), (others, Some(1)), "{said}");
        assert!(is_named(&said) && said.contains("what else it holds is not shown"), "{said}");
        assert_eq!(asked(&folder, "select count(*) as n from flows"), [json!({ "n": all })]);
    }
}

/// However fast its rows come, and where none come.
#[test]
fn root_an_answer_ends_when_it_is_told_to() {
    let (pair, folder) = (Pair::new(), Folder::new("sql"));
    kept(&pair, &folder);
    let rows = "select a.flow_id from flows a, flows b, flows c";
    let join = "select sum(a.packets * b.packets + c.packets) from flows a, flows b, flows c";
    let numbers = "with recursive t as (select 1 as n union all select n + 1 from t) select count(*) from t";
    let (int, term) = (Signal::SIGINT, Signal::SIGTERM);
    for (endless, signal) in [(rows, int), (rows, term), (join, int), (numbers, int)] {
        let mut asked = Command::new(binary())
            .args(["sql", "-o", "csv", "--data-dir", &folder.path("history"), endless])
            .stdout(Stdio::null())
            .spawn()
            .expect("weir starts");
        sleep(Duration::from_secs(1));
        assert!(asked.try_wait().expect("ours").is_none(), "it goes on");
        kill(Pid::from_raw(asked.id().cast_signed()), signal).expect("it is there");
        let ended = wait_for("it ends", PATIENCE, || asked.try_wait().expect("ours"));
        assert_eq!(ended.code(), Some(130), "{endless}, {signal}");
        assert!(!is_answered(&folder), "{endless}, {signal}");
    }
}

/// Whether a process answers a question about the history in there.
fn is_answered(folder: &Folder) -> bool {
    is_running(&["-f", &format!("sql-query {}", folder.path("history"))])
}

/// Nobody is left to kill it.
#[test]
fn root_who_answers_ends_with_who_asks() {
    let (pair, folder) = (Pair::new(), Folder::new("sql"));
    kept(&pair, &folder);
    let join = "select sum(a.packets * b.packets + c.packets) from flows a, flows b, flows c";
    let mut asked = Command::new(binary())
        .args(["sql", "--data-dir", &folder.path("history"), join])
        .spawn()
        .expect("weir starts");
    wait_for("it is answered", PATIENCE, || is_answered(&folder).then_some(()));
    asked.kill().expect("it is there");
    asked.wait().expect("ours");
    wait_for("nobody answers any more", PATIENCE, || (!is_answered(&folder)).then_some(()));
}

/// A sort that does not fit into memory goes through files, and none of them stays.
#[test]
fn root_what_does_not_fit_goes_through_files() {
    let (pair, folder) = (Pair::new(), Folder::new("sql"));
    kept(&pair, &folder);
    let temporary = Folder::new("sql-temporary");
    let sorted = "select a.flow_id, b.source_port, a.bytes from flows a cross join (select source_port from flows limit 200) b order by 1, 2, 3";
    let output = Command::new(binary())
        .args(["sql", "--memory", "12MiB", "--explain", "--data-dir", &folder.path("history"), sorted])
        .env("TMPDIR", temporary.place())
        .output()
        .expect("weir starts");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("through temporary files"), "{text}");
    assert_eq!(fs::read_dir(temporary.place()).expect("a folder").count(), 0);
}

/// At a terminal: several lines, completion, help, an answer, a mistake that does not end it.
#[test]
fn root_the_prompt_answers() {
    let (pair, folder) = (Pair::new(), Folder::new("sql"));
    let sent = kept(&pair, &folder);
    let terminal = Terminal::open(&pair.left);
    let home = folder.path("home");
    terminal.line(&format!(
        "HOME={home} XDG_STATE_HOME= {} sql --data-dir {}",
        binary().display(),
        folder.path("history")
    ));
    terminal.wait_for("weir>");
    terminal.press(&["s", "e", "l", "e", "Tab"]);
    terminal.wait_for("weir> select");
    terminal.line(" sum(packets) as packets");
    terminal.line("from flows where source_port is not null;");
    terminal.wait_for(&sent.packets.to_string());
    terminal.line("select byts from flows;");
    terminal.wait_for("No field named byts");
    terminal.line("help");
    terminal.wait_for("A statement ends with a semicolon");
    terminal.line("exit");
    terminal.wait_until("it ends", |screen| screen.trim_end().ends_with('$'));
    let history =
        fs::read_to_string(folder.place().join("home/.local/state/weir-sql-history")).expect("kept");
    assert!(history.contains("sum(packets)"), "{history}");
}
