//! Two periods against each other: pure, and in an order that is the same each time.

use super::relation::Role;
use super::tally::{Fared, Host, Peer, Port, Seen, Subject, Tally};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::net::IpAddr;

/// By how much a figure has to change.
const FACTOR: f64 = 2.0;
/// Below this in both periods nobody cares: bytes a second, and conversations altogether.
const BYTES: f64 = 1000.0;
const CONVERSATIONS: u64 = 10;
/// By how much a round-trip time has to change, in microseconds, and of how many records each median has to be.
const RTT: f64 = 1000.0;
const RECORDS: u64 = 5;
/// By how much a share has to change, and of how many failures the larger one has to be.
const SHARE: f64 = 0.01;
const FAILURES: u64 = 5;

/// What one period has and the other has not.
#[derive(Debug, Default, PartialEq)]
pub struct Found {
    pub peers: Vec<(Met, Seen)>,
    pub ports: Vec<(Port, Seen)>,
    pub processes: Vec<(String, Seen)>,
}

/// A peer at a service: all addresses of one name together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Met {
    pub role: Role,
    pub host: Host,
    pub port: Option<u16>,
    pub protocol: u8,
    pub addresses: BTreeSet<IpAddr>,
}

/// A figure of both periods.
#[derive(Debug, PartialEq)]
pub struct Change {
    pub subject: Subject,
    pub before: f64,
    pub after: f64,
}

impl Change {
    /// How many times as much it is now; nothing where it was nothing.
    pub fn factor(&self) -> Option<f64> {
        (self.before > 0.0).then(|| self.after / self.before)
    }

    fn is_large(&self) -> bool {
        let (smaller, larger) = (self.before.min(self.after), self.before.max(self.after));
        larger >= FACTOR * smaller
    }

    fn difference(&self) -> f64 {
        (self.after - self.before).abs()
    }
}

/// What has changed, of those that are in both periods; the largest differences come first.
#[derive(Debug, Default, PartialEq)]
pub struct Changed {
    /// Shares of connections, from 0 to 1.
    pub failure_rate: Vec<Change>,
    /// Medians, in microseconds.
    pub rtt: Vec<Change>,
    /// A second.
    pub bytes: Vec<Change>,
    /// A second.
    pub conversations: Vec<Change>,
}

/// What is in `these` and not in `those`.
pub fn found(these: &Tally, those: &Tally) -> Found {
    Found {
        peers: peers(&these.peers, &those.peers),
        ports: absent(&these.ports, &those.ports),
        processes: absent(&these.processes, &those.processes),
    }
}

fn absent<K: Clone + Eq + Hash + Ord>(these: &HashMap<K, Seen>, those: &HashMap<K, Seen>) -> Vec<(K, Seen)> {
    let absent = these.iter().filter(|(key, _)| !those.contains_key(*key));
    let mut absent: Vec<_> = absent.map(|(key, seen)| (key.clone(), seen.clone())).collect();
    absent.sort_unstable_by(|(one, seen), (other, more)| {
        (Reverse(seen.bytes), one).cmp(&(Reverse(more.bytes), other))
    });
    absent
}

/// A peer is known by its address and by its name: names move to other addresses, and are not always known.
fn peers(these: &HashMap<Peer, Seen>, those: &HashMap<Peer, Seen>) -> Vec<(Met, Seen)> {
    let known = Known::of(those.keys());
    let mut found: BTreeMap<_, (BTreeSet<_>, Seen)> = BTreeMap::new();
    for (peer, seen) in these.iter().filter(|(peer, _)| !known.has(peer)) {
        let host = peer.name.clone().map_or(Host::Address(peer.address), Host::Name);
        let (addresses, sum) = found.entry((peer.role, host, peer.port, peer.protocol)).or_default();
        addresses.insert(peer.address);
        sum.add(seen);
    }
    let mut found: Vec<_> = found
        .into_iter()
        .map(|((role, host, port, protocol), (addresses, seen))| {
            (Met { role, host, port, protocol, addresses }, seen)
        })
        .collect();
    // Whom this host went to comes before who came.
    found.sort_by_key(|(met, seen)| (met.role, Reverse(seen.bytes)));
    found
}

/// The peers of a period.
#[derive(Default)]
struct Known {
    at_services: HashSet<(Role, Host, Option<u16>, u8)>,
    anyhow: HashSet<(Host, u8)>,
    /// Those of whom it is not known who began, or at which service.
    unclear: HashSet<(Host, u8)>,
}

impl Known {
    fn of<'p>(peers: impl Iterator<Item = &'p Peer>) -> Self {
        let mut known = Self::default();
        for peer in peers {
            for host in hosts(peer) {
                known.anyhow.insert((host.clone(), peer.protocol));
                if peer.role == Role::With {
                    known.unclear.insert((host.clone(), peer.protocol));
                }
                known.at_services.insert((peer.role, host, peer.port, peer.protocol));
            }
        }
        known
    }

    /// Where it is unclear who began, nothing is called new that may not be.
    fn has(&self, peer: &Peer) -> bool {
        hosts(peer).any(|host| {
            let alone = (host.clone(), peer.protocol);
            self.unclear.contains(&alone)
                || (peer.role == Role::With && self.anyhow.contains(&alone))
                || self.at_services.contains(&(peer.role, host, peer.port, peer.protocol))
        })
    }
}

fn hosts(peer: &Peer) -> impl Iterator<Item = Host> {
    let name = peer.name.clone().map(Host::Name);
    name.into_iter().chain([Host::Address(peer.address)])
}

/// What has changed from one to the other; the periods are so many seconds long.
pub fn changed((before, after): (&Tally, &Tally), seconds: (f64, f64)) -> Changed {
    let mut names = BTreeMap::new();
    for peer in before.peers.keys().chain(after.peers.keys()) {
        if let Some(name) = &peer.name {
            let known = names.entry(peer.address).or_insert(name);
            // Of several always the same one.
            *known = (*known).min(name);
        }
    }
    let (before, mut later) = (named(&before.fared, &names), named(&after.fared, &names));
    let mut changed = Changed::default();
    for (subject, was) in before {
        if let Some(is) = later.remove(&subject) {
            changed.compare(&subject, (&was, &is), seconds);
        }
    }
    let lists = [&mut changed.failure_rate, &mut changed.rtt, &mut changed.bytes, &mut changed.conversations];
    for list in lists {
        list.sort_by(|one, other| {
            let by_size = other.difference().total_cmp(&one.difference());
            by_size.then_with(|| one.subject.cmp(&other.subject))
        });
    }
    changed
}

/// By the names of addresses, where one was known at any time.
fn named(fared: &HashMap<Subject, Fared>, names: &BTreeMap<IpAddr, &String>) -> HashMap<Subject, Fared> {
    let mut by_name: HashMap<Subject, Fared> = HashMap::new();
    for (subject, fared) in fared {
        let subject = match subject {
            Subject::Service { host: Host::Address(address), port, protocol } => {
                let name = names.get(address).map(|name| Host::Name((*name).clone()));
                let host = name.unwrap_or(Host::Address(*address));
                Subject::Service { host, port: *port, protocol: *protocol }
            }
            other => other.clone(),
        };
        by_name.entry(subject).or_default().join(fared);
    }
    by_name
}

impl Changed {
    fn compare(&mut self, subject: &Subject, (was, is): (&Fared, &Fared), seconds: (f64, f64)) {
        let change = |before: f64, after: f64| {
            Some(Change { subject: subject.clone(), before, after }).filter(Change::is_large)
        };
        let a_second = |of: fn(&Fared) -> u64| change(of(was) as f64 / seconds.0, of(is) as f64 / seconds.1);
        let bytes = a_second(|fared| fared.bytes);
        self.bytes.extend(bytes.filter(|change| change.before.max(change.after) >= BYTES));
        if was.conversations.max(is.conversations) >= CONVERSATIONS {
            self.conversations.extend(a_second(|fared| fared.conversations));
        }
        if let (Some(before), Some(after)) = (median(was), median(is)) {
            self.rtt.extend(change(before, after).filter(|change| change.difference() >= RTT));
        }
        if let (Some(before), Some(after)) = (failure_rate(was), failure_rate(is)) {
            let failures = if after > before { is.failed } else { was.failed };
            let change = change(before, after).filter(|change| change.difference() >= SHARE);
            self.failure_rate.extend(change.filter(|_| failures >= FAILURES));
        }
    }
}

fn median(fared: &Fared) -> Option<f64> {
    fared.rtt.median().filter(|_| fared.rtt.count() >= RECORDS).map(|rtt| rtt as f64)
}

fn failure_rate(fared: &Fared) -> Option<f64> {
    (fared.connections > 0).then(|| fared.failed as f64 / fared.connections as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::select;

    fn peer(role: Role, address: &str, name: Option<&str>, port: Option<u16>) -> Peer {
        let address = address.parse().expect("an address");
        Peer { role, address, name: name.map(Into::into), port, protocol: 6 }
    }

    fn seen(peers: &[&Peer]) -> HashMap<Peer, Seen> {
        peers.iter().map(|peer| ((*peer).clone(), Seen { bytes: 1, ..Seen::default() })).collect()
    }

    fn new(before: &[&Peer], after: &[&Peer]) -> Vec<String> {
        let found = peers(&seen(after), &seen(before));
        found
            .into_iter()
            .map(|(met, _)| format!("{} {:?} {}", met.role.as_str(), met.host, met.addresses.len()))
            .collect()
    }

    #[test]
    fn a_peer_is_known_by_name_or_address() {
        let api = |address, name| peer(Role::To, address, name, Some(443));
        let (one, other) = (api("192.0.2.1", Some("api")), api("192.0.2.2", Some("api")));
        assert_eq!(new(&[&one], &[&other]), [""; 0], "the name has moved");
        assert_eq!(new(&[&one], &[&api("192.0.2.1", None)]), [""; 0], "its name is not known any more");
        assert_eq!(new(&[&api("192.0.2.1", None)], &[&one]), [""; 0], "nor was it");
        assert_eq!(new(&[], &[&one, &other]), ["to Name(\"api\") 2"]);
        let elsewhere = peer(Role::To, "192.0.2.1", Some("api"), Some(22));
        assert_eq!(new(&[&one], &[&elsewhere]), ["to Name(\"api\") 1"], "another service");
        let back = peer(Role::From, "192.0.2.1", None, Some(443));
        assert_eq!(new(&[&one], &[&back]), ["from Address(192.0.2.1) 1"]);
    }

    #[test]
    fn what_is_unclear_is_not_called_new() {
        let (to, with) =
            (peer(Role::To, "192.0.2.1", None, Some(443)), peer(Role::With, "192.0.2.1", None, None));
        assert_eq!(new(&[&with], &[&to]), [""; 0]);
        assert_eq!(new(&[&to], &[&with]), [""; 0]);
        assert_eq!(new(&[], &[&with]), ["with Address(192.0.2.1) 1"]);
    }

    fn tally(fared: Fared) -> Tally {
        Tally { fared: HashMap::from([(Subject::Process("db".into()), fared)]), ..Tally::default() }
    }

    fn compared(was: Fared, is: Fared) -> [usize; 4] {
        let changed = changed((&tally(was), &tally(is)), (10.0, 1.0));
        [changed.failure_rate, changed.rtt, changed.bytes, changed.conversations].map(|list| list.len())
    }

    #[test]
    fn rates_are_compared_and_not_sums() {
        let bytes = |bytes| Fared { bytes, ..Fared::default() };
        assert_eq!(compared(bytes(20_000), bytes(2000)), [0; 4], "as much a second");
        assert_eq!(compared(bytes(20_000), bytes(4000)), [0, 0, 1, 0]);
        assert_eq!(compared(bytes(40_000), bytes(2000)), [0, 0, 1, 0]);
        assert_eq!(compared(bytes(200), bytes(999)), [0; 4], "too little");
        let conversations = |conversations| Fared { conversations, ..Fared::default() };
        assert_eq!(compared(conversations(1), conversations(9)), [0; 4], "too few");
        assert_eq!(compared(conversations(10), conversations(1)), [0; 4]);
        assert_eq!(compared(conversations(10), conversations(10)), [0, 0, 0, 1]);
    }

    #[test]
    fn round_trip_times_and_failures() {
        let rtt = |micros: u64, count| {
            let mut fared = Fared::default();
            (0..count).for_each(|_| fared.rtt.add(micros));
            fared
        };
        assert_eq!(compared(rtt(2_000, 5), rtt(8_000, 5)), [0, 1, 0, 0]);
        assert_eq!(compared(rtt(2_000, 5), rtt(8_000, 4)), [0; 4], "too few");
        assert_eq!(compared(rtt(100, 5), rtt(900, 5)), [0; 4], "too short");
        let failed = |failed, connections| Fared { failed, connections, ..Fared::default() };
        assert_eq!(compared(failed(0, 100), failed(5, 100)), [1, 0, 0, 0]);
        assert_eq!(compared(failed(50, 100), failed(0, 100)), [1, 0, 0, 0]);
        assert_eq!(compared(failed(0, 10), failed(4, 10)), [0; 4], "too few");
        assert_eq!(compared(failed(0, 10_000), failed(9, 10_000)), [0; 4], "too small a part");
        assert_eq!(compared(failed(0, 0), failed(9, 9)), [0; 4], "there was no connection");
    }

    proptest! {
        /// What is new from one to the other is what has vanished from the other to the one, and nothing is both.
        #[test]
        fn new_and_vanished_are_each_others_mirror(
            one in prop::collection::btree_set(select(&["a", "b", "c", "d"][..]), 0..4),
            other in prop::collection::btree_set(select(&["a", "b", "c", "d"][..]), 0..4),
        ) {
            let tally = |names: &BTreeSet<&str>| {
                let processes = names.iter().map(|name| ((*name).to_owned(), Seen::default())).collect();
                Tally { processes, ..Tally::default() }
            };
            let names = |found: Found| found.processes.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
            let new = names(found(&tally(&other), &tally(&one)));
            let wanted: Vec<_> = other.difference(&one).map(|name| (*name).to_owned()).collect();
            prop_assert_eq!(new, wanted);
        }
    }
}
