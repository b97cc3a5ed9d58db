//! Which addresses belong to which network namespace.

use crate::interfaces::Link;
use hashbrown::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use weir_record::Interface;

/// What the interfaces of every namespace that is watched say.
#[derive(Debug, Default)]
pub struct Places {
    /// By the name that records have; the agent's own is left out.
    namespaces: HashMap<Arc<str>, u32>,
    addresses: HashSet<(u32, IpAddr)>,
}

impl Places {
    /// Of these interfaces.
    pub(crate) fn of<'a>(links: impl Iterator<Item = &'a Link>) -> Self {
        let mut places = Self::default();
        for link in links {
            if !link.interface.own_netns {
                places.namespaces.insert(Arc::clone(&link.interface.netns), link.id.netns);
            }
            places.addresses.extend(link.addresses.iter().map(|address| (link.id.netns, *address)));
        }
        places
    }

    /// The namespace of an interface: 0 for the agent's own.
    pub fn netns(&self, interface: &Interface) -> u32 {
        // One that is gone is nobody's: no socket is in the namespace of this number.
        if interface.own_netns {
            0
        } else {
            self.namespaces.get(&interface.netns).copied().unwrap_or(u32::MAX)
        }
    }

    /// Whether packets for this address stay in the namespace. Broadcast and multicast do where they come in.
    pub fn is_local(&self, netns: u32, address: IpAddr, is_here: bool) -> bool {
        let is_for_many = match address {
            IpAddr::V4(v4) => v4.is_broadcast() || v4.is_multicast(),
            IpAddr::V6(v6) => v6.is_multicast(),
        };
        address.is_loopback() || self.addresses.contains(&(netns, address)) || is_for_many && is_here
    }
}
