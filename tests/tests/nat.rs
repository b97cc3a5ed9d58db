//! Translated addresses: held against conntrack and the kernel's counters.

use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;
use weir_tests::agent::{Agent, Outcome};
use weir_tests::control::status;
use weir_tests::conversation::{Conversation, End};
use weir_tests::netns::{Namespace, succeed};
use weir_tests::router::*;
use weir_tests::shell::shell;
use weir_tests::wait_for;
use weir_tests::witness::{link, settled};

const SOON: Duration = Duration::from_secs(5);

/// A connection to the service, and its other end at the backend.
struct Talk {
    client: TcpStream,
    backend: TcpStream,
}

impl Talk {
    fn new(routed: &Routed, (service, backend): (&str, &str)) -> Self {
        let listener = routed.backend.enter(|| TcpListener::bind((backend, 8080)).expect("a port"));
        let client = routed.client.enter(|| TcpStream::connect((service, 80)).expect("it is translated"));
        Self { client, backend: listener.accept().expect("it is asked").0 }
    }

    fn port(&self) -> u16 {
        self.client.local_addr().expect("bound").port()
    }

    /// A question of 100 bytes, an answer of 1 000: a segment each.
    fn say(&mut self) {
        self.client.write_all(&[1; 100]).expect("it is open");
        self.backend.read_exact(&mut [0; 100]).expect("it is open");
        self.backend.write_all(&[2; 1_000]).expect("it is open");
        self.client.read_exact(&mut [0; 1_000]).expect("it is open");
    }
}

/// Asks the service with a datagram from this port, 0 for any, and has the backend answer. The port.
fn ask(routed: &Routed, port: u16, (client, service, backend): (&str, &str, &str)) -> u16 {
    let server = routed.backend.enter(|| UdpSocket::bind((backend, 5353)).expect("a port"));
    let socket = routed.client.enter(|| UdpSocket::bind((client, port)).expect("a port"));
    socket.send_to(b"who?", (service, 53)).expect("it is sent");
    let (_, peer) = server.recv_from(&mut [0; 64]).expect("it is asked");
    server.send_to(b"me", peer).expect("it is sent");
    socket.recv_from(&mut [0; 64]).expect("it is answered");
    socket.local_addr().expect("bound").port()
}

const IPV4: (&str, &str, &str) = (CLIENT, SERVICE, BACKEND);
const IPV6: (&str, &str, &str) = (CLIENT_IPV6, SERVICE_IPV6, BACKEND_IPV6);

/// Watches both of the router's interfaces.
fn watch(routed: &Routed, args: &[&str]) -> Agent {
    let (near, far) = (client_side(), backend_side());
    let agent = Agent::start_joined(&routed.router, &[&["-i", &near, "-i", &far], args].concat());
    wait_for("conntrack is listened to", SOON, || {
        let is_off =
            args.windows(2).any(|pair| [["--nat", "off"], ["--dedup", "off"]].contains(&[pair[0], pair[1]]));
        (is_off || status(&agent.socket())["nat"]["namespaces"] == 1).then_some(())
    });
    agent
}

fn of<'a>(outcome: &'a Outcome, protocol: &str) -> Vec<&'a Conversation> {
    outcome.conversations.iter().filter(|one| one.protocol.as_deref() == Some(protocol)).collect()
}

fn only<'a>(outcome: &'a Outcome, protocol: &str) -> &'a Conversation {
    match of(outcome, protocol)[..] {
        [one] => one,
        ref more => panic!("{more:#?}"),
    }
}

/// Each direction at each of the router's interfaces, and with the right addresses there.
fn assert_seen_on_both_sides(one: &Conversation) {
    for (interface, direction, reverse, translated) in [
        (client_side(), "ingress", false, false),
        (backend_side(), "egress", false, true),
        (backend_side(), "ingress", true, true),
        (client_side(), "egress", true, false),
    ] {
        let seen = one.observed(&interface, direction, reverse).unwrap_or_else(|| panic!("{one:?}"));
        let count = if reverse { one.reverse.expect("it was answered") } else { one.count };
        assert_eq!((seen.count, seen.translated), (count, translated), "{interface} {direction}: {one:?}");
    }
    assert_eq!(one.observations.len(), 4, "{one:?}");
}

#[test]
fn root_both_sides_of_a_router_are_one_conversation() {
    for (client, service, backend) in [IPV4, IPV6] {
        let routed = Routed::new();
        let agent = watch(&routed, &[]);
        let before = link(&routed.client, &client_side());
        let mut talk = Talk::new(&routed, (service, backend));
        talk.say();
        let asked = ask(&routed, 0, (client, service, backend));
        let tracked = [routed.tracked("tcp", talk.port()), routed.tracked("udp", asked)];
        let after = settled(&routed.client, &client_side());
        let outcome = agent.stop();
        outcome.assert_observed();
        for (protocol, tracked) in ["tcp", "udp"].into_iter().zip(tracked) {
            let one = only(&outcome, protocol);
            tracked.assert_is(one);
            assert_seen_on_both_sides(one);
            assert_eq!(one.biflow_direction.as_deref(), Some("initiator"));
        }
        // Nothing else was on the wire; the kernel counts as the records do.
        let both = |direction: fn(&Conversation) -> u64| {
            ["tcp", "udp"].iter().map(|protocol| direction(only(&outcome, protocol))).sum::<u64>()
        };
        assert_eq!(both(|one| one.count.packets), after.tx.packets - before.tx.packets);
        assert_eq!(both(|one| one.count.bytes), after.tx.bytes - before.tx.bytes);
        assert_eq!(both(|one| one.reverse.expect("answered").bytes), after.rx.bytes - before.rx.bytes);
    }
}

/// All hosts of it at once: eight sightings of each packet's conversation, and who is at its ends.
#[test]
fn root_in_every_namespace_it_is_one_conversation_of_two_processes() {
    let (home, routed) = (Namespace::new(), Routed::new());
    let glob = format!("w{}?", std::process::id());
    let agent = Agent::start_joined(&home, &["--all-netns", "-i", &glob]);
    let listener = routed.backend.enter(|| TcpListener::bind((BACKEND, 8080)).expect("a port"));
    let mut client = shell(&routed.client, &format!("exec 3<>/dev/tcp/{SERVICE}/80; echo hello >&3; read"));
    let (mut backend, peer) = listener.accept().expect("it is asked");
    backend.read_exact(&mut [0; 6]).expect("it speaks");
    let tracked = routed.tracked("tcp", peer.port());
    settled(&routed.client, &client_side());
    let outcome = agent.stop();
    client.0.kill().expect("it waits");
    outcome.assert_observed();
    let one = only(&outcome, "tcp");
    tracked.assert_is(one);
    assert_eq!(one.observations.len(), 8, "{one:?}");
    let pids =
        [&one.source_process, &one.destination_process].map(|process| process.as_ref().map(|it| it.pid));
    assert_eq!(pids, [Some(client.0.id()), Some(std::process::id())]);
}

#[test]
fn root_connections_that_are_older_than_the_agent_are_known() {
    let routed = Routed::new();
    let mut talk = Talk::new(&routed, (SERVICE, BACKEND));
    talk.say();
    let agent = watch(&routed, &[]);
    let state = status(&agent.socket())["nat"].clone();
    assert_eq!((&state["translations"], &state["late_translations"]), (&1.into(), &0.into()));
    talk.say();
    settled(&routed.client, &client_side());
    let outcome = agent.stop();
    outcome.assert_observed();
    let one = only(&outcome, "tcp");
    routed.tracked("tcp", talk.port()).assert_is(one);
    assert_seen_on_both_sides(one);
}

/// The same port of the client asks again, when the service has moved.
#[test]
fn root_another_backend_is_another_conversation() {
    let routed = Routed::new();
    let agent = watch(&routed, &["--idle-timeout", "1s"]);
    let port = ask(&routed, 0, IPV4);
    let mut truth = vec![routed.tracked("udp", port)];
    agent.wait_for_flow("the first one ends", SOON, |flow| flow.source_port == Some(port));
    routed.translate_to(OTHER_BACKEND);
    routed.router.run("conntrack", &["-D", "-p", "udp"]);
    ask(&routed, port, (CLIENT, SERVICE, OTHER_BACKEND));
    truth.push(routed.tracked("udp", port));
    settled(&routed.client, &client_side());
    let outcome = agent.stop();
    outcome.assert_observed();
    let found = of(&outcome, "udp");
    assert_eq!(found.len(), 2, "{found:#?}");
    for (tracked, one) in truth.iter().zip(&found) {
        tracked.assert_is(one);
        assert_seen_on_both_sides(one);
    }
    assert_ne!(found[0].flow_id, found[1].flow_id);
}

/// As they were seen: by what each side says.
#[test]
fn root_without_it_each_side_is_a_conversation() {
    for args in [["--nat", "off"], ["--dedup", "off"]] {
        let routed = Routed::new();
        let agent = watch(&routed, &args);
        let port = ask(&routed, 0, IPV4);
        let tracked = routed.tracked("udp", port);
        settled(&routed.client, &client_side());
        assert_eq!(status(&agent.socket())["nat"]["namespaces"], 0);
        let outcome = agent.stop();
        outcome.assert_observed();
        let found = of(&outcome, "udp");
        let ends: BTreeSet<(&End, &End)> = found.iter().map(|one| (&one.source, &one.destination)).collect();
        let (before, behind) = (&tracked.original, (&tracked.reply.1, &tracked.reply.0));
        assert_eq!(ends, BTreeSet::from([(&before.0, &before.1), behind]), "{args:?}");
        assert_eq!(found.len(), 2, "{args:?}");
        assert!(found.iter().all(|one| one.translated_source == (None, None)));
    }
}

/// Of the router's own connections only what is translated comes by. A filter means the service all the same.
#[test]
fn root_a_connection_of_the_router_s_own_has_the_service_s_name() {
    let routed = Routed::new();
    routed.only_ipv4();
    routed.router.ip(&format!("route add 10.96.0.0/16 via {BACKEND}"));
    let filter = format!("destination_address == {SERVICE} and destination_port == 80");
    let agent = watch(&routed, &["--filter", &filter]);
    let listener = routed.backend.enter(|| TcpListener::bind((BACKEND, 8080)).expect("a port"));
    let socket = routed.router.enter(|| TcpStream::connect((SERVICE, 80)).expect("it is translated"));
    let accepted = listener.accept().expect("it is asked");
    let port = socket.local_addr().expect("bound").port();
    let tracked = routed.tracked("tcp", port);
    settled(&routed.backend, &backend_side());
    ask(&routed, 0, IPV4);
    let outcome = agent.stop();
    drop(accepted);
    outcome.assert_observed();
    assert_eq!(outcome.conversations.len(), 1, "{:?}", outcome.conversations);
    let one = only(&outcome, "tcp");
    tracked.assert_is(one);
    assert!(one.observations.len() == 2 && one.observations.iter().all(|seen| seen.translated), "{one:?}");
    assert_eq!(one.source_process.as_ref().map(|process| process.pid), Some(std::process::id()));
    let filtered: u64 = outcome.ledgers.iter().map(|ledger| ledger.filtered.packets).sum();
    assert_eq!(filtered, 4, "question and answer, at two interfaces");
}

/// Thousands that come and go, each from a process's own socket: none in two, none late.
#[test]
fn root_many_short_connections_are_one_conversation_each() {
    const CONNECTIONS: usize = 2_000;
    let routed = Routed::new();
    let agent = watch(&routed, &["--interval", "200ms"]);
    let listener = routed.backend.enter(|| TcpListener::bind((BACKEND, 8080)).expect("a port"));
    let mut truth = BTreeSet::new();
    for _ in 0..CONNECTIONS {
        let client = routed.client.enter(|| TcpStream::connect((SERVICE, 80)).expect("it is translated"));
        truth.insert(client.local_addr().expect("bound").port());
        drop(listener.accept().expect("it is asked"));
    }
    settled(&routed.client, &client_side());
    let state = status(&agent.socket())["nat"].clone();
    let outcome = agent.stop();
    outcome.assert_observed();
    assert_eq!((&state["late_translations"], &state["lost_events"]), (&0.into(), &0.into()));
    let found = of(&outcome, "tcp");
    let backend = (Some(BACKEND.to_owned()), Some(8080));
    for one in &found {
        assert_eq!(
            (&one.destination, &one.translated_destination),
            (&(Some(SERVICE.into()), Some(80)), &backend)
        );
        assert_seen_on_both_sides(one);
    }
    let ports: Vec<_> = found.iter().filter_map(|one| one.source.1).collect();
    assert_eq!((ports.len(), BTreeSet::from_iter(ports)), (truth.len(), truth));
}

/// An agent that is held up while more is translated than the kernel keeps for it: what it missed is told to the event,
/// and asked for anew.
#[test]
fn root_events_that_were_lost_are_counted_and_made_up_for() {
    const FLOWS: u64 = 60_000;
    let routed = Routed::new();
    routed.router.sysctl("net/netfilter/nf_conntrack_udp_timeout", "600");
    // Somebody is there who does not answer.
    let _server = routed.backend.enter(|| UdpSocket::bind((BACKEND, 5353)).expect("a port"));
    // Events of sockets would be lost, too, and messages of DNS: the flood is at its port.
    let agent = watch(&routed, &["--identity", "off", "--dns", "off"]);
    agent.signal(Signal::SIGSTOP);
    let ask = |port| {
        let socket = UdpSocket::bind((CLIENT, port)).expect("a port");
        socket.send_to(b"who?", (SERVICE, 53)).expect("it is sent");
    };
    routed.client.enter(|| (2000..2000 + FLOWS as u16).for_each(ask));
    let tracked = routed.router.run("conntrack", &["-C"]);
    assert_eq!(tracked.trim(), FLOWS.to_string());
    agent.signal(Signal::SIGCONT);
    let said = agent.wait_for_line("events lost (conntrack)", 4 * SOON);
    let nat = || status(&agent.socket())["nat"].clone();
    wait_for("all are known", 4 * SOON, || (nat()["translations"] == FLOWS).then_some(()));
    let state = nat();
    let outcome = agent.stop();
    outcome.assert_observed();
    let conntrack = outcome.probes.iter().find(|one| one.probe == "conntrack").expect("it has its books");
    assert!(conntrack.lost_events > 0 && conntrack.evicted == 0, "{conntrack:?}");
    assert_eq!(conntrack.events + conntrack.lost_events, FLOWS, "{conntrack:?}");
    assert_eq!(state["lost_events"], conntrack.lost_events, "{state}");
    assert!(said.contains(&format!("weir: {} events lost", conntrack.lost_events)), "{said}, {conntrack:?}");
}

/// What listens in a namespace does not keep it alive.
#[test]
fn root_a_namespace_goes_although_it_is_listened_to() {
    let (home, routed) = (Namespace::new(), Routed::new());
    let glob = format!("w{}?", std::process::id());
    let agent = Agent::start_joined(&home, &["--all-netns", "-i", &glob]);
    let socket = agent.socket();
    let listened = || status(&socket)["nat"]["namespaces"].as_u64().expect("a number");
    let before = listened();
    assert!(before >= 4, "{before}");
    succeed(Command::new("ip").args(["netns", "del", routed.backend.name()]));
    wait_for("it is let go", SOON, || (listened() < before).then_some(()));
    // The router's end goes with the backend's.
    wait_for("it is gone", SOON, || (!routed.router.ip("-br link").contains(&backend_side())).then_some(()));
    sleep(Duration::from_secs(1));
    agent.stop().assert_observed();
}
