//! Observation domains: the same addresses in networks that have nothing to do with each other, and
//! packets that cross several network namespaces. `ip -s link` says how many there were.

use std::collections::BTreeSet;
use std::time::Duration;
use weir_tests::agent::{Agent, Outcome};
use weir_tests::conversation::Conversation;
use weir_tests::netns::Namespace;
use weir_tests::wait_for;
use weir_tests::witness::{link, settled, tcx_links};

const SOON: Duration = Duration::from_secs(5);
const CABLE: &str = "cable";
/// One number for each test: by it an interface is found among all of the machine.
const INDEX: u32 = 74_001;

/// An end of a cable. Neighbours are known for good: there is no ARP.
struct End<'a> {
    host: &'a Namespace,
    interface: &'a str,
    address: &'a str,
}

impl End<'_> {
    fn mac(&self) -> String {
        let last: u8 = self.address.rsplit('.').next().and_then(|n| n.parse().ok()).expect("an address");
        format!("02:00:00:00:00:{last:02x}")
    }

    fn set_up(&self, other: &End<'_>) {
        let Self { host, interface, address } = self;
        host.ip(&format!("link set {interface} address {} up", self.mac()));
        host.ip(&format!("address add {address}/24 dev {interface}"));
        host.ip(&format!(
            "neighbour add {} lladdr {} dev {interface} nud permanent",
            other.address,
            other.mac()
        ));
    }

    fn ping(&self, other: &End<'_>, count: u32) {
        let count = count.to_string();
        self.host.run("ping", &["-q", "-c", &count, "-i", "0.01", other.address]);
    }

    /// Packets that it has sent and received.
    fn packets(&self) -> u64 {
        let wire = settled(self.host, self.interface);
        wire.tx.packets + wire.rx.packets
    }
}

/// Lays a cable between two namespaces; both ends have one number.
fn plug(near: &End<'_>, far: &End<'_>, index: u32) {
    near.host.ip(&format!(
        "link add {} index {index} type veth peer name {} index {index} netns {}",
        near.interface,
        far.interface,
        far.host.name()
    ));
    near.set_up(far);
    far.set_up(near);
}

/// Two hosts on one wire: the same in each network.
struct Network {
    hosts: [Namespace; 2],
}

impl Network {
    fn new(index: u32) -> Self {
        let network = Self { hosts: [Namespace::new(), Namespace::new()] };
        let [near, far] = network.ends();
        plug(&near, &far, index);
        network
    }

    fn ends(&self) -> [End<'_>; 2] {
        let end = |host, address| End { host, interface: CABLE, address };
        [end(&self.hosts[0], "10.79.0.1"), end(&self.hosts[1], "10.79.0.2")]
    }

    fn ping(&self, count: u32) {
        let [near, far] = self.ends();
        near.ping(&far, count);
    }

    fn packets(&self) -> u64 {
        self.ends()[0].packets()
    }
}

/// An agent from elsewhere that watches these.
fn watch(home: &Namespace, hosts: &[&Namespace]) -> Agent {
    let flags: Vec<_> = hosts.iter().flat_map(|host| ["--netns", host.name()]).collect();
    Agent::start_joined(home, &flags)
}

fn between<'a>(outcome: &'a Outcome, address: &str) -> Vec<&'a Conversation> {
    let has = |one: &&Conversation| one.source.0.as_deref() == Some(address);
    outcome.conversations.iter().filter(has).collect()
}

fn places(one: &Conversation) -> BTreeSet<&str> {
    one.observations.iter().map(|seen| &*seen.netns).collect()
}

#[test]
fn root_the_same_addresses_apart_are_two_conversations() {
    let home = Namespace::new();
    let networks = [Network::new(INDEX), Network::new(INDEX)];
    let hosts: Vec<_> = networks.iter().flat_map(|network| &network.hosts).collect();
    for dedup in ["first", "outer", "inner"] {
        let before = networks.each_ref().map(Network::packets);
        let flags: Vec<_> = hosts.iter().flat_map(|host| ["--netns", host.name()]).collect();
        let agent = Agent::start_joined(&home, &[&["--dedup", dedup], &flags[..]].concat());
        std::thread::scope(|scope| {
            scope.spawn(|| networks[0].ping(40));
            scope.spawn(|| networks[1].ping(70));
        });
        let after = networks.each_ref().map(Network::packets);
        let outcome = agent.stop();
        outcome.assert_observed();
        let found = between(&outcome, "10.79.0.1");
        assert_eq!(found.len(), 2, "{found:?}");
        assert_ne!(found[0].flow_id, found[1].flow_id);
        for (network, (before, after)) in networks.iter().zip(before.into_iter().zip(after)) {
            let names = network.hosts.iter().map(Namespace::name).collect();
            let one = found.iter().find(|one| places(one) == names).expect("one of each network");
            assert_eq!((one.packets(), one.observations.len()), (after - before, 4), "{one:?}");
        }
        assert_eq!(outcome.conversations.len(), 2, "{:?}", outcome.conversations);
    }
}

/// Two hosts, the way between them through namespaces that nobody watches.
#[test]
fn root_what_lies_between_is_found_without_being_watched() {
    let [home, left, right] = [(); 3].map(|()| Namespace::new());
    let [first, second] = [(); 2].map(|()| Namespace::new());
    for (switch, host, port) in [(&first, &left, "left"), (&second, &right, "right")] {
        switch.ip("link add bridge type bridge mcast_snooping 0");
        switch.ip(&format!("link add {port} type veth peer name {CABLE} netns {}", host.name()));
    }
    first.ip(&format!("link add trunk type veth peer name trunk netns {}", second.name()));
    for (switch, port) in [(&first, "left"), (&second, "right")] {
        for port in [port, "trunk"] {
            switch.ip(&format!("link set {port} master bridge up"));
        }
        switch.ip("link set bridge up");
    }
    let [near, far] = [(&left, "10.79.0.1"), (&right, "10.79.0.2")].map(|(host, address)| End {
        host,
        interface: CABLE,
        address,
    });
    near.set_up(&far);
    far.set_up(&near);
    let before = near.packets();
    let agent = watch(&home, &[&left, &right]);
    near.ping(&far, 50);
    let after = near.packets();
    let outcome = agent.stop();
    outcome.assert_observed();
    let found = between(&outcome, near.address);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].packets(), found[0].observations.len()), (after - before, 4), "{found:?}");
}

/// A macvlan in one namespace on top of an interface in another.
#[test]
fn root_an_interface_is_connected_with_what_it_lies_on() {
    let [home, guest, host, far] = [(); 4].map(|()| Namespace::new());
    host.ip(&format!("link add below type veth peer name {CABLE} netns {}", far.name()));
    host.ip("link set below up");
    host.ip(&format!("link add link below name above netns {} type macvlan mode bridge", guest.name()));
    let near = End { host: &guest, interface: "above", address: "10.79.0.1" };
    let far = End { host: &far, interface: CABLE, address: "10.79.0.2" };
    near.set_up(&far);
    far.set_up(&near);
    let before = far.packets();
    let agent = watch(&home, &[&guest, &host]);
    near.ping(&far, 50);
    let after = far.packets();
    let outcome = agent.stop();
    outcome.assert_observed();
    let found = between(&outcome, near.address);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].packets(), after - before);
    assert_eq!(places(found[0]), [guest.name(), host.name()].into());
}

/// Networks that become one while both have the same conversation, and come apart again.
#[test]
fn root_networks_are_joined_and_parted_while_it_runs() {
    let home = Namespace::new();
    let (one, other) = (Network::new(INDEX + 10), Network::new(INDEX + 10));
    let hosts: Vec<_> = [&one, &other].into_iter().flat_map(|network| &network.hosts).collect();
    let before = one.packets() + other.packets();
    let agent = watch(&home, &hosts);
    let both = || {
        std::thread::scope(|scope| {
            scope.spawn(|| one.ping(30));
            scope.spawn(|| other.ping(50));
        });
    };
    both();
    let near = End { host: &one.hosts[0], interface: "joint", address: "10.80.0.1" };
    let far = End { host: &other.hosts[1], interface: "joint", address: "10.80.0.2" };
    let index = INDEX + 11;
    plug(&near, &far, index);
    wait_for("both ends are watched", SOON, || (tcx_links(index) == 4).then_some(()));
    near.ping(&far, 60);
    let across = near.packets();
    near.host.ip("link del joint");
    // What appears after it went is watched when that is known, too.
    one.hosts[0].ip(&format!("link add mark index {} type bridge", index + 1));
    wait_for("it has been noticed", SOON, || (tcx_links(index + 1) == 2).then_some(()));
    both();
    let total = one.packets() + other.packets() - before;
    let outcome = agent.stop();
    outcome.assert_observed();

    let found = between(&outcome, near.address);
    assert_eq!(found.iter().map(|one| one.packets()).sum::<u64>(), across, "{found:?}");
    assert!(found.iter().any(|one| places(one) == [near.host.name(), far.host.name()].into()), "{found:?}");
    let found = between(&outcome, "10.79.0.1");
    assert_eq!(found.iter().map(|one| one.packets()).sum::<u64>(), total, "{found:?}");
    for record in found {
        let is_one_of = |network: &Network| {
            let names: BTreeSet<_> = network.hosts.iter().map(Namespace::name).collect();
            places(record).is_subset(&names)
        };
        assert!(is_one_of(&one) || is_one_of(&other), "{record:?}");
    }
    assert_eq!(link(&one.hosts[0], CABLE).tx_dropped, 0);
}
