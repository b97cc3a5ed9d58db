//! `weir demo`: what it says of its network is what the network says of itself, and nothing stays behind,
//! however it ends.

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::thread;
use std::time::Duration;
use weir_tests::agent::{Agent, Outcome};
use weir_tests::conversation::{Conversation, Observation};
use weir_tests::netns::{Namespace, succeed};
use weir_tests::output::Count;
use weir_tests::wait_for;

const HOSTS: [(&str, &str); 6] = [
    ("client-1", "192.0.2.11"),
    ("client-2", "192.0.2.12"),
    ("scanner", "192.0.2.66"),
    ("web", "192.0.2.80"),
    ("db", "192.0.2.63"),
    ("dns", "192.0.2.53"),
];
const LINE: [&str; 2] = ["line-near", "line-far"];
const SOON: Duration = Duration::from_secs(10);

/// A running demo, and its namespaces by their last word: held open, so that they can be asked after
/// the demo has removed their names.
struct Demo {
    agent: Agent,
    pid: u32,
    held: BTreeMap<&'static str, File>,
}

impl Demo {
    /// Starts it and waits until the agent watches.
    fn start(namespace: &Namespace, args: &[&str]) -> Self {
        let mut agent = Agent::start_command(namespace, &[&["demo", "-o", "json"], args].concat());
        agent.read();
        let pid = agent.pid();
        let names = HOSTS.iter().map(|(name, _)| *name).chain(["router"]);
        let open =
            |name| (name, File::open(format!("/run/netns/weir-demo-{pid}-{name}")).expect("a namespace"));
        Self { agent, pid, held: names.map(open).collect() }
    }

    /// Its end, in order, and its namespaces.
    fn wait(self) -> (Outcome, Traces, BTreeMap<&'static str, File>) {
        let traces = self.traces();
        (self.agent.wait(), traces, self.held)
    }

    fn traces(&self) -> Traces {
        let inodes = self.held.values().map(|file| file.metadata().expect("a namespace").ino()).collect();
        Traces { pid: self.pid, inodes }
    }
}

/// By what a demo could be found afterwards.
struct Traces {
    pid: u32,
    inodes: BTreeSet<u64>,
}

impl Traces {
    /// Files, mounts and namespaces with its name.
    fn names(&self) -> Vec<String> {
        let own = format!("weir-demo-{}", self.pid);
        let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
        let listed =
            ["/run/netns", "/run"].into_iter().flat_map(|directory| fs::read_dir(directory).expect("/run"));
        let files = listed.flatten().map(|entry| entry.path().to_string_lossy().into_owned());
        files.chain(mounts.lines().map(str::to_owned)).filter(|name| name.contains(&own)).collect()
    }

    /// Processes in its namespaces.
    fn processes(&self) -> Vec<String> {
        let is_inside = |entry: &fs::DirEntry| {
            fs::metadata(entry.path().join("ns/net")).is_ok_and(|inside| self.inodes.contains(&inside.ino()))
        };
        let all = fs::read_dir("/proc").expect("/proc").flatten();
        let inside = all.filter(is_inside).map(|entry| entry.path().join("cmdline"));
        // Those that the kernel has not buried yet have no command line.
        inside.filter_map(|path| fs::read_to_string(path).ok()).filter(|line| !line.is_empty()).collect()
    }

    fn wait_for_processes(&self) {
        wait_for("the demo's processes end", SOON, || self.processes().is_empty().then_some(()));
    }

    fn assert_none(&self) {
        assert_eq!(self.names(), Vec::<String>::new());
        self.wait_for_processes();
    }
}

/// Runs `work` in a namespace that may have no name any more.
fn inside<T: Send>(namespace: &File, work: impl FnOnce() -> T + Send) -> T {
    let entered = || {
        setns(namespace, CloneFlags::CLONE_NEWNET).expect("setns");
        work()
    };
    thread::scope(|scope| scope.spawn(entered).join()).expect("what happens inside")
}

fn json(namespace: &File, command: &str) -> Value {
    let mut words = command.split(' ');
    let said = inside(namespace, || succeed(Command::new(words.next().expect("a program")).args(words)));
    serde_json::from_str(&said).expect("JSON")
}

/// IP packets that arrived at a host, from `/proc/net/snmp`.
fn ip_received(namespace: &File) -> u64 {
    let snmp = inside(namespace, || fs::read_to_string("/proc/thread-self/net/snmp").expect("snmp"));
    let mut ip = snmp.lines().filter_map(|line| line.strip_prefix("Ip: "));
    let (names, values) = (ip.next().expect("names"), ip.next().expect("values"));
    let mut counters = names.split(' ').zip(values.split(' '));
    let (_, value) = counters.find(|(name, _)| *name == "InReceives").expect("InReceives");
    value.parse().expect("a number")
}

/// What a port has seen of each conversation.
fn observed<'a>(
    outcome: &'a Outcome,
    interface: &'a str,
    direction: &'a str,
) -> impl Iterator<Item = (&'a Conversation, &'a Observation)> {
    let all =
        outcome.conversations.iter().flat_map(|one| one.observations.iter().map(move |seen| (one, seen)));
    all.filter(move |(_, seen)| (&*seen.interface, &*seen.direction) == (interface, direction))
}

fn packets<'a>(observed: impl Iterator<Item = (&'a Conversation, &'a Observation)>) -> u64 {
    observed.map(|(_, seen)| seen.count.packets).sum()
}

/// Each ledger of a port is what `ip -s link` says of it, from the first packet to the last, and the
/// records of what went out to a host are the packets that its IP layer got.
fn assert_counters(outcome: &Outcome, held: &BTreeMap<&'static str, File>) {
    let links = json(&held["router"], "ip -s -j link");
    let links = links.as_array().expect("links");
    for interface in HOSTS.iter().map(|(name, _)| *name).chain(LINE) {
        let link = links.iter().find(|link| link["ifname"] == interface).expect("a link");
        let number = |side: &str, name: &str| link["stats64"][side][name].as_u64().expect("a counter");
        let count = |side| Count { packets: number(side, "packets"), bytes: number(side, "bytes") };
        assert_eq!(outcome.ledger(interface, "ingress").seen, count("rx"), "{interface}");
        if interface != LINE[0] {
            assert_eq!(outcome.ledger(interface, "egress").seen, count("tx"), "{interface}");
        }
    }
    for (host, address) in HOSTS {
        let is_ip = |(one, _): &(&Conversation, &Observation)| one.protocol.is_some();
        let arrived = observed(outcome, host, "egress").filter(is_ip);
        assert_eq!(packets(arrived), ip_received(&held[host]), "{host}");
        let said = |one: &Conversation, reverse| {
            let end = if reverse { &one.destination } else { &one.source };
            end.0.as_deref() == Some(address)
        };
        assert!(
            observed(outcome, host, "ingress").any(|(one, seen)| said(one, seen.reverse)),
            "{host} has not said anything"
        );
    }
}

/// What the line lost is what `tc` says it dropped, and the summary says so.
fn assert_line(outcome: &Outcome, held: &BTreeMap<&'static str, File>) {
    let qdisc = json(&held["router"], "tc -s -j qdisc show dev line-near root");
    let drops = qdisc[0]["drops"].as_u64().expect("drops");
    let near = outcome.ledger(LINE[0], "egress").seen.packets;
    let far = outcome.ledger(LINE[1], "ingress").seen.packets;
    assert_eq!(near - far, drops);
    assert!(drops > 0, "the lossy line loses packets");
    let said = said(outcome, "lossy line: ", "packets in");
    assert_eq!(numbers(&said)[..3], [near, far, drops], "{said}");
    assert_eq!(numbers(&said).last(), Some(&drops), "{said}");
}

/// The scanner tried every port up to 1024, and one of them is open.
fn assert_scan(outcome: &Outcome) {
    let tried = outcome.conversations.iter().filter(|one| {
        one.protocol.as_deref() == Some("tcp") && one.source.0.as_deref() == Some("192.0.2.66")
    });
    let ports: BTreeSet<_> = tried.clone().filter_map(|one| one.destination.1).collect();
    assert_eq!(ports, (1..=1024).collect());
    let syn_ack = 2 | 16;
    let accepted = tried.filter(|one| one.reverse_tcp_flags.is_some_and(|flags| flags & syn_ack == syn_ack));
    assert_eq!(accepted.filter_map(|one| one.destination.1).collect::<BTreeSet<_>>(), BTreeSet::from([80]));
    assert_eq!(said(outcome, "port scan: ", ""), "port scan: scanner tried 1 024 ports of web; open: 80");
}

/// Every question that a client sent reached the server, and the summary counts it once.
fn assert_lookups(outcome: &Outcome) {
    let sum = |interface: &str, direction: &str, answers: bool| -> u64 {
        let dns = |(one, seen): &(&Conversation, &Observation)| {
            one.protocol.as_deref() == Some("udp") && one.destination.1 == Some(53) && seen.reverse == answers
        };
        packets(observed(outcome, interface, direction).filter(dns))
    };
    let asked = ["client-1", "client-2"].map(|client| sum(client, "ingress", false));
    let answered = ["client-1", "client-2"].map(|client| sum(client, "egress", true));
    let questions = sum("dns", "egress", false);
    assert!(asked.iter().all(|asked| *asked > 0), "{asked:?}");
    assert_eq!(asked.iter().sum::<u64>(), questions);
    let said = said(outcome, "DNS: ", "answers");
    let said: BTreeSet<_> = numbers(&said).into_iter().collect();
    let wanted = BTreeSet::from([questions, answered.iter().sum(), asked[0], asked[1]]);
    assert!(said.is_superset(&wanted), "{said:?} {wanted:?}");
}

/// The line of the summary that begins and goes on like this.
fn said(outcome: &Outcome, start: &str, with: &str) -> String {
    let line = outcome.stderr.iter().find(|line| line.starts_with(start) && line.contains(with));
    line.unwrap_or_else(|| panic!("no {start}…{with}: {:#?}", outcome.stderr)).clone()
}

/// The numbers in a line; `1 024` is one.
fn numbers(line: &str) -> Vec<u64> {
    let mut joined: Vec<char> = line.chars().collect();
    let digit = |at: Option<&char>| at.is_some_and(char::is_ascii_digit);
    let is_gap = |chars: &[char], at: usize| {
        chars[at] == ' '
            && at > 0
            && digit(chars.get(at - 1))
            && (1..4).all(|next| digit(chars.get(at + next)))
    };
    (0..joined.len()).rev().for_each(|at| {
        if is_gap(&joined, at) {
            joined.remove(at);
        }
    });
    let joined: String = joined.into_iter().collect();
    joined.split(|letter: char| !letter.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

fn assert_exact(outcome: &Outcome) {
    outcome.assert_observed();
    for ledger in &outcome.ledgers {
        assert_eq!(ledger.lost, Count::default(), "{ledger:?}");
    }
}

fn assert_all(outcome: &Outcome, held: &BTreeMap<&'static str, File>) {
    assert_exact(outcome);
    assert_counters(outcome, held);
    assert_line(outcome, held);
    assert_scan(outcome);
    assert_lookups(outcome);
    let mut asked = observed(outcome, "db", "egress");
    assert!(asked.any(|(one, _)| one.destination.1 == Some(6379)), "nobody asks the database");
}

/// With the programs that are installed here.
#[test]
fn root_a_demo_says_what_its_network_says() {
    let namespace = Namespace::new();
    let (outcome, traces, held) = Demo::start(&namespace, &["--duration", "5s"]).wait();
    traces.assert_none();
    assert_all(&outcome, &held);
}

#[test]
fn root_stand_ins_say_the_same() {
    let namespace = Namespace::new();
    let (outcome, traces, held) = Demo::start(&namespace, &["--duration", "5s", "--stand-ins"]).wait();
    traces.assert_none();
    assert_all(&outcome, &held);
    said(&outcome, "stand-ins of weir: ", "dns");
}

/// Each sees its own network only.
#[test]
fn root_two_demos_at_the_same_time() {
    let namespace = Namespace::new();
    let demos = [(); 2].map(|()| Demo::start(&namespace, &["--duration", "5s"]));
    for (outcome, traces, held) in demos.map(Demo::wait) {
        traces.assert_none();
        assert_all(&outcome, &held);
    }
}

#[test]
fn root_signals_leave_nothing_and_touch_nothing() {
    let namespace = Namespace::new();
    let state =
        || namespace.ip("-d address") + &namespace.ip("route show table all") + &namespace.ip("neighbour");
    let before = state();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let demo = Demo::start(&namespace, &[]);
        let traces = demo.traces();
        assert!(!traces.processes().is_empty() && !traces.names().is_empty());
        assert_exact(&demo.agent.stop_with(signal));
        drop(demo.held);
        traces.assert_none();
        assert_eq!(state(), before, "{signal}");
    }
}

#[test]
fn root_what_a_killed_demo_left_goes_with_the_next() {
    let namespace = Namespace::new();
    let killed = Demo::start(&namespace, &[]);
    let traces = killed.traces();
    killed.agent.kill();
    traces.wait_for_processes();
    assert!(!traces.names().is_empty(), "nobody was there to clear up");

    let running = Demo::start(&namespace, &["--duration", "1s"]);
    assert_eq!(traces.names(), Vec::<String>::new());
    // Of one that runs, nothing is taken away.
    let (outcome, ..) = Demo::start(&namespace, &["--duration", "1s"]).wait();
    assert_exact(&outcome);
    let (outcome, traces, _) = running.wait();
    said(&outcome, "weir: removed what ", "killed");
    traces.assert_none();
}

/// Runs a line of shell in which `$0` is weir, expects it to refuse in one line, and returns that.
fn refuse(shell: &str) -> String {
    let (status, stdout, stderr) = Agent::run(&Namespace::new(), &["sh", "-c", shell], &[]);
    assert_eq!(status.code(), Some(1), "{stderr:?}");
    assert_eq!((stdout.len(), stderr.len()), (0, 1), "{stdout:?} {stderr:?}");
    stderr[0].clone()
}

/// The binary is copied: an unprivileged user may not even reach the directory it was built in.
#[test]
fn root_without_root_it_says_so() {
    let said = refuse(
        "copy=$(mktemp) && cp \"$0\" $copy && chmod 755 $copy
         setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all $copy demo
         code=$?; rm $copy; exit $code",
    );
    assert!(said.starts_with("weir: weir demo needs root: "), "{said}");
}

#[test]
fn root_without_ip_it_says_so() {
    let said = refuse(
        "exec unshare --mount sh -c \
         'mount --bind /dev/null $(readlink -f $(command -v ip)) && exec \"$0\" demo' \"$0\"",
    );
    assert_eq!(said, "weir: weir demo needs `ip`: install iproute2");
}

/// The last of the namespaces cannot be made: the others go again.
#[test]
fn root_a_network_that_cannot_be_built_leaves_nothing() {
    let said = refuse("ip netns add weir-demo-$$-dns; exec \"$0\" demo");
    assert!(said.starts_with("weir: cannot build the demo's network: ip: "), "{said}");
    let (_, name) = said.split_once("weir-demo-").unwrap_or_else(|| panic!("which one? {said}"));
    let pid = name.split('-').next().and_then(|pid| pid.parse().ok()).expect("its process id");
    Traces { pid, inodes: BTreeSet::new() }.assert_none();
}
