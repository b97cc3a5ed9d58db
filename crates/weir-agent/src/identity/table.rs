//! Whose sockets are: a bounded table by both ends, from the kernel's events.

use crate::decode::ipv6;
use crate::rows::{Number, Rows};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_kernel::{SOCKET_CLOSED, SOCKET_FOUND, SocketEvent};
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
#[derive(Debug)]
struct Owned {
    netns: u32,
    socket: u64,
    /// Which of those it is that lay there, one after the other; 0: nobody counted.
    life: u32,
    /// Whose place it has taken: that one's number and life; 0: nobody's.
    before: (u64, u32),
    process: Arc<Process>,
    told: Instant,
    /// How many had come before.
    came: u64,
}

impl Owned {
    /// Whether later things are known of it, or just that: its first use is understood late.
    fn is_ahead_of(&self, event: &SocketEvent, is_over: bool) -> bool {
        let is_late = u32::from(event.change) == SOCKET_FOUND || is_over && !is_closed(event);
        let lives_since = self.life.wrapping_sub(event.life).cast_signed();
        event.life != 0 && self.life != 0 && (lives_since > 0 || lives_since == 0 && is_late)
    }

    /// Whether it has taken the place of the one that is told of once more. What is read after its end has no life.
    fn has_followed(&self, event: &SocketEvent) -> bool {
        let (socket, life) = self.before;
        socket == event.socket && if event.life == 0 { is_closed(event) } else { event.life == life }
    }
}

/// What becomes of a socket: each kind is a row in which they stand by when they were last told of.
#[derive(Clone, Copy)]
enum Standing {
    /// It has an end that the kernel tells of.
    Connection,
    /// So has one that listens, which the kernel tells of once only.
    Listener,
    /// It is forgotten when it is not used any more.
    Other,
    /// It is over; its records may still be on their way.
    Closed,
}

impl Standing {
    const COUNT: usize = 4;

    fn of(event: &SocketEvent) -> Self {
        match (event.protocol, event.remote_port) {
            _ if is_closed(event) => Self::Closed,
            (TCP, 0) => Self::Listener,
            (TCP, _) => Self::Connection,
            _ => Self::Other,
        }
    }
}

/// Where what is told of a socket goes.
enum Place {
    /// It is there.
    Its(Number),
    /// Of a closed one whose ends it has now.
    Left(Number),
    /// It is over, or has lost its place to another one. Who reads what was left of it is told of late.
    Past,
    /// It has none yet.
    New,
}

/// Only TCP's sockets have an end that the kernel tells of.
const TCP: u8 = 6;
/// Others are forgotten when they have not been used for so long. The kernel tells again of one that is in use,
/// after 150 seconds at most.
const UNUSED: Duration = Duration::from_secs(180);

/// The table.
#[derive(Debug)]
pub struct SocketTable {
    sockets: Rows<Ends, Owned, { Standing::COUNT }>,
    /// How many there have been.
    came: u64,
    capacity: usize,
    linger: Duration,
    evicted: u64,
}

impl SocketTable {
    /// For `capacity` sockets; what is closed stays for `linger`.
    pub fn new(capacity: usize, linger: Duration) -> Self {
        Self { sockets: Rows::new(), came: 0, capacity, linger, evicted: 0 }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// How many had to go before their time.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Takes in what the kernel said; `netns` is 0 for the agent's own namespace.
    pub fn learn(&mut self, event: &SocketEvent, netns: u32, process: Arc<Process>, now: Instant) {
        let ends = ends(event);
        let row = Standing::of(event) as usize;
        let (socket, came) = (event.socket, self.came);
        match self.place(event, &ends, netns) {
            Place::Past => return,
            Place::Its(number) => {
                let known = &mut self.sockets[number];
                (known.netns, known.process, known.told) = (netns, process, now);
                // What is read after its end is told without.
                known.life = if event.life == 0 { known.life } else { event.life };
                self.sockets.renew(number, row);
            }
            Place::Left(number) => {
                let known = &mut self.sockets[number];
                (known.before, known.socket, known.came) = ((known.socket, known.life), socket, came);
                (known.process, known.told, known.life) = (process, now, event.life);
                self.sockets.renew(number, row);
            }
            Place::New => {
                if self.len() >= self.capacity {
                    self.make_room();
                }
                let (life, before) = (event.life, (0, 0));
                let owned = Owned { netns, socket, life, before, process, told: now, came };
                self.sockets.push(row, ends, owned);
            }
        }
        self.came += 1;
    }

    fn place(&self, event: &SocketEvent, ends: &Ends, netns: u32) -> Place {
        let mut place = Place::New;
        for (number, one) in self.sockets.with(ends) {
            let is_over = self.sockets.row(number) == Standing::Closed as usize;
            if one.socket == event.socket {
                return if one.is_ahead_of(event, is_over) { Place::Past } else { Place::Its(number) };
            }
            place = match place {
                _ if one.has_followed(event) => Place::Past,
                Place::New if is_over && one.netns == netns => Place::Left(number),
                _ => place,
            };
        }
        place
    }

    /// What is closed goes first, and what listens last. A quarter of the places is for what is closed, though: its last
    /// record is still to come.
    fn make_room(&mut self) {
        let first = |row: Standing| self.sockets.first(row as usize);
        let closed = first(Standing::Closed);
        let open = [Standing::Connection, Standing::Other].into_iter().filter_map(first);
        let oldest =
            open.min_by_key(|number| self.sockets[*number].told).or_else(|| first(Standing::Listener));
        let are_many = self.sockets.count(Standing::Closed as usize) * 4 >= self.capacity;
        let due = if are_many { closed.or(oldest) } else { oldest.or(closed) };
        if let Some(due) = due {
            self.evicted += 1;
            self.sockets.remove(due);
        }
    }

    /// Forgets what was closed long enough ago, and what nobody uses.
    pub fn expire(&mut self, now: Instant) {
        let linger = self.linger;
        self.forget(Standing::Closed, |told| now.duration_since(told) >= linger);
        self.forget(Standing::Other, |told| now.duration_since(told) > UNUSED);
    }

    fn forget(&mut self, row: Standing, is_due: impl Fn(Instant) -> bool) {
        while let Some(first) = self.sockets.first(row as usize) {
            if !is_due(self.sockets[first].told) {
                break;
            }
            self.sockets.remove(first);
        }
    }

    /// Who uses the socket with these ends, seen in `netns`: of several the one that came last. Of sockets of other namespaces
    /// alone only one that nobody contests: the packets of a container pass through its host.
    pub fn user(&self, ends: &Ends, netns: u32) -> Option<&Arc<Process>> {
        let all = self.sockets.with(ends).map(|(_, one)| one);
        let here = all.clone().filter(|one| one.netns == netns).max_by_key(|one| one.came);
        let is_private = ends.local.0.is_loopback() || ends.local.0.is_unspecified();
        let alone = || {
            let mut processes = all.map(|one| &one.process);
            let first = processes.next().filter(|_| !is_private)?;
            processes.all(|other| other == first).then_some(first)
        };
        here.map(|one| &one.process).or_else(alone)
    }
}

fn is_closed(event: &SocketEvent) -> bool {
    u32::from(event.change) == SOCKET_CLOSED
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
mod tests;
