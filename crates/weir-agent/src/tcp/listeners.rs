//! Sockets that listen: whether they had to turn somebody away.

use super::health::turned_away;
use super::table::Side;
use hashbrown::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};
use weir_kernel::TcpLook;
use weir_record::TcpFailure;

#[derive(Debug)]
struct Listener {
    drops: u32,
    /// Why it did not take any more, and when that was last seen.
    full: Option<(TcpFailure, Instant)>,
    looked: Instant,
}

/// Those of every namespace that is looked at.
#[derive(Debug)]
pub struct Listeners {
    known: HashMap<(u32, Side), Listener>,
    linger: Duration,
}

/// They are few, but anybody can make some.
const MOST: usize = 16_384;

impl Listeners {
    /// Nobody yet; that one was full is known for `linger`.
    pub fn new(linger: Duration) -> Self {
        Self { known: HashMap::new(), linger }
    }

    /// Takes in what the kernel said of one.
    pub fn learn(&mut self, netns: u32, local: Side, look: &TcpLook, now: Instant) {
        let before = self.known.get(&(netns, local));
        if before.is_none() && self.known.len() >= MOST {
            return;
        }
        let has_dropped = before.is_some_and(|before| before.drops != look.drops);
        let was_full = before.and_then(|before| before.full);
        let full = turned_away(look, has_dropped).map(|why| (why, now)).or(was_full);
        self.known.insert((netns, local), Listener { drops: look.drops, full, looked: now });
    }

    /// Forgets those that were not seen for a while.
    pub fn expire(&mut self, now: Instant) {
        let linger = self.linger;
        self.known.retain(|_, one| now.duration_since(one.looked) < linger);
    }

    /// Why who listens there, at this address or at any, has turned somebody away not long ago, if it has.
    pub fn turned_away(&self, netns: u32, (address, port): Side, now: Instant) -> Option<TcpFailure> {
        let any: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        let mut found =
            any.into_iter().chain([address]).filter_map(|at| self.known.get(&(netns, (at, port)))?.full);
        found.find(|(_, when)| now.duration_since(*when) < self.linger).map(|(why, _)| why)
    }
}

#[cfg(test)]
mod tests {
    use super::super::health::LISTEN;
    use super::*;

    #[test]
    fn who_was_full_is_known_for_a_while() {
        let (linger, now) = (Duration::from_secs(5), Instant::now());
        let mut listeners = Listeners::new(linger);
        let (any, one) = ((Ipv4Addr::UNSPECIFIED.into(), 80), ([10, 0, 0, 1].into(), 80));
        let look = |accept_queue, drops| TcpLook {
            state: LISTEN,
            accept_queue,
            accept_queue_room: 2,
            drops,
            ..TcpLook::default()
        };
        listeners.learn(0, any, &look(2, 7), now);
        let full = Some(TcpFailure::AcceptQueueFull);
        assert_eq!(listeners.turned_away(0, one, now), None);
        listeners.learn(0, any, &look(0, 8), now);
        assert_eq!((listeners.turned_away(0, one, now), listeners.turned_away(1, one, now)), (full, None));
        listeners.learn(0, any, &look(0, 8), now + linger);
        assert_eq!(listeners.turned_away(0, one, now + linger), None);
        listeners.learn(0, any, &look(3, 8), now + linger);
        assert_eq!(listeners.turned_away(0, one, now + linger), full);
        listeners.expire(now + 3 * linger);
        assert!(listeners.known.is_empty());
    }
}
