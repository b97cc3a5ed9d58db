//! Losses that no packet tells of: the kernel's counters, read now and then in each network namespace that is watched.

mod message;
mod text;

use super::loss::Loss;
use crate::interfaces::Namespace;
use crate::netlink;
use message::{Request, read};
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::time::{Duration, Instant};
use weir_record::{Count, Direction, DropSource};

/// How often they are read at most.
const READ_EVERY: Duration = Duration::from_millis(500);
const NETSTAT: &str = "/proc/thread-self/net/netstat";
const CONNTRACK: &str = "/proc/thread-self/net/stat/nf_conntrack";

/// A counter of one namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    source: DropSource,
    /// 0 where it is not of an interface.
    ifindex: u32,
    direction: Direction,
    /// The kernel's word.
    word: Cow<'static, str>,
}

impl Name {
    fn of_namespace(source: DropSource, word: &'static str) -> Self {
        Self { source, ifindex: 0, direction: Direction::Ingress, word: word.into() }
    }
}

/// Those of one namespace.
type Values = BTreeMap<Name, u64>;

/// As they were when they were last read.
#[derive(Debug, Default)]
pub struct Counters {
    known: BTreeMap<u32, Values>,
    read: Option<Instant>,
}

impl Counters {
    /// Tells by how much they have grown. What is met for the first time only begins.
    pub fn read<'a>(&mut self, namespaces: impl Iterator<Item = &'a Namespace>, mut tell: impl FnMut(Loss)) {
        let now = Instant::now();
        if self.read.is_some_and(|read| now - read < READ_EVERY) {
            return;
        }
        self.read = Some(now);
        let mut there = BTreeSet::new();
        for namespace in namespaces {
            there.insert(namespace.id());
            // One that goes meanwhile has no losses any more.
            let Ok(Ok(values)) = namespace.enter(values) else { continue };
            let before = self.known.insert(namespace.id(), values);
            let Some((before, after)) = before.zip(self.known.get(&namespace.id())) else { continue };
            grown(&before, after).for_each(|(name, packets)| tell(loss(namespace.id(), name, packets)));
        }
        self.known.retain(|id, _| there.contains(id));
    }
}

fn grown<'a>(before: &'a Values, after: &'a Values) -> impl Iterator<Item = (&'a Name, u64)> {
    after.iter().filter_map(|(name, value)| {
        // One that is smaller is another interface's.
        let more = value.checked_sub(*before.get(name)?)?;
        (more > 0).then_some((name, more))
    })
}

fn loss(netns: u32, name: &Name, packets: u64) -> Loss {
    Loss {
        source: name.source,
        reason: name.word.as_ref().into(),
        location: None,
        netns,
        ifindex: name.ifindex,
        direction: name.direction,
        flow: None,
        is_flowless: false,
        count: Count { packets, bytes: 0 },
    }
}

/// All of the thread's network namespace. What this kernel does not have is left out.
fn values() -> io::Result<Values> {
    let mut values = Values::new();
    if let Ok(text) = fs::read_to_string(NETSTAT) {
        text::listen_queues(&text, &mut values);
    }
    if let Ok(text) = fs::read_to_string(CONNTRACK) {
        text::conntrack(&text, &mut values);
    }
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    for request in [Request::interfaces(), Request::qdiscs()] {
        netlink::dump(&socket, &request.bytes(), |datagram| read(datagram, &mut values))?;
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_or_smaller_has_not_grown() {
        let name = |word| Name::of_namespace(DropSource::ListenQueue, word);
        let before = Values::from([(name("a"), 5), (name("b"), 9), (name("c"), 1)]);
        let after = Values::from([(name("a"), 7), (name("b"), 2), (name("c"), 1), (name("d"), 4)]);
        let found: Vec<_> = grown(&before, &after).map(|(name, more)| (&*name.word, more)).collect();
        assert_eq!(found, [("a", 2)]);
    }

    #[test]
    fn this_kernel_has_them() {
        let values = values().expect("they can be read");
        let has = |source, word: &str| values.keys().any(|name| (name.source, &*name.word) == (source, word));
        assert!(has(DropSource::ListenQueue, "ListenOverflows"), "{values:?}");
        assert!(has(DropSource::Interface, "rx_dropped"), "{values:?}");
    }
}
