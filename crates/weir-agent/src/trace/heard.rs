//! What a source has heard, before it is known who it was.

use crate::identity::address;
use crate::interfaces::Inventory;
use hashbrown::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use weir_kernel::{SocketEvent, SocketOwner};
use weir_probes::flows::own_netns;
use weir_record::{Event, Happening};

/// An event on its way.
pub struct Heard {
    /// In nanoseconds of the monotonic clock.
    pub time: u64,
    /// Inode of the network namespace.
    pub netns: u32,
    /// Protocol, source and destination.
    pub ends: Option<(u8, [SocketAddr; 2])>,
    /// Of source and destination, those that the kernel has named.
    pub users: [Option<SocketOwner>; 2],
    /// What happened.
    pub happening: Happening,
}

impl Heard {
    /// The event, once it is known which clock time was `booted`.
    pub fn event(self, places: &Places, booted: u64) -> Event {
        let health = match &self.happening {
            Happening::Closed(closed) => Some(Arc::clone(&closed.health)),
            _ => None,
        };
        let mut event = Event::between(places.of_netns(self.netns), self.ends, self.happening);
        event.flow.source.tcp = health;
        event.time = booted + self.time;
        (event.flow.start, event.flow.end) = (event.time, event.time);
        event
    }
}

/// The ends of a socket: its own, and the other one.
pub fn ends(socket: &SocketEvent) -> [SocketAddr; 2] {
    [
        SocketAddr::new(address(socket.local), socket.local_port),
        SocketAddr::new(address(socket.remote), socket.remote_port),
    ]
}

/// What network namespaces are called.
pub struct Places {
    own: u32,
    names: HashMap<u32, Arc<str>>,
}

impl Places {
    pub fn of(inventory: &Inventory) -> Self {
        let names =
            inventory.namespaces().map(|(namespace, _)| (namespace.id(), Arc::clone(namespace.name())));
        Self { own: own_netns(), names: names.collect() }
    }

    /// Its name, else its inode; and whether it is the own one.
    fn of_netns(&self, inode: u32) -> (Arc<str>, bool) {
        let is_own = inode == self.own || inode == 0;
        let id = if is_own { 0 } else { inode };
        let name = self.names.get(&id).map_or_else(|| inode.to_string().into(), Arc::clone);
        (name, is_own)
    }
}
