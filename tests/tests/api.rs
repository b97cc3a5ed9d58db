//! The HTTP API: asked with curl, held against what was sent, DuckDB, and validators of OpenAPI and JSON Schema.

use nix::sys::signal::Signal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Read;
use std::net::{TcpStream, UdpSocket};
use std::thread::{scope, sleep};
use std::time::Duration;
use weir_tests::agent::Agent;
use weir_tests::duckdb::{duckdb, table};
use weir_tests::flood::Flood;
use weir_tests::folder::Folder;
use weir_tests::history::keeping;
use weir_tests::http::{Response, curl, curl_as};
use weir_tests::inject::Injector;
use weir_tests::pair::{INTERFACE, LEFT, Pair, RIGHT};
use weir_tests::python::python;
use weir_tests::shell::{is_running, shell};
use weir_tests::witness::settled;
use weir_tests::{TICKS, wait_for};

const HERE: &str = "http://127.0.0.1:7979";
const LISTEN: [&str; 2] = ["--listen", "127.0.0.1:7979"];
const FLOOD: Flood = Flood { packets: 20_000, flows: 1_000, mark: 1 };
const PATIENCE: Duration = Duration::from_secs(20);
/// Another user of this host.
const NOBODY: [&str; 4] = ["setpriv", "--reuid", "65534", "--clear-groups"];
/// Takes as long as it may.
const ENDLESS: &str =
    "with recursive t as (select 1 as n union all select n + 1 from t) select count(*) from t";

fn pair() -> Pair {
    let pair = Pair::new();
    pair.left.ip("link set lo up");
    pair
}

fn get(pair: &Pair, path: &str) -> Response {
    curl(&pair.left, &[&format!("{HERE}{path}")])
}

fn get_as(pair: &Pair, media: &str, path: &str) -> Response {
    curl(&pair.left, &["-H", &format!("Accept: {media}"), &format!("{HERE}{path}")])
}

fn sql(pair: &Pair, statement: &str, more: &[&str]) -> Response {
    let url = format!("{HERE}/api/v1/sql");
    let url = if more.iter().any(|word| word.starts_with("http")) { None } else { Some(&*url) };
    curl(&pair.left, &[&["--data-binary", statement][..], more, url.as_slice()].concat())
}

/// An agent that keeps a history with the flood in it, all of which has ended.
fn flooded(pair: &Pair, folder: &Folder, more: &[&str]) -> Agent {
    let injector = Injector::open(&pair.left, INTERFACE);
    let agent = keeping(pair, folder, &[&["--idle-timeout", "1s"], &LISTEN[..], more].concat());
    FLOOD.send(&injector);
    settled(&pair.left, INTERFACE);
    wait_for("all flows have ended", PATIENCE, || {
        let count =
            get(pair, "/api/v1/flows/sums?sum_by=protocol&filter=flow_end_reason==idle_timeout").json();
        (count["sums"][0]["records"] == FLOOD.flows).then_some(())
    });
    agent
}

/// Hundredths of a second of processors that a process has taken.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields = stat.rsplit(')').next().expect("fields").split_whitespace();
    fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
}

/// Page after page, to the end.
fn pages(pair: &Pair, query: &str) -> Vec<Vec<Value>> {
    let (mut pages, mut before) = (Vec::new(), String::new());
    loop {
        let page = get(pair, &format!("/api/v1/flows?{query}{before}")).json();
        assert_eq!((&page["is_whole"], page["remarks"].as_array().map(Vec::len)), (&true.into(), Some(0)));
        assert_eq!(page["open"].is_array(), pages.is_empty(), "what goes on is on the first page");
        pages.push(page["flows"].as_array().expect("a list").clone());
        match page["before"].as_str() {
            Some(next) => before = format!("&before={next}"),
            None => return pages,
        }
    }
}

fn total(records: &[Value], name: &str) -> u64 {
    records.iter().map(|record| record[name].as_u64().expect(name)).sum()
}

/// As DuckDB says it, of what is in files.
fn counted(folder: &Folder) -> Vec<u64> {
    let files = table(&folder.place().join("history"), "flows");
    let rows = duckdb(&format!("select count(*), sum(packets)::bigint, sum(bytes)::bigint from {files}"));
    rows[0].as_array().expect("a row").iter().map(|number| number.as_u64().expect("a number")).collect()
}

#[test]
fn root_every_form_has_every_record_once() {
    let (pair, folder) = (pair(), Folder::new("api-pages"));
    let agent = flooded(&pair, &folder, &[]);
    let pages = pages(&pair, "last=77&protocol=udp");
    assert!(pages.iter().rev().skip(1).all(|page| page.len() == 77), "pages are full");
    let all = pages.concat();
    let ends = all.iter().map(|record| record["end"].as_str().expect("a time"));
    assert!(ends.is_sorted_by(|newer, older| newer >= older), "the newest come first");
    let ids: BTreeSet<_> =
        all.iter().map(|record| record["flow_id"].to_string() + &record["start"].to_string()).collect();
    assert_eq!((ids.len(), all.len() as u64), (all.len(), FLOOD.flows));

    let lines = get_as(&pair, "application/x-ndjson", "/api/v1/flows?protocol=udp").lines();
    let own: BTreeSet<_> = lines.iter().map(ToString::to_string).collect();
    assert_eq!(own, all.iter().map(ToString::to_string).collect());
    let newest = get_as(&pair, "application/x-ndjson", "/api/v1/flows?protocol=udp&last=5").lines();
    assert_eq!(newest, all[..5].iter().rev().cloned().collect::<Vec<_>>());
    let csv = get_as(&pair, "text/csv", "/api/v1/flows?protocol=udp&fields=packets,bytes").body;
    assert_eq!((csv.lines().next(), csv.lines().count() as u64), (Some("packets,bytes"), FLOOD.flows + 1));
    let file = folder.path("all.parquet");
    let saved = [
        "-H",
        "Accept: application/vnd.apache.parquet",
        "-o",
        &file,
        &format!("{HERE}/api/v1/flows?protocol=udp"),
    ];
    assert_eq!(curl(&pair.left, &saved).status, 200);

    let sums = get(&pair, "/api/v1/flows/sums?sum_by=source_address,source_port&top=3&protocol=udp").json();
    let sums = sums["sums"].as_array().expect("a list");
    assert_eq!((sums.len(), &sums[3]["type"]), (4, &"others".into()));
    let query = "select protocol, count(*) as n, sum(packets) as packets from flows group by protocol";
    let rows = sql(&pair, query, &[]).json();
    let columns = rows["columns"].as_array().expect("a list").iter().map(|column| &column["name"]);
    assert_eq!(columns.collect::<Vec<_>>(), ["protocol", "n", "packets"]);

    agent.stop().assert_books();
    let told = [all.len() as u64, total(&all, "packets"), total(&all, "bytes")];
    let by_sql =
        rows["rows"].as_array().expect("a list").iter().find(|row| row["protocol"] == "udp").expect("udp");
    let in_file = duckdb(&format!("select count(*), sum(packets)::bigint, sum(bytes)::bigint from '{file}'"));
    let files = table(&folder.place().join("history"), "flows");
    let kept = duckdb(&format!(
        "select count(*), sum(packets)::bigint, sum(bytes)::bigint from {files} where protocol = 'udp'"
    ));
    assert_eq!(told[..], [FLOOD.flows, FLOOD.packets, FLOOD.total().bytes]);
    assert_eq!(kept[0], serde_json::json!(told));
    assert_eq!(in_file[0], serde_json::json!(told));
    assert_eq!([total(sums, "records"), total(sums, "packets"), total(sums, "bytes")], told);
    assert_eq!([&by_sql["n"], &by_sql["packets"]], [told[0], told[1]]);
    assert!(counted(&folder)[0] >= told[0]);
}

#[test]
fn root_who_may_ask() {
    let (pair, folder) = (pair(), Folder::new("api-access"));
    let token = folder.write("token", "3f1a9c5e7b2d4f60\n");
    let bearer = "Authorization: Bearer 3f1a9c5e7b2d4f60";
    let status =
        |path: &str, more: &[&str]| curl(&pair.left, &[more, &[&format!("{HERE}{path}")]].concat()).status;
    let by_nobody = |path: &str, more: &[&str]| {
        let url = format!("{HERE}{path}");
        curl_as(&pair.left, &NOBODY, &[more, &[&url]].concat()).status
    };
    let agent = Agent::start_joined(&pair.left, &[&["-i", INTERFACE], &LISTEN[..]].concat());
    assert_eq!((status("/api/v1/flows", &[]), by_nobody("/api/v1/flows", &[])), (200, 403));
    assert_eq!(
        (by_nobody("/healthz", &[]), by_nobody("/readyz", &[]), by_nobody("/api/openapi.json", &[])),
        (200, 200, 200)
    );
    assert_eq!(by_nobody("/api/v1/flows", &["-H", bearer]), 401, "there is no token");
    // What a browser of root's would send for a page of elsewhere.
    assert_eq!(status("/api/v1/flows", &["-H", "Host: weir.evil.example:7979"]), 403);
    assert_eq!(status("/api/v1/flows", &["-H", "Origin: http://evil.example"]), 403);
    assert_eq!(
        status("/api/v1/flows", &["-H", "X-Forwarded-For: 192.0.2.1"]),
        403,
        "it is for somebody else"
    );
    // To HTTP/1.0 what breaks off looks whole.
    assert_eq!((status("/api/v1/flows", &["--http1.0"]), status("/healthz", &["--http1.0"])), (505, 200));
    agent.stop();

    let agent = Agent::start_joined(
        &pair.left,
        &["-i", INTERFACE, "--listen", "0.0.0.0:7979", "--api-token-file", &token],
    );
    assert_eq!((status("/api/v1/status", &[]), by_nobody("/api/v1/status", &[])), (200, 401));
    assert_eq!(by_nobody("/api/v1/status", &["-H", bearer]), 200);
    assert_eq!(by_nobody("/api/v1/status", &["-H", "Authorization: Bearer 3f1a9c5e7b2d4f61"]), 401);
    let far = format!("http://{LEFT}:7979/api/v1/status");
    assert_eq!(curl(&pair.right, &[&far]).status, 401, "root of elsewhere is nobody here");
    assert_eq!(curl(&pair.right, &["-H", bearer, &far]).status, 200);
    assert_eq!(curl(&pair.right, &[&format!("http://{LEFT}:7979/healthz")]).body, "ok\n");
    agent.stop();
}

#[test]
fn root_what_ends_is_told_as_it_ends() {
    let (pair, folder) = (pair(), Folder::new("api-live"));
    let agent = keeping(&pair, &folder, &[&["--idle-timeout", "1s"], &LISTEN[..]].concat());
    let media = ["application/x-ndjson", "text/event-stream"];
    let outputs = media.map(|media| (media, folder.path(&media.replace('/', "-"))));
    let listeners = outputs.each_ref().map(|(media, file)| {
        let url = format!("{HERE}/api/v1/flows/live?port=4001&fields=destination_port,packets");
        shell(&pair.left, &format!("exec curl -sSN -H 'Accept: {media}' -D {file}.head -o {file} '{url}'"))
    });
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    for (_, file) in &outputs {
        let is_heard = || read(&format!("{file}.head")).contains("200 OK");
        wait_for("somebody listens", PATIENCE, || is_heard().then_some(()));
    }
    let socket = pair.left.enter(|| UdpSocket::bind((LEFT, 0)).expect("a port"));
    for port in [4001, 4002] {
        socket.send_to(b"hello", (RIGHT, port)).expect("it is sent");
    }
    for (_, file) in &outputs {
        wait_for("it is told", PATIENCE, || read(file).contains("4001").then_some(()));
    }
    let line = r#"{"type":"flow","destination_port":4001,"packets":1}"#;
    assert_eq!(read(&outputs[0].1), format!("{line}\n"));
    assert_eq!(read(&outputs[1].1), format!("event: flow\ndata: {line}\n\n"));
    drop(listeners);
    // Who listens no more leaves room for others; who comes before that is noticed asks again.
    let live = format!("{HERE}/api/v1/flows/live");
    let heads: Vec<_> = (0..16).map(|place| folder.path(&format!("head-{place}"))).collect();
    let crowd: Vec<_> = heads
        .iter()
        .map(|head| {
            let asking = format!("exec curl -sSN --retry 20 --retry-delay 1 -o {head}.body -D {head} {live}");
            shell(&pair.left, &asking)
        })
        .collect();
    for head in &heads {
        wait_for("each has a place", PATIENCE, || read(head).contains("200 OK").then_some(()));
    }
    let one_more = || curl(&pair.left, &["--max-time", "1", &live]).status;
    assert_eq!(one_more(), 503, "all places are taken");
    drop(crowd);
    wait_for("there is a place", PATIENCE, || (one_more() == 200).then_some(()));
    agent.stop().assert_books();
}

#[test]
fn root_mistakes_are_said() {
    let (pair, folder) = (pair(), Folder::new("api-mistakes"));
    let agent = keeping(&pair, &folder, &LISTEN);
    let said = |path: &str| get(&pair, path).problem();
    assert_eq!(said("/api/v1/flow").0, 404);
    assert_eq!(said("/api/v1/flows?prot=22"), (400, "there is no parameter prot: did you mean port?".into()));
    assert!(said("/api/v1/flows?port=http").1.starts_with("port: "));
    assert!(said("/api/v1/flows?since=soon").1.starts_with("since: 'soon' is not a time"));
    assert!(said("/api/v1/flows?filter=prt+==+1").1.contains("did you mean"));
    assert_eq!(said("/api/v1/flows?last=0").0, 400);
    assert!(said("/api/v1/flows?before=yesterday").1.starts_with("before: hand back"));
    assert!(said("/api/v1/flows?timeout=3600").1.contains("from 1 to 30"));
    assert!(said("/api/v1/diff?before=1h&after=2h").1.starts_with("before 1h and after 2h overlap"));
    assert_eq!(said("/api/v1/diff?before=3h/2h&after=now").0, 404);
    assert!(said("/api/v1/flows/sums").1.starts_with("sum_by is missing"));
    assert_eq!(get_as(&pair, "text/html", "/api/v1/flows").problem().0, 406);
    assert_eq!(
        curl(&pair.left, &["-X", "DELETE", &format!("{HERE}/api/v1/flows")]).problem(),
        (405, "ask it with GET".into())
    );
    assert!(sql(&pair, "selekt 1", &[]).problem().1.contains("selekt"));
    assert!(sql(&pair, "drop table flows", &[]).problem().1.contains("only read"));
    assert!(sql(&pair, "select 1; select 2", &[]).problem().1.contains("one statement"));
    let deep = format!("select 1{}", " + 1".repeat(16_000));
    assert!(sql(&pair, &deep, &[]).problem().1.contains("at most 2000 words"));
    let huge = "select repeat(arrow_cast('x', 'LargeUtf8'), 4000000000000)";
    assert_eq!(sql(&pair, huge, &[]).problem().0, 413);
    assert_eq!(get(&pair, "/healthz").body, "ok\n", "it lives");
    let long = folder.write("long", vec![b' '; 70_000]);
    assert_eq!(sql(&pair, &format!("@{long}"), &[]).problem().0, 413);
    agent.stop();
}

#[test]
fn root_a_query_has_its_time_its_memory_and_its_turn() {
    let (pair, folder) = (pair(), Folder::new("api-limits"));
    let agent = flooded(&pair, &folder, &["--query-memory", "1MiB", "--query-timeout", "8s"]);
    let timed = |path: &str| format!("{HERE}/api/v1/sql?timeout={path}");
    assert_eq!(sql(&pair, ENDLESS, &[&timed("1")]).problem().0, 504);
    // What breaks off does not look like a whole answer.
    let many = "select a.flow_id, b.start from flows a, flows b";
    let slowly =
        ["-H", "Accept: application/x-ndjson", "-o", "/dev/null", "--limit-rate", "200K", &timed("1")];
    let lines = sql(&pair, many, &slowly);
    assert_eq!((lines.status, lines.is_whole), (200, false));
    let memory = "select count(*) from (select distinct a.flow_id, b.flow_id, c.source_port from flows a, flows b, flows c where a.packets <= b.packets)";
    let (status, words) = sql(&pair, memory, &[]).problem();
    assert!(status == 413 && words.contains("--query-memory"), "{status}: {words}");
    // What an expression makes of its values nobody counts but the kernel; the agent goes on.
    let growing = "select length(replace(replace(s, '0', s || s), '0', s || s)) from (select string_agg(flow_id, 'y') as s from flows)";
    let (status, words) = sql(&pair, growing, &[]).problem();
    assert!(status == 413 && words.contains("--query-memory"), "{status}: {words}");
    let few = sql(&pair, "select flow_id from flows", &[&format!("{HERE}/api/v1/sql?limit=10")]).json();
    assert_eq!((few["rows"].as_array().map(Vec::len), &few["has_more"]), (Some(10), &true.into()));
    // Two at once, some wait, and one too many is sent away.
    scope(|threads| {
        let asked: Vec<_> =
            (0..50).map(|_| threads.spawn(|| sql(&pair, ENDLESS, &[&timed("3")]).status)).collect();
        let statuses: Vec<_> = asked.into_iter().map(|one| one.join().expect("a status")).collect();
        let of = |wanted| statuses.iter().filter(|status| **status == wanted).count();
        assert!(of(504) >= 2 && of(503) >= 10 && of(504) + of(503) == 50, "{statuses:?}");
    });
    // Who has gone leaves nothing behind, and what is quick is quick again.
    assert_eq!(sql(&pair, ENDLESS, &["--max-time", "1"]).status, 0);
    wait_for("it has ended", PATIENCE, || (sql(&pair, "select 1", &[]).status == 200).then_some(()));
    let worked = || ticks(agent.pid());
    wait_for("nobody works for those who have gone", PATIENCE, || {
        let before = worked();
        sleep(Duration::from_millis(500));
        (worked() - before < 15 && !is_running(&["-P", &agent.pid().to_string()])).then_some(())
    });
    // Who says nothing is sent away.
    let mut silent = pair.left.enter(|| TcpStream::connect("127.0.0.1:7979")).expect("a connection");
    silent.set_read_timeout(Some(PATIENCE)).expect("a time");
    assert_eq!(silent.read(&mut [0; 64]).expect("an end"), 0);
    agent.stop().assert_books();
}

#[test]
fn root_it_listens_where_it_is_told_or_finds_a_place() {
    let (pair, folder) = (pair(), Folder::new("api-places"));
    let freely = |more: &[&str]| {
        Agent::start_under(
            &pair.left,
            &["env", "-u", "WEIR_LISTEN"],
            &[&["run", "-i", INTERFACE, "-o", "none"], more].concat(),
        )
    };
    let first = freely(&[]);
    assert!(first.wait_for_line("listening on", PATIENCE).contains("http://127.0.0.1:7979"));
    // Nobody named a place: where it is taken the agent does without.
    let _taken = pair.left.enter(|| std::net::TcpListener::bind("127.0.0.1:7980")).expect("a port");
    let second = freely(&[]);
    let line = second.wait_for_line("no HTTP API", PATIENCE);
    assert!(line.contains("cannot listen on 127.0.0.1:7980"), "{line}");
    let run = |more: &[&str]| {
        Agent::run(
            &pair.left,
            &[],
            &[&["run", "-i", INTERFACE, "-o", "none", "--duration", "1s"], more].concat(),
        )
    };
    let (status, _, said) = run(&LISTEN);
    assert!(
        status.code() == Some(1) && said.iter().any(|line| line.contains("cannot listen on 127.0.0.1:7979")),
        "{said:?}"
    );
    let short = folder.write("short", "hunter2");
    let (status, _, said) = run(&["--listen", "127.0.0.1:7990", "--api-token-file", &short]);
    assert!(status.code() == Some(1) && said.iter().any(|line| line.contains("16 characters")), "{said:?}");
    // Without a history there is what goes on.
    let page = get(&pair, "/api/v1/flows").json();
    let is_said = page["remarks"].to_string().contains("keeps no history");
    assert!(page["open"].is_array() && page["is_whole"] == false && is_said, "{page}");
    let (status, words) = sql(&pair, "select 1", &[]).problem();
    assert!(status == 503 && words.contains("keeps no history"), "{words}");
    second.signal(Signal::SIGINT);
    first.stop();
    second.stop();
}

#[test]
fn root_a_damaged_file_is_named() {
    let (pair, folder) = (pair(), Folder::new("api-damage"));
    let agent = flooded(&pair, &folder, &[]);
    agent.stop();
    let agent = keeping(&pair, &folder, &LISTEN);
    let days = std::fs::read_dir(folder.place().join("history/flows")).expect("days").flatten();
    let days = days.map(|entry| entry.path()).filter(|path| !path.ends_with("_log"));
    let mut files = days.flat_map(|day| std::fs::read_dir(day).expect("files").flatten());
    let file = files.next().expect("a file").path();
    let whole = std::fs::read(&file).expect("readable");
    std::fs::write(&file, &whole[..whole.len() / 2]).expect("writable");
    let page = get(&pair, "/api/v1/flows?last=10000").json();
    let name = file.file_name().expect("a name").to_string_lossy().into_owned();
    assert!(page["is_whole"] == false && page["remarks"].to_string().contains(&name), "{}", page["remarks"]);
    let rows = sql(&pair, "select sum(packets), max(destination_name) from flows", &[]).json();
    assert!(rows["is_whole"] == false && rows["remarks"].to_string().contains(&name), "{rows}");
    // More rows than are told hide nothing of what was found before them.
    let more =
        "select count(destination_name) as n from flows union all select 1 union all select 2 order by n";
    let rows = sql(&pair, more, &[&format!("{HERE}/api/v1/sql?limit=1")]).json();
    assert!(rows["has_more"] == true && rows["is_whole"] == false, "{rows}");
    let lines = get_as(&pair, "application/x-ndjson", "/api/v1/flows");
    assert!(lines.status == 500 || !lines.is_whole, "{lines:?}");
    agent.stop();
}

/// What is said is what the description says, by validators that are not ours.
#[test]
fn root_the_description_is_true() {
    const PROGRAM: &str = "import json, sys\n\
        from jsonschema import Draft202012Validator as Validator\n\
        from openapi_spec_validator import validate\n\
        given = json.load(open(sys.argv[1]))\n\
        validate(given['description'])\n\
        for name, answer in given['answers']:\n\
        \x20   schema = {'$ref': '#/components/schemas/' + name, 'components': given['description']['components']}\n\
        \x20   for error in Validator(schema).iter_errors(answer): print(json.dumps(name + ': ' + error.message[:300]))\n\
        print(json.dumps(len(given['description']['paths'])))";
    let (pair, folder) = (pair(), Folder::new("api-described"));
    let agent = flooded(&pair, &folder, &[]);
    let description = get(&pair, "/api/openapi.json").json();
    let problem: Value = serde_json::from_str(&get(&pair, "/nowhere").body).expect("JSON");
    let middle = pair.left.run("date", &["-u", "+%FT%T.%NZ"]);
    let socket = pair.left.enter(|| UdpSocket::bind((LEFT, 0)).expect("a port"));
    // By the kernel's clock that is later only after its next tick.
    sleep(TICKS);
    socket.send_to(b"hello", (RIGHT, 4001)).expect("it is sent");
    wait_for("it has ended", PATIENCE, || {
        let found = get(&pair, "/api/v1/flows?port=4001&fields=bytes").json();
        (found["flows"].as_array().map(Vec::len) == Some(1)).then_some(())
    });
    let middle = middle.trim();
    let new = get(&pair, &format!("/api/v1/diff?before=5m/{middle}&after={middle}/now")).json();
    assert!(new["difference"]["new"].to_string().contains("4001"), "{new}");
    assert!(!new["difference"]["vanished"].to_string().contains("4001"), "{new}");
    let answers = [
        ("Page", get(&pair, "/api/v1/flows?last=1000").json()),
        ("Page", get(&pair, "/api/v1/flows?fields=bytes,process").json()),
        ("Sums", get(&pair, "/api/v1/flows/sums?sum_by=destination_port,process&top=2").json()),
        ("Difference", new),
        ("Rows", sql(&pair, "select * from flows limit 20", &[]).json()),
        ("Problem", problem),
    ];
    agent.stop();
    let given = serde_json::json!({"description": description, "answers": answers});
    let file = folder.write("given.json", given.to_string());
    let paths = given["description"]["paths"].as_object().expect("paths").len();
    assert_eq!(python(PROGRAM, &file), [serde_json::json!(paths)]);
    // Each is in the list for people, too, and nothing else is.
    assert!(paths >= 10);
}
