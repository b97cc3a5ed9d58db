//! More happens than the kernel has room for. What an agent misses that is held up is in its books, to the event; one that
//! is not reads often enough.

use nix::sys::signal::Signal;
use std::io::Read;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;
use weir_tests::agent::{Agent, Outcome};
use weir_tests::control::status;
use weir_tests::dns::{forged, question_of};
use weir_tests::forwarded::{CLIENT_SIDE, Forwarded, SERVER, SERVER_SIDE};
use weir_tests::output::Probe;
use weir_tests::pair::{INTERFACE, LEFT, Pair, RIGHT};
use weir_tests::shell::python;
use weir_tests::trace::Trace;
use weir_tests::witness::nstat;

const PATIENCE: Duration = Duration::from_secs(20);
const QUESTIONS: u64 = 30_000;

/// What the books say of a probe.
fn books<'a>(outcome: &'a Outcome, name: &str) -> &'a Probe {
    outcome.probes.iter().find(|one| one.probe == name).expect("it has its books")
}

/// The same, of one that lost some.
fn lossy<'a>(outcome: &'a Outcome, name: &str) -> &'a Probe {
    let probe = books(outcome, name);
    assert!(probe.lost_events > 0 && probe.events > 0, "{probe:?}");
    probe
}

/// Questions that are heard, and not answered.
fn ask(pair: &Pair) {
    let _server = pair.right.enter(|| UdpSocket::bind((RIGHT, 53)).expect("port 53"));
    let client = pair.left.enter(|| UdpSocket::bind((LEFT, 0)).expect("a port"));
    client.connect((RIGHT, 53)).expect("an address");
    let question = question_of(&forged(&[b"busy", b"example"], [10, 77, 0, 3])).expect("a question");
    for _ in 0..QUESTIONS {
        client.send(&question).expect("it is sent");
    }
}

#[test]
fn root_messages_of_dns_that_were_lost_are_counted() {
    let pair = Pair::new();
    let agent = Agent::start_joined(&pair.left, &["-i", INTERFACE]);
    agent.signal(Signal::SIGSTOP);
    ask(&pair);
    agent.signal(Signal::SIGCONT);
    let said = agent.wait_for_line("events lost (dns)", PATIENCE);
    let state = status(&agent.socket())["identity"]["names"].clone();
    let outcome = agent.stop();
    outcome.assert_observed();
    let dns = lossy(&outcome, "dns");
    assert_eq!(dns.events + dns.lost_events, QUESTIONS, "{dns:?}");
    assert_eq!(state["lost_dns_messages"], dns.lost_events, "{state}");
    assert!(said.contains(&format!("weir: {} events lost", dns.lost_events)), "{said}, {dns:?}");
}

/// In a stream of events the loss stands where it happened.
#[test]
fn root_a_trace_says_which_messages_of_dns_it_has_not_heard() {
    let pair = Pair::new();
    let filter = format!("host == {RIGHT}");
    let trace = Trace::start(&pair.left, &["dns", "--dns-timeout", "1s", "--filter", &filter]);
    trace.signal(Signal::SIGSTOP);
    ask(&pair);
    trace.signal(Signal::SIGCONT);
    let lost = trace.wait_for("the loss", |events| events.iter().find(|one| one["type"] == "lost").cloned());
    assert_eq!((&lost["probe"], &lost["cause"]), (&"dns".into(), &"ring_full".into()), "{lost}");
    // Each question crosses two interfaces.
    assert!(lost["events"].as_u64().is_some_and(|count| count > 0 && count < 2 * QUESTIONS), "{lost}");
}

#[test]
fn root_handshakes_that_were_lost_are_counted() {
    const CONNECTIONS: u64 = 3000;
    const ANSWERING: &str = "
import socket
listening = socket.create_server(('0.0.0.0', 5001), backlog=1000)
print('ready', flush=True)
while True: listening.accept()[0].close()";
    const ASKING: &str = "
import socket, sys
for port in range(int(sys.argv[2])):
    with socket.create_connection((sys.argv[1], 5001), source_address=('', 10000 + port)) as one: one.recv(1)
print('ready', flush=True)";
    // Each with a port of its own: the kernel's choice comes round again, and of two connections between the same ends
    // in one interval only the first is timed.
    let row = Forwarded::new(Duration::ZERO, Duration::ZERO);
    let _server = python(&row.server, ":", ANSWERING, &[]);
    // The ring has its share of the budget: here some thousand handshakes.
    let budget = ["-i", CLIENT_SIDE, "-i", SERVER_SIDE, "--memory-budget", "16MiB"];
    let agent = Agent::start_joined(&row.router, &budget);
    agent.signal(Signal::SIGSTOP);
    drop(python(&row.client, ":", ASKING, &[SERVER, &CONNECTIONS.to_string()]));
    agent.signal(Signal::SIGCONT);
    let said = agent.wait_for_line("events lost (handshakes)", PATIENCE);
    let outcome = agent.stop();
    let handshakes = lossy(&outcome, "handshakes");
    assert_eq!(nstat(&row.client, "TcpActiveOpens"), CONNECTIONS);
    assert_eq!(handshakes.events + handshakes.lost_events, CONNECTIONS, "{handshakes:?}");
    assert!(
        said.contains(&format!("weir: {} events lost", handshakes.lost_events)),
        "{said}, {handshakes:?}"
    );
}

/// Many times what the rings hold, long before anything is due.
#[test]
fn root_rings_are_read_as_fast_as_they_fill() {
    const CONNECTIONS: usize = 40_000;
    const LISTENING: usize = 4;
    let pair = Pair::new();
    let agent = Agent::start_joined(&pair.left, &["-i", INTERFACE, "--interval", "60s"]);
    pair.left.enter(|| {
        // Several, as each waits for its time to be over, and ports of its other end are 28 000.
        let listening: Vec<_> =
            (0..LISTENING).map(|_| TcpListener::bind(("127.0.0.1", 0)).expect("a port")).collect();
        for number in 0..CONNECTIONS {
            let asked = &listening[number % LISTENING];
            drop(TcpStream::connect(asked.local_addr().expect("bound")).expect("it listens"));
            let (mut come, _) = asked.accept().expect("it has come");
            assert_eq!(come.read(&mut [0]).expect("it can be read"), 0);
        }
    });
    assert_eq!(nstat(&pair.left, "TcpPassiveOpens"), CONNECTIONS as u64);
    let outcome = agent.stop();
    let (tcp, sockets) = (books(&outcome, "tcp"), books(&outcome, "sockets"));
    // Each connection has two ends, and both are used.
    assert!(tcp.events >= 2 * CONNECTIONS as u64 && tcp.lost_events == 0, "{tcp:?}");
    let events = sockets.events / CONNECTIONS as u64;
    assert!(events == 2 && sockets.lost_events == 0, "their ends alone are told: {sockets:?}");
}
