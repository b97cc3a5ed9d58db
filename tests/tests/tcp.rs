//! How TCP connections fare: held against `ss`, tshark on the same wire, and `nstat`.

use serde_json::Value;
use std::collections::HashSet;
use std::thread::sleep;
use std::time::Duration;
use weir_tests::agent::Agent;
use weir_tests::pair::{INTERFACE, Pair, RIGHT};
use weir_tests::path::{DEVICE, FAR, Path, Terms};
use weir_tests::queues;
use weir_tests::shell::{Shell, python, shell};
use weir_tests::ss::Ss;
use weir_tests::wire::Wire;
use weir_tests::witness::nstat;

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

/// Every number of a connection that has come to rest, at both ends.
#[test]
fn root_numbers_are_those_of_ss() {
    let path = Path::new(Terms { lossy: Some(40), ..Terms::far(8) });
    let _server = python(&path.far, ":", SERVER, &[]);
    let netns = [path.near.name(), path.far.name()];
    let agent = Agent::start_joined(&path.near, &["-i", DEVICE, "--netns", netns[0], "--netns", netns[1]]);
    let _client = python(&path.near, ":", CLIENT, &[FAR, "2000000"]);
    let near = Ss::of(&path.near, &format!("dport = :{PORT}"));
    let far = Ss::of(&path.far, &format!("sport = :{PORT}"));
    let flows = flows(&agent.stop_and_read());
    let found = only(&flows, |one| one["destination_port"] == PORT);
    near.assert_agrees(found, "source");
    far.assert_agrees(found, "destination");
    assert!(found["source_tcp_retransmitted_segments"].as_u64() > Some(20), "it was lossy: {found:#}");
    assert!(found["source_tcp_rtt"].as_u64().is_some_and(|rtt| rtt > 16_000), "it was far: {found:#}");
    assert_eq!(found["destination_tcp_bytes_received"], 2_000_000);
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
    let answers = wire.read("tcp.flags.syn == 1 && tcp.flags.ack == 1", &["tcp.analysis.ack_rtt"]);
    let data = wire.read(&format!("tcp.dstport == {PORT} && tcp.len > 0"), &["tcp.seq", "tcp.len"]);
    let flows = flows(&agent.stop_and_read());
    let found = only(&flows, |one| one["destination_port"] == PORT);
    let seconds: f64 = answers[0][0].parse().expect("a time");
    let handshake = found["source_tcp_handshake_time"].as_u64().expect("there was one") as f64 / 1e6;
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
    let pair = Pair::new();
    let _server = queues::fills_accept_queue(&pair.right, 0);
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

/// A server whose handshakes are not finished: those that it turns away say why.
#[test]
fn root_a_full_syn_queue_is_the_cause() {
    let pair = Pair::new();
    let _server = queues::fills_syn_queue(&pair.right, &pair.left, 2);
    let agent = Agent::start_joined(&pair.right, &["-i", INTERFACE]);
    let connect = format!(
        "for i in $(seq 12); do timeout 5 bash -c 'exec 3<>/dev/tcp/{RIGHT}/{PORT}' & sleep 0.1; done; wait"
    );
    let mut clients: Shell = shell(&pair.left, &connect);
    clients.0.wait().expect("it ends");
    let flows = flows(&agent.stop_and_read());
    assert!(nstat(&pair.right, "TcpExtTCPReqQFullDrop") > 0);
    assert_eq!(nstat(&pair.right, "TcpExtListenOverflows"), 0);
    let causes: Vec<_> = flows
        .iter()
        .filter(|one| one["tcp_state"] == "attempted")
        .map(|one| &one["destination_tcp_failure"])
        .collect();
    assert!(causes.iter().any(|cause| *cause == "syn_queue_full"), "{flows:#?}");
    assert!(causes.iter().all(|cause| *cause != "accept_queue_full"), "{causes:?}");
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
        assert!(one["source_tcp_rtt"].as_u64().is_some_and(|rtt| rtt > 9_000), "{one:#}");
        assert_eq!((&one["source_process"], &one["source_tcp_failure"]), (&"python3".into(), &Value::Null));
    }
}
