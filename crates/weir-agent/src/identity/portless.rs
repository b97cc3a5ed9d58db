//! Who is at an end of a conversation without ports: the kernel, or a process with a raw socket or one for ping.
//!
//! What such a socket is sent to is not known, so a process is named only where no other one can have been it.

use super::programs::Id;
use hashbrown::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use weir_kernel::SocketEvent;
use weir_record::{FlowRecord, Process};

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
/// A raw socket of this protocol sends any other.
const RAW: u8 = 255;

/// The protocols whose conversations have ports.
const WITH_PORTS: [u8; 5] = [6, 17, 33, 132, 136];
/// Sockets of one protocol and namespace, and pairs of those, that are remembered.
const SOCKETS: usize = 64;
const PLACES: usize = 1024;
/// How much later than it happened the use of a socket may have been heard of, in nanoseconds.
const LATE: u64 = 500_000_000;
/// A socket is told of again while it is used, after 150 seconds at most.
const UNUSED: u64 = 180_000_000_000;

/// Who can be at an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The kernel answers, and says what went wrong.
    Kernel,
    /// The kernel never asks by itself.
    Process,
    /// A process if there is one with a socket for it, else the kernel.
    Either,
}

/// An end that is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Side {
    /// Its network namespace.
    pub netns: u32,
    /// Its address.
    pub address: IpAddr,
    /// The other end's.
    pub other: IpAddr,
    /// Whether it sends.
    pub is_source: bool,
}

/// A process with such a socket. Times are nanoseconds since the Unix epoch.
#[derive(Debug)]
struct User {
    socket: u64,
    owner: Id,
    process: Arc<Process>,
    local: IpAddr,
    remote: IpAddr,
    since: u64,
    until: u64,
}

impl User {
    fn fits(&self, side: &Side, (start, end): (u64, u64)) -> bool {
        let may_be = |known: IpAddr, address| known.is_unspecified() || known == address;
        let lived = self.since.saturating_sub(LATE) <= end && self.until >= start;
        lived && may_be(self.local, side.address) && may_be(self.remote, side.other)
    }
}

/// Sockets without ports, and the kernel.
#[derive(Debug)]
pub struct Portless {
    users: HashMap<(u32, u8), Vec<User>>,
    kernel: Arc<Process>,
    evicted: u64,
}

impl Portless {
    /// None yet.
    pub fn new() -> Self {
        let kernel = Process { command: super::processes::KERNEL.into(), ..Process::default() };
        Self { users: HashMap::new(), kernel: Arc::new(kernel), evicted: 0 }
    }

    /// How many had to go, or were not taken in at all.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Whether a socket is for conversations without ports.
    pub fn is_for(event: &SocketEvent) -> bool {
        event.is_raw != 0 || !WITH_PORTS.contains(&event.protocol)
    }

    /// Takes in who uses such a socket; `now` in nanoseconds since the Unix epoch.
    pub fn learn(&mut self, event: &SocketEvent, netns: u32, process: Arc<Process>, now: u64) {
        let place = (netns, event.protocol);
        if self.users.len() >= PLACES && !self.users.contains_key(&place) {
            self.expire(now);
            if self.users.len() >= PLACES {
                self.evicted += 1;
                return;
            }
        }
        let users = self.users.entry(place).or_default();
        let owner = Id::from(&event.owner);
        let (local, remote) = (super::table::address(event.local), super::table::address(event.remote));
        let same = users.iter().position(|user| user.socket == event.socket && user.owner == owner);
        let since = same.map_or(now, |at| users.swap_remove(at).since);
        if users.len() >= SOCKETS {
            users.remove(0);
            self.evicted += 1;
        }
        let until = now + UNUSED;
        users.push(User { socket: event.socket, owner, process, local, remote, since, until });
    }

    /// A process has ended, and its sockets with it.
    pub fn end(&mut self, id: Id, now: u64) {
        for user in self.users.values_mut().flatten() {
            if (user.owner.pid, user.owner.started) == (id.pid, id.started) {
                user.until = user.until.min(now);
            }
        }
    }

    /// Forgets whom no record can be about any more.
    pub fn expire(&mut self, now: u64) {
        self.users.retain(|_, users| {
            users.retain(|user| user.until + UNUSED > now);
            !users.is_empty()
        });
    }

    /// Who is at an end of this host's, where that can be told.
    pub fn user(&self, record: &FlowRecord, side: &Side) -> Option<Arc<Process>> {
        let protocol = record.key.protocol().filter(|protocol| !WITH_PORTS.contains(protocol))?;
        let part = part(record, side.is_source);
        if part == Part::Kernel {
            return Some(Arc::clone(&self.kernel));
        }
        let span = (record.start, record.end);
        let of = |protocol| self.users.get(&(side.netns, protocol)).into_iter().flatten();
        let mut fitting =
            of(protocol).chain(of(RAW)).filter(|user| user.fits(side, span)).map(|user| &user.process);
        match (fitting.next(), part) {
            (Some(first), _) => fitting.all(|other| other == first).then(|| Arc::clone(first)),
            (None, Part::Either) => Some(Arc::clone(&self.kernel)),
            (None, _) => None,
        }
    }
}

/// Who can be there, by protocol and message.
fn part(record: &FlowRecord, is_source: bool) -> Part {
    let (protocol, kind) = (record.key.protocol(), record.key.icmp().map(|(kind, _)| kind));
    match (protocol, kind, record.key.is_canonical()) {
        // Routers and group members may be daemons.
        (Some(ICMP), Some(9 | 10), _) | (Some(ICMPV6), Some(130..=134 | 143), _) => Part::Either,
        // Neighbours.
        (Some(ICMPV6), Some(135..=137), _) => Part::Kernel,
        // A request or its answer.
        (Some(ICMP | ICMPV6), _, Some(is_request)) if is_request == is_source => Part::Process,
        (Some(ICMP | ICMPV6), Some(_), _) => Part::Kernel,
        _ => Part::Either,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use weir_filter::generate;
    use weir_kernel::SocketOwner;
    use weir_record::{Addresses, Direction, FlowKey, Interface, InterfaceKind};

    const LOCAL: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const REMOTE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
    const NOW: u64 = 1_000_000_000_000;

    /// A conversation that began at `start`, with these type and code.
    fn record(protocol: u8, message: Option<(u16, u16)>, start: u64) -> FlowRecord {
        let addresses = Addresses::V4(LOCAL, REMOTE);
        let (name, netns, kind) = ("eth0".into(), "a".into(), InterfaceKind::Veth);
        let interface = Interface { name, index: 1, netns, own_netns: true, kind };
        let key = FlowKey::Ip { vlan: None, addresses, protocol, ports: message };
        let record = generate::record(interface, Direction::Egress, key);
        FlowRecord { start, end: start, ..record }
    }

    fn socket(socket: u64, pid: u32, protocol: u8) -> SocketEvent {
        let owner = SocketOwner { pid, ..SocketOwner::default() };
        SocketEvent { socket, protocol, owner, is_raw: 1, ..SocketEvent::default() }
    }

    fn learn(portless: &mut Portless, event: &SocketEvent) {
        let process = Process { pid: event.owner.pid, command: "ping".into(), ..Process::default() };
        portless.learn(event, 0, Arc::new(process), NOW);
    }

    fn user(portless: &Portless, record: &FlowRecord, is_source: bool) -> Option<u32> {
        let side = Side { netns: 0, address: LOCAL.into(), other: REMOTE.into(), is_source };
        portless.user(record, &side).map(|process| process.pid)
    }

    const KERNEL: Option<u32> = Some(0);
    const ECHO: Option<(u16, u16)> = Some((8, 0));

    #[test]
    fn a_request_is_a_processes_and_what_answers_is_the_kernel() {
        let mut portless = Portless::new();
        assert_eq!(user(&portless, &record(ICMP, ECHO, NOW), true), None);
        learn(&mut portless, &socket(1, 7, ICMP));
        assert_eq!(user(&portless, &record(ICMP, ECHO, NOW), true), Some(7));
        assert_eq!(user(&portless, &record(ICMP, ECHO, NOW), false), KERNEL);
        assert_eq!(user(&portless, &record(ICMP, Some((0, 0)), NOW), true), KERNEL);
        assert_eq!(user(&portless, &record(ICMP, Some((0, 0)), NOW), false), Some(7));
        assert_eq!(user(&portless, &record(ICMP, Some((3, 3)), NOW), true), KERNEL);
        assert_eq!(user(&portless, &record(6, None, NOW), true), None);
    }

    #[test]
    fn of_two_nobody_is_named_unless_one_was_gone() {
        let mut portless = Portless::new();
        learn(&mut portless, &socket(1, 7, ICMP));
        learn(&mut portless, &socket(2, 8, RAW));
        assert_eq!(user(&portless, &record(ICMP, ECHO, NOW), true), None);
        portless.end(Id { pid: 8, started: 0, program: 0 }, NOW);
        assert_eq!(user(&portless, &record(ICMP, ECHO, NOW + 1), true), Some(7));
        portless.expire(NOW + UNUSED + 1);
        assert_eq!(portless.users.len(), 1);
        portless.expire(NOW + 2 * UNUSED);
        assert!(portless.users.is_empty());
    }

    #[test]
    fn other_protocols_are_the_kernels_unless_a_process_speaks_them() {
        let mut portless = Portless::new();
        assert_eq!(user(&portless, &record(2, None, NOW), true), KERNEL);
        learn(&mut portless, &socket(1, 7, 2));
        assert_eq!(user(&portless, &record(2, None, NOW), true), Some(7));
    }

    #[test]
    fn memory_is_bounded() {
        let mut portless = Portless::new();
        for number in 0..1000 {
            learn(&mut portless, &socket(number, number as u32, ICMP));
        }
        assert_eq!(portless.users[&(0, ICMP)].len(), SOCKETS);
        for netns in 0..2000 {
            portless.learn(&socket(1, 1, ICMP), netns, Arc::default(), NOW);
        }
        assert_eq!((portless.users.len(), portless.evicted()), (PLACES, 936 + 977));
    }
}
