//! `weir why`: set-ups whose limit is known, since the test made it.

use serde_json::Value;
use std::thread::sleep;
use std::time::Duration;
use weir_tests::agent::Agent;
use weir_tests::netns::Namespace;
use weir_tests::path::{FAR, NEAR, Path, Terms};
use weir_tests::queues;
use weir_tests::shell::{Shell, python};
use weir_tests::witness::nstat;

const PORT: &str = "5001";

/// Takes what comes: `sys.argv[1]` bytes at a time, then waits for `sys.argv[2]` seconds; of a small buffer if there is
/// a third.
const READER: &str = r#"
import socket, sys, time
listening = socket.socket()
listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listening.bind(('0.0.0.0', 5001))
listening.listen(16)
print('ready', flush=True)
connection, _ = listening.accept()
while connection.recv(int(sys.argv[1])):
    time.sleep(float(sys.argv[2]))
"#;

/// Sends `sys.argv[2]` bytes at a time and waits for `sys.argv[3]` seconds; with a send buffer of `sys.argv[4]` bytes.
const WRITER: &str = r#"
import socket, sys, time
connection = socket.socket()
if int(sys.argv[4]):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, int(sys.argv[4]))
connection.connect((sys.argv[1], 5001))
print('ready', flush=True)
while True:
    connection.sendall(bytes(int(sys.argv[2])))
    time.sleep(float(sys.argv[3]))
"#;

/// What `weir why` says in a namespace.
fn why(namespace: &Namespace, args: &[&str]) -> Vec<Value> {
    let (status, printed, said) = Agent::run(namespace, &[], &[&["why", "-o", "json"], args].concat());
    assert!(status.success() && said.is_empty(), "{status}: {said:?}");
    printed.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// A connection over the path, for long enough that what limits it shows.
fn talking(path: &Path, reader: [&str; 2], writer: [&str; 3]) -> [Shell; 2] {
    let server = python(&path.far, ":", READER, &reader);
    let client = python(&path.near, ":", WRITER, &[&[FAR], &writer[..]].concat());
    sleep(Duration::from_secs(3));
    [server, client]
}

const FAST_READER: [&str; 2] = ["1000000", "0"];
const FAST_WRITER: [&str; 3] = ["262144", "0", "0"];

/// Told by the end that sends alone, and by both; of the sender's book all are here.
fn assert_limited(path: &Path, verdict: &str) {
    let both = [path.near.name(), path.far.name()];
    for args in [
        vec![&format!("{FAR}:{PORT}")[..]],
        vec![&format!("port == {PORT}")[..], "--netns", both[0], "--netns", both[1]],
    ] {
        let said = why(&path.near, &args);
        assert_eq!(said.len(), 1, "{said:#?}");
        let one = &said[0];
        assert_eq!(one["verdict"], verdict, "{args:?}: {:#}", one["limits"]);
        assert!(one["confidence"].as_f64().is_some_and(|sure| sure > 0.5), "{:#}", one["limits"]);
        assert_eq!((&one["subject"], &one["source_process"]), (&"connection".into(), &"python3".into()));
        assert_eq!((&one["source_address"], &one["destination_address"]), (&NEAR.into(), &FAR.into()));
        let evidence = one["limits"][0]["evidence"].as_array().expect("a list");
        assert!(!evidence.is_empty(), "{one:#}");
    }
}

#[test]
fn root_a_slow_reader() {
    let path = Path::new(Terms::far(1));
    let _talking = talking(&path, ["2000", "0.1"], FAST_WRITER);
    assert_limited(&path, "receiver_window");
    // The reader's own end knows as well, and who it is.
    let said = why(&path.far, &[&format!(":{PORT}")]);
    assert_eq!(said[0]["verdict"], "receiver_window", "{said:#?}");
    let evidence = said[0]["limits"][0]["evidence"].to_string();
    assert!(evidence.contains("python3") && evidence.contains("unread"), "{evidence}");
}

#[test]
fn root_a_slow_writer() {
    let path = Path::new(Terms::far(5));
    let talking = talking(&path, FAST_READER, ["2000", "0.2", "0"]);
    assert_limited(&path, "application");
    let by_process = why(&path.near, &[&talking[1].0.id().to_string()]);
    assert_eq!(by_process[0]["verdict"], "application", "{by_process:#?}");
}

#[test]
fn root_a_lossy_link() {
    let path = Path::new(Terms { lossy: Some(31), ..Terms::far(10) });
    let _talking = talking(&path, FAST_READER, FAST_WRITER);
    assert_limited(&path, "loss");
}

#[test]
fn root_a_narrow_link() {
    let narrow = Some((5_000_000, Duration::from_millis(400)));
    let path = Path::new(Terms { narrow, ..Terms::far(5) });
    let _talking = talking(&path, FAST_READER, FAST_WRITER);
    assert_limited(&path, "narrow_link");
}

#[test]
fn root_a_small_send_buffer() {
    let path = Path::new(Terms::far(20));
    let _talking = talking(&path, FAST_READER, ["65536", "0", "4096"]);
    assert_limited(&path, "send_buffer");
}

#[test]
fn root_a_full_accept_queue() {
    const CLIENTS: &str = r#"
import socket, sys, time
asking = []
for _ in range(6):
    one = socket.socket()
    one.setblocking(False)
    one.connect_ex((sys.argv[1], 5001))
    asking.append(one)
    time.sleep(0.2)
print('ready', flush=True)
sys.stdin.read()
"#;
    let path = Path::new(Terms::far(1));
    let _server = queues::fills_accept_queue(&path.far, 1);
    let _clients = python(&path.near, ":", CLIENTS, &[FAR]);
    let here = why(&path.far, &[&format!("{FAR}:{PORT}"), "--duration", "4s"]);
    assert_eq!(
        (&here[0]["verdict"], &here[0]["subject"]),
        (&"accept_queue".into(), &"port".into()),
        "{here:#?}"
    );
    let evidence = here[0]["limits"][0]["evidence"].to_string();
    assert!(evidence.contains("has 2 connections to accept, room is for 2"), "{evidence}");
    assert!(nstat(&path.far, "TcpExtListenOverflows") > 0);
    assert_eq!(here[0]["destination_process"], "python3");
    // Whose connections wait is known where both ends are: some believe to be connected, some are still asking.
    let args =
        [&format!(":{PORT}"), "--duration", "4s", "--netns", path.near.name(), "--netns", path.far.name()];
    let both = why(&path.near, &args);
    let verdicts: Vec<_> = both.iter().map(|one| &one["verdict"]).collect();
    assert!(both.len() >= 7 && verdicts.iter().all(|verdict| *verdict == "accept_queue"), "{verdicts:?}");
}

#[test]
fn root_a_full_syn_queue() {
    const CLIENTS: &str = r#"
import socket, sys, time
asking = []
print('ready', flush=True)
for _ in range(40):
    one = socket.socket()
    one.setblocking(False)
    one.connect_ex((sys.argv[1], 5001))
    asking.append(one)
    time.sleep(0.2)
sys.stdin.read()
"#;
    let path = Path::new(Terms::far(1));
    let _server = queues::fills_syn_queue(&path.far, &path.near, 3);
    let _clients = python(&path.near, ":", CLIENTS, &[FAR]);
    let here = why(&path.far, &[&format!("{FAR}:{PORT}"), "--duration", "4s"]);
    assert_eq!(
        (&here[0]["verdict"], &here[0]["subject"]),
        (&"syn_queue".into(), &"port".into()),
        "{here:#?}"
    );
    let evidence = here[0]["limits"][0]["evidence"].to_string();
    assert!(evidence.contains("handshakes are under way, room is for 3"), "{evidence}");
    assert!(nstat(&path.far, "TcpExtTCPReqQFullDrop") > 0);
    assert_eq!(nstat(&path.far, "TcpExtListenOverflows"), 0);
}

#[test]
fn root_a_closed_port() {
    const CLIENT: &str = r#"
import socket, sys, time
print('ready', flush=True)
while True:
    try:
        socket.create_connection((sys.argv[1], 5001), 5)
    except ConnectionRefusedError:
        pass
    time.sleep(0.1)
"#;
    let path = Path::new(Terms::far(1));
    let client = python(&path.near, ":", CLIENT, &[FAR]);
    let said = why(&path.near, &[&format!("{FAR}:{PORT}"), "--duration", "2s"]);
    assert_eq!(said.len(), 1, "{said:#?}");
    assert_eq!((&said[0]["verdict"], &said[0]["subject"]), (&"refused".into(), &"attempts".into()));
    assert!(said[0]["attempts"].as_u64().is_some_and(|count| count > 5), "{said:#?}");
    assert_eq!(said[0]["source_pid"], client.0.id(), "{said:#?}");
    // The end that refuses says who asks, and that nobody listens.
    let there = why(&path.far, &[&format!(":{PORT}"), "--duration", "2s"]);
    assert_eq!(
        (&there[0]["verdict"], &there[0]["source_address"]),
        (&"refused".into(), &NEAR.into()),
        "{there:#?}"
    );
    let evidence = there[0]["limits"][0]["evidence"].to_string();
    assert!(evidence.contains("nobody listens on port 5001"), "{evidence}");
    drop(client);
    let nobody = why(&path.far, &[&format!(":{PORT}")]);
    assert_eq!(
        (&nobody[0]["verdict"], &nobody[0]["subject"]),
        (&"refused".into(), &"port".into()),
        "{nobody:#?}"
    );
}

#[test]
fn root_what_makes_no_sense_is_said() {
    let path = Path::new(Terms::far(1));
    let (status, _, said) = Agent::run(&path.near, &[], &["why", "no such thing"]);
    assert_eq!((status.code(), said.len()), (Some(2), 1), "{said:?}");
    let (status, printed, _) = Agent::run(&path.near, &[], &["why", "10.78.0.99:80", "--duration", "200ms"]);
    assert!(status.success() && printed[0].starts_with("No such connection"), "{printed:?}");
}
