//! How TCP connections fare: held against `ss`, tshark on the same wire, and `nstat`.

use serde_json::Value;
use std::collections::HashSet;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;
use weir_tests::agent::Agent;
use weir_tests::netns::Namespace;
use weir_tests::pair::{INTERFACE, Pair, RIGHT};
use weir_tests::path::{DEVICE, FAR, Path, Terms};
use weir_tests::shell::{Shell, python, shell};
use weir_tests::wait_for;
use weir_tests::witness::nstat;

const PATIENCE: Duration = Duration::from_secs(20);
const PORT: u16 = 5001;

/// Reads all of each connection, one after the other, and keeps it.
const SERVER: &str = r#"
import select, socket
listening = socket.socket()
listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listening.bind(('0.0.0.0', 5001))
listening.listen(16)
print('ready', flush=True)
open = [listening]
while True:
    for one in select.select(open, [], [])[0]:
        if one is listening:
            open.append(listening.accept()[0])
        elif not one.recv(1000000):
            open.remove(one)
            one.close()
"#;

/// Sends so many bytes, says so when all have arrived, and ends when it is told to.
const CLIENT: &str = r#"
import fcntl, socket, struct, sys, termios, time
connection = socket.create_connection((sys.argv[1], 5001))
connection.sendall(bytes(int(sys.argv[2])))
while struct.unpack('i', fcntl.ioctl(connection, termios.TIOCOUTQ, b'    '))[0]:
    time.sleep(0.01)
time.sleep(0.3)
print('ready', flush=True)
sys.stdin.read()
"#;

/// The records in what an agent printed.
fn flows(lines: &[String]) -> Vec<Value> {
    let all = lines.iter().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    all.filter(|one| one["type"] == "flow").collect()
}

fn only(flows: &[Value], wanted: impl Fn(&Value) -> bool) -> &Value {
    let found: Vec<_> = flows.iter().filter(|one| wanted(one)).collect();
    assert_eq!(found.len(), 1, "{flows:#?}");
    found[0]
}

/// What `ss -tin` says of the connection to the port: `name:value` and `name value`.
struct Ss(String);

impl Ss {
    fn of(namespace: &Namespace, side: &str) -> Self {
        Self(namespace.run("ss", &["-tinHO", "state", "connected", &format!("{side} = :{PORT}")]))
    }

    fn word(&self, name: &str) -> Option<&str> {
        self.0.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix(':'))
    }

    /// 0 where it says nothing, as it does of what is 0.
    fn number(&self, name: &str) -> u64 {
        self.word(name).map_or(0, |number| number.parse().unwrap_or_else(|_| panic!("{name}: {}", self.0)))
    }

    /// In nanoseconds, of `1.234` milliseconds, or of `20ms`.
    fn time(&self, name: &str, part: usize) -> u64 {
        let Some(word) = self.word(name) else { return 0 };
        let text = word.split(['/', '(']).nth(part).expect("a part").trim_end_matches("ms");
        (text.parse::<f64>().unwrap_or_else(|_| panic!("{name}: {}", self.0)) * 1e6).round() as u64
    }
}

/// Every number of a connection that has come to rest, at both ends.
#[test]
fn root_numbers_are_those_of_ss() {
    let path = Path::new(Terms { lossy: Some(40), ..Terms::far(8) });
    let _server = python(&path.far, ":", SERVER, &[]);
    let netns = [path.near.name(), path.far.name()];
    let agent = Agent::start_joined(&path.near, &["-i", DEVICE, "--netns", netns[0], "--netns", netns[1]]);
    let _client = python(&path.near, ":", CLIENT, &[FAR, "2000000"]);
    let shown = [Ss::of(&path.near, "dport"), Ss::of(&path.far, "sport")];
    let flows = flows(&agent.stop_and_read());
    let found = only(&flows, |one| one["destination_port"] == PORT);
    for (end, ss) in ["source", "destination"].iter().zip(&shown) {
        let of = |name: &str| found[format!("{end}_tcp_{name}")].as_u64().unwrap_or(0);
        let said = [
            ("rtt", of("rtt"), ss.time("rtt", 0)),
            ("rtt_variance", of("rtt_variance"), ss.time("rtt", 1)),
            ("min_rtt", of("min_rtt"), ss.time("minrtt", 0)),
            ("bytes_sent", of("bytes_sent"), ss.number("bytes_sent")),
            ("bytes_acknowledged", of("bytes_acknowledged"), ss.number("bytes_acked")),
            ("bytes_received", of("bytes_received"), ss.number("bytes_received")),
            ("retransmitted_bytes", of("retransmitted_bytes"), ss.number("bytes_retrans")),
            ("reordered", of("reordered"), ss.number("reord_seen")),
            ("congestion_window", of("congestion_window"), ss.number("cwnd")),
            ("slow_start_threshold", of("slow_start_threshold"), ss.number("ssthresh")),
            ("busy_time", of("busy_time"), ss.time("busy", 0)),
            ("receive_window_limited_time", of("receive_window_limited_time"), ss.time("rwnd_limited", 0)),
            ("send_buffer_limited_time", of("send_buffer_limited_time"), ss.time("sndbuf_limited", 0)),
        ];
        for (name, weir, ss_says) in said {
            // ss rounds to microseconds and to three digits.
            let close = weir.abs_diff(ss_says) <= 1_000.max(ss_says / 1000) * u64::from(ss_says > 100_000);
            assert!(weir == ss_says || close, "{end} {name}: {weir}, not {ss_says}: {}", ss.0);
        }
        let again = ss
            .word("retrans")
            .map_or(0, |word| word.split('/').nth(1).and_then(|all| all.parse().ok()).expect("a number"));
        assert_eq!(of("retransmitted_segments"), again, "{}", ss.0);
    }
    assert!(found["source_tcp_retransmitted_segments"].as_u64() > Some(20), "it was lossy: {found:#}");
    assert!(found["source_tcp_rtt"].as_u64().is_some_and(|rtt| rtt > 16_000_000), "it was far: {found:#}");
    assert_eq!(found["destination_tcp_bytes_received"], 2_000_000);
}

/// A tshark that writes a file.
struct Wire {
    child: Child,
    file: String,
}

impl Wire {
    fn start(namespace: &Namespace, device: &str) -> Self {
        let file = format!("/tmp/weirt-{}-{}.pcap", std::process::id(), namespace.name());
        let mut command = Command::new("tcpdump");
        command.args([
            "-n",
            "-p",
            "-U",
            "--immediate-mode",
            "-Z",
            "root",
            "-s",
            "128",
            "-i",
            device,
            "-w",
            &file,
        ]);
        let child = namespace.enter(|| command.stdout(Stdio::null()).stderr(Stdio::null()).spawn());
        let wire = Self { child: child.expect("tcpdump"), file };
        wait_for("tcpdump writes", PATIENCE, || {
            std::fs::metadata(&wire.file).is_ok_and(|file| file.len() > 0).then_some(())
        });
        wire
    }

    /// What tshark makes of it: these fields of the packets that fit.
    fn stop(&mut self, filter: &str, fields: &[&str]) -> Vec<Vec<String>> {
        sleep(Duration::from_millis(300));
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT);
        let _ = self.child.wait();
        let mut command = Command::new("tshark");
        command.args([
            "-r",
            &self.file,
            "-Y",
            filter,
            "-T",
            "fields",
            "-o",
            "tcp.relative_sequence_numbers:FALSE",
        ]);
        command.args(fields.iter().flat_map(|field| ["-e", field]));
        let output = command.output().expect("tshark");
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.file);
    }
}

#[test]
fn root_handshakes_and_retransmissions_are_those_on_the_wire() {
    let path = Path::new(Terms { lossy: Some(25), ..Terms::far(12) });
    let _server = python(&path.far, ":", SERVER, &[]);
    let agent = Agent::start_joined(&path.near, &["-i", DEVICE]);
    let mut wire = Wire::start(&path.near, DEVICE);
    let client = python(&path.near, ":", CLIENT, &[FAR, "1000000"]);
    drop(client);
    sleep(Duration::from_millis(500));
    let answers = wire.stop("tcp.flags.syn == 1 && tcp.flags.ack == 1", &["tcp.analysis.ack_rtt"]);
    let data = wire.stop(&format!("tcp.dstport == {PORT} && tcp.len > 0"), &["tcp.seq", "tcp.len"]);
    let flows = flows(&agent.stop_and_read());
    let found = only(&flows, |one| one["destination_port"] == PORT);
    let seconds: f64 = answers[0][0].parse().expect("a time");
    let handshake = found["source_tcp_handshake_time"].as_u64().expect("there was one") as f64 / 1e9;
    assert!((handshake - seconds).abs() < 0.001_f64.max(seconds * 0.05), "{handshake}, not {seconds}");
    let mut seen = HashSet::new();
    let again = data.iter().filter(|one| !seen.insert(one[0].clone())).count() as u64;
    assert!(again > 10, "it was lossy");
    assert_eq!(found["source_tcp_retransmitted_segments"], again);
    let bytes: u64 = data.iter().map(|one| one[1].parse::<u64>().expect("a length")).sum();
    assert_eq!(found["source_tcp_bytes_sent"], bytes);
}

/// Connections that fail, each in its way.
#[test]
fn root_failures_have_their_causes_and_resets_are_those_of_nstat() {
    /// 1: who comes is reset at once; 2: after a byte.
    const RESETTING: &str = r#"
import socket, struct
def bound(port):
    one = socket.socket()
    one.bind(('0.0.0.0', port))
    one.listen(16)
    return one
at_once, later = bound(5001), bound(5002)
print('ready', flush=True)
for listening in [at_once, later]:
    connection, _ = listening.accept()
    if listening is later:
        connection.sendall(b'a')
        connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    connection.close()
"#;
    const FAILING: &str = r#"
import socket, sys, time
def attempt(port, seconds=None):
    one = socket.socket()
    one.settimeout(seconds)
    try:
        one.connect((sys.argv[1], port))
        return one
    except OSError:
        one.close()
try:
    attempt(5001).recv(1)
except OSError:
    pass
one = attempt(5002)
one.recv(1)
one.sendall(b'b')
try:
    one.recv(1)
except OSError:
    pass
attempt(5003)
attempt(5004)
attempt(5005, 0.5)
attempt(5006)
print('ready', flush=True)
sys.stdin.read()
"#;
    let pair = Pair::new();
    pair.left.sysctl("net/ipv4/tcp_syn_retries", "1");
    let rules = "add table ip t; add chain ip t i { type filter hook input priority 0; }; \
                 add rule ip t i tcp dport 5004 reject with icmp type host-unreachable; \
                 add rule ip t i tcp dport 5005 drop; add rule ip t i tcp dport 5006 drop";
    pair.right.run("nft", &[rules]);
    let _server = python(&pair.right, ":", RESETTING, &[]);
    let netns = [pair.left.name(), pair.right.name()];
    let agent = Agent::start_joined(&pair.left, &["-i", INTERFACE, "--netns", netns[0], "--netns", netns[1]]);
    let _client = python(&pair.left, ":", FAILING, &[RIGHT]);
    let (sent, failed) = (nstat(&pair.right, "TcpOutRsts"), nstat(&pair.left, "TcpAttemptFails"));
    let flows = flows(&agent.stop_and_read());
    let to = |port: u16| only(&flows, |one| one["destination_port"] == port);
    for (port, failure) in [
        (5001, "reset_in_handshake"),
        (5002, "reset"),
        (5003, "refused"),
        (5004, "unreachable"),
        (5005, "abandoned"),
        (5006, "timed_out"),
    ] {
        assert_eq!(to(port)["source_tcp_failure"], failure, "{port}: {:#}", to(port));
    }
    let sum = |name: &str| flows.iter().filter_map(|one| one[name].as_u64()).sum::<u64>();
    assert_eq!((sum("destination_tcp_resets_sent"), sum("source_tcp_resets_received")), (sent, 3));
    assert_eq!(sent, 3);
    // Those that never were connections; the kernel does not count what a process gives up by itself.
    let never = ["refused", "unreachable", "timed_out"];
    let never = flows.iter().filter(|one| never.iter().any(|word| one["source_tcp_failure"] == **word));
    assert_eq!(never.count() as u64, failed);
}

/// A server that does not accept: those that it turns away say why.
#[test]
fn root_a_full_accept_queue_is_the_cause() {
    const SERVER: &str = r#"
import socket, sys
listening = socket.socket()
listening.bind(('0.0.0.0', 5001))
listening.listen(0)
print('ready', flush=True)
sys.stdin.read()
"#;
    let pair = Pair::new();
    let _server = python(&pair.right, ":", SERVER, &[]);
    let agent = Agent::start_joined(&pair.right, &["-i", INTERFACE]);
    let connect = format!(
        "for i in 1 2 3 4; do timeout 2 bash -c 'exec 3<>/dev/tcp/{RIGHT}/{PORT}; sleep 8' & done; wait"
    );
    let mut clients: Shell = shell(&pair.left, &connect);
    clients.0.wait().expect("it ends");
    let overflows = nstat(&pair.right, "TcpExtListenOverflows");
    let flows = flows(&agent.stop_and_read());
    let turned_away =
        flows.iter().filter(|one| one["destination_tcp_failure"] == "accept_queue_full").count();
    assert!(overflows > 0 && turned_away > 0, "{overflows} overflows: {flows:#?}");
    for one in flows.iter().filter(|one| one["tcp_state"] == "attempted") {
        assert_eq!(one["destination_tcp_failure"], "accept_queue_full", "{one:#}");
    }
}

/// `weir trace tcp`: each end of a connection as it ends.
#[test]
fn root_ends_are_told_with_all_that_was_kept() {
    let path = Path::new(Terms::far(5));
    let _server = python(&path.far, ":", SERVER, &[]);
    let trace = ["trace", "tcp", "-o", "json", "--count", "2", "--duration", "20s", "--filter"];
    let filter = format!("port == {PORT}");
    let tracing = std::thread::scope(|scope| {
        let traced = scope.spawn(|| Agent::run(&path.near, &[], &[&trace[..], &[&filter]].concat()));
        // It says nothing when it has begun: connections come until it has heard of one.
        for _ in 0..20 {
            if traced.is_finished() {
                break;
            }
            drop(python(&path.near, ":", CLIENT, &[FAR, "5000"]));
            sleep(Duration::from_millis(300));
        }
        traced.join().expect("it ends")
    });
    let (status, printed, said) = tracing;
    assert!(status.success(), "{said:?}");
    let told: Vec<Value> = printed.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(told.len(), 2, "{said:?}");
    for one in &told {
        assert_eq!(one["type"], "tcp");
        let (sent, state) =
            if one["destination_port"] == PORT { (5000, "fin_wait_2") } else { (0, "last_ack") };
        assert_eq!(
            (&one["source_tcp_bytes_sent"], &one["socket_state"]),
            (&sent.into(), &state.into()),
            "{one:#}"
        );
        assert!(one["source_tcp_rtt"].as_u64().is_some_and(|rtt| rtt > 9_000_000), "{one:#}");
        assert_eq!((&one["source_process"], &one["source_tcp_failure"]), (&"python3".into(), &Value::Null));
    }
}
