//! `weir top`: held against what was sent, and pressed and looked at as its users do.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::thread;
use std::time::Duration;
use weir_tests::agent::{Agent, binary};
use weir_tests::control::{self, status};
use weir_tests::flood::Flood;
use weir_tests::groups::Groups;
use weir_tests::inject::Injector;
use weir_tests::netns::succeed;
use weir_tests::pair::{INTERFACE, Pair, RIGHT};
use weir_tests::shell::{Shell, shell};
use weir_tests::terminal::Terminal;
use weir_tests::wait_for;
use weir_tests::witness::tcx_links;

/// By which the programs on the left end are told from all others.
const INDEX: u32 = 70_021;
const PATIENCE: Duration = Duration::from_secs(20);
/// Datagrams that a talker sends, no more than a socket holds for a reader that is late, and how long each is with its Ethernet, IPv4 and UDP headers.
const DATAGRAMS: u64 = 200;
const LENGTH: u64 = 14 + 20 + 8 + 100;

/// Takes datagrams at the right end, until it has as many.
fn serve(pair: &Pair) -> UdpSocket {
    let server = pair.right.enter(|| UdpSocket::bind((RIGHT, 5000)).expect("a port"));
    server.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    server
}

/// Sends the datagrams when it is given a line, and stays.
fn talker(pair: &Pair, before: &str) -> Shell {
    let talk = format!(
        "{before}; read; exec 3>/dev/udp/{RIGHT}/5000; for i in $(seq {DATAGRAMS}); do printf %0100d $i >&3; done; read"
    );
    shell(&pair.left, &talk)
}

/// The rows that `weir top --once` counts while the talker talks; it hangs programs of its own on the interface.
fn once(pair: &Pair, talker: &mut Shell, server: &UdpSocket, args: &[&str]) -> Vec<Value> {
    let talk = || {
        wait_for("both programs hang there", PATIENCE, || (tcx_links(INDEX) >= 2).then_some(()));
        say(talker, server);
    };
    count(pair, &[&["-i", INTERFACE], args].concat(), talk)
}

/// The rows that `weir top --once` counts while `work` is done.
fn count(pair: &Pair, args: &[&str], work: impl FnOnce()) -> Vec<Value> {
    let all = [&["top", "--once", "-o", "json", "--interval", "4s"], args].concat();
    let (status, printed, said) = thread::scope(|scope| {
        let counting = scope.spawn(|| Agent::run(&pair.left, &[], &all));
        work();
        counting.join().expect("it runs")
    });
    assert!(status.success(), "{said:?}");
    printed.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Has the talker talk, until all has arrived.
fn say(talker: &mut Shell, server: &UdpSocket) {
    talker.0.stdin.as_mut().expect("a pipe").write_all(b"go\n").expect("it reads");
    for _ in 0..DATAGRAMS {
        server.recv(&mut [0; 200]).expect("it is sent");
    }
}

fn counts(row: &Value) -> [u64; 4] {
    ["in_packets", "in_bytes", "out_packets", "out_bytes"].map(|name| row[name].as_u64().expect("a number"))
}

const SENT: [u64; 4] = [0, 0, DATAGRAMS, DATAGRAMS * LENGTH];
const RECEIVED: [u64; 4] = [DATAGRAMS, DATAGRAMS * LENGTH, 0, 0];

#[test]
fn root_processes_have_what_they_sent_and_received_to_the_byte() {
    let pair = Pair::with_left_index(Some(INDEX));
    let (server, mut talker) = (serve(&pair), talker(&pair, ":"));
    let rows = once(&pair, &mut talker, &server, &["process"]);
    let of = |pid: u32| {
        let row = rows.iter().find(|row| row["pid"] == pid).unwrap_or_else(|| panic!("{pid}: {rows:?}"));
        (row["flows"].as_u64().expect("a number"), counts(row))
    };
    assert_eq!(of(talker.0.id()), (1, SENT));
    assert_eq!(of(std::process::id()), (1, RECEIVED));
    assert_eq!(rows.len(), 2, "{rows:?}");
}

#[test]
fn root_containers_and_destinations_have_theirs() {
    let pair = Pair::with_left_index(Some(INDEX));
    let mut groups = Groups::new();
    let id = "4f1d2a7c9be3".repeat(6)[..64].to_owned();
    let group = groups.make(&format!("weirt.slice/docker-{id}.scope"));
    let server = serve(&pair);
    let mut inside = talker(&pair, &format!("echo $$ >{}", group.display()));
    let rows = once(&pair, &mut inside, &server, &["container"]);
    assert_eq!((&rows[0]["name"], &rows[0]["place"]), (&"4f1d2a7c9be3".into(), &"docker".into()), "{rows:?}");
    assert_eq!((rows.len(), counts(&rows[0])), (1, SENT), "{rows:?}");
    let mut next = talker(&pair, ":");
    let rows = once(&pair, &mut next, &server, &["destination"]);
    assert_eq!(rows[0]["name"], format!("{RIGHT}:5000"), "{rows:?}");
    assert_eq!((rows.len(), counts(&rows[0])), (1, SENT), "{rows:?}");
    let mut other = talker(&pair, ":");
    let rows = once(&pair, &mut other, &server, &["--filter", "port == 1"]);
    assert!(rows.is_empty(), "{rows:?}");
}

/// A name that would clear the screen, sent now and then.
fn hostile(pair: &Pair) -> Shell {
    let name = r"printf '\e[2J\e[31mevil' >/proc/$$/comm";
    shell(
        &pair.left,
        &format!("{name}; exec 3>/dev/udp/{RIGHT}/5000; while sleep 0.1; do printf %0100d 1 >&3; done"),
    )
}

fn start(terminal: &Terminal, before: &str) {
    terminal.line(&format!("{before} {} top -i {INTERFACE}; echo ended:$?", binary().display()));
    terminal.wait_for("31mevil");
}

/// Whether something is green, in either way to say it.
fn is_green(screen: &str) -> bool {
    ["\u{1b}[32m", "38;5;2m"].iter().any(|code| screen.contains(code))
}

#[test]
fn root_keys_lead_through_80_by_24() {
    let pair = Pair::with_left_index(Some(INDEX));
    let _server = serve(&pair);
    let _talker = hostile(&pair);
    let terminal = Terminal::open(&pair.left);
    start(&terminal, "env -u NO_COLOR");
    let screen = terminal.wait_for("the books balance");
    assert!(screen.lines().next().is_some_and(|head| head.contains("none lost")), "{screen}");
    assert!(screen.contains("evil") && screen.contains("IN/S▼") && screen.contains("? help"), "{screen}");
    assert!(is_green(&terminal.colours()), "the verdict is green");
    terminal.press(&["3"]);
    terminal.wait_for(&format!("{RIGHT}:5000"));
    terminal.press(&["Enter"]);
    terminal.wait_for(&format!("conversations of {RIGHT}:5000"));
    terminal.wait_for("FORTH/S");
    terminal.press(&["Escape"]);
    terminal.wait_for("1 destinations");
    terminal.press(&["/"]);
    terminal.press(&["port == banana", "Enter"]);
    terminal.wait_until("the mistake is told", |screen| screen.contains("banana█  "));
    let erase = vec!["BSpace"; "banana".len()];
    terminal.press(&erase);
    terminal.press(&["1", "Enter"]);
    terminal.wait_for("0 destinations  where port == 1");
    terminal.press(&["/"]);
    terminal.press(&["BSpace"; "port == 1".len()]);
    terminal.press(&["Enter"]);
    terminal.wait_for("1 destinations");
    terminal.press(&[">"]);
    terminal.wait_for("PKT/S▼");
    terminal.press(&["r"]);
    terminal.wait_for("PKT/S▲");
    terminal.press(&["?"]);
    terminal.wait_for("Any key goes back.");
    terminal.press(&["x", "p"]);
    terminal.wait_for("PAUSED");
    let paused = terminal.screen();
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(terminal.screen(), paused, "nothing moves");
    terminal.press(&["p"]);
    terminal.wait_until("it moves again", |screen| *screen != paused);
    terminal.resize(60, 12);
    terminal.wait_until("it fits", |screen| screen.lines().count() == 12 && screen.contains(RIGHT));
    terminal.press(&["q"]);
    terminal.wait_for("ended:0");
}

/// The process that shows it.
fn pid() -> Pid {
    let shown = format!("{} top -i {INTERFACE}", binary().display());
    let pid = succeed(Command::new("pgrep").args(["-nxf", &shown]));
    Pid::from_raw(pid.trim().parse().expect("a number"))
}

#[test]
fn root_it_ends_with_its_terminal() {
    let pair = Pair::new();
    let terminal = Terminal::open(&pair.left);
    terminal.line(&format!("{} top -i {INTERFACE}", binary().display()));
    terminal.wait_for("the books balance");
    let stat = format!("/proc/{}/stat", pid());
    drop(terminal);
    // Whoever takes over orphans may not care for them.
    let is_gone = || std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
    wait_for("it ends", Duration::from_secs(10), || is_gone().then_some(()));
}

#[test]
fn root_the_terminal_is_given_back_after_a_signal_and_has_no_colours_where_none_are_wanted() {
    let pair = Pair::with_left_index(Some(INDEX));
    let _server = serve(&pair);
    let _talker = hostile(&pair);
    let terminal = Terminal::open(&pair.left);
    start(&terminal, "NO_COLOR=1");
    terminal.wait_for("the books balance");
    let colours = terminal.colours();
    assert!(!is_green(&colours), "{colours}");
    kill(pid(), Signal::SIGTERM).expect("it runs");
    terminal.wait_for("ended:0");
    terminal.line("stty -a");
    let settings = terminal.wait_for("icanon");
    assert!(settings.contains(" icanon") && settings.contains(" echo "), "{settings}");
}

#[test]
fn root_without_a_terminal_or_privileges_it_says_so() {
    let pair = Pair::new();
    let (status, _, said) = Agent::run(&pair.left, &[], &["top"]);
    assert_eq!((status.code(), said.len()), (Some(1), 1), "{said:?}");
    assert!(said[0].contains("--once"), "{said:?}");
    let nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let (status, _, said) = Agent::run(&pair.left, &nobody, &["top", "--once"]);
    assert_eq!((status.code(), said.len()), (Some(1), 1), "{said:?}");
}

/// The numbers of all programs of agents.
fn programs() -> BTreeSet<u32> {
    let programs = libbpf_rs::query::ProgInfoIter::default();
    programs.filter(|one| one.name.to_string_lossy().starts_with("weir")).map(|one| one.id).collect()
}

/// What the ledger has seen.
fn seen(status: &Value) -> [u64; 2] {
    let ledger = status["ledger"].as_array().expect("a ledger").iter();
    let of = |name: &str| ledger.clone().map(|entry| entry[name].as_u64().expect("a number")).sum();
    ["seen_packets", "seen_bytes"].map(of)
}

fn sum(rows: &[Value]) -> [u64; 2] {
    let rows = rows.iter().map(counts);
    rows.fold([0; 2], |sum, row| [sum[0] + row[0] + row[2], sum[1] + row[1] + row[3]])
}

/// Time for the first question, and for the answer.
const ASKED: Duration = Duration::from_secs(1);

fn start_agent(pair: &Pair, more: &[&str]) -> Agent {
    Agent::start_joined(&pair.left, &[&["-i", INTERFACE, "--interval", "200ms"], more].concat())
}

#[test]
fn root_a_running_agent_is_asked_and_its_ledger_is_what_the_rows_add_up_to() {
    let pair = Pair::with_left_index(Some(INDEX));
    let agent = start_agent(&pair, &[]);
    let socket = agent.socket();
    let socket = socket.to_str().expect("UTF-8");
    let server = serve(&pair);
    for (talk, before) in [(1, [0; 2]), (2, [DATAGRAMS, DATAGRAMS * LENGTH])] {
        let mut talker = talker(&pair, ":");
        let programs_before = programs();
        assert_eq!(seen(&status(socket.as_ref())), before);
        let rows = count(&pair, &["process", "--socket", socket], || {
            thread::sleep(ASKED);
            say(&mut talker, &server);
            assert_eq!((programs(), tcx_links(INDEX)), (programs_before, 2), "it has none of its own");
        });
        let row = rows.iter().find(|row| row["pid"] == talker.0.id()).expect("who talks");
        assert_eq!((row["flows"].as_u64(), counts(row)), (Some(1), SENT), "{rows:?}");
        assert_eq!(rows.len(), 2, "{rows:?}");
        let seconds = row["seconds"].as_f64().expect("a number");
        assert!((3.5..6.0).contains(&seconds), "{seconds}");
        assert_eq!(seen(&status(socket.as_ref())), [talk * DATAGRAMS, talk * DATAGRAMS * LENGTH]);
    }
    agent.stop().assert_observed();
}

#[test]
fn root_what_has_ended_meanwhile_is_there_with_whose_it_was() {
    const CONNECTIONS: u32 = 40;
    let pair = Pair::with_left_index(Some(INDEX));
    let agent = start_agent(&pair, &[]);
    let socket = agent.socket();
    let listener = pair.right.enter(|| TcpListener::bind((RIGHT, 5001)).expect("a port"));
    listener.set_nonblocking(true).expect("it can be asked");
    let connect = format!("exec 3<>/dev/tcp/{RIGHT}/5001; read -u 3");
    let clients = format!("for i in $(seq {CONNECTIONS}); do bash -c '{connect}' & echo $!; wait; done");
    let mut pids = BTreeSet::new();
    let filter = "source_process == \"bash\" and destination_port == 5001";
    let rows = count(&pair, &["--socket", socket.to_str().expect("UTF-8"), "--filter", filter], || {
        thread::sleep(ASKED);
        let mut clients = shell(&pair.left, &clients);
        let printed = BufReader::new(clients.0.stdout.take().expect("a pipe"));
        for _ in 0..CONNECTIONS {
            drop(wait_for("somebody connects", PATIENCE, || listener.accept().ok()));
        }
        pids.extend(printed.lines().map(|line| line.expect("a line").parse::<u64>().expect("a number")));
    });
    let server = u64::from(std::process::id());
    let of_clients = rows.iter().filter(|row| row["pid"] != server);
    let found: BTreeSet<_> = of_clients.clone().filter_map(|row| row["pid"].as_u64()).collect();
    assert_eq!(found, pids, "{rows:?}");
    assert!(of_clients.clone().all(|row| row["flows"] == 1), "{rows:?}");
    let theirs: Vec<_> = of_clients.cloned().collect();
    assert_eq!(sum(&theirs), seen(&status(&socket)), "{theirs:?}");
    agent.stop().assert_observed();
}

#[test]
fn root_more_conversations_than_an_answer_holds_are_in_the_sum() {
    let pair = Pair::with_left_index(Some(INDEX));
    let agent = start_agent(&pair, &["--idle-timeout", "1s", "--identity", "off"]);
    let socket = agent.socket();
    let injector = Injector::open(&pair.left, INTERFACE);
    let flood = |mark| Flood { packets: 50_000, flows: 25_000, mark };
    flood(1).send(&injector);
    thread::sleep(ASKED);
    let before = seen(&status(&socket));
    let mut after = before;
    let rows = count(&pair, &["destination", "--socket", socket.to_str().expect("UTF-8")], || {
        thread::sleep(ASKED);
        flood(2).send(&injector);
        let all = [100_000, before[1] * 2];
        wait_for("all is drained", PATIENCE, || {
            after = seen(&status(&socket));
            (after == all).then_some(())
        });
    });
    assert_eq!(sum(&rows), [after[0] - before[0], after[1] - before[1]], "{:?}", &rows[..rows.len().min(5)]);
    assert!(rows.iter().any(|row| row["name"] == "(other)"));
    agent.stop().assert_observed();
}

#[test]
fn root_it_goes_on_after_the_agent_that_it_asks() {
    let pair = Pair::with_left_index(Some(INDEX));
    let _server = serve(&pair);
    let _talker = hostile(&pair);
    let path = std::env::temp_dir().join(format!("weirt-{}-top.sock", std::process::id()));
    let path = path.to_str().expect("UTF-8");
    let agent = start_agent(&pair, &["--socket", path]);
    let told_by = |agent: &Agent| format!("told by the agent, process {}", agent.pid());
    let terminal = Terminal::open(&pair.left);
    terminal.line(&format!("{} top --interval 200ms --socket {path}; echo ended:$?", binary().display()));
    terminal.wait_for(&told_by(&agent));
    let screen = terminal.wait_for("31mevil");
    assert!(screen.contains("none lost, the books balance"), "{screen}");
    agent.stop().assert_observed();
    terminal.wait_for("trying again");
    let next = start_agent(&pair, &["--socket", path]);
    terminal.wait_for(&told_by(&next));
    terminal.wait_for("another agent runs now");
    next.signal(Signal::SIGSTOP);
    // One that does not answer holds nobody who wants to leave.
    thread::sleep(ASKED);
    terminal.press(&["q"]);
    terminal.wait_for("ended:0");
    next.signal(Signal::SIGCONT);
    next.stop().assert_observed();
}

#[test]
fn root_of_several_agents_one_is_asked() {
    let pair = Pair::with_left_index(Some(INDEX));
    let agents = [start_agent(&pair, &[]), start_agent(&pair, &[])];
    let terminal = Terminal::open(&pair.left);
    terminal.line(&format!("{} top; echo ended:$?", binary().display()));
    let screen = terminal.wait_for("told by one of ");
    assert_eq!(tcx_links(INDEX), 4, "{screen}");
    terminal.press(&["q"]);
    terminal.wait_for("ended:0");
    agents.into_iter().for_each(|agent| agent.stop().assert_observed());
}

/// An agent of another version: it answers each question with the same line.
fn stranger(answer: &Value) -> String {
    let path = std::env::temp_dir().join(format!("weirt-{}-stranger.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let (listener, line) = (UnixListener::bind(&path).expect("a socket"), format!("{answer}\n"));
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let asked = BufReader::new(&stream).read_line(&mut String::new());
            let _ = asked.and_then(|_| stream.write_all(line.as_bytes()));
        }
    });
    path.to_str().expect("UTF-8").into()
}

#[test]
fn root_where_it_cannot_ask_it_says_why_and_counts_by_itself() {
    let pair = Pair::with_left_index(Some(INDEX));
    let refusal = "this agent speaks protocol 2, the request is of 1";
    let path = stranger(&json!({"protocol": 2, "type": "error", "error": refusal}));
    let (status, _, said) = Agent::run(&pair.left, &[], &["top", "--once", "--socket", &path]);
    assert_eq!((status.code(), said.len()), (Some(1), 1), "named, it must answer: {said:?}");
    assert!(said[0].contains(refusal), "{said:?}");
    // A /run of its own, in which that is the only agent.
    let lock =
        format!("mount -t tmpfs none /run && mkdir /run/weir && printf '1\\n{path}\\n' >/run/weir/weir.lock");
    let script = format!("{lock} && exec \"$0\" \"$@\"");
    let alone = ["unshare", "-m", "sh", "-c", &script];
    let (status, printed, said) = Agent::run(&pair.left, &alone, &["top", "--once", "--interval", "100ms"]);
    assert!(status.success() && printed[0].contains("none lost"), "{printed:?} {said:?}");
    let why = said.iter().filter(|line| line.contains(refusal) && line.contains("counts by itself"));
    assert_eq!(why.count(), 1, "{said:?}");
    std::fs::remove_file(path).expect("it was there");
}

#[test]
fn root_who_may_neither_ask_nor_count_is_told_so_in_a_line() {
    let pair = Pair::new();
    let agent = start_agent(&pair, &[]);
    let nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let (status, _, said) = Agent::run(&pair.left, &nobody, &["top", "--once"]);
    assert_eq!((status.code(), said.len()), (Some(1), 1), "{said:?}");
    assert!(said[0].contains("no permission to ask") && said[0].contains("root"), "{said:?}");
    assert!(control::claims().iter().any(|claim| claim.pid == agent.pid()));
    agent.stop().assert_observed();
}
