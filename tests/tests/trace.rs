//! `weir trace`: held against what processes say that they did, and the kernel's counters.

use nix::sys::signal::Signal;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use weir_tests::agent::binary;
use weir_tests::netns::Namespace;
use weir_tests::pair::{LEFT, Pair, RIGHT};
use weir_tests::shell::{python, reader};
use weir_tests::terminal::Terminal;
use weir_tests::trace::Trace;
use weir_tests::witness::nstat;

fn of<'e>(events: &'e [Value], kind: &str) -> Vec<&'e Value> {
    events.iter().filter(|event| event["type"] == kind).collect()
}

fn number(event: &Value, field: &str) -> u64 {
    event[field].as_u64().unwrap_or_else(|| panic!("no {field}: {event}"))
}

/// Runs a program of Python's to its end, and returns what it has said.
fn says(namespace: &Namespace, program: &str) -> String {
    namespace.run("/usr/bin/python3", &["-c", program])
}

/// A server says whose connections it took, and clients of one connection each who they were.
#[test]
fn root_connections_are_those_that_both_ends_tell_of() {
    let pair = Pair::new();
    let trace = Trace::start(&pair.left, &["connect", "accept", "--filter", "port == 6000"]);
    let server = python(
        &pair.right,
        "true",
        "import socket
server = socket.create_server(('0.0.0.0', 6000), backlog=512)
print('ready', flush=True)
while True: server.accept()",
        &[],
    );
    let said = says(
        &pair.left,
        &format!(
            "import os, socket
for _ in range(200):
    if os.fork() == 0:
        one = socket.create_connection(('{RIGHT}', 6000))
        os.write(1, b'%d %d\\n' % (os.getpid(), one.getsockname()[1]))
        os._exit(0)
for _ in range(200): os.wait()"
        ),
    );
    let truth: BTreeSet<(u64, u64)> = said
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(pid, port)| (pid.parse().expect("a number"), port.parse().expect("a number")))
        .collect();
    assert_eq!(truth.len(), 200);
    let events = trace.stop();
    let connects = of(&events, "connect");
    let told: BTreeSet<_> =
        connects.iter().map(|event| (number(event, "source_pid"), number(event, "source_port"))).collect();
    assert_eq!((connects.len(), &told), (200, &truth));
    assert!(connects.iter().all(|event| event["error"].is_null() && event["destination_address"] == RIGHT));
    let accepts = of(&events, "accept");
    let ports: BTreeSet<_> = accepts.iter().map(|event| number(event, "source_port")).collect();
    assert_eq!((accepts.len(), ports), (200, truth.iter().map(|(_, port)| *port).collect()));
    let pid = u64::from(server.0.id());
    for accept in accepts {
        assert_eq!((number(accept, "destination_pid"), &accept["source_address"]), (pid, &LEFT.into()));
        assert_eq!(accept["netns"], pair.right.name());
        // The other end is of this host, too.
        assert_eq!(accept["source_process"], "python3");
    }
    let times: Vec<_> = events.iter().map(|event| event["time"].as_str().expect("a time")).collect();
    // All of one length, so that their order is that of the texts.
    assert!(times.iter().all(|time| time.len() == 30) && times.is_sorted(), "{times:?}");
}

/// Every way in which a port or a connection is refused, with the word that Python has for it.
#[test]
fn root_refusals_have_the_kernels_words() {
    let pair = Pair::new();
    pair.left.sysctl("net/ipv4/tcp_syn_retries", "1");
    pair.left.run("nft", &["add table ip weirt; add chain ip weirt out { type filter hook output priority 0; }; \
        add rule ip weirt out tcp dport 6004 drop; add rule ip weirt out tcp dport 6005 reject with icmp type host-unreachable"]);
    let trace = Trace::start(&pair.left, &["bind", "connect", "--process", "python3"]);
    let said = says(
        &pair.left,
        &format!(
            "import errno, os, socket, threading
def attempt(what, port, work):
    try:
        work()
        print(what, port, None)
    except OSError as error:
        print(what, port, errno.errorcode.get(error.errno, 'ETIMEDOUT'))
def to(address, port):
    attempt('connect', port, lambda: socket.socket().connect((address, port)))
def at(address, port, one):
    attempt('bind', port, lambda: one.bind((address, port)))
first = socket.socket()
at('127.0.0.1', 6001, first)
first.listen()
at('127.0.0.1', 6001, socket.socket())
at('192.0.2.1', 6002, socket.socket())
at('0.0.0.0', 6006, socket.socket(type=socket.SOCK_DGRAM))
to('127.0.0.1', 6001)
to('{RIGHT}', 6003)
to('{RIGHT}', 6004)
to('{RIGHT}', 6005)
to('198.51.100.1', 6007)
given_up = socket.socket()
given_up.setblocking(False)
try: given_up.connect(('{RIGHT}', 6004))
except BlockingIOError: pass
given_up.close()
print('connect', 6004, 'ECANCELED')
os.setuid(65534)
at('127.0.0.1', 80, socket.socket())"
        ),
    );
    let word = |event: &Value| event["error"].as_str().unwrap_or("None").to_owned();
    let mut told: Vec<_> = trace
        .stop()
        .iter()
        .map(|event| {
            let port = if event["type"] == "bind" { "source_port" } else { "destination_port" };
            format!("{} {} {}", event["type"].as_str().unwrap_or(""), number(event, port), word(event))
        })
        .collect();
    let mut truth: Vec<_> = said.lines().map(String::from).collect();
    told.sort();
    truth.sort();
    assert_eq!(told, truth);
    for expected in ["bind 80 EACCES", "bind 6002 EADDRNOTAVAIL", "connect 6003 ECONNREFUSED"] {
        assert!(truth.iter().any(|one| one == expected), "{expected}: {truth:?}");
    }
}

/// On a line that loses every tenth segment, and towards one that answers nothing.
#[test]
fn root_retransmissions_are_those_that_the_kernel_counts() {
    let pair = Pair::new();
    pair.left.sysctl("net/ipv4/tcp_syn_retries", "1");
    // The counter below is of this end: what the server sends again is none of it.
    let trace = Trace::start(&pair.left, &["retransmit", "--filter", "source_address == 10.77.0.1"]);
    let _server = reader(&pair.right);
    let rules = "add table ip weirt; add chain ip weirt in { type filter hook input priority 0; }; \
                 add rule ip weirt in tcp dport 6011 drop; \
                 add rule ip weirt in tcp dport 6010 numgen inc mod 10 == 5 drop";
    pair.right.run("nft", &[rules]);
    says(
        &pair.left,
        &format!(
            "import socket
try: socket.create_connection(('{RIGHT}', 6011))
except OSError: pass
one = socket.create_connection(('{RIGHT}', 6010))
for _ in range(300): one.sendall(b'x' * 20000)
one.shutdown(socket.SHUT_WR)
one.recv(1)"
        ),
    );
    let events = trace.stop();
    let counted = nstat(&pair.left, "TcpRetransSegs");
    // A segment that stands for several is one event: the connection's own count has them all.
    let mut totals: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    for event in &events {
        let ends = (number(event, "source_port"), number(event, "destination_port"));
        let total = event["connection_retransmits"].as_u64().unwrap_or(0);
        let most = totals.entry(ends).or_default();
        *most = total.max(*most);
    }
    assert_eq!(totals.values().sum::<u64>(), counted, "{totals:?}");
    assert!(counted > 20 && events.len() as u64 <= counted, "{counted}");
    let syns: Vec<_> = events.iter().filter(|event| event["retransmitted"] == "syn").collect();
    assert!(!syns.is_empty());
    for syn in syns {
        assert_eq!((&syn["socket_state"], number(syn, "destination_port")), (&"syn_sent".into(), 6011));
        assert_eq!(syn["source_process"], "python3", "{syn}");
    }
    let data = events.iter().filter(|event| event["retransmitted"] == "data");
    assert!(data.clone().any(|event| number(event, "retransmitted_bytes") > 1000));
    assert!(data.clone().all(|event| event["source_process"] == "python3"), "{:?}", data.collect::<Vec<_>>());
}

/// The other end never acknowledges that it was answered.
#[test]
fn root_an_answer_that_is_sent_again_is_told() {
    let pair = Pair::new();
    let trace = Trace::start(&pair.left, &["retransmit", "--filter", "port == 6020"]);
    let _server = python(
        &pair.right,
        "true",
        "import socket, time
server = socket.create_server(('0.0.0.0', 6020))
print('ready', flush=True)
time.sleep(60)",
        &[],
    );
    pair.left.run(
        "nft",
        &["add table ip weirt; add chain ip weirt in { type filter hook input priority 0; }; \
        add rule ip weirt in tcp sport 6020 drop"],
    );
    let mut client = python(
        &pair.left,
        "true",
        &format!("import socket; print('ready', flush=True); socket.create_connection(('{RIGHT}', 6020))"),
        &[],
    );
    let is_answer = |event: &&Value| event["retransmitted"] == "syn_ack";
    let answer = trace.wait_for("a SYN-ACK sent again", |events| events.iter().find(is_answer).cloned());
    let _ = client.0.kill();
    assert_eq!((number(&answer, "source_port"), &answer["source_address"]), (6020, &RIGHT.into()));
    assert_eq!(
        (&answer["netns"], &answer["connection_retransmits"]),
        (&pair.right.name().into(), &Value::Null)
    );
}

#[test]
fn root_programs_are_told_with_their_arguments() {
    let pair = Pair::new();
    let trace = Trace::start(&pair.left, &["exec", "--process", "true"]);
    let shell =
        pair.left.run("bash", &["-c", "echo $$; for n in 1 2 3; do /usr/bin/true $n --password=hush; done"]);
    let shell: u64 = shell.trim().parse().expect("a number");
    let events = trace.stop();
    let ours: Vec<_> = events.iter().filter(|event| number(event, "source_parent_pid") == shell).collect();
    let arguments: Vec<_> = ours.iter().map(|event| event["source_arguments"].clone()).collect();
    assert_eq!(arguments, ["1", "2", "3"].map(|n| Value::from(format!("/usr/bin/true {n} --password=***"))));
    assert!(
        ours.iter()
            .all(|event| event["source_executable"].as_str().is_some_and(|path| path.ends_with("/true")))
    );
}

/// While the tracer stands still, more happens than the kernel has room for.
#[test]
fn root_what_is_lost_is_said_where_it_is_missing() {
    const CALLS: u64 = 40_000;
    let pair = Pair::new();
    let trace = Trace::start(&pair.left, &["bind"]);
    trace.signal(Signal::SIGSTOP);
    let bind = format!(
        "import socket
for _ in range({CALLS}):
    one = socket.socket(type=socket.SOCK_DGRAM)
    one.bind(('127.0.0.1', 0))
    one.close()
open('/proc/self/comm', 'w').write('last')
socket.socket(type=socket.SOCK_DGRAM).bind(('127.0.0.1', 6030))"
    );
    says(&pair.left, &bind);
    trace.signal(Signal::SIGCONT);
    trace.wait_for("the loss", |events| events.iter().any(|event| event["type"] == "lost").then_some(()));
    says(&pair.left, "import socket; socket.socket(type=socket.SOCK_DGRAM).bind(('127.0.0.1', 6031))");
    trace.wait_for("what comes later", |events| {
        events.iter().any(|event| event["source_port"] == 6031).then_some(())
    });
    let events = trace.stop();
    let (lost, told) = (of(&events, "lost"), of(&events, "bind"));
    let told = told.iter().filter(|event| event["netns"] == pair.left.name()).count() as u64;
    assert_eq!(lost.iter().map(|lost| number(lost, "events")).sum::<u64>() + told, CALLS + 2);
    assert_eq!((&lost[0]["probe"], &lost[0]["cause"]), (&"calls".into(), &"ring_full".into()));
    let place = |wanted: &dyn Fn(&Value) -> bool| events.iter().position(wanted);
    let later = place(&|event| event["source_port"] == 6031);
    assert!(place(&|event| event["type"] == "lost") < later && later.is_some());
}

/// What a person sees, on eighty columns.
#[test]
fn root_rows_fit_a_terminal() {
    let pair = Pair::new();
    let terminal = Terminal::open(&pair.left);
    terminal.line(&format!("{} trace connect bind --process python3", binary().display()));
    terminal.wait_for("WHAT");
    says(&pair.left, "import socket; socket.socket().connect_ex(('10.77.0.2', 6040))");
    terminal.wait_for("ECONNREFUSED");
    let screen = terminal.screen();
    let row = screen.lines().find(|line| line.contains("ECONNREFUSED")).expect("it is there");
    assert!(
        row.contains("connect") && row.contains("python3") && row.contains("→ 10.77.0.2:6040"),
        "{screen}"
    );
    assert!(screen.lines().all(|line| line.chars().count() <= 80), "{screen}");
}

#[test]
fn root_mistakes_are_named() {
    let run = |args: &[&str]| {
        let output =
            Command::new(binary()).arg("trace").args(args).stdin(Stdio::null()).output().expect("weir");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for (args, words) in [
        (&["conect"][..], "There are: exec, bind, connect, accept, retransmit, tcp"),
        (&[], "KIND"),
        (&["connect", "--filter", "bytes > 1"], "events of connect have no 'bytes'"),
        (
            &["connect", "exec", "--filter", "dns_type == A"],
            "events of connect and exec have no 'dns_type': those of dns do",
        ),
        (&["connect", "--filter", "error = x"], "--filter: column 7: '=' is not an operator: write '=='"),
        (&["connect", "--fields", "weather"], "have no weather"),
        (&["connect", "-o", "json", "--fields", "source"], "in JSON each field stands by itself"),
        (&["connect", "--process", "["], "not a glob"),
    ] {
        let (code, said) = run(args);
        assert!(code == Some(2) && said.contains(words), "{args:?}: {code:?} {said}");
    }
    // So many and no more; only what was asked for.
    let pair = Pair::new();
    let trace = Trace::start(&pair.left, &["bind", "--fields", "source_port,error"]);
    says(&pair.left, "import socket; socket.socket().bind(('127.0.0.1', 6050))");
    let event =
        trace.wait_for("a bind", |events| events.iter().find(|event| event["source_port"] == 6050).cloned());
    assert_eq!(event, serde_json::json!({"type": "bind", "source_port": 6050, "error": null}));
}
