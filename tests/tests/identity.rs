//! Who talks: held against the processes that talked, and `ss`.

use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;
use weir_tests::agent::{Agent, Outcome};
use weir_tests::conversation::{Conversation, Process};
use weir_tests::groups::Groups;
use weir_tests::netns::Namespace;
use weir_tests::pair::{INTERFACE, LEFT, Pair, RIGHT};
use weir_tests::shell::{python, shell};
use weir_tests::sockets;
use weir_tests::wait_for;
use weir_tests::witness::settled;

const PATIENCE: Duration = Duration::from_secs(10);

fn from_port(outcome: &Outcome, port: u16) -> &Conversation {
    let mut found = outcome.conversations.iter().filter(|one| one.source.1 == Some(port));
    found.next().unwrap_or_else(|| panic!("none from {port}: {:?}", outcome.conversations))
}

fn pids(conversation: &Conversation) -> (Option<u32>, Option<u32>) {
    let pid = |process: &Option<Process>| process.as_ref().map(|one| one.pid);
    (pid(&conversation.source_process), pid(&conversation.destination_process))
}

/// The process that `ss` shows for the socket that is bound to this local port.
fn by_ss(namespace: &Namespace, port: u16) -> u32 {
    let shown = namespace.run("ss", &["-tunpH", "state", "connected", "sport", "=", &format!(":{port}")]);
    let pid = shown.split("pid=").nth(1).and_then(|rest| rest.split(',').next()?.parse().ok());
    pid.unwrap_or_else(|| panic!("ss shows no process of {port}: {shown}"))
}

/// One connection was there before the agent, one came after it; both are still open when it ends.
#[test]
fn root_old_and_new_connections_are_those_that_ss_shows() {
    let pair = Pair::new();
    let listener = pair.right.enter(|| TcpListener::bind((RIGHT, 5000)).expect("a port"));
    let talk = format!("exec 3<>/dev/tcp/{RIGHT}/5000; read; echo a >&3; read");
    let mut old = shell(&pair.left, &talk);
    let (mut old_socket, old_peer) = listener.accept().expect("the old one");
    let agent = Agent::start_joined(&pair.left, &["-i", INTERFACE]);
    let mut new = shell(&pair.left, &talk);
    let (mut new_socket, new_peer) = listener.accept().expect("the new one");
    for (shell, socket) in [(&mut old, &mut old_socket), (&mut new, &mut new_socket)] {
        let input = shell.0.stdin.as_mut().expect("a pipe");
        input.write_all(b"go\n").expect("it reads");
        socket.read_exact(&mut [0; 2]).expect("it writes");
    }
    let shown = [old_peer.port(), new_peer.port()].map(|port| by_ss(&pair.left, port));
    settled(&pair.left, INTERFACE);
    let outcome = agent.stop();
    assert_eq!(shown, [old.0.id(), new.0.id()]);
    for (peer, shell) in [(old_peer, &mut old), (new_peer, &mut new)] {
        let found = from_port(&outcome, peer.port());
        assert_eq!(pids(found), (Some(shell.0.id()), Some(std::process::id())), "{found:?}");
        let process = found.source_process.as_ref().expect("it is there");
        assert_eq!(process.process, "bash");
        assert!(process.executable.as_deref().is_some_and(|path| path.ends_with("/bash")), "{process:?}");
        assert!(
            process.arguments.as_deref().is_some_and(|all| all.starts_with("bash -c exec 3<>")),
            "{process:?}"
        );
    }
}

/// Each connects, says who it is, and is gone at once.
#[test]
fn root_processes_that_are_gone_keep_their_names() {
    const PROCESSES: usize = 100;
    let pair = Pair::new();
    let agent = Agent::start_joined(&pair.left, &["-i", INTERFACE]);
    let listener = pair.right.enter(|| TcpListener::bind((RIGHT, 5000)).expect("a port"));
    let loop_ = format!("for i in $(seq {PROCESSES}); do bash -c 'echo $$ >/dev/tcp/{RIGHT}/5000'; done");
    let mut shell = shell(&pair.left, &loop_);
    let mut truth = BTreeMap::new();
    for _ in 0..PROCESSES {
        let (mut socket, peer) = listener.accept().expect("they come");
        let mut said = String::new();
        socket.read_to_string(&mut said).expect("it speaks");
        truth.insert(peer.port(), said.trim().parse::<u32>().expect("its number"));
    }
    assert!(shell.0.wait().expect("it ends").success());
    settled(&pair.left, INTERFACE);
    let outcome = agent.stop();
    for (port, pid) in truth {
        let found = from_port(&outcome, port);
        assert_eq!(pids(found), (Some(pid), Some(std::process::id())), "{found:?}");
        assert_eq!(found.source_process.as_ref().map(|one| one.process.as_str()), Some("bash"));
    }
}

/// A server of every address has one socket for all; it is told by the port, in its own namespace only.
#[test]
fn root_datagrams_belong_to_who_sends_and_serves_them() {
    let pair = Pair::new();
    let agent = Agent::start_joined(&pair.right, &["-i", INTERFACE]);
    let server = pair.right.enter(|| UdpSocket::bind(("0.0.0.0", 5353)).expect("a port"));
    // Another server of the same port, elsewhere.
    let other = pair.left.enter(|| UdpSocket::bind(("0.0.0.0", 5353)).expect("a port"));
    other.send_to(b"to nobody", ("127.0.0.1", 9)).expect("it is sent");
    let shell = shell(
        &pair.left,
        &format!("exec 3<>/dev/udp/{RIGHT}/5353; echo hello >&3; read -r answer <&3; read"),
    );
    let (_, peer) = server.recv_from(&mut [0; 64]).expect("hello");
    server.send_to(b"hello yourself\n", peer).expect("it is sent");
    settled(&pair.right, INTERFACE);
    let outcome = agent.stop();
    let found = from_port(&outcome, peer.port());
    assert_eq!(pids(found), (Some(shell.0.id()), Some(std::process::id())), "{found:?}");
}

/// Each in a process of its own: of one address, of all of IPv4, of both families.
const DATAGRAM_SERVERS: &str = r#"
import os, socket, sys, time
for port, family, address in [(5301, socket.AF_INET, sys.argv[1]), (5302, socket.AF_INET, '0.0.0.0'),
                              (5303, socket.AF_INET6, '::')]:
    server = socket.socket(family, socket.SOCK_DGRAM)
    server.bind((address, port))
    if os.fork() == 0:
        while True:
            question, peer = server.recvfrom(100)
            server.sendto(question, peer)
    server.close()
print('ready', flush=True)
time.sleep(1000)
"#;

/// A socket each that is connected to nobody.
const DATAGRAM_CLIENTS: &str = r#"
import os, socket, sys, time
reading, writing = os.pipe()
for port in 5301, 5302, 5303:
    if os.fork() == 0:
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.sendto(b'hello', (sys.argv[1], port))
        client.recvfrom(100)
        os.write(writing, b'.')
        time.sleep(1000)
for _ in range(3):
    os.read(reading, 1)
print('ready', flush=True)
time.sleep(1000)
"#;

/// Has them talk; the processes that `ss` shows for the bound sockets at either end, by port.
fn talk_in_datagrams(pair: &Pair) -> [BTreeMap<u16, u32>; 2] {
    let _servers = python(&pair.right, ":", DATAGRAM_SERVERS, &[RIGHT]);
    let _clients = python(&pair.left, ":", DATAGRAM_CLIENTS, &[RIGHT]);
    let shown = [&pair.left, &pair.right].map(|end| -> BTreeMap<u16, u32> {
        let bound = sockets::by_ss(end.name()).into_iter().filter(|one| one.state == "unconnected");
        bound.map(|one| (one.local.1, *one.holders.first().expect("somebody has it"))).collect()
    });
    settled(&pair.right, INTERFACE);
    assert!(shown.iter().all(|one| one.len() == 3), "{shown:?}");
    shown
}

/// What is bound to a port and not connected is told at its own host, whatever address it has.
#[test]
fn root_bound_datagram_sockets_are_those_that_ss_shows() {
    let pair = Pair::with_ipv6();
    let agents = [&pair.left, &pair.right].map(|end| Agent::start_joined(end, &["-i", INTERFACE]));
    let [clients, servers] = talk_in_datagrams(&pair);
    let [at_clients, at_servers] = agents.map(Agent::stop);
    for (port, client) in clients {
        assert_eq!(pids(from_port(&at_clients, port)).0, Some(client));
        let found = from_port(&at_servers, port);
        let server = found.destination.1.and_then(|port| servers.get(&port));
        assert_eq!(pids(found).1.as_ref(), Some(server.expect("one of them")), "{found:?}");
    }
}

/// And elsewhere, where its own namespace is watched, too.
#[test]
fn root_bound_datagram_sockets_of_other_namespaces_are_told() {
    let pair = Pair::with_ipv6();
    let both = ["--netns", pair.left.name(), "--netns", pair.right.name(), "-i", INTERFACE];
    let agent = Agent::start_joined(&pair.left, &both);
    let [clients, servers] = talk_in_datagrams(&pair);
    let outcome = agent.stop();
    for (port, client) in clients {
        let found = from_port(&outcome, port);
        let server = found.destination.1.and_then(|port| servers.get(&port)).copied();
        assert!(server.is_some(), "{found:?}");
        assert_eq!(pids(found), (Some(client), server), "{found:?}");
    }
}

/// A connection that nobody takes is still somebody's; nobody is at an end that is another host's.
#[test]
fn root_a_refused_connection_has_one_who_wanted_it() {
    let pair = Pair::new();
    let agent = Agent::start_joined(&pair.right, &["-i", INTERFACE]);
    let refused = pair.left.enter(|| TcpStream::connect((RIGHT, 5001)));
    assert_eq!(refused.expect_err("nobody listens").kind(), std::io::ErrorKind::ConnectionRefused);
    settled(&pair.right, INTERFACE);
    let outcome = agent.stop();
    let found =
        outcome.conversations.iter().find(|one| one.destination.1 == Some(5001)).expect("it was tried");
    assert_eq!(pids(found), (Some(std::process::id()), None), "{found:?}");
}

/// What one process opened, another uses.
#[test]
fn root_a_socket_that_was_passed_on_is_the_users() {
    let pair = Pair::new();
    let listener = pair.right.enter(|| TcpListener::bind((RIGHT, 5000)).expect("a port"));
    let agent = Agent::start_joined(&pair.left, &["-i", INTERFACE]);
    // The child inherits it, and speaks a while after its parent.
    let script = format!(
        "exec 3<>/dev/tcp/{RIGHT}/5000; echo $BASHPID >&3; sleep 0.5; (echo $BASHPID >&3; sleep 0.5); read"
    );
    let shell = shell(&pair.left, &script);
    let (mut socket, peer) = listener.accept().expect("it connects");
    let mut said = String::new();
    wait_for("both speak", PATIENCE, || {
        let mut some = [0; 64];
        let count = socket.read(&mut some).expect("it is open");
        said.push_str(&String::from_utf8_lossy(&some[..count]));
        (said.lines().count() == 2).then_some(())
    });
    let speakers: Vec<u32> = said.lines().map(|line| line.parse().expect("a number")).collect();
    assert_eq!(speakers[0], shell.0.id());
    settled(&pair.left, INTERFACE);
    let outcome = agent.stop();
    assert_eq!(pids(from_port(&outcome, peer.port())).0, Some(speakers[1]));
}

/// Control groups as Docker and, in a pod, containerd name them.
#[test]
fn root_two_containers_are_told_at_both_ends() {
    let (web, client) =
        ("4f1d2a7c9be3".repeat(6)[..64].to_owned(), "0123456789ab".repeat(6)[..64].to_owned());
    let pair = Pair::new();
    let mut groups = Groups::new();
    let in_docker = groups.make(&format!("weirt.slice/docker-{web}.scope"));
    let in_pod = groups.make(&format!(
        "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0a1b2c3d_0000_4000_8000_0123456789ab.slice/\
         cri-containerd-{client}.scope"
    ));
    let agent = Agent::start_joined(&pair.left, &["-i", INTERFACE]);
    let serve = format!("echo $$ >{}; exec busybox nc -l -p 5000", in_docker.display());
    let mut server = shell(&pair.right, &serve);
    wait_for("somebody listens", PATIENCE, || {
        pair.right.run("ss", &["-tlnH"]).contains(":5000").then_some(())
    });
    let talk = format!("echo $$ >{}; exec 3<>/dev/tcp/{RIGHT}/5000; echo hello >&3; read", in_pod.display());
    let talker = shell(&pair.left, &talk);
    let mut heard = [0; 6];
    server.0.stdout.as_mut().expect("a pipe").read_exact(&mut heard).expect("it hears");
    settled(&pair.left, INTERFACE);
    let outcome = agent.stop();
    let found =
        outcome.conversations.iter().find(|one| one.destination.1 == Some(5000)).expect("they talked");
    assert_eq!(pids(found), (Some(talker.0.id()), Some(server.0.id())), "{found:?}");
    let of = |process: &Option<Process>| {
        let process = process.clone().expect("it is told");
        (process.container, process.container_runtime, process.pod_uid, process.unit)
    };
    let pod = "0a1b2c3d-0000-4000-8000-0123456789ab";
    assert_eq!(of(&found.source_process), (Some(client), Some("containerd".into()), Some(pod.into()), None));
    assert_eq!(of(&found.destination_process), (Some(web), Some("docker".into()), None, None));
}

/// An agent that is held up while sockets are used by the thousand misses some, and says how many.
#[test]
fn root_events_that_were_lost_are_counted() {
    const USED: u64 = 40_000;
    let pair = Pair::new();
    let agent = Agent::start_joined(&pair.left, &["-i", INTERFACE]);
    agent.signal(Signal::SIGSTOP);
    for _ in 0..USED {
        let socket = pair.left.enter(|| UdpSocket::bind((LEFT, 0))).expect("a port");
        socket.send_to(b"hello", (LEFT, 9)).expect("it is sent");
    }
    agent.signal(Signal::SIGCONT);
    let said = agent.wait_for_line("events lost (sockets)", PATIENCE);
    let outcome = agent.stop();
    let sockets = outcome.probes.iter().find(|one| one.probe == "sockets").expect("it has its books");
    // A socket that comes to be where another one was, with the same port and user, is no news.
    let all = sockets.events + sockets.lost_events;
    assert!(sockets.lost_events > 0 && all >= USED - USED / 100, "{sockets:?}");
    assert!(said.contains(&format!("weir: {} events lost", sockets.lost_events)), "{said}, {sockets:?}");
}

#[test]
fn root_identity_can_be_left_out() {
    let pair = Pair::new();
    let agent = Agent::start_joined(&pair.left, &["-i", INTERFACE, "--identity", "off"]);
    let socket = pair.left.enter(|| UdpSocket::bind((LEFT, 0)).expect("a port"));
    socket.send_to(b"hello", (RIGHT, 9)).expect("it is sent");
    settled(&pair.left, INTERFACE);
    let outcome = agent.stop();
    assert_eq!(pids(from_port(&outcome, socket.local_addr().expect("bound").port())), (None, None));
}
