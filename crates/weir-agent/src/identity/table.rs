//! Whose sockets are: a bounded table by both ends, from the kernel's events.

use crate::decode::ipv6;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_kernel::{SOCKET_CLOSED, SocketEvent};
use weir_record::Process;

/// What a packet tells of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ends {
    /// IP protocol.
    pub protocol: u8,
    /// Its own address and port; the address may be unspecified.
    pub local: (IpAddr, u16),
    /// Whom it is connected to.
    pub remote: Option<(IpAddr, u16)>,
}

/// A socket with such ends. Sockets of several network namespaces can have the same.
#[derive(Debug, Clone)]
struct Owned {
    netns: u32,
    socket: u64,
    process: Arc<Process>,
    told: Instant,
    closed: bool,
}

/// Only TCP's sockets have an end that the kernel tells of.
const TCP: u8 = 6;
/// Others are forgotten when they have not been used for so long. The kernel tells again of one that is in use,
/// after 150 seconds at most.
const UNUSED: Duration = Duration::from_secs(180);
/// How often it is looked whether one is still used.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Sockets that are looked at in each turn.
const ROUND: usize = 4096;

/// What holds it in its place in the queue.
type Ticket = (Ends, u64);

/// The table.
#[derive(Debug)]
pub struct SocketTable {
    owned: HashMap<Ends, SmallVec<[Owned; 1]>>,
    /// In the order in which they came, or were last looked at, and when that was.
    queue: VecDeque<(Instant, Ticket)>,
    /// What has been closed, and when: its records may still be on their way.
    closed: VecDeque<(Instant, Ticket)>,
    len: usize,
    capacity: usize,
    linger: Duration,
    evicted: u64,
}

impl SocketTable {
    /// For `capacity` sockets; what is closed stays for `linger`.
    pub fn new(capacity: usize, linger: Duration) -> Self {
        Self {
            owned: HashMap::new(),
            queue: VecDeque::new(),
            closed: VecDeque::new(),
            len: 0,
            capacity,
            linger,
            evicted: 0,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// How many had to go before they were closed.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Takes in what the kernel said; `netns` is 0 for the agent's own namespace.
    pub fn learn(&mut self, event: &SocketEvent, netns: u32, process: Arc<Process>, now: Instant) {
        let ends = ends(event);
        let closed = u32::from(event.change) == SOCKET_CLOSED;
        let owned = Owned { netns, socket: event.socket, process, told: now, closed };
        let list = self.owned.entry(ends).or_default();
        match list.iter_mut().find(|one| one.socket == event.socket) {
            Some(known) => *known = owned,
            None => {
                list.push(owned);
                self.len += 1;
                self.queue.push_back((now, (ends, event.socket)));
            }
        }
        if closed {
            self.closed.push_back((now, (ends, event.socket)));
        }
        while self.len > self.capacity {
            let Some((_, oldest)) = self.queue.pop_front() else { break };
            self.evicted += u64::from(self.remove(oldest, |_| true));
        }
    }

    /// Forgets what was closed long enough ago, and what nobody uses.
    pub fn expire(&mut self, now: Instant) {
        while let Some(&(when, ticket)) = self.closed.front() {
            if now.duration_since(when) < self.linger {
                break;
            }
            self.closed.pop_front();
            // Another one with the same ends may have taken its place.
            self.remove(ticket, |one| one.closed);
        }
        for _ in 0..ROUND {
            let Some((looked, ticket)) = self.queue.front().copied() else { break };
            if now.duration_since(looked) < LOOK_EVERY {
                break;
            }
            self.queue.pop_front();
            match self.find(&ticket) {
                // Its ticket was left behind.
                None => {}
                Some(one) if ticket.0.protocol != TCP && now.duration_since(one.told) > UNUSED => {
                    self.remove(ticket, |_| true);
                }
                Some(_) => self.queue.push_back((now, ticket)),
            }
        }
    }

    fn find(&self, (ends, socket): &Ticket) -> Option<&Owned> {
        self.owned.get(ends)?.iter().find(|one| one.socket == *socket)
    }

    /// Whether it was there, and was `due` to go. Looks for it once: most of what is looked for is far from any cache.
    fn remove(&mut self, (ends, socket): Ticket, due: impl Fn(&Owned) -> bool) -> bool {
        let Entry::Occupied(mut found) = self.owned.entry(ends) else { return false };
        let before = found.get().len();
        found.get_mut().retain(|one| one.socket != socket || !due(one));
        let gone = before - found.get().len();
        self.len -= gone;
        if found.get().is_empty() {
            found.remove();
        }
        gone > 0
    }

    /// Who uses the socket with these ends, seen in `netns`. Of sockets of other namespaces alone only one that
    /// nobody contests: the packets of a container pass through its host.
    pub fn user(&self, ends: &Ends, netns: u32) -> Option<&Arc<Process>> {
        let list = self.owned.get(ends)?;
        let here = list.iter().rev().find(|one| one.netns == netns);
        let is_private = ends.local.0.is_loopback() || ends.local.0.is_unspecified();
        let alone =
            || (!is_private && list.iter().all(|one| one.process == list[0].process)).then(|| &list[0]);
        here.or_else(alone).map(|one| &one.process)
    }
}

/// The ends in an event.
fn ends(event: &SocketEvent) -> Ends {
    let local = (address(event.local), event.local_port);
    let remote = (event.remote_port != 0).then(|| (address(event.remote), event.remote_port));
    Ends { protocol: event.protocol, local, remote }
}

/// IPv4 comes out of IPv6.
pub fn address(words: [u64; 2]) -> IpAddr {
    ipv6(words).to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use weir_kernel::{SOCKET_LISTENS, SOCKET_USED};

    const LOCAL: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const REMOTE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    fn words(address: Ipv4Addr) -> [u64; 2] {
        let bytes = address.to_ipv6_mapped().octets();
        let half = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        [half(0), half(8)]
    }

    fn event(socket: u64, change: u32, local: (Ipv4Addr, u16), remote: (Ipv4Addr, u16)) -> SocketEvent {
        SocketEvent {
            socket,
            local: words(local.0),
            remote: words(remote.0),
            local_port: local.1,
            remote_port: remote.1,
            protocol: 6,
            change: change as u8,
            ..SocketEvent::default()
        }
    }

    fn process(pid: u32) -> Arc<Process> {
        Arc::new(Process { pid, ..Process::default() })
    }

    fn connected() -> Ends {
        Ends { protocol: 6, local: (LOCAL.into(), 80), remote: Some((REMOTE.into(), 4000)) }
    }

    fn pid(sockets: &SocketTable, ends: &Ends, netns: u32) -> Option<u32> {
        sockets.user(ends, netns).map(|process| process.pid)
    }

    #[test]
    fn who_used_it_last_has_it() {
        let mut sockets = SocketTable::new(10, Duration::ZERO);
        let now = Instant::now();
        let used = event(1, SOCKET_USED, (LOCAL, 80), (REMOTE, 4000));
        sockets.learn(&used, 0, process(7), now);
        assert_eq!(pid(&sockets, &connected(), 0), Some(7));
        sockets.learn(&used, 0, process(8), now);
        assert_eq!((pid(&sockets, &connected(), 0), sockets.len()), (Some(8), 1));
        assert_eq!(pid(&sockets, &Ends { remote: None, ..connected() }, 0), None);
    }

    #[test]
    fn what_is_closed_stays_a_while() {
        let mut sockets = SocketTable::new(10, Duration::from_secs(2));
        let now = Instant::now();
        sockets.learn(&event(1, SOCKET_CLOSED, (LOCAL, 80), (REMOTE, 4000)), 0, process(7), now);
        sockets.expire(now + Duration::from_secs(1));
        assert_eq!(pid(&sockets, &connected(), 0), Some(7));
        sockets.expire(now + Duration::from_secs(2));
        assert_eq!((pid(&sockets, &connected(), 0), sockets.len(), sockets.evicted()), (None, 0, 0));
    }

    #[test]
    fn one_that_has_taken_the_place_of_a_closed_one_stays() {
        let mut sockets = SocketTable::new(10, Duration::from_secs(2));
        let now = Instant::now();
        sockets.learn(&event(1, SOCKET_CLOSED, (LOCAL, 80), (REMOTE, 4000)), 0, process(7), now);
        sockets.learn(&event(1, SOCKET_USED, (LOCAL, 80), (REMOTE, 4000)), 0, process(8), now);
        sockets.expire(now + Duration::from_secs(3));
        assert_eq!(pid(&sockets, &connected(), 0), Some(8));
    }

    #[test]
    fn the_oldest_goes_when_there_are_too_many_and_is_counted() {
        let mut sockets = SocketTable::new(2, Duration::ZERO);
        for socket in 1..=3 {
            let used = event(socket, SOCKET_USED, (LOCAL, 80), (REMOTE, 4000 + socket as u16 - 1));
            sockets.learn(&used, 0, process(socket as u32), Instant::now());
        }
        assert_eq!((sockets.len(), sockets.evicted()), (2, 1));
        assert_eq!(pid(&sockets, &connected(), 0), None);
    }

    #[test]
    fn tickets_of_the_gone_are_thrown_away() {
        let mut sockets = SocketTable::new(10, Duration::ZERO);
        let now = Instant::now();
        for socket in 0..5000 {
            let closed = event(socket, SOCKET_CLOSED, (LOCAL, 80), (REMOTE, 4000));
            sockets.learn(&closed, 0, process(1), now);
            sockets.expire(now);
        }
        assert_eq!(sockets.len(), 0);
        for turn in 0..2 {
            sockets.expire(now + LOOK_EVERY + turn * Duration::from_millis(100));
        }
        assert_eq!(sockets.queue.len(), 0);
    }

    #[test]
    fn what_has_no_end_is_forgotten_when_nobody_uses_it() {
        let mut sockets = SocketTable::new(10, Duration::ZERO);
        let now = Instant::now();
        let datagrams = |socket| SocketEvent {
            protocol: 17,
            ..event(socket, SOCKET_USED, (LOCAL, 80), (REMOTE, 4000 + socket as u16))
        };
        sockets.learn(&datagrams(1), 0, process(1), now);
        sockets.learn(&datagrams(2), 0, process(1), now);
        sockets.learn(&event(3, SOCKET_USED, (LOCAL, 80), (REMOTE, 4000)), 0, process(1), now);
        let later = now + UNUSED;
        sockets.learn(&datagrams(2), 0, process(1), later);
        sockets.expire(later);
        assert_eq!(sockets.len(), 3);
        sockets.expire(later + LOOK_EVERY);
        let left = sockets.owned.keys().map(|ends| (ends.protocol, ends.remote.map(|remote| remote.1)));
        let mut left: Vec<_> = left.collect();
        left.sort_unstable();
        assert_eq!(left, [(6, Some(4000)), (17, Some(4002))]);
    }

    #[test]
    fn the_own_namespace_goes_first_and_contested_ends_are_nobodys() {
        let mut sockets = SocketTable::new(10, Duration::ZERO);
        let used = |socket| event(socket, SOCKET_USED, (LOCAL, 80), (REMOTE, 4000));
        sockets.learn(&used(1), 5, process(1), Instant::now());
        assert_eq!(pid(&sockets, &connected(), 0), Some(1), "seen on the host");
        sockets.learn(&used(2), 6, process(2), Instant::now());
        assert_eq!(pid(&sockets, &connected(), 0), None);
        assert_eq!(pid(&sockets, &connected(), 6), Some(2));
        let any = (Ipv4Addr::UNSPECIFIED, 53);
        let listens = event(3, SOCKET_LISTENS, any, (Ipv4Addr::UNSPECIFIED, 0));
        sockets.learn(&listens, 5, process(3), Instant::now());
        let ends = Ends { protocol: 6, local: (any.0.into(), 53), remote: None };
        assert_eq!((pid(&sockets, &ends, 0), pid(&sockets, &ends, 5)), (None, Some(3)));
    }
}
