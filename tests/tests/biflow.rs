//! Who began a conversation, and how far it has come: held against the sockets that spoke, `ss`,
//! and crafted frames.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::sleep;
use std::time::Duration;
use weir_tests::agent::{Agent, Outcome};
use weir_tests::conversation::Conversation;
use weir_tests::frames::{ACK, FIN, Ipv4, PSH, RST, SYN, TCP, tcp};
use weir_tests::inject::Injector;
use weir_tests::pair::{INTERFACE, LEFT, Pair, RIGHT};
use weir_tests::witness::settled;
use weir_tests::{TICKS, wait_for};

fn of_port(outcome: &Outcome, port: u16) -> &Conversation {
    let has_port = |one: &&Conversation| [one.source.1, one.destination.1].contains(&Some(port));
    let mut found = outcome.conversations.iter().filter(has_port);
    let one = found.next().unwrap_or_else(|| panic!("none of {port}: {:?}", outcome.conversations));
    assert!(found.next().is_none(), "two of {port}: {:?}", outcome.conversations);
    one
}

/// A conversation in crafted frames: what left sends, and what right answers, in turn.
struct Talk {
    client: u16,
    server: u16,
    flags: &'static [(bool, u16)],
    state: &'static str,
}

const THERE: bool = true;
const BACK: bool = false;
const TALKS: [Talk; 8] = [
    Talk { client: 40_001, server: 80, flags: &[(THERE, SYN), (THERE, SYN)], state: "attempted" },
    Talk { client: 40_002, server: 80, flags: &[(THERE, SYN), (BACK, SYN | ACK)], state: "half_open" },
    Talk {
        client: 40_003,
        server: 80,
        flags: &[(THERE, SYN), (BACK, SYN | ACK), (THERE, ACK)],
        state: "established",
    },
    Talk {
        client: 40_004,
        server: 80,
        flags: &[(THERE, SYN), (BACK, SYN | ACK), (THERE, ACK), (THERE, FIN | ACK), (BACK, ACK)],
        state: "established",
    },
    Talk {
        client: 40_005,
        server: 80,
        flags: &[(THERE, SYN), (BACK, SYN | ACK), (THERE, FIN | ACK), (BACK, FIN | ACK), (THERE, ACK)],
        state: "closed",
    },
    Talk { client: 40_006, server: 80, flags: &[(THERE, SYN), (BACK, RST | ACK)], state: "reset" },
    // Its beginning was not seen.
    Talk { client: 40_007, server: 80, flags: &[(BACK, PSH | ACK), (THERE, ACK)], state: "established" },
    // The answers take another way.
    Talk { client: 40_008, server: 80, flags: &[(BACK, SYN | ACK)], state: "half_open" },
];

#[test]
fn root_flags_make_the_state() {
    let pair = Pair::new();
    let agent = Agent::start_joined(&pair.left, &["-i", INTERFACE]);
    let ends = [&pair.right, &pair.left].map(|end| Injector::open(end, INTERFACE));
    for Talk { client, server, flags, .. } in &TALKS {
        for (there, flags) in *flags {
            let there_ip = Ipv4::default();
            let back_ip =
                Ipv4 { source: there_ip.destination, destination: there_ip.source, ..Ipv4::default() };
            let frame = match *there {
                THERE => there_ip.frame(TCP, &tcp(*client, *server, *flags, &[], &[])),
                BACK => back_ip.frame(TCP, &tcp(*server, *client, *flags, &[], &[])),
            };
            ends[usize::from(*there)].send(&frame);
        }
    }
    let outcome = agent.stop();
    outcome.assert_observed();
    for Talk { client, server, flags, state } in &TALKS {
        let one = of_port(&outcome, *client);
        assert_eq!(one.tcp_state.as_deref(), Some(*state), "{one:?}");
        assert_eq!((one.source.1, one.destination.1), (Some(*client), Some(*server)), "{one:?}");
        assert_eq!(one.biflow_direction.as_deref(), Some("initiator"));
        let sent = |wanted| flags.iter().filter(|(there, _)| *there == wanted).count() as u64;
        assert_eq!(
            (one.count.packets, one.reverse.map(|back| back.packets)),
            (sent(THERE), Some(sent(BACK)))
        );
        let back = flags.iter().filter(|(there, _)| !there).fold(0, |all, (_, flags)| all | flags);
        assert_eq!(one.reverse_tcp_flags, Some(back));
    }
}

/// The states of real sockets, as `ss` has them, and who connected to whom.
#[test]
fn root_a_connection_is_what_its_sockets_say() {
    let pair = Pair::new();
    let agent = Agent::start_joined(&pair.left, &["-i", INTERFACE]);
    // A port that clients have too: it does not tell who is the server.
    let listener = pair.right.enter(|| TcpListener::bind((RIGHT, 50_080)).expect("a port"));
    let open = pair.left.enter(|| TcpStream::connect((RIGHT, 50_080)).expect("a connection"));
    let accepted = listener.accept().expect("it is there").0;
    sleep(TICKS);
    let mut closed = pair.left.enter(|| TcpStream::connect((RIGHT, 50_080)).expect("a connection"));
    let mut other = listener.accept().expect("it is there").0;
    closed.write_all(b"over").expect("it is open");
    let closed_port = closed.local_addr().expect("bound").port();
    drop(closed);
    other.read_to_end(&mut Vec::new()).expect("until FIN");
    drop(other);
    let refused = pair.left.enter(|| TcpStream::connect((RIGHT, 50_081)));
    assert_eq!(refused.expect_err("nobody listens").kind(), std::io::ErrorKind::ConnectionRefused);

    let ss = pair.left.run("ss", &["-tnH", "state", "established"]);
    let ends: Vec<_> = ss.split_whitespace().skip(2).collect();
    let [client, server] = ends[..] else { panic!("one connection is open: {ss}") };
    settled(&pair.left, INTERFACE);
    let outcome = agent.stop();
    outcome.assert_observed();
    drop((open, accepted));

    let end = |(address, port): &(Option<String>, Option<u16>)| {
        format!("{}:{}", address.as_deref().unwrap_or("-"), port.unwrap_or(0))
    };
    let established =
        of_port(&outcome, client.rsplit(':').next().and_then(|p| p.parse().ok()).expect("a port"));
    assert_eq!((end(&established.source), end(&established.destination)), (client.into(), server.into()));
    assert_eq!(established.tcp_state.as_deref(), Some("established"));
    assert!(client.starts_with(LEFT), "{client}");

    let closed = of_port(&outcome, closed_port);
    assert_eq!(closed.tcp_state.as_deref(), Some("closed"));
    assert_eq!(closed.flow_end_reason, "end_of_flow_detected");
    assert_eq!(of_port(&outcome, 50_081).tcp_state.as_deref(), Some("reset"));
}

/// Without joining there is nothing to say about the other direction.
#[test]
fn root_with_biflow_off_each_direction_speaks_for_itself() {
    let pair = Pair::new();
    let agent = Agent::start_joined(&pair.left, &["-i", INTERFACE, "--biflow", "off"]);
    pair.left.run("ping", &["-c", "1", RIGHT]);
    let outcome = agent.stop();
    outcome.assert_books();
    assert_eq!(outcome.conversations.len(), 2);
    for one in &outcome.conversations {
        assert_eq!((one.reverse, &one.biflow_direction, &one.biflow_evidence), (None, &None, &None));
    }
    let [a, b] = &outcome.conversations[..] else { unreachable!() };
    assert_eq!(a.community_id, b.community_id);
    assert!(a.community_id.as_ref().is_some_and(|id| id.starts_with("1:")) && a.flow_id != b.flow_id);
}

/// The first record of a conversation that lasts, and the next, are known for the same.
#[test]
fn root_a_conversation_that_lasts_keeps_its_id() {
    let pair = Pair::new();
    let agent = Agent::start_joined(&pair.left, &["-i", INTERFACE, "--active-timeout", "1s"]);
    let listener = pair.right.enter(|| TcpListener::bind((RIGHT, 80)).expect("a port"));
    let mut there = pair.left.enter(|| TcpStream::connect((RIGHT, 80)).expect("a connection"));
    let mut back = listener.accept().expect("it is there").0;
    for _ in 0..25 {
        there.write_all(b"x").expect("open");
        back.read_exact(&mut [0]).expect("open");
        sleep(Duration::from_millis(100));
    }
    let wire = wait_for("a last look", Duration::from_secs(5), || Some(settled(&pair.left, INTERFACE)));
    let outcome = agent.stop();
    outcome.assert_observed();
    let records = &outcome.conversations;
    assert!(records.len() >= 2, "{records:?}");
    assert!(records.iter().all(|one| one.flow_id == records[0].flow_id && one.source == records[0].source));
    assert!(records.iter().all(|one| one.tcp_state.as_deref() == Some("established")), "{records:?}");
    let packets: u64 = records.iter().map(Conversation::packets).sum();
    assert_eq!(packets, wire.tx.packets + wire.rx.packets);
}
