//! `weir snapshot`: held against `ss`, socket by socket.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;
use weir_tests::agent::{Agent, binary};
use weir_tests::groups::Groups;
use weir_tests::netns::Namespace;
use weir_tests::pair::{INTERFACE, Pair, RIGHT, RIGHT_IPV6};
use weir_tests::shell::{Shell, python, shell};
use weir_tests::sockets::{Socket, by_ss, snapshot, sockets};
use weir_tests::terminal::Terminal;
use weir_tests::wait_for;

const PATIENCE: Duration = Duration::from_secs(20);

/// Servers: of one address and of all of them, of both families; some share a socket, some a port.
const SERVERS: &str = r#"
import os, select, socket, sys
from socket import AF_INET, AF_INET6, SOCK_STREAM, SOCK_DGRAM

def bound(family, kind, address, port, option=socket.SO_REUSEADDR):
    one = socket.socket(family, kind)
    one.setsockopt(socket.SOL_SOCKET, option, 1)
    one.bind((address, port))
    if kind == SOCK_STREAM:
        one.listen(64)
    return one

v4, v6 = sys.argv[1:3]
served = [bound(AF_INET, SOCK_STREAM, v4, 8001), bound(AF_INET6, SOCK_STREAM, '::', 8002)]
# Nobody takes what comes to these.
left = [bound(AF_INET, SOCK_STREAM, '0.0.0.0', 8003), bound(AF_INET6, SOCK_STREAM, v6, 8004)]
datagrams = [bound(AF_INET, SOCK_DGRAM, v4, 8005), bound(AF_INET, SOCK_DGRAM, '0.0.0.0', 8006),
             bound(AF_INET6, SOCK_DGRAM, '::', 8007), bound(AF_INET6, SOCK_DGRAM, v6, 8008)]
ends = bound(AF_INET, SOCK_STREAM, v4, 8009)
reading, writing = os.pipe()
for _ in range(2):
    if os.fork() == 0:
        own = bound(AF_INET, SOCK_STREAM, v4, 8010, socket.SO_REUSEPORT)
        os.write(writing, b'.')
        taken = []
        while True:
            for one in select.select(served + [ends, own], [], [])[0]:
                one.setblocking(False)
                try:
                    connection, _ = one.accept()
                except BlockingIOError:
                    continue
                if one is ends:
                    connection.setblocking(True)
                    connection.recv(1)
                    connection.close()
                else:
                    taken.append(connection)
for _ in range(2):
    os.read(reading, 1)
print('ready', flush=True)
sys.stdin.read()
"#;

/// Clients: connections in every state that can be kept, and a child that has some of them, too.
const CLIENTS: &str = r#"
import os, socket, sys, time
from socket import AF_INET, AF_INET6, SOCK_STREAM, SOCK_DGRAM

def to(family, kind, address, port):
    one = socket.socket(family, kind)
    one.connect((address, port))
    return one

v4, v6 = sys.argv[1:3]
kept = [to(AF_INET, SOCK_STREAM, v4, 8001) for _ in range(5)]
if os.fork() == 0:
    time.sleep(1000)
for port in [8001, 8002, 8003, 8010, 8010, 8010, 8010] * 5:
    kept.append(to(AF_INET, SOCK_STREAM, v4, port))
for port in [8002, 8004] * 5:
    kept.append(to(AF_INET6, SOCK_STREAM, v6, port))
for port in [8005, 8006, 8007]:
    kept.append(to(AF_INET, SOCK_DGRAM, v4, port))
for port in [8007, 8008]:
    kept.append(to(AF_INET6, SOCK_DGRAM, v6, port))
unconnected = socket.socket(AF_INET, SOCK_DGRAM)
unconnected.sendto(b'hello', (v4, 8005))
for _ in range(3):
    to(AF_INET, SOCK_STREAM, v4, 8009).close()
    to(AF_INET, SOCK_STREAM, v4, 8003).close()
half = to(AF_INET, SOCK_STREAM, v4, 8001)
half.shutdown(socket.SHUT_WR)
asking = socket.socket(AF_INET, SOCK_STREAM)
asking.setblocking(False)
asking.connect_ex(('10.77.0.99', 80))
time.sleep(0.5)
print('ready', flush=True)
sys.stdin.read()
"#;

/// A busy pair of hosts.
struct Busy {
    servers: Shell,
    clients: Shell,
    pair: Pair,
}

impl Busy {
    /// The clients run `before` they begin.
    fn new(before: &str) -> Self {
        let (pair, addresses) = (Pair::with_ipv6(), [RIGHT, RIGHT_IPV6]);
        // Where nobody is, for a connection that is only asked for.
        pair.left.ip(&format!(
            "neighbour replace 10.77.0.99 lladdr 02:00:00:00:00:99 dev {INTERFACE} nud permanent"
        ));
        let servers = python(&pair.right, ":", SERVERS, &addresses);
        let clients = python(&pair.left, before, CLIENTS, &addresses);
        let shown = || [&pair.left, &pair.right].map(|namespace| by_ss(namespace.name()));
        let mut last = shown();
        wait_for("all are accepted that will be", PATIENCE, || {
            sleep(Duration::from_millis(300));
            let now = shown();
            (std::mem::replace(&mut last, now) == last).then_some(())
        });
        Self { servers, clients, pair }
    }
}

/// What is shown of one namespace alone.
fn of(netns: &str, lines: &[Value]) -> Vec<Socket> {
    let sockets = sockets(lines);
    sockets.into_iter().filter(|(name, _)| name == netns).map(|(_, socket)| socket).collect()
}

#[test]
fn root_every_socket_is_as_ss_has_it() {
    let busy = Busy::new(":");
    let (left, right) = (&busy.pair.left, &busy.pair.right);
    let shown = [left, right].map(|namespace| by_ss(namespace.name()));
    let states: BTreeSet<_> = shown.iter().flatten().map(|one| one.state.as_str()).collect();
    let wanted = [
        "listen",
        "unconnected",
        "connected",
        "syn_sent",
        "established",
        "close_wait",
        "fin_wait_2",
        "time_wait",
    ];
    assert!(wanted.iter().all(|state| states.contains(state)), "{states:?}");
    assert!(shown.iter().all(|sockets| sockets.len() > 60), "{shown:#?}");
    // From inside each, from outside by name, and both at once.
    assert_eq!(of(left.name(), &snapshot(left, "sockets", &[])), shown[0]);
    assert_eq!(of(right.name(), &snapshot(right, "sockets", &[])), shown[1]);
    assert_eq!(of(right.name(), &snapshot(left, "sockets", &["--netns", right.name()])), shown[1]);
    let all = snapshot(left, "sockets", &["--all-netns"]);
    assert_eq!([left, right].map(|namespace| of(namespace.name(), &all)), shown);
    // A socket of three processes stands under the oldest of them.
    let shared = all.iter().find(|line| line["local_port"] == 8001 && line["state"] == "listen");
    let shared = shared.expect("it is there");
    assert_eq!(
        (&shared["pid"], shared["holders"].as_array().map(Vec::len)),
        (&busy.servers.0.id().into(), Some(3))
    );
}

/// By `ss`: what a process serves, and how many connections it has.
fn processes(sockets: &[Socket]) -> BTreeMap<u32, (BTreeSet<(String, u16)>, usize)> {
    let mut processes: BTreeMap<u32, (BTreeSet<_>, usize)> = BTreeMap::new();
    for socket in sockets {
        for pid in &socket.holders {
            let (serves, connections) = processes.entry(*pid).or_default();
            if ["listen", "unconnected"].contains(&&*socket.state) {
                serves.insert((socket.protocol.clone(), socket.local.1));
            } else {
                *connections += 1;
            }
        }
    }
    processes
}

#[test]
fn root_processes_have_the_sockets_that_ss_gives_them() {
    let id = "4f1d2a7c9be3".repeat(6)[..64].to_owned();
    let mut groups = Groups::new();
    let group = groups.make(&format!("weirt.slice/docker-{id}.scope"));
    let busy = Busy::new(&format!("echo $$ >{}", group.display()));
    for namespace in [&busy.pair.left, &busy.pair.right] {
        let lines = snapshot(namespace, "processes", &[]);
        let of = |line: &Value| {
            let serves = line["serves"].as_array().expect("a list").iter();
            let serves = serves.map(|one| {
                (
                    one["protocol"].as_str().expect("a word").to_owned(),
                    one["local_port"].as_u64().expect("a port") as u16,
                )
            });
            let number = |name: &str| line[name].as_u64().unwrap_or_else(|| panic!("{name}: {line}"));
            (number("pid") as u32, (serves.collect(), number("connections") as usize))
        };
        assert_eq!(lines.iter().map(of).collect::<BTreeMap<_, _>>(), processes(&by_ss(namespace.name())));
        assert!(
            lines.iter().all(|line| line["process"] == "python3" && line["type"] == "process"),
            "{lines:?}"
        );
        let executables = lines.iter().filter_map(|line| line["executable"].as_str());
        assert!(
            executables.clone().count() == lines.len()
                && executables.into_iter().all(|path| path.contains("python"))
        );
    }
    let lines = snapshot(&busy.pair.left, "processes", &[]);
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in &lines {
        assert_eq!(
            (&line["container"], &line["container_runtime"]),
            (&Value::from(id.as_str()), &"docker".into())
        );
    }
    let line = lines.iter().find(|line| line["pid"] == busy.clients.0.id()).expect("the parent");
    assert_eq!((&line["parent_pid"], &line["user_id"]), (&std::process::id().into(), &0.into()));
}

/// Real programs, that come and go. What `ss` shows before and after was there between.
#[test]
fn root_sockets_of_the_demo_are_those_of_ss() {
    const HOSTS: [&str; 7] = ["client-1", "client-2", "scanner", "web", "db", "dns", "router"];
    const ROUNDS: usize = 30;
    let namespace = Namespace::new();
    let mut demo = Agent::start_command(&namespace, &["demo", "-o", "none", "--duration", "60s"]);
    demo.read();
    // Its own clients are gone in a moment; these stay.
    let talk = "exec 3<>/dev/tcp/192.0.2.63/6379 4<>/dev/udp/192.0.2.53/53 5<>/dev/tcp/192.0.2.80/80; read";
    let _talkers = ["client-1", "client-2"].map(|host| {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &format!("weir-demo-{}-{host}", demo.pid()), "bash", "-c", talk]);
        Shell(command.stdin(Stdio::piped()).spawn().expect("ip is there"))
    });
    let (mut compared, mut held, mut states) = (0, 0, BTreeSet::new());
    let enough = ["listen", "unconnected", "connected", "established", "time_wait"];
    for _ in 0..ROUNDS {
        for host in HOSTS.map(|host| format!("weir-demo-{}-{host}", demo.pid())) {
            let before: BTreeSet<_> = by_ss(&host).into_iter().collect();
            let all = snapshot(&namespace, "sockets", &["--all-netns"]);
            let after: BTreeSet<_> = by_ss(&host).into_iter().collect();
            let found: BTreeSet<_> = of(&host, &all).into_iter().collect();
            for socket in before.intersection(&after) {
                // For a moment a child may have it, too.
                let is_it = |one: &&Socket| {
                    Socket { holders: socket.holders.clone(), ..(*one).clone() } == *socket
                        && one.holders.is_superset(&socket.holders)
                };
                assert!(found.iter().any(|one| is_it(&one)), "{host}: {socket:?} is not in {found:#?}");
                compared += 1;
                held += usize::from(!socket.holders.is_empty());
                states.insert(socket.state.clone());
            }
        }
        if compared > 100 && enough.iter().all(|state| states.contains(*state)) {
            break;
        }
    }
    demo.stop();
    eprintln!("{compared} sockets compared, {held} of them with a process: {states:?}");
    assert!(compared > 100 && held > 20, "{compared} {held}");
    assert!(enough.iter().all(|state| states.contains(*state)), "{states:?}");
}

/// A name that would clear the screen and begin the line anew.
#[test]
fn root_hostile_names_break_neither_table_nor_json() {
    let pair = Pair::new();
    let rename = r"printf '\e[2J\revil\xff' >/proc/$$/comm";
    let talk = format!("{rename}; exec 3<>/dev/udp/{RIGHT}/5000; echo ready; read");
    let talker = shell(&pair.left, &talk).ready();
    for what in ["sockets", "processes"] {
        let (status, printed, said) = Agent::run(&pair.left, &[], &["snapshot", what]);
        assert!(status.success() && said.is_empty(), "{said:?}");
        // A line of summary, one of titles, one of the socket.
        assert_eq!(printed.len(), 3, "{printed:?}");
        assert!(
            printed[2].contains(r"\u{1b}[2J\revil") && printed[2].contains(&talker.0.id().to_string()),
            "{printed:?}"
        );
        assert!(printed.iter().all(|line| !line.chars().any(char::is_control)), "{printed:?}");
        let lines = snapshot(&pair.left, what, &[]);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["process"], "\\u{1b}[2J\\revil\u{fffd}");
    }
}

/// Where 80 columns do not hold all, those go that matter least, and nothing is wrapped.
#[test]
fn root_it_fits_a_terminal() {
    let busy = Busy::new(":");
    let terminal = Terminal::open(&busy.pair.right);
    terminal.line(&format!("{} snapshot processes; echo ended:$?", binary().display()));
    let screen = terminal.wait_for("ended:0");
    let rows: Vec<_> = screen.lines().filter(|line| line.starts_with("python3 ")).collect();
    assert_eq!(rows.len(), 3, "{screen}");
    let serves = "tcp 8001,8002,8003,8004,8009 udp 8005,8006,8007,8008";
    assert!(rows[0].contains(serves) && screen.contains("CONNS"), "{screen}");
}

#[test]
fn root_what_it_cannot_do_is_one_line() {
    let pair = Pair::new();
    let powerless = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];
    for (wrapper, args, words) in [
        (&powerless[..], &["snapshot", "sockets"][..], "CAP_"),
        (&powerless, &["snapshot", "processes", "--all-netns"], "root"),
        (&[], &["snapshot", "sockets", "--netns", "nosuch"], "nosuch"),
    ] {
        let (status, printed, said) = Agent::run(&pair.left, wrapper, args);
        assert_eq!((status.code(), printed.len(), said.len()), (Some(1), 0, 1), "{args:?}: {said:?}");
        assert!(said[0].contains(words), "{said:?}");
    }
}
