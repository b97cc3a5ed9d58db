//! How TCP fares by process in `weir top` and `weir snapshot`: held against `ss` and `nstat` of one that has several
//! connections.

use serde_json::Value;
use std::io::Write;
use std::process::ExitStatus;
use std::thread::{self, sleep};
use std::time::Duration;
use weir_tests::agent::{Agent, binary};
use weir_tests::netns::Namespace;
use weir_tests::path::{DEVICE, FAR, Path, Terms};
use weir_tests::shell::{Shell, python, shell};
use weir_tests::sockets::snapshot;
use weir_tests::terminal::Terminal;
use weir_tests::wait_for;
use weir_tests::witness::{nstat, tcx_links};

const PATIENCE: Duration = Duration::from_secs(20);
/// The first of its ports loses every tenth segment.
const PORTS: [u16; 3] = [5001, 5002, 5003];

const SERVER: &str = "
import select, socket
listening = [socket.create_server(('0.0.0.0', port)) for port in (5001, 5002, 5003)]
print('ready', flush=True)
every = list(listening)
while True:
    for one in select.select(every, [], [])[0]:
        if one in listening: every.append(one.accept()[0])
        elif not one.recv(1000000):
            every.remove(one)
            one.close()";

/// Three connections, and two that nobody takes. Says so when all has arrived; then, at a word, goes on a little.
const CLIENT: &str = "
import fcntl, socket, struct, sys, termios, time
ones = [socket.create_connection((sys.argv[1], port)) for port in (5001, 5002, 5003)]
for one, length in zip(ones, (300000, 100000, 30000)): one.sendall(bytes(length))
for port in (5004, 5005): socket.socket().connect_ex((sys.argv[1], port))
while any(struct.unpack('i', fcntl.ioctl(one, termios.TIOCOUTQ, b'    '))[0] for one in ones):
    time.sleep(0.01)
time.sleep(0.3)
print('ready', flush=True)
sys.stdin.readline()
while True:
    for one in ones: one.sendall(b'x')
    time.sleep(0.1)";

const LOSS: &str = "add table ip weirt; add chain ip weirt in { type filter hook input priority 0; }; \
                    add rule ip weirt in tcp dport 5001 numgen inc mod 10 == 5 drop";

/// A way that is far, with servers at its end.
fn path() -> (Path, Shell) {
    let path = Path::new(Terms::far(8));
    let server = python(&path.far, ":", SERVER, &[]);
    path.far.run("nft", &[LOSS]);
    (path, server)
}

/// Segments and bytes that were sent again, and the longest round-trip time in microseconds.
#[derive(Debug, PartialEq)]
struct Told {
    segments: u64,
    bytes: u64,
    rtt: u64,
}

/// What `ss -tin` says of the connections with these ports at the end that is meant: `dport` or `sport`.
fn by_ss(namespace: &Namespace, port_of: &str) -> Told {
    let mut told = Told { segments: 0, bytes: 0, rtt: 0 };
    for port in PORTS {
        let said = namespace.run("ss", &["-tinHO", "state", "connected", &format!("{port_of} = :{port}")]);
        let word = |name: &str| said.split_whitespace().find_map(|word| word.strip_prefix(name));
        let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("{said}"));
        told.segments += word("retrans:").and_then(|both| both.split('/').nth(1)).map_or(0, number);
        told.bytes += word("bytes_retrans:").map_or(0, number);
        let rtt = word("rtt:").and_then(|rtt| rtt.split('/').next()).expect("a time");
        let rtt: f64 = rtt.parse().unwrap_or_else(|_| panic!("{said}"));
        told.rtt = told.rtt.max((rtt * 1e3).round() as u64);
    }
    told
}

fn number(row: &Value, name: &str) -> u64 {
    row[name].as_u64().unwrap_or_else(|| panic!("no {name}: {row}"))
}

fn by_weir(row: &Value) -> Told {
    Told {
        segments: number(row, "tcp_retransmitted_segments"),
        bytes: number(row, "tcp_retransmitted_bytes"),
        rtt: number(row, "tcp_rtt"),
    }
}

/// What `weir top --once` says while `work` is done.
fn count<T>(path: &Path, args: &[&str], work: impl FnOnce() -> T) -> (Vec<Value>, T) {
    let all = [&["top", "--once", "-o", "json", "--interval", "6s"], args].concat();
    let ((status, printed, said), done): ((ExitStatus, _, _), T) = thread::scope(|scope| {
        let counting = scope.spawn(|| Agent::run(&path.near, &[], &all));
        let done = work();
        (counting.join().expect("it runs"), done)
    });
    assert!(status.success(), "{said:?}");
    (printed.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect(), done)
}

fn row_of<'r>(rows: &'r [Value], client: &Shell) -> &'r Value {
    let row = rows.iter().find(|row| row["pid"] == client.0.id());
    row.unwrap_or_else(|| panic!("{}: {rows:?}", client.0.id()))
}

/// How many programs hang on the device; with those on devices of other namespaces that have its number.
fn hanging(near: &Namespace) -> usize {
    let shown: Value = serde_json::from_str(&near.run("ip", &["-j", "link", "show", DEVICE])).expect("JSON");
    let index = shown[0]["ifindex"].as_u64().and_then(|index| u32::try_from(index).ok());
    tcx_links(index.expect("a number"))
}

#[test]
fn root_a_process_has_what_ss_says_of_its_connections() {
    let (path, server) = path();
    let before = hanging(&path.near);
    let (rows, client) = count(&path, &["-i", DEVICE], || {
        wait_for("it counts", PATIENCE, || (hanging(&path.near) >= before + 2).then_some(()));
        sleep(Duration::from_millis(500));
        python(&path.near, ":", CLIENT, &[FAR])
    });
    let (ss, row) = (by_ss(&path.near, "dport"), row_of(&rows, &client));
    let told = by_weir(row);
    assert_eq!((told.segments, told.bytes), (ss.segments, ss.bytes), "{row}");
    // ss rounds to microseconds.
    assert!(told.rtt.abs_diff(ss.rtt) <= 1 && told.rtt > 16_000, "{told:?}, not {ss:?}");
    assert_eq!(told.segments, nstat(&path.near, "TcpRetransSegs"));
    assert!(told.segments > 5, "it was lossy: {told:?}");
    assert_eq!((number(row, "flows"), number(row, "tcp_failures")), (5, 2), "{row}");
    assert_eq!(number(row, "tcp_failures"), nstat(&path.near, "TcpAttemptFails"));
    // The server's are not known: its namespace is not watched.
    let other = row_of(&rows, &server);
    assert_eq!(
        (number(other, "tcp_retransmitted_segments"), &other["tcp_rtt"]),
        (0, &Value::Null),
        "{other}"
    );
}

#[test]
fn root_an_agent_tells_of_what_is_live_and_only_of_what_is_new() {
    let (path, _server) = path();
    let agent = Agent::start_joined(&path.near, &["-i", DEVICE, "--interval", "200ms"]);
    let socket = agent.socket();
    let socket = ["--socket", socket.to_str().expect("UTF-8")];
    let (rows, mut client) = count(&path, &socket, || {
        sleep(Duration::from_secs(1));
        let mut client = python(&path.near, ":", CLIENT, &[FAR]);
        path.far.run("nft", &["delete table ip weirt"]);
        client.0.stdin.as_mut().expect("a pipe").write_all(b"\n").expect("it reads");
        client
    });
    let (ss, row) = (by_ss(&path.near, "dport"), row_of(&rows, &client));
    let told = by_weir(row);
    assert_eq!((told.segments, told.bytes), (ss.segments, ss.bytes), "{row}");
    assert!(told.segments > 5, "it was lossy: {told:?}");
    assert_eq!(number(row, "tcp_failures"), 2, "{row}");
    // Whoever comes later has not seen that; the same connections go on.
    let (rows, ()) = count(&path, &[&["destination"], &socket[..]].concat(), || ());
    assert_eq!(rows.len(), 3, "{rows:?}");
    for row in &rows {
        assert_eq!((number(row, "flows"), by_weir(row).segments, number(row, "tcp_failures")), (1, 0, 0));
        assert!(by_weir(row).rtt > 16_000, "{row}");
    }
    let terminal = Terminal::open(&path.near);
    terminal.line(&format!("{} top destination --socket {} --sort rtt", binary().display(), socket[1]));
    let screen = terminal.wait_for("RTT▼");
    assert!(screen.contains("RETR") && screen.lines().all(|line| line.chars().count() <= 80), "{screen}");
    terminal.press(&[">"]);
    terminal.wait_for("RETR▼");
    terminal.press(&["?"]);
    terminal.wait_for("Any key goes back.");
    terminal.press(&["x", "Enter"]);
    terminal.wait_until("conversations have times", |screen| {
        screen.contains("FORTH/S") && screen.contains(" ms")
    });
    terminal.press(&["q"]);
    let _ = client.0.kill();
    agent.stop();
}

#[test]
fn root_a_snapshot_has_what_ss_says_of_a_process() {
    let (path, server) = path();
    let client = python(&path.near, ":", CLIENT, &[FAR]);
    let silent = shell(&path.near, &format!("exec 3<>/dev/udp/{FAR}/5000; echo ready; read")).ready();
    let ends = [(&path.near, &client, "dport", 16_000), (&path.far, &server, "sport", 0)];
    for (namespace, process, port_of, least) in ends {
        let (rows, ss) = (snapshot(namespace, "processes", &[]), by_ss(namespace, port_of));
        let row = by_weir(row_of(&rows, process));
        assert_eq!(row, ss, "{rows:?}");
        assert!(row.rtt > least, "{row:?}");
        // Those of one process are those of its sockets.
        let sockets = snapshot(namespace, "sockets", &[]);
        let of_it =
            sockets.iter().filter(|one| one["pid"] == process.0.id() && one["state"] == "established");
        let of_it: Vec<_> = of_it.map(by_weir).collect();
        assert_eq!(of_it.len(), PORTS.len(), "{sockets:?}");
        assert_eq!(of_it.iter().map(|one| one.segments).sum::<u64>(), ss.segments);
    }
    let segments = by_ss(&path.near, "dport").segments;
    assert!(segments > 5, "it was lossy: {segments}");
    // Who has no connections of TCP has no health of them.
    let rows = snapshot(&path.near, "processes", &[]);
    let row = row_of(&rows, &silent);
    assert!(row["connections"] == 1 && row["tcp_rtt"].is_null(), "{row}");
    assert!(row["tcp_retransmitted_segments"].is_null(), "{row}");

    let terminal = Terminal::open(&path.near);
    terminal.line(&format!("{} snapshot processes; echo ended:$?", binary().display()));
    let screen = terminal.wait_for("ended:0");
    let cells = |process: &Shell| {
        let pid = process.0.id().to_string();
        let line = screen.lines().find(|line| line.split_whitespace().nth(1) == Some(&*pid));
        line.unwrap_or_else(|| panic!("{pid}: {screen}"))
            .split_whitespace()
            .rev()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert!(screen.lines().any(|line| line.ends_with("CONNS      RTT  RETR")), "{screen}");
    assert_eq!(cells(&client)[..2], [segments.to_string(), "ms".into()], "{screen}");
    assert_eq!(cells(&silent)[..3], ["-", "-", "1"], "{screen}");
}
