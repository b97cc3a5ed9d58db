//! What a source has heard, before it is known who it was.

use crate::identity::address;
use crate::interfaces::Names;
use std::net::SocketAddr;
use std::sync::Arc;
use weir_kernel::{SocketEvent, SocketOwner};
use weir_record::{Direction, Dropped, Event, FlowKey, Happening, Interface};

/// An event on its way.
pub struct Heard {
    /// In nanoseconds of the monotonic clock.
    pub time: u64,
    /// Inode of the network namespace.
    pub netns: u32,
    /// Protocol, source and destination.
    pub ends: Option<(u8, [SocketAddr; 2])>,
    /// Where packets were, of which it tells.
    pub at: Option<At>,
    /// Of source and destination, those that the kernel has named.
    pub users: [Option<SocketOwner>; 2],
    /// What happened.
    pub happening: Happening,
}

/// Packets at an interface.
pub struct At {
    /// Whether the network namespace is.
    pub is_known: bool,
    pub ifindex: u32,
    pub direction: Direction,
    pub flow: Option<FlowKey>,
    pub dropped: Dropped,
}

impl Heard {
    /// The event, once it is known which clock time was `booted`.
    pub fn event(self, names: &Names<'_>, booted: u64) -> Event {
        let health = match &self.happening {
            Happening::Closed(closed) => Some(Arc::clone(&closed.health)),
            _ => None,
        };
        let mut event = Event::between(names.netns(self.netns), self.ends, self.happening);
        event.flow.source.tcp = health;
        if let Some(at) = self.at {
            at.enter(&mut event, names, self.netns);
        }
        event.time = booted + self.time;
        (event.flow.start, event.flow.end) = (event.time, event.time);
        event
    }
}

impl At {
    fn enter(self, event: &mut Event, names: &Names<'_>, netns: u32) {
        let Self { is_known, ifindex, direction, flow, dropped } = self;
        let record = &mut event.flow;
        record.interface = names.interface(netns, ifindex).filter(|_| is_known).unwrap_or_else(|| {
            let mut unnamed = Interface { index: ifindex, ..Interface::clone(&record.interface) };
            if !is_known {
                (unnamed.netns, unnamed.own_netns) = (UNKNOWN.into(), false);
            }
            Arc::new(unnamed)
        });
        record.direction = direction;
        record.key = flow.unwrap_or(record.key);
        record.dropped = Some(dropped);
    }
}

/// What a network namespace is called that the kernel does not tell.
const UNKNOWN: &str = "unknown";

/// The ends of a socket: its own, and the other one.
pub fn ends(socket: &SocketEvent) -> [SocketAddr; 2] {
    [
        SocketAddr::new(address(socket.local), socket.local_port),
        SocketAddr::new(address(socket.remote), socket.remote_port),
    ]
}
