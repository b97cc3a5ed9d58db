//! `weir status` and `weir reload`, and what a socket has to bear.

use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use weir_tests::agent::{Agent, binary};
use weir_tests::control::{DIRECTORY, claims, say, status, weir};
use weir_tests::flood::Flood;
use weir_tests::inject::Injector;
use weir_tests::netns::succeed;
use weir_tests::pair::{INTERFACE, Pair};
use weir_tests::wait_for;
use weir_tests::witness::settled;

const SOON: Duration = Duration::from_secs(10);
const FLOOD: Flood = Flood { packets: 50_000, flows: 500, mark: 1 };
const STATUS: &[u8] = b"{\"protocol\":1,\"request\":\"status\"}\n";

fn start(pair: &Pair, more: &[&str]) -> Agent {
    Agent::start(&pair.left, &[&["-i", INTERFACE, "-o", "json", "--interval", "100ms"], more].concat())
}

/// The ledger's entry for one direction.
fn account<'a>(status: &'a Value, direction: &str) -> &'a Value {
    let mut ledger = status["ledger"].as_array().expect("a ledger").iter();
    ledger.find(|entry| entry["direction"] == direction).expect("an account of each direction")
}

/// A path that no other test uses, gone after the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("weirt-{}-{name}", std::process::id())))
    }

    fn text(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn root_status_agrees_with_the_interface() {
    let pair = Pair::new();
    let agent = start(&pair, &[]);
    let injector = Injector::open(&pair.left, INTERFACE);
    let mut last = 0;
    for _ in 0..5 {
        FLOOD.send(&injector);
        let status = status(&agent.socket());
        let entry = account(&status, "egress");
        assert_eq!(entry["balanced"], true, "{entry}");
        let seen = entry["seen_packets"].as_u64().expect("a count");
        assert!(seen >= last, "{seen} after {last}");
        last = seen;
    }
    let sent = settled(&pair.left, INTERFACE).tx;
    let status = wait_for("the last packets are drained", SOON, || {
        let status = status(&agent.socket());
        (account(&status, "egress")["seen_packets"] == sent.packets).then_some(status)
    });
    assert_eq!(account(&status, "egress")["seen_bytes"], sent.bytes);
    assert_eq!(account(&status, "ingress")["seen_packets"], 0);
    assert_eq!(status["interfaces"][0]["interface"], INTERFACE);
    assert_eq!(status["interfaces"][0]["programs"], 2);
    assert_eq!(status["pid"], agent.pid());
    assert_eq!(status["settings"]["interval_seconds"], 0.1);
    assert_eq!((&status["sinks"][0]["name"], &status["flows"]), (&"json".into(), &FLOOD.flows.into()));
    assert!(
        status["drains"]["count"].as_u64() > Some(1)
            && status["cost"]["resident_bytes"].as_u64() > Some(1 << 20)
    );

    let screen = succeed(Command::new(binary()).args(["status", "--socket"]).arg(agent.socket()));
    assert!(
        screen.lines().count() <= 24 && screen.lines().all(|line| line.chars().count() <= 80),
        "{screen}"
    );
    assert!(screen.contains("250 000 packets") && screen.contains(INTERFACE), "{screen}");
    agent.stop().assert_exact();
}

#[test]
fn root_the_socket_is_for_its_owner_and_goes_with_the_agent() {
    let pair = Pair::new();
    let agent = start(&pair, &[]);
    let socket = agent.socket();
    let found = fs::metadata(&socket).expect("the socket");
    assert_eq!((found.mode() & 0o777, found.uid(), found.gid()), (0o660, 0, 0));
    let directory = fs::metadata(DIRECTORY).expect("the directory");
    assert_eq!((directory.mode() & 0o777, directory.uid()), (0o755, 0));

    // The binary is copied: a stranger may not even reach the directory it was built in.
    let copy = Scratch::new("stranger");
    fs::copy(binary(), &copy.0).expect("a copy");
    for request in ["status", "reload"] {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", copy.text(), request]);
        let refused = command.output().expect("setpriv");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        let line = said.lines().find(|line| line.contains(&*socket.to_string_lossy()));
        assert!(line.is_some_and(|line| line.contains("permission") && line.contains("root")), "{said}");
    }

    let pid = agent.pid();
    agent.stop().assert_exact();
    assert!(!socket.exists() && claims().iter().all(|claim| claim.pid != pid), "{:?}", claims());
}

#[test]
fn root_a_killed_agent_is_not_shown_and_is_taken_over() {
    let pair = Pair::new();
    let agent = start(&pair, &[]);
    let (socket, killed) = (agent.socket(), agent.pid());
    agent.kill_untidily();
    assert!(socket.exists());
    let outcome = weir(&["status", "--socket", &socket.to_string_lossy()]);
    let said = String::from_utf8_lossy(&outcome.stderr).into_owned();
    assert_eq!((outcome.status.code(), said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.contains("no agent listens"), "{said}");
    let successor = start(&pair, &[]);
    assert_eq!(successor.socket(), socket);
    assert_eq!(status(&socket)["pid"], successor.pid());
    assert!(claims().iter().all(|claim| claim.pid != killed));
}

#[test]
fn root_a_stopped_agent_is_not_waited_for_for_ever() {
    let pair = Pair::new();
    let agent = start(&pair, &[]);
    agent.signal(Signal::SIGSTOP);
    let began = Instant::now();
    let outcome = weir(&["status", "--socket", &agent.socket().to_string_lossy()]);
    let said = String::from_utf8_lossy(&outcome.stderr).into_owned();
    agent.signal(Signal::SIGCONT);
    assert_eq!((outcome.status.code(), said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.contains("does not answer"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    agent.stop().assert_exact();
}

#[test]
fn root_without_an_agent_it_says_so_in_one_line() {
    // A /run of its own, in which nobody else's agent is.
    let alone = |request: &str| {
        let script = "mount -t tmpfs none /run && exec \"$0\" \"$1\"";
        let mut command = Command::new("unshare");
        let output =
            command.args(["-m", "sh", "-c", script]).arg(binary()).arg(request).output().expect("unshare");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for request in ["status", "reload"] {
        assert_eq!(alone(request), (Some(1), "weir: no agent is running. Start one: weir run\n".into()));
    }
}

#[test]
fn root_a_path_by_name_is_one_agents_only() {
    let pair = Pair::new();
    let path = Scratch::new("named");
    let agent = start(&pair, &["--socket", path.text()]);
    assert_eq!(status(&path.0)["socket"], path.text());
    let args = ["run", "-i", INTERFACE, "--socket", path.text()];
    let (code, _, said) = Agent::run(&pair.left, &[], &args);
    assert_eq!((code.code(), said.len()), (Some(1), 1), "{said:?}");
    assert!(said[0].contains("in use") && said[0].contains(path.text()), "{said:?}");
    let everybody = weir(&["status", "-o", "json"]);
    assert!(String::from_utf8_lossy(&everybody.stdout).contains(path.text()), "found without --socket, too");
    agent.stop().assert_exact();
    assert!(!path.0.exists());
    fs::write(&path.0, "mine").expect("a file");
    let (code, _, said) = Agent::run(&pair.left, &[], &args);
    assert_eq!((code.code(), said.len()), (Some(1), 1), "{said:?}");
    assert_eq!(fs::read_to_string(&path.0).expect("it stays"), "mine");
}

#[test]
fn root_a_reload_answers_and_so_does_sighup() {
    let pair = Pair::new();
    let agent = start(&pair, &[]);
    let socket = agent.socket();
    let outcome = weir(&["reload", "--socket", &socket.to_string_lossy()]);
    let said = String::from_utf8_lossy(&outcome.stdout).into_owned();
    assert_eq!(outcome.status.code(), Some(0), "{said}");
    assert!(said.contains("nothing has changed") && said.lines().count() == 1, "{said}");
    agent.signal(Signal::SIGHUP);
    agent.wait_for_line("nothing has changed", SOON);
    FLOOD.send(&Injector::open(&pair.left, INTERFACE));
    let outcome = agent.stop();
    outcome.assert_exact();
    assert_eq!(outcome.ledger(INTERFACE, "egress").seen, FLOOD.total());
}

fn error_of(socket: &Path, words: &[u8]) -> String {
    let line = say(socket, words).expect("an answer");
    let answer: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
    assert_eq!((&answer["type"], &answer["protocol"]), (&"error".into(), &1.into()), "{line}");
    answer["error"].as_str().expect("a text").to_string()
}

/// Garbage is told what it is; whoever says nothing, or half of it, or comes a thousand times, keeps
/// nobody else from an answer and the agent from no packet.
#[test]
fn root_hostile_clients_hold_nobody() {
    let pair = Pair::new();
    let agent = start(&pair, &[]);
    let socket = agent.socket();
    assert!(error_of(&socket, b"GET / HTTP/1.1\r\n").starts_with("not a request"));
    assert!(error_of(&socket, &[0xff, 0, b'\n']).starts_with("not a request"));
    assert!(error_of(&socket, b"{\"protocol\":9,\"request\":\"status\"}\n").contains("protocol"));
    assert!(error_of(&socket, b"{\"protocol\":1,\"request\":\"explode\"}\n").starts_with("unknown request"));
    assert!(error_of(&socket, &[b'x'; 4096]).contains("4096 bytes"), "without a newline");

    let connect = || UnixStream::connect(&socket).expect("a connection");
    let half: Vec<_> = (0..50)
        .map(|_| {
            let mut stream = connect();
            stream.write_all(&STATUS[..10]).expect("half a line");
            stream
        })
        .collect();
    assert_eq!(status(&socket)["pid"], agent.pid());
    let silent: Vec<_> = (0..1_000).map(|_| connect()).collect();
    assert_eq!(status(&socket)["pid"], agent.pid());
    // They ask, and never read.
    let deaf: Vec<_> = (0..200)
        .filter_map(|_| {
            let mut stream = connect();
            stream.write_all(STATUS).ok().map(|()| stream)
        })
        .collect();
    FLOOD.send(&Injector::open(&pair.left, INTERFACE));
    assert_eq!(status(&socket)["pid"], agent.pid());
    // Whoever closes its half after asking is answered.
    assert!(say(&socket, STATUS).is_ok_and(|line| line.contains("\"type\":\"status\"")));
    drop((half, silent, deaf));
    let outcome = agent.stop();
    outcome.assert_exact();
    assert_eq!(outcome.ledger(INTERFACE, "egress").seen, FLOOD.total());
    assert!(outcome.stderr.iter().all(|line| line.starts_with("weir: attached")), "{:?}", outcome.stderr);
}
