//! What processes were that are gone: held against what they said of themselves, and `ss`.

use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};
use weir_tests::agent::{Agent, Outcome, binary};
use weir_tests::clients::Clients;
use weir_tests::conversation::{Conversation, Process};
use weir_tests::groups::Groups;
use weir_tests::netns::{Namespace, succeed};
use weir_tests::oci::Bundle;
use weir_tests::pair::{INTERFACE, LEFT, Pair, RIGHT};
use weir_tests::shell::{Shell, shell};
use weir_tests::wait_for;
use weir_tests::witness::settled;

const PATIENCE: Duration = Duration::from_secs(10);

fn to_port(outcome: &Outcome, port: u16) -> &Conversation {
    let mut found = outcome.conversations.iter().filter(|one| one.destination.1 == Some(port));
    found.next().unwrap_or_else(|| panic!("none to {port}: {:?}", outcome.conversations))
}

fn source(conversation: &Conversation) -> &Process {
    conversation.source_process.as_ref().unwrap_or_else(|| panic!("nobody: {conversation:?}"))
}

/// Runs a shell to its end, and takes in the one connection that it makes.
fn runs_and_connects(pair: &Pair, listener: &TcpListener, script: &str) -> String {
    let mut shell = shell(&pair.left, script);
    let (mut socket, _) = listener.accept().expect("it connects");
    let mut said = String::new();
    socket.read_to_string(&mut said).expect("it speaks");
    assert!(shell.0.wait().expect("it ends").success());
    said.trim().to_owned()
}

/// What `weir status` says of identity.
fn identity(agent: &Agent) -> serde_json::Value {
    let mut command = Command::new(binary());
    let shown = succeed(command.args(["status", "-o", "json", "--socket"]).arg(agent.socket()));
    serde_json::from_str::<serde_json::Value>(&shown).expect("JSON")["identity"].clone()
}

/// As near to 5 000 connections a second as the machine comes, eight by each process.
#[test]
fn root_short_lives_are_told_with_their_programs() {
    const PROCESSES: usize = 2000;
    const EACH: usize = 8;
    let (pair, clients) = (Pair::new(), Clients::new());
    pair.left.sysctl("net/ipv4/ip_local_port_range", "1024 65000");
    let agent = Agent::start_joined(&pair.left, &["-i", INTERFACE]);
    let listener = pair.right.enter(|| TcpListener::bind((RIGHT, 5000)).expect("a port"));
    let begin = Instant::now();
    let mut starter = clients.start(&pair.left, (RIGHT, 5000), [PROCESSES, EACH, 1600]);
    let mut truth = BTreeMap::new();
    for _ in 0..PROCESSES * EACH {
        let (mut socket, peer) = listener.accept().expect("they come");
        let mut said = String::new();
        socket.read_to_string(&mut said).expect("it speaks");
        truth.insert(peer.port(), said.parse::<u32>().expect("its number"));
    }
    let rate = (PROCESSES * EACH) as f64 / begin.elapsed().as_secs_f64();
    assert!(starter.wait().expect("it ends").success());
    settled(&pair.left, INTERFACE);
    let state = identity(&agent);
    let outcome = agent.stop();
    outcome.assert_observed();
    let path = clients.program().to_string_lossy().into_owned();
    let is_right = |one: &Conversation| {
        let pid = truth.get(&one.source.1?)?;
        let process = one.source_process.as_ref()?;
        let arguments = process.arguments.as_deref().is_some_and(|line| clients.is_command_line(line));
        let program = process.executable.as_ref() == Some(&path) && process.process == "clients";
        (process.pid == *pid && process.parent_pid == Some(starter.id()) && program && arguments)
            .then_some(())
    };
    let all: Vec<_> = outcome.conversations.iter().filter(|one| one.destination.1 == Some(5000)).collect();
    let wrong: Vec<_> = all.iter().filter(|one| is_right(one).is_none()).collect();
    eprintln!("{rate:.0} connections a second; {} of {} flows wrong; {state}", wrong.len(), all.len());
    assert!(truth.len() > PROCESSES * EACH * 9 / 10, "ports were used again: {}", truth.len());
    assert!(wrong.len() * 1000 <= all.len(), "{:?}", &wrong[..3]);
    let count = |name: &str| state[name].as_u64().expect("a number");
    let unheard = ["evicted_sockets", "lost_events", "evicted_processes", "lost_process_events"].map(count);
    assert!(wrong.is_empty() || unheard.iter().sum::<u64>() > 0, "{state}: {:?}", wrong[0]);
}

/// An agent that is held up while processes begin and end by the thousand misses some, and says how many; whoever is
/// still there is read from /proc.
#[test]
fn root_events_of_processes_that_were_lost_are_counted() {
    // Half as many again as the ring has room for.
    const PROCESSES: usize = 30_000;
    let (pair, clients) = (Pair::new(), Clients::new());
    let agent = Agent::start_joined(&pair.left, &["-i", INTERFACE]);
    let listener = pair.right.enter(|| TcpListener::bind((RIGHT, 5000)).expect("a port"));
    agent.signal(Signal::SIGSTOP);
    // They talk to nobody: a beginning, a program and an end each, and as much of whoever starts them.
    let mut starter = clients.start(&pair.left, (RIGHT, 9), [PROCESSES, 0, 0]);
    assert!(starter.wait().expect("it ends").success());
    let mut talker = shell(&pair.left, &format!("exec 3<>/dev/tcp/{RIGHT}/5000; echo $$ >&3; read"));
    let (_talk, _) = listener.accept().expect("it connects");
    agent.signal(Signal::SIGCONT);
    let said = agent.wait_for_line("events lost (processes)", PATIENCE);
    settled(&pair.left, INTERFACE);
    let outcome = agent.stop();
    let _ = talker.0.kill();
    let told = outcome.probes.iter().find(|one| one.probe == "processes").expect("it has its books");
    assert!(told.lost_events > 0 && told.events + told.lost_events >= 3 * PROCESSES as u64, "{told:?}");
    assert!(said.contains(&format!("weir: {} events lost", told.lost_events)), "{said}, {told:?}");
    let process = source(to_port(&outcome, 5000));
    assert_eq!((process.pid, process.process.as_str()), (talker.0.id(), "bash"));
    assert!(process.executable.as_deref().is_some_and(|path| path.ends_with("/bash")), "{process:?}");
}

/// The process and its control group are gone before the agent could have looked.
#[test]
fn root_a_container_that_is_gone_is_told() {
    let id = "4f1d2a7c9be3".repeat(6)[..64].to_owned();
    let (pair, mut groups) = (Pair::new(), Groups::new());
    let agent = Agent::start_joined(&pair.left, &["-i", INTERFACE]);
    let listener = pair.right.enter(|| TcpListener::bind((RIGHT, 5000)).expect("a port"));
    let path = format!("weirt.slice/docker-{id}.scope");
    let group = groups.make(&path);
    let inside = format!("exec bash -c 'echo $$ >/dev/tcp/{RIGHT}/5000' --token=abc");
    let pid = runs_and_connects(&pair, &listener, &format!("echo $$ >{}; {inside}", group.display()));
    wait_for("the group goes", PATIENCE, || std::fs::remove_dir(group.parent()?).ok());
    settled(&pair.left, INTERFACE);
    let outcome = agent.stop();
    let process = source(to_port(&outcome, 5000));
    assert_eq!(process.pid.to_string(), pid);
    assert_eq!(process.parent_pid, Some(std::process::id()));
    assert_eq!(process.container.as_ref(), Some(&id), "{process:?}");
    assert_eq!(process.container_runtime.as_deref(), Some("docker"));
    assert_eq!(process.cgroup, Some(format!("/{path}")));
    let arguments = process.arguments.as_deref().unwrap_or_default();
    assert!(arguments.starts_with("bash -c ") && arguments.ends_with(" --token=***"), "{arguments}");
    assert!(process.process_start.is_some());
}

/// Of a real runtime, each in a network namespace and a control group of its own.
#[test]
fn root_two_containers_that_talk_are_told_at_both_ends() {
    let (server_id, client_id) = ("4f1d2a7c9be3".repeat(6), "0123456789ab".repeat(6));
    let (pair, mut groups) = (Pair::new(), Groups::new());
    let mut group = |id: &str| groups.make(&format!("weirt.slice/crun-{}.scope", &id[..64]));
    let (in_server, in_client) = (group(&server_id), group(&client_id));
    let agent = Agent::start_joined(&pair.left, &["-i", INTERFACE]);
    let served = Bundle::new("server", &pair.right, &["/bin/busybox", "nc", "-l", "-p", "5000"]);
    let mut server = served.run(&in_server);
    wait_for("somebody listens", PATIENCE, || {
        pair.right.run("ss", &["-tlnH"]).contains(":5000").then_some(())
    });
    let talk = format!("echo hello | busybox nc {RIGHT} 5000");
    let client = Bundle::new("client", &pair.left, &["/bin/busybox", "sh", "-c", &talk]);
    let mut talker = client.run(&in_client);
    assert!(talker.wait().expect("it ends").success() && server.wait().expect("it ends").success());
    drop((served, client));
    settled(&pair.left, INTERFACE);
    let outcome = agent.stop();
    let found = to_port(&outcome, 5000);
    let of = |process: &Option<Process>| {
        let process = process.clone().expect("it is told");
        (process.container, process.executable.is_some_and(|path| path.ends_with("/bin/busybox")))
    };
    assert_eq!(of(&found.source_process), (Some(client_id[..64].to_owned()), true), "{found:?}");
    assert_eq!(of(&found.destination_process), (Some(server_id[..64].to_owned()), true), "{found:?}");
}

/// A program of the same name takes its place, and uses the same socket.
#[test]
fn root_a_program_that_becomes_another_of_its_name_is_told_anew() {
    let pair = Pair::new();
    let agent = Agent::start_joined(&pair.left, &["-i", INTERFACE]);
    let listener = pair.right.enter(|| TcpListener::bind((RIGHT, 5000)).expect("a port"));
    let script = format!(
        "exec 3<>/dev/tcp/{RIGHT}/5000; echo a >&3; sleep 0.5; exec bash -c 'echo $$ >&3; true' the second"
    );
    runs_and_connects(&pair, &listener, &script);
    settled(&pair.left, INTERFACE);
    let outcome = agent.stop();
    let process = source(to_port(&outcome, 5000));
    assert!(process.arguments.as_deref().is_some_and(|line| line.ends_with(" the second")), "{process:?}");
}

/// Escapes for terminals, line ends and bytes that are no text.
#[test]
fn root_hostile_arguments_of_the_gone_are_harmless() {
    let pair = Pair::new();
    let agent = Agent::start_joined(&pair.left, &["-i", INTERFACE]);
    let listener = pair.right.enter(|| TcpListener::bind((RIGHT, 5000)).expect("a port"));
    let script = format!(
        "exec bash -c 'echo a >/dev/tcp/{RIGHT}/5000' $'\\e[2J\\n\\xff' \"$(printf 'x%.0s' {{1..4000}})\""
    );
    runs_and_connects(&pair, &listener, &script);
    settled(&pair.left, INTERFACE);
    let outcome = agent.stop();
    let arguments = source(to_port(&outcome, 5000)).arguments.clone().expect("they were told");
    assert!(arguments.contains("\\u{1b}[2J\\n\u{fffd} xxx") && arguments.ends_with('…'), "{arguments}");
    assert!(arguments.len() <= 256 + '…'.len_utf8() && !arguments.chars().any(char::is_control));
}

#[test]
fn root_the_kernel_need_not_tell_of_processes() {
    let pair = Pair::new();
    let agent = Agent::start_joined(&pair.left, &["-i", INTERFACE, "--processes", "off"]);
    let listener = pair.right.enter(|| TcpListener::bind((RIGHT, 5000)).expect("a port"));
    let pid = runs_and_connects(&pair, &listener, &format!("echo $$ >/dev/tcp/{RIGHT}/5000"));
    settled(&pair.left, INTERFACE);
    assert_eq!(identity(&agent)["process_hooks"], "proc");
    let outcome = agent.stop();
    let process = source(to_port(&outcome, 5000));
    assert_eq!((process.pid.to_string(), process.process.as_str()), (pid, "bash"));
    assert_eq!(process.parent_pid, Some(std::process::id()));
}

/// One host asks, the kernel of the other answers.
#[test]
fn root_a_ping_is_of_who_sends_it_and_the_kernel_answers() {
    for (agent_at_left, names) in [(true, [Some("ping"), None]), (false, [None, Some("kernel")])] {
        let pair = Pair::new();
        let watched = if agent_at_left { &pair.left } else { &pair.right };
        let agent = Agent::start_joined(watched, &["-i", INTERFACE]);
        pair.left.run("ping", &["-c", "2", "-i", "0.2", RIGHT]);
        settled(watched, INTERFACE);
        let outcome = agent.stop();
        let found = outcome.conversations.iter().find(|one| one.protocol.as_deref() == Some("icmp"));
        let found = found.expect("they pinged");
        let name = |process: &Option<Process>| process.as_ref().map(|one| one.process.clone());
        let told = [name(&found.source_process), name(&found.destination_process)];
        assert_eq!(told, names.map(|name| name.map(str::to_owned)), "{found:?}");
    }
}

/// Who has the sockets of this namespace, by protocol, local and remote port.
fn by_ss(namespace: &Namespace) -> BTreeMap<(String, u16, u16), u32> {
    let shown = namespace.run("ss", &["-tunpH", "state", "connected"]);
    let socket = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let port = |field: &str| field.rsplit(':').next()?.parse().ok();
        let pid = line.split("pid=").nth(1)?.split(',').next()?.parse().ok()?;
        Some(((fields[0].to_owned(), port(fields[4])?, port(fields[5])?), pid))
    };
    shown.lines().filter_map(socket).collect()
}

/// Servers and clients of TCP and UDP at both ends, some there before the agent.
#[test]
fn root_every_socket_that_ss_shows_is_of_the_same_process() {
    let pair = Pair::new();
    let listener = |namespace: &Namespace, address: &str| {
        namespace.enter(|| TcpListener::bind((address, 5000)).expect("a port"))
    };
    let listeners = [listener(&pair.right, RIGHT), listener(&pair.left, LEFT)];
    let clients = || -> Vec<Shell> {
        let talk = |namespace, address: &str| -> Vec<Shell> {
            let over = |how: &str, port| {
                let script = format!("exec 3<>/dev/{how}/{address}/{port}; while read; do echo a >&3; done");
                shell(namespace, &script)
            };
            (0..10).flat_map(|_| [over("tcp", 5000), over("udp", 53)]).collect()
        };
        [talk(&pair.left, RIGHT), talk(&pair.right, LEFT)].into_iter().flatten().collect()
    };
    let mut talkers = clients();
    let agent = Agent::start_joined(&pair.left, &["-i", INTERFACE]);
    talkers.extend(clients());
    let mut accepted = Vec::new();
    for listener in &listeners {
        accepted.extend((0..20).map(|_| listener.accept().expect("they connect").0));
    }
    for talker in &mut talkers {
        talker.0.stdin.as_mut().expect("a pipe").write_all(b"go\n").expect("it reads");
    }
    for socket in &mut accepted {
        socket.read_exact(&mut [0; 2]).expect("they speak");
    }
    settled(&pair.left, INTERFACE);
    let shown = [by_ss(&pair.left), by_ss(&pair.right)];
    let outcome = agent.stop();
    let counts = shown.each_ref().map(|one| one.len());
    assert!(counts.iter().all(|count| *count >= 60), "ss shows {counts:?}");
    let [left, right] = &shown;
    for (address, sockets) in [(LEFT, left), (RIGHT, right)] {
        for ((protocol, local, remote), pid) in sockets {
            let is_end = |end: &(Option<String>, Option<u16>), port: u16, is_here: bool| {
                end.1 == Some(port) && (end.0.as_deref() == Some(address)) == is_here
            };
            let process = outcome.conversations.iter().find_map(|one| {
                let of = one.protocol.as_ref() == Some(protocol);
                if of && is_end(&one.source, *local, true) && is_end(&one.destination, *remote, false) {
                    return Some(&one.source_process);
                }
                let back = is_end(&one.destination, *local, true) && is_end(&one.source, *remote, false);
                (of && back).then_some(&one.destination_process)
            });
            let told = process.and_then(Option::as_ref).map(|process| process.pid);
            assert_eq!(told, Some(*pid), "{protocol} {address}:{local} to {remote}");
        }
    }
}
