//! A host of namespaces that answers as the kernel does.

use super::*;

const VETH: &str = "veth";

/// The kernel's side: the links of each namespace.
#[derive(Default)]
struct Host(BTreeMap<End, LinkMessage>);

impl Host {
    fn add(&mut self, end: End, driver: &str, far: Option<End>) {
        let link = LinkMessage {
            index: end.1,
            driver: Some(driver.into()),
            link: far.map(|far| far.1),
            link_nsid: far.map(|far| far.0).filter(|nsid| *nsid != end.0),
            ..LinkMessage::default()
        };
        self.0.insert(end, link);
    }

    fn pair(&mut self, one: End, other: End) {
        self.add(one, VETH, Some(other));
        self.add(other, VETH, Some(one));
    }

    /// Namespaces with a veth pair between them, by the pair's number.
    fn of(pairs: &[(Nsid, Nsid)]) -> Self {
        let mut host = Self::default();
        (1..).zip(pairs).for_each(|(index, (one, other))| host.pair((*one, index), (*other, index)));
        host
    }

    /// As a notification has it, in numbers that mean nothing to us.
    fn notified(&self, end: End) -> Heard {
        let link = self.0[&end].clone();
        Heard::Link(LinkMessage { link_nsid: link.link_nsid.map(|nsid| nsid + 1000), ..link })
    }

    /// Answers all that is asked. How many questions there were.
    fn answer(&self, domains: &mut Domains) -> usize {
        let mut questions = 0;
        while let Some(question) = domains.question() {
            questions += 1;
            match question {
                Question::Links(nsid) => {
                    let links = self.0.range((nsid, 0)..=(nsid, u32::MAX));
                    links.for_each(|(_, link)| domains.learn(nsid, &Heard::Link(link.clone())));
                }
                Question::Link(nsid, index) => match self.0.get(&(nsid, index)) {
                    Some(link) => domains.learn(nsid, &Heard::Link(link.clone())),
                    None => domains.lose((nsid, index)),
                },
            }
            assert!(questions < 1000, "it goes on asking: {domains:?}");
        }
        questions
    }

    /// The domains of these namespaces.
    fn survey(&self, watched: &[Nsid]) -> (Domains, Vec<u32>) {
        let mut domains = Domains::default();
        domains.unexplored.extend(watched);
        let numbers = self.numbers(&mut domains, watched);
        (domains, numbers)
    }

    fn numbers(&self, domains: &mut Domains, watched: &[Nsid]) -> Vec<u32> {
        self.answer(domains);
        domains.settle(watched.iter().copied());
        watched.iter().map(|nsid| domains.number(*nsid)).collect()
    }
}

#[test]
fn what_is_connected_is_one_domain_whoever_is_between() {
    let (_, numbers) = Host::of(&[(1, 2), (3, 4)]).survey(&[1, 2, 3, 4]);
    assert_eq!(numbers, [0, 0, 1, 1]);
    // 7 and 8 are not watched.
    let (_, numbers) = Host::of(&[(1, 7), (7, 8), (8, 2)]).survey(&[1, 2, 3]);
    assert_eq!(numbers, [0, 0, 1]);
    let mut host = Host::default();
    host.add((2, 5), "macvlan", Some((1, 9)));
    host.add((4, 5), "vlan", Some((1, 9)));
    let (_, numbers) = host.survey(&[1, 2, 3, 4]);
    assert_eq!(numbers, [0, 0, 1, 0], "what lies on it");
}

#[test]
fn what_leads_outside_is_not_surely_apart() {
    let mut host = Host::of(&[(1, 2)]);
    for (nsid, driver) in [(3, "tun"), (4, "wireguard"), (5, "openvswitch"), (6, "dummy"), (7, "sit")] {
        host.add((nsid, 50), driver, None);
    }
    // A network card has no driver's word for a kind; nor has lo.
    host.0.insert((8, 50), LinkMessage { index: 50, has_device: true, ..LinkMessage::default() });
    let lo = LinkMessage { index: 1, hardware: super::super::ARPHRD_LOOPBACK, ..LinkMessage::default() };
    host.0.insert((9, 1), lo);
    let (_, numbers) = host.survey(&[1, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(numbers, [0, 1, 1, 1, 2, 3, 1, 4]);
}

#[test]
fn numbers_stay_and_are_not_used_again() {
    let watched = [1, 2, 3, 4];
    let mut host = Host::of(&[(1, 2), (3, 4)]);
    let (mut domains, numbers) = host.survey(&watched);
    assert_eq!(numbers, [0, 0, 1, 1]);
    assert!(!domains.settle(watched.into_iter()), "nothing has changed");

    host.pair((2, 30), (3, 30));
    domains.hear(2, &host.notified((2, 30)));
    assert_eq!(host.numbers(&mut domains, &watched), [0, 0, 0, 0]);
    for end in [(2, 30), (3, 30)] {
        host.0.remove(&end);
        domains.hear(end.0, &Heard::LinkGone(end.1));
    }
    assert_eq!(host.numbers(&mut domains, &watched), [0, 0, 2, 2], "1 has been");

    // Everything anew.
    domains.restart();
    domains.unexplored.extend(watched);
    assert_eq!(host.numbers(&mut domains, &watched), [0, 0, 2, 2]);
    // Others under a number that is free.
    domains.forget(4);
    host.0.retain(|end, link| end.0 != 4 && link.link_nsid != Some(4));
    domains.hear(3, &Heard::LinkGone(2));
    assert_eq!(host.numbers(&mut domains, &[1, 2, 3]), [0, 0, 2]);
    domains.explore(4);
    assert_eq!(host.numbers(&mut domains, &watched), [0, 0, 2, 3]);
}

#[test]
fn most_keep_their_number() {
    let mut host = Host::of(&[(1, 2), (2, 3)]);
    let (mut domains, _) = host.survey(&[1, 2, 3, 4, 5]);
    // 1 goes; 2 and 3 stay together.
    for end in [(1, 1), (2, 1)] {
        host.0.remove(&end);
        domains.hear(end.0, &Heard::LinkGone(end.1));
    }
    assert_eq!(host.numbers(&mut domains, &[1, 2, 3, 4, 5]), [3, 0, 0, 1, 2]);
}

/// The other end hears nothing when one is moved to another namespace.
#[test]
fn an_end_that_moves_is_followed() {
    let watched = [1, 2, 3];
    let mut host = Host::default();
    host.pair((1, 5), (1, 6));
    let (mut domains, numbers) = host.survey(&watched);
    assert_eq!(numbers, [0, 1, 2]);
    // Into 9, which nobody watches and nobody hears, from where there is a way to 2.
    host.pair((9, 1), (2, 1));
    host.0.remove(&(1, 6));
    host.pair((1, 5), (9, 6));
    domains.hear(1, &Heard::LinkGone(6));
    domains.hear(2, &host.notified((2, 1)));
    assert_eq!(host.numbers(&mut domains, &watched), [0, 0, 2]);
    // And on into 3: 9 has a number now, and is heard.
    host.0.remove(&(9, 6));
    host.pair((1, 5), (3, 6));
    domains.hear(9, &Heard::LinkGone(6));
    domains.hear(3, &host.notified((3, 6)));
    let numbers = host.numbers(&mut domains, &watched);
    assert!(numbers[0] == numbers[2] && numbers[0] != numbers[1], "{numbers:?}");
}

#[test]
fn a_namespace_that_goes_takes_its_connections_along() {
    let mut host = Host::of(&[(1, 7), (7, 2)]);
    let (mut domains, numbers) = host.survey(&[1, 2]);
    assert_eq!(numbers, [0, 0]);
    domains.forget(7);
    // It has lost its number before its links go.
    host.0.retain(|end, _| end.0 != 7);
    host.0.values_mut().for_each(|link| link.link_nsid = Some(-1));
    assert_eq!(host.numbers(&mut domains, &[1, 2]), [0, 1]);
}

/// What says nothing of other ends is not asked about.
#[test]
fn plain_links_cost_no_question() {
    let mut host = Host::of(&[(1, 2)]);
    let (mut domains, _) = host.survey(&[1, 2]);
    for index in 100..200 {
        host.add((1, index), "bridge", None);
        domains.hear(1, &host.notified((1, index)));
    }
    assert_eq!(host.answer(&mut domains), 0);
}
