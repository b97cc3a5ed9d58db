//! Other network namespaces than the agent's own, as they come and go.

use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;
use weir_tests::agent::{Agent, Outcome};
use weir_tests::flood::Flood;
use weir_tests::inject::Injector;
use weir_tests::netns::Namespace;
use weir_tests::output::Flow;
use weir_tests::pair::Pair;
use weir_tests::wait_for;
use weir_tests::witness::{link, tc_filters, tcx_links};

/// A new interface is watched within this, also where its namespace is as new.
const SOON: Duration = Duration::from_secs(1);
const SETTLED: Duration = Duration::from_secs(5);
const INDEX: u32 = 73_001;

/// A name that no other test on this machine uses: agents in these tests watch every namespace.
fn name(end: &str) -> String {
    format!("w{}{end}", std::process::id())
}

/// A veth pair between two namespaces; the ends have numbers of their own.
fn join(near: &Namespace, far: &Namespace, index: u32) -> [String; 2] {
    let ends = [name(&format!("n{index}")), name(&format!("f{index}"))];
    near.ip(&format!(
        "link add {} index {index} type veth peer name {} index {} netns {}",
        ends[0],
        ends[1],
        index + 1,
        far.name()
    ));
    near.ip(&format!("link set {} up", ends[0]));
    far.ip(&format!("link set {} up", ends[1]));
    ends
}

fn wait_until_attached(index: u32) {
    wait_for("it is watched", SOON, || (tcx_links(index) == 2).then_some(()));
}

fn assert_counted(outcome: &Outcome, namespace: &Namespace, interface: &str, flood: &Flood) {
    let place = (namespace.name(), interface, "egress");
    let seen = outcome.ledgers_of(place).map(|ledger| ledger.seen).sum();
    assert_eq!(flood.total(), seen, "{place:?}");
    flood.assert_equals(&Flow::merge(outcome.flows_of(place)));
}

/// A process that does nothing, in a namespace.
struct Sleeper(Child);

impl Sleeper {
    fn in_namespace(namespace: &Namespace) -> Self {
        Self(namespace.enter(|| Command::new("sleep").arg("600").spawn()).expect("sleep"))
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// By name and by a process in it, on either kind of hook.
#[test]
fn root_a_named_namespace_is_watched() {
    let (home, near, far) = (Namespace::new(), Namespace::new(), Namespace::new());
    let ends = join(&near, &far, INDEX);
    let sleeper = Sleeper::in_namespace(&near);
    let injector = Injector::open(&near, &ends[0]);
    for word in [near.name().to_owned(), sleeper.0.id().to_string()] {
        for (hook, attached) in [("tcx", (2, 0)), ("clsact", (0, 2))] {
            let args = ["--netns", &word, "-i", &ends[0], "--hook", hook, "-o", "json"];
            let agent = Agent::start(&home, &args);
            assert_eq!((tcx_links(INDEX), tc_filters(&near, &ends[0])), attached, "{args:?}");
            let before = link(&near, &ends[0]);
            let flood = Flood { packets: 1_000, flows: 10, mark: 1 };
            flood.send(&injector);
            let after = link(&near, &ends[0]);
            let outcome = agent.stop();
            outcome.assert_exact();
            assert_counted(&outcome, &near, &ends[0], &flood);
            assert_eq!(after.tx.packets - before.tx.packets, flood.packets);
            wait_for("nothing is left there", SETTLED, || {
                (tcx_links(INDEX) == 0 && tc_filters(&near, &ends[0]) == 0).then_some(())
            });
        }
    }
}

#[test]
fn root_a_namespace_that_is_not_there_is_said_in_one_line() {
    let there = Namespace::new();
    let (status, stdout, stderr) = Agent::run(&there, &[], &["run", "--netns", "no-such-namespace"]);
    assert_eq!((status.code(), stdout.len(), stderr.len()), (Some(1), 0, 1), "{stderr:?}");
    assert!(stderr[0].contains("no-such-namespace") && stderr[0].contains(there.name()), "{stderr:?}");
    // An id that no process can have.
    let (status, _, stderr) = Agent::run(&there, &[], &["run", "--netns", "99999999"]);
    assert_eq!((status.code(), stderr.len()), (Some(1), 1), "{stderr:?}");
}

/// One that is there from the start, one that comes with its interface, one that a process alone
/// keeps; one that goes, and one that comes under its name.
#[test]
fn root_namespaces_come_and_go() {
    let (home, first) = (Namespace::new(), Namespace::new());
    let ends = join(&home, &first, INDEX);
    let glob = name("*");
    let agent = Agent::start(&home, &["--all-netns", "-i", &glob, "-o", "json", "--interval", "200ms"]);
    assert_eq!((tcx_links(INDEX), tcx_links(INDEX + 1)), (2, 2));
    let early = Flood { packets: 1_000, flows: 10, mark: 1 };
    early.send(&Injector::open(&first, &ends[1]));

    let second = Namespace::new();
    let new = join(&home, &second, INDEX + 10);
    wait_until_attached(INDEX + 11);
    let late = Flood { packets: 2_000, flows: 20, mark: 2 };
    late.send(&Injector::open(&second, &new[1]));
    assert_eq!(link(&second, &new[1]).tx.packets, late.packets);

    // Nothing of the agent's keeps a namespace: what was in it goes, and so does the other end.
    let second_name = second.name().to_owned();
    drop(second);
    wait_for("its interface goes with it", SETTLED, || {
        (!home.ip("-br link").contains(&new[0])).then_some(())
    });
    wait_for("the links go with it", SETTLED, || (tcx_links(INDEX + 11) == 0).then_some(()));

    let unnamed = Unnamed::new(&home);
    wait_until_attached(INDEX + 21);
    let inode = unnamed.inode();
    drop(unnamed);
    wait_for("its interface goes with it", SETTLED, || {
        (!home.ip("-br link").contains(&name("u"))).then_some(())
    });

    let outcome = agent.stop();
    outcome.assert_exact();
    assert_counted(&outcome, &first, &ends[1], &early);
    let place = (&*second_name, &*new[1], "egress");
    assert_eq!(late.total(), outcome.ledgers_of(place).map(|ledger| ledger.seen).sum());
    late.assert_equals(&Flow::merge(outcome.flows_of(place)));
    assert!(outcome.ledgers.iter().any(|ledger| ledger.netns == inode), "{inode}: {:?}", outcome.ledgers);
}

/// A namespace without a name, which lives as long as its process.
struct Unnamed(Sleeper);

impl Unnamed {
    fn new(home: &Namespace) -> Self {
        let spawn = || Command::new("unshare").args(["--net", "sleep", "600"]).spawn();
        let sleeper = Sleeper(home.enter(spawn).expect("unshare"));
        let pid = sleeper.0.id();
        wait_for("it is apart", SETTLED, || (netns_of(&pid.to_string()) != netns_of("self")).then_some(()));
        wait_for("it is another program", SETTLED, || {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            (name.trim() == "sleep" && netns_of(&pid.to_string()) != inode_of(home)).then_some(())
        });
        let (near, far) = (name("u"), name("v"));
        home.ip(&format!(
            "link add {near} index {} type veth peer name {far} index {} netns {pid}",
            INDEX + 20,
            INDEX + 21
        ));
        Self(sleeper)
    }

    fn inode(&self) -> String {
        netns_of(&self.0.0.id().to_string())
    }
}

fn netns_of(process: &str) -> String {
    let link = std::fs::read_link(format!("/proc/{process}/ns/net")).expect("it runs");
    link.to_string_lossy().trim_start_matches("net:[").trim_end_matches(']').to_owned()
}

fn inode_of(namespace: &Namespace) -> String {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(Path::new("/run/netns").join(namespace.name())).expect("it is there").ino().to_string()
}

/// Namespaces are made and deleted as fast as that goes, with the agent always a step behind.
#[test]
fn root_namespaces_that_vanish_during_attach_do_no_harm() {
    let pair = Pair::new();
    let glob = [&*name("*"), "weir0"];
    let args = ["--netns", pair.left.name(), "--netns", pair.right.name(), "-i", glob[1], "-o", "json"];
    // The first agent must not be told of them, the second must.
    let agent = Agent::start(&pair.left, &args);
    let keep = Namespace::new();
    let stays = join(&keep, &keep, INDEX + 40);
    let every =
        Agent::start(&pair.left, &["--all-netns", "-i", glob[0], "-o", "json", "--interval", "100ms"]);
    for round in 0..30 {
        let vanishing = Namespace::new();
        join(&vanishing, &vanishing, INDEX + 100 + 2 * round);
        if round % 3 == 0 {
            std::thread::sleep(Duration::from_millis(u64::from(round) * 17 % 400));
        }
    }
    let flood = Flood { packets: 1_000, flows: 10, mark: 3 };
    flood.send(&Injector::open(&keep, &stays[0]));
    let outcome = every.stop();
    outcome.assert_exact();
    assert_counted(&outcome, &keep, &stays[0], &flood);
    let complaints: Vec<_> =
        outcome.stderr.iter().filter(|line| !line.starts_with("weir: attached")).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
    let outcome = agent.stop();
    outcome.assert_exact();
    assert!(outcome.ledgers.iter().all(|ledger| ledger.interface == "weir0"));
}
