//! Which pods and services talk: held against an API server of the test's own.

use serde_json::Value;
use std::io::Read;
use std::net::UdpSocket;
use std::thread::sleep;
use std::time::{Duration, Instant};
use weir_tests::agent::{Agent, Outcome, binary};
use weir_tests::api_server::{ApiServer, ENDPOINTS, JOBS, NODES, PODS, Pod, REPLICA_SETS, SERVICES};
use weir_tests::api_server::{endpoints, made_by, node, service};
use weir_tests::control::status;
use weir_tests::conversation::{Conversation, Names};
use weir_tests::groups::Groups;
use weir_tests::netns::{Namespace, succeed};
use weir_tests::pair::{INTERFACE, LEFT, Pair, RIGHT};
use weir_tests::shell::shell;
use weir_tests::wait_for;
use weir_tests::witness::settled;

const PATIENCE: Duration = Duration::from_secs(60);
/// On the wire, but nobody's: another node's pod.
const REMOTE: &str = "10.77.0.9";
/// On the wire, but nobody's: a service's.
const VIRTUAL: &str = "10.77.96.7";

const TALKER: Pod<'_> = Pod {
    uid: "0a1b2c3d-0000-4000-8000-0123456789ab",
    name: "talker-6d5f-x2x4z",
    namespace: "shop",
    node: "node-1",
    address: LEFT,
    owner: Some(("ReplicaSet", "talker-6d5f", "uid-of-talkers")),
};
const WEB: Pod<'_> = Pod {
    uid: "0a1b2c3d-0000-4000-8000-00000000beef",
    name: "web-0",
    address: RIGHT,
    owner: Some(("StatefulSet", "web", "uid-of-web")),
    ..TALKER
};
const FAR: Pod<'_> = Pod {
    uid: "0a1b2c3d-0000-4000-8000-00000000cafe",
    name: "far",
    namespace: "depot",
    node: "node-2",
    address: REMOTE,
    owner: Some(("Job", "nightly-1", "uid-of-nightly")),
};

/// A cluster of two nodes.
fn cluster(namespace: &Namespace) -> ApiServer {
    let server = namespace.enter(ApiServer::new);
    server.set(NODES, node("node-1", "zone-a"));
    server.set(NODES, node("node-2", "zone-b"));
    server.set(
        REPLICA_SETS,
        made_by(("Deployment", "talker", "uid-d"), "shop", ("talker-6d5f", "uid-of-talkers")),
    );
    server.set(JOBS, made_by(("CronJob", "nightly", "uid-c"), "depot", ("nightly-1", "uid-of-nightly")));
    server.set(SERVICES, service("shop", "front", VIRTUAL));
    server.set(ENDPOINTS, endpoints("shop", "front", &[(WEB.uid, WEB.address)]));
    [TALKER, WEB, FAR].iter().for_each(|pod| server.set(PODS, pod.object()));
    server
}

fn start(namespace: &Namespace, server: &ApiServer, more: &[&str]) -> Agent {
    let file = server.kubeconfig();
    let file = file.to_str().expect("a path");
    let fixed = ["-i", INTERFACE, "--kubernetes", file, "--kubernetes-node", "node-1"];
    Agent::start_joined(namespace, &[&fixed, more].concat())
}

/// What the agent says of Kubernetes, when it is so.
fn known(agent: &Agent, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    wait_for(what, PATIENCE, || {
        let state = status(&agent.socket())["identity"]["kubernetes"].clone();
        is_so(&state).then_some(state)
    })
}

fn connected(agent: &Agent) -> Value {
    known(agent, "all is told", |state| state["connected"] == true)
}

/// A datagram to a host that may not be there.
fn send(pair: &Pair, to: &str, port: u16) {
    let mac = "02:00:00:00:00:02";
    pair.left.ip(&format!("neighbour replace {to} lladdr {mac} dev {INTERFACE} nud permanent"));
    let socket = pair.left.enter(|| UdpSocket::bind((LEFT, 0)).expect("a port"));
    socket.send_to(b"hello", (to, port)).expect("it is sent");
}

fn to_port(outcome: &Outcome, port: u16) -> &Conversation {
    let mut found = outcome.conversations.iter().filter(|one| one.destination.1 == Some(port));
    found.next().unwrap_or_else(|| panic!("none to {port}: {:?}", outcome.conversations))
}

fn named(name: &str) -> Names {
    Names { name: Some(name.into()), name_origin: Some("kubernetes".into()), ..Names::default() }
}

/// The control group of a pod's container, as containerd and systemd name it.
fn group(pod: &Pod<'_>, container: &str) -> String {
    format!(
        "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice/cri-containerd-{}.scope",
        pod.uid.replace('-', "_"),
        &container.repeat(6)[..64]
    )
}

/// Two pods of this node, known by the control groups of their processes; a pod elsewhere and a service, by address.
#[test]
fn root_pods_and_services_are_told_at_both_ends() {
    let pair = Pair::new();
    let server = cluster(&pair.left);
    // One of them has no address of its own: only its processes tell.
    server.set(PODS, TALKER.on_host());
    let mut groups = Groups::new();
    let (of_talker, of_web) =
        (groups.make(&group(&TALKER, "0123456789ab")), groups.make(&group(&WEB, "ba9876543210")));
    let agent = start(&pair.left, &server, &[]);
    let state = connected(&agent);
    assert_eq!([&state["pods"], &state["services"], &state["nodes"]], [&3, &1, &2], "{state}");
    let mut web = shell(&pair.right, &format!("echo $$ >{}; exec busybox nc -l -p 5000", of_web.display()));
    wait_for("somebody listens", PATIENCE, || {
        pair.right.run("ss", &["-tlnH"]).contains(":5000").then_some(())
    });
    let talk =
        format!("echo $$ >{}; exec 3<>/dev/tcp/{RIGHT}/5000; echo hello >&3; read", of_talker.display());
    let _talker = shell(&pair.left, &talk);
    web.0.stdout.as_mut().expect("a pipe").read_exact(&mut [0; 6]).expect("it hears");
    send(&pair, REMOTE, 6000);
    send(&pair, VIRTUAL, 7000);
    settled(&pair.left, INTERFACE);
    let outcome = agent.stop();
    let talk = to_port(&outcome, 5000);
    let talker = ["talker-6d5f-x2x4z", "shop", "node-1", "talker", "deployment", "-", "zone-a"];
    assert_eq!(talk.source_workload.words(), talker, "{talk:?}");
    let web = ["web-0", "shop", "node-1", "web", "statefulset", "front", "zone-a"];
    assert_eq!(talk.destination_workload.words(), web, "{talk:?}");
    let far = ["far", "depot", "node-2", "nightly", "cronjob", "-", "zone-b"];
    assert_eq!(to_port(&outcome, 6000).destination_workload.words(), far);
    let front = ["-", "shop", "-", "-", "-", "front", "-"];
    assert_eq!(to_port(&outcome, 7000).destination_workload.words(), front);
    assert_eq!(to_port(&outcome, 7000).source_workload.words(), ["-"; 7], "a host's address is no pod's");
    for (port, name) in [(5000, "web-0.shop"), (6000, "far.depot"), (7000, "front.shop")] {
        assert_eq!(to_port(&outcome, port).destination_names, named(name));
        assert_eq!(to_port(&outcome, port).source_names, named("node-1"), "it has its node's address");
    }
    outcome.assert_observed();
}

/// A pod goes, and another one gets its address: each record is of the one that talked.
#[test]
fn root_records_say_who_had_the_address_then() {
    let pair = Pair::new();
    let server = cluster(&pair.left);
    let agent = start(&pair.left, &server, &[]);
    connected(&agent);
    send(&pair, REMOTE, 6000);
    settled(&pair.left, INTERFACE);
    server.remove(PODS, FAR.namespace, FAR.name);
    known(&agent, "it is gone", |state| state["pods"] == 2);
    sleep(Duration::from_secs(1));
    let now = succeed(std::process::Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]));
    let mut next = Pod { uid: "another", name: "next", ..FAR }.object();
    next["status"]["startTime"] = now.trim().into();
    server.set(PODS, next);
    known(&agent, "the next one is there", |state| state["pods"] == 3);
    send(&pair, REMOTE, 6001);
    settled(&pair.left, INTERFACE);
    let outcome = agent.stop();
    let pods = [6000, 6001].map(|port| to_port(&outcome, port).destination_workload.pod.clone());
    assert_eq!(pods.each_ref().map(Option::as_deref), [Some("far"), Some("next")]);
}

/// It starts without the server, and works on without it.
#[test]
fn root_the_server_may_come_late_and_go_away() {
    let pair = Pair::new();
    let server = cluster(&pair.left);
    server.go_away();
    let agent = start(&pair.left, &server, &["--idle-timeout", "1s"]);
    let line = agent.wait_for_line("kubernetes", PATIENCE);
    assert!(line.starts_with("weir: kubernetes: cannot reach https://127.0.0.1:"), "{line}");
    server.come_back();
    connected(&agent);
    server.go_away();
    let state = known(&agent, "it is gone", |state| state["connected"] == false);
    assert_eq!(state["pods"], 3, "{state}");
    let screen =
        succeed(std::process::Command::new(binary()).args(["status", "--socket"]).arg(agent.socket()));
    assert!(screen.contains("not told of changes for") && screen.contains("pods: 3,"), "{screen}");
    send(&pair, REMOTE, 6000);
    agent.wait_for_flow("a record all the same", PATIENCE, |flow| flow.destination_port == Some(6000));
    let outcome = agent.stop();
    assert_eq!(to_port(&outcome, 6000).destination_workload.pod.as_deref(), Some("far"));
    let said = outcome.stderr.iter().filter(|line| line.contains("kubernetes")).count();
    assert_eq!(said, 2, "once each time: {:?}", outcome.stderr);
}

/// Somebody talks to another node's pod each second while the server is away: each flow says to which.
fn goes_on_without_the_server_for(time: Duration) {
    const NEW: &str = "10.77.0.10";
    let pair = Pair::new();
    let server = cluster(&pair.left);
    let agent = start(&pair.left, &server, &["--idle-timeout", "1s"]);
    connected(&agent);
    // It hears of all processes and sockets of this machine, as the other one does.
    let apart = Agent::start_joined(&pair.right, &["-i", INTERFACE, "--kubernetes", "off"]);
    let memory = || [&agent, &apart].map(resident);
    server.go_away();
    let before = memory();
    let end = Instant::now() + time;
    let mut ports = 10_000..;
    let sent: Vec<u16> = std::iter::from_fn(|| (Instant::now() < end).then(|| ports.next()).flatten())
        .inspect(|port| {
            send(&pair, REMOTE, *port);
            sleep(Duration::from_secs(1));
        })
        .collect();
    let state = status(&agent.socket())["identity"]["kubernetes"].clone();
    assert_eq!((&state["connected"], &state["pods"]), (&false.into(), &3.into()), "{state}");
    assert!(state["since_seconds"].as_f64() >= Some(time.as_secs_f64() - 5.0), "{state}");
    let after = memory();
    let [grown, grown_apart] = [0, 1].map(|one| after[one].saturating_sub(before[one]));
    assert!(grown < grown_apart + (8 << 20), "{before:?} bytes resident, then {after:?}");
    server.set(PODS, Pod { uid: "new", name: "new", address: NEW, ..FAR }.object());
    server.come_back();
    known(&agent, "it is told again", |state| state["connected"] == true && state["pods"] == 4);
    send(&pair, NEW, 6001);
    settled(&pair.left, INTERFACE);
    let outcome = agent.stop();
    outcome.assert_observed();
    for port in &sent {
        let found = to_port(&outcome, *port);
        assert_eq!(found.destination_workload.pod.as_deref(), Some("far"), "{found:?}");
    }
    assert_eq!(to_port(&outcome, 6001).destination_names, named("new.depot"));
    let said: Vec<_> = outcome.stderr.iter().filter(|line| line.contains("kubernetes")).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    println!(
        "{} flows without the server; {before:?} bytes resident with it and apart, then {after:?}",
        sent.len()
    );
}

#[test]
fn root_flows_go_on_without_the_server() {
    goes_on_without_the_server_for(Duration::from_secs(20));
}

#[test]
#[ignore = "takes ten minutes"]
fn root_flows_go_on_without_the_server_for_ten_minutes() {
    goes_on_without_the_server_for(Duration::from_secs(600));
}

#[test]
fn root_filters_know_pods_services_and_owners() {
    let pair = Pair::new();
    let server = cluster(&pair.left);
    let filter = "service == front or pod == fa* and namespace == depot and owner == nightly";
    let agent = start(&pair.left, &server, &["--filter", filter]);
    connected(&agent);
    [(REMOTE, 6000), (VIRTUAL, 7000), ("10.77.0.10", 8000)]
        .iter()
        .for_each(|(to, port)| send(&pair, to, *port));
    settled(&pair.left, INTERFACE);
    let outcome = agent.stop();
    let mut ports: Vec<_> = outcome.conversations.iter().filter_map(|one| one.destination.1).collect();
    ports.sort_unstable();
    assert_eq!(ports, [6000, 7000]);
}

/// Names that no API server would take: the rest of the record stays as it is.
#[test]
fn root_hostile_names_are_harmless() {
    let pair = Pair::new();
    let server = cluster(&pair.left);
    let long = "x".repeat(4096);
    let name = format!("\u{1b}[2J\n\u{202e}\"}}{long}");
    server.set(PODS, Pod { uid: "\n", name: &name, namespace: "\u{0}", node: "node-2", ..FAR }.object());
    server.remove(PODS, FAR.namespace, FAR.name);
    let agent = start(&pair.left, &server, &[]);
    connected(&agent);
    send(&pair, REMOTE, 6000);
    settled(&pair.left, INTERFACE);
    let outcome = agent.stop();
    let found = to_port(&outcome, 6000).destination_workload.clone();
    let pod = found.pod.expect("it has a name");
    assert!(
        pod.starts_with("\\u{1b}[2J\\n") && pod.len() < 300 && !pod.chars().any(char::is_control),
        "{pod}"
    );
    assert_eq!(found.namespace.as_deref(), Some("\\0"));
}

fn resident(agent: &Agent) -> u64 {
    status(&agent.socket())["cost"]["resident_bytes"].as_u64().expect("a number")
}

/// What 10 000 pods of 50 nodes cost, beside the same agent without Kubernetes.
#[test]
fn root_ten_thousand_pods_take_little_memory() {
    let pair = Pair::new();
    let server = cluster(&pair.left);
    let apart = Agent::start_joined(&pair.right, &["-i", INTERFACE, "--kubernetes", "off"]);
    for number in 3..10_000_u32 {
        let (uid, name) =
            (format!("0a1b2c3d-0000-4000-8000-{number:012x}"), format!("web-6d5f7c9b8-{number:05}"));
        let (address, node) = (
            std::net::Ipv4Addr::from_bits(0x0a4e_0000 + number).to_string(),
            format!("node-{}", number % 50),
        );
        let pod = Pod { uid: &uid, name: &name, namespace: "shop", node: &node, address: &address, ..TALKER };
        server.set(PODS, pod.object());
    }
    let agent = start(&pair.left, &server, &[]);
    let state = known(&agent, "all are known", |state| state["pods"] == 10_000 && state["connected"] == true);
    assert_eq!(state["left_out"], 0, "{state}");
    let more = resident(&agent).saturating_sub(resident(&apart));
    println!("{} KiB more for 10 000 pods", more / 1024);
    assert!(more < 32 << 20, "{more} bytes more");
}
