//! Handshakes of connections that are only forwarded: held against tshark on the wire towards the server.

use serde_json::Value;
use std::thread::sleep;
use std::time::Duration;
use weir_tests::agent::Agent;
use weir_tests::forwarded::{
    CLIENT, CLIENT_SIDE, Forwarded, SERVER, SERVER_GATEWAY, SERVER_IPV6, SERVER_SIDE,
};
use weir_tests::netns::Namespace;
use weir_tests::shell::python;
use weir_tests::wire::Wire;

const TO_CLIENT: Duration = Duration::from_millis(6);
const TO_SERVER: Duration = Duration::from_millis(20);
const BOTH: [&str; 4] = ["-i", CLIENT_SIDE, "-i", SERVER_SIDE];

/// Answers whoever comes, and whatever he says.
const ANSWERING: &str = r#"
import socket
listening = socket.create_server(('::', 5001), family=socket.AF_INET6, dualstack_ipv6=True)
print('ready', flush=True)
while True:
    connection, _ = listening.accept()
    while connection.recv(1000):
        connection.sendall(b'a')
    connection.close()
"#;

/// Asks from this port, and once more.
const ASKING: &str = r#"
import socket, sys
connection = socket.create_connection((sys.argv[1], 5001), source_address=('', int(sys.argv[2])))
for _ in range(2):
    connection.sendall(b'q')
    connection.recv(1)
connection.close()
print('ready', flush=True)
"#;

fn ask(namespace: &Namespace, address: &str, port: u16) {
    drop(python(namespace, ":", ASKING, &[address, &port.to_string()]));
}

/// All that an agent says which stops.
fn said(agent: Agent) -> Vec<Value> {
    agent.stop_and_read().iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The records of an agent that stops, of the connection from this port.
fn of_port(agent: Agent, port: u16) -> Vec<Value> {
    let mine = |one: &Value| one["source_port"] == port || one["destination_port"] == port;
    said(agent).into_iter().filter(|one| one["type"] == "flow" && mine(one)).collect()
}

/// In microseconds.
struct Ways {
    client: f64,
    server: f64,
    /// How many SYNs it took.
    asked: usize,
}

/// What the wire says of the same.
fn on_the_wire(wire: &mut Wire, port: u16) -> Ways {
    let fields = ["frame.time_epoch", "tcp.flags.syn", "tcp.flags.ack", "tcp.dstport"];
    let (mut asked, mut answered, mut ways) = (0.0, None, Ways { client: 0.0, server: 0.0, asked: 0 });
    for packet in wire.read(&format!("tcp.port == {port}"), &fields) {
        let time: f64 = packet[0].parse().expect("a time");
        let is = |flag: &str| ["1", "True"].contains(&flag);
        match (is(&packet[1]), is(&packet[2]), packet[3] == port.to_string()) {
            (true, false, false) => {
                (asked, answered) = (time, None);
                ways.asked += 1;
            }
            (true, true, true) => {
                if answered.is_none() {
                    ways.server = (time - asked) * 1e6;
                }
                answered = Some(time);
            }
            (false, true, false) => {
                ways.client = (time - answered.expect("it was answered")) * 1e6;
                return ways;
            }
            _ => {}
        }
    }
    panic!("there was a handshake");
}

fn assert_near(record: &Value, name: &str, wanted: f64) {
    let found = record[name].as_u64().unwrap_or_else(|| panic!("{name}: {record:#}")) as f64;
    assert!((found - wanted).abs() < 1e3_f64.max(wanted * 0.05), "{name}: {found}, not {wanted}");
}

/// Every record of the connection has both ways, each for its own source and destination.
fn assert_all(records: &[Value], port: u16, ways: &Ways) {
    for record in records {
        let asks = record["source_port"] == port;
        let (source, destination) =
            if asks { (ways.client, ways.server) } else { (ways.server, ways.client) };
        assert_near(record, "source_handshake_rtt", source);
        assert_near(record, "destination_handshake_rtt", destination);
    }
}

fn assert_none(records: &[Value]) {
    for one in records {
        assert_eq!(
            (&one["source_handshake_rtt"], &one["destination_handshake_rtt"]),
            (&Value::Null, &Value::Null)
        );
    }
}

#[test]
fn root_both_ways_are_those_on_the_wire() {
    assert_both_ways(&Forwarded::new(TO_CLIENT, TO_SERVER));
}

#[test]
fn root_what_a_bridge_passes_on_is_timed_too() {
    assert_both_ways(&Forwarded::bridged(TO_CLIENT, TO_SERVER));
}

fn assert_both_ways(row: &Forwarded) {
    let _server = python(&row.server, ":", ANSWERING, &[]);
    for (address, port) in [(SERVER, 41_000), (SERVER_IPV6, 41_001)] {
        let joined = Agent::start_joined(&row.router, &BOTH);
        let apart = Agent::start(&row.router, &BOTH);
        let mut wire = Wire::start_at_tc(&row.router, SERVER_SIDE);
        ask(&row.client, address, port);
        let ways = on_the_wire(&mut wire, port);
        assert!(ways.client > 11e3 && ways.server > 39e3, "it was far");
        let joined = of_port(joined, port);
        assert_eq!((joined.len(), joined[0]["source_port"].as_u64()), (1, Some(port.into())), "{joined:#?}");
        assert_all(&joined, port, &ways);
        let apart = of_port(apart, port);
        assert_eq!(apart.len(), 4, "two interfaces, two directions: {apart:#?}");
        assert_all(&apart, port, &ways);
    }
}

/// SYN and SYN-ACK come twice: the last of each count.
#[test]
fn root_what_is_sent_again_counts_from_then() {
    let row = Forwarded::new(TO_CLIENT, TO_SERVER);
    let _server = python(&row.server, ":", ANSWERING, &[]);
    let rules = "add table ip t; add chain ip t i { type filter hook input priority 0; }; \
                 add rule ip t i tcp flags & (syn|ack) == syn|ack numgen inc mod 8 == 0 drop";
    row.client.run("nft", &[rules]);
    let agent = Agent::start_joined(&row.router, &BOTH);
    let mut wire = Wire::start_at_tc(&row.router, SERVER_SIDE);
    ask(&row.client, SERVER, 41_000);
    let ways = on_the_wire(&mut wire, 41_000);
    let records = of_port(agent, 41_000);
    assert_eq!(records.len(), 1, "{records:#?}");
    assert!(ways.asked > 1, "it was asked again");
    assert_all(&records, 41_000, &ways);
    assert!(ways.client < 5e8 && ways.server < 5e8, "from the last of each on");
}

/// What the router asks for itself is not forwarded; nor is anything timed that nobody wants timed.
#[test]
fn root_the_own_connections_have_none() {
    let row = Forwarded::new(TO_CLIENT, TO_SERVER);
    let _server = python(&row.server, ":", ANSWERING, &[]);
    let without = Agent::start_joined(&row.router, &[&BOTH[..], &["--tcp", "off"]].concat());
    let agent = Agent::start_joined(&row.router, &BOTH);
    ask(&row.client, SERVER, 41_000);
    ask(&row.router, SERVER, 41_001);
    assert_none(&of_port(agent, 41_001));
    let records = of_port(without, 41_000);
    assert_eq!(records.len(), 1);
    assert_none(&records);
}

/// Behind a NAT the names at the interface towards the server count; where both are one record it has them.
#[test]
fn root_translated_connections_are_timed_by_their_new_name() {
    let row = Forwarded::new(TO_CLIENT, TO_SERVER);
    let _server = python(&row.server, ":", ANSWERING, &[]);
    let rules = format!(
        "add table ip t; add chain ip t p {{ type nat hook prerouting priority -100; }}; \
         add rule ip t p ip daddr 10.96.0.10 dnat to {SERVER}"
    );
    row.router.run("nft", &[&rules]);
    let joined = Agent::start_joined(&row.router, &BOTH);
    let apart = Agent::start(&row.router, &BOTH);
    let mut wire = Wire::start_at_tc(&row.router, SERVER_SIDE);
    ask(&row.client, "10.96.0.10", 41_000);
    let ways = on_the_wire(&mut wire, 41_000);
    let joined = of_port(joined, 41_000);
    assert_eq!(
        (joined.len(), &joined[0]["translated_destination_address"]),
        (1, &SERVER.into()),
        "{joined:#?}"
    );
    assert_all(&joined, 41_000, &ways);
    let (there, here): (Vec<_>, Vec<_>) =
        of_port(apart, 41_000).into_iter().partition(|one| one["interface"] == SERVER_SIDE);
    assert_eq!((there.len(), here.len()), (2, 2));
    assert_all(&there, 41_000, &ways);
    assert_none(&here);
}

const INSIDE: &str = "weirx";
const INSIDE_NEAR: &str = "10.99.0.1";
const INSIDE_FAR: &str = "10.99.0.2";

/// A tunnel between two hosts, by their addresses, the near one first.
fn tunnel(ends: [(&Namespace, &str); 2]) {
    let macs = ["02:00:00:00:01:01", "02:00:00:00:01:02"];
    let addresses = [INSIDE_NEAR, INSIDE_FAR];
    for (own, other) in [(0, 1), (1, 0)] {
        let ((host, local), (_, remote)) = (ends[own], ends[other]);
        let kind = format!("vxlan id 42 dstport 4789 local {local} remote {remote}");
        host.ip(&format!("link add {INSIDE} address {} type {kind}", macs[own]));
        host.ip(&format!("address add {}/24 dev {INSIDE}", addresses[own]));
        host.ip(&format!("link set {INSIDE} up"));
        host.ip(&format!("neighbour replace {} lladdr {} dev {INSIDE}", addresses[other], macs[other]));
    }
}

/// Client and server have a tunnel; who passes it on, and looks into it, times what is in there.
#[test]
fn root_connections_in_a_tunnel_that_passes_through_are_timed() {
    let row = Forwarded::new(TO_CLIENT, TO_SERVER);
    tunnel([(&row.client, CLIENT), (&row.server, SERVER)]);
    let _server = python(&row.server, ":", ANSWERING, &[]);
    let agent = Agent::start_joined(&row.router, &[&BOTH[..], &["--decapsulate"]].concat());
    let mut wire = Wire::start_at_tc(&row.router, SERVER_SIDE);
    ask(&row.client, INSIDE_FAR, 41_000);
    let ways = on_the_wire(&mut wire, 41_000);
    assert!(ways.client > 11e3 && ways.server > 39e3, "it was far");
    let records = of_port(agent, 41_000);
    assert_eq!(records.len(), 1, "{records:#?}");
    assert!(records[0]["parent_id"].is_string(), "it was inside: {records:#?}");
    assert_all(&records, 41_000, &ways);
}

/// The tunnel begins where packets are forwarded: they leave for the server at the tunnel's own interface.
#[test]
fn root_connections_that_go_on_in_a_tunnel_are_timed() {
    let row = Forwarded::new(TO_CLIENT, TO_SERVER);
    tunnel([(&row.router, SERVER_GATEWAY), (&row.server, SERVER)]);
    row.server.ip(&format!("route add {CLIENT}/32 via {INSIDE_NEAR} dev {INSIDE}"));
    let _server = python(&row.server, ":", ANSWERING, &[]);
    let agent = Agent::start_joined(&row.router, &[&BOTH[..], &["-i", INSIDE, "--decapsulate"]].concat());
    let mut wire = Wire::start_at_tc(&row.router, INSIDE);
    ask(&row.client, INSIDE_FAR, 41_000);
    let ways = on_the_wire(&mut wire, 41_000);
    assert!(ways.client > 11e3 && ways.server > 39e3, "it was far");
    let records = of_port(agent, 41_000);
    assert_eq!(records.len(), 1, "{records:#?}");
    assert_all(&records, 41_000, &ways);
}

/// The ledger says what was told, and of a connection that goes on every record has it.
#[test]
fn root_each_record_has_it_and_the_books_say_how_many() {
    const STAYING: &str = r#"
import socket, sys, time
connection = socket.create_connection((sys.argv[1], 5001), source_address=('', 41000))
print('ready', flush=True)
while True:
    connection.sendall(b'q')
    connection.recv(1)
    time.sleep(0.1)
"#;
    let row = Forwarded::new(TO_CLIENT, TO_SERVER);
    let _server = python(&row.server, ":", ANSWERING, &[]);
    let agent = Agent::start_joined(&row.router, &[&BOTH[..], &["--active-timeout", "2s"]].concat());
    let client = python(&row.client, ":", STAYING, &[SERVER]);
    sleep(Duration::from_secs(7));
    drop(client);
    let said = said(agent);
    let records: Vec<_> = said.iter().filter(|one| one["destination_port"] == 5001).collect();
    assert!(records.len() > 2, "{records:#?}");
    assert!(records.iter().all(|one| one["source_handshake_rtt"].is_u64()), "{records:#?}");
    let told = said.iter().find(|one| one["probe"] == "handshakes").expect("it has its books");
    assert_eq!((&told["events"], &told["lost_events"], &told["evicted"]), (&1.into(), &0.into(), &0.into()));
}
