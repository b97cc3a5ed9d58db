//! Which addresses belong to which network namespace.

use crate::interfaces::{Link, Numbers};
use hashbrown::{HashMap, HashSet};
use std::net::IpAddr;
use weir_record::Interface;

/// What the interfaces of every namespace that is watched say.
#[derive(Debug, Default)]
pub struct Places {
    numbers: Numbers,
    addresses: HashSet<(u32, IpAddr)>,
    /// The observation domain of each.
    domains: HashMap<u32, u32>,
    /// By domain and address, the namespace that has it, where it is only one.
    homes: HashMap<(u32, IpAddr), Option<u32>>,
}

impl Places {
    /// Of these interfaces, each with its observation domain.
    pub(crate) fn of<'a>(links: impl Iterator<Item = (&'a Link, u32)>) -> Self {
        let mut places = Self::default();
        for (link, domain) in links {
            let netns = link.id.netns;
            places.domains.insert(netns, domain);
            for address in link.addresses.iter().filter(|address| !address.is_loopback()) {
                let home = places.homes.entry((domain, *address)).or_insert(Some(netns));
                *home = home.filter(|home| *home == netns);
            }
            places.numbers.add(netns, &link.interface.netns);
            places.addresses.extend(link.addresses.iter().map(|address| (netns, *address)));
        }
        places
    }

    /// The namespace of an interface: 0 for the agent's own.
    pub fn netns(&self, interface: &Interface) -> u32 {
        self.numbers.of_interface(interface)
    }

    /// Where packets for this address end that are seen in `netns`: there, or in the one namespace that has the address
    /// and that they can reach.
    pub fn home(&self, netns: u32, address: IpAddr, is_here: bool) -> Option<u32> {
        if self.is_local(netns, address, is_here) {
            return Some(netns);
        }
        *self.homes.get(&(*self.domains.get(&netns)?, address))?
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use weir_probes::flows::{InterfaceId, LinkLayer};
    use weir_record::InterfaceKind;

    fn link(netns: u32, address: [u8; 4]) -> Link {
        let (name, kind) = ("eth0".into(), InterfaceKind::Veth);
        let own_netns = netns == 0;
        let interface = Interface { name, index: 1, netns: netns.to_string().into(), own_netns, kind };
        let addresses = BTreeSet::from([address.into(), [127, 0, 0, 1].into()]);
        let (id, link_layer) = (InterfaceId { netns, index: 1 }, LinkLayer::Ethernet);
        Link { id, serial: 0, interface: Arc::new(interface), link_layer, addresses }
    }

    #[test]
    fn an_address_of_one_namespace_that_can_be_reached_is_at_home_there() {
        let links = [
            (link(0, [10, 0, 0, 1]), 0),
            (link(5, [10, 0, 0, 2]), 0),
            (link(6, [10, 0, 0, 3]), 0),
            (link(7, [10, 0, 0, 3]), 0),
            (link(8, [10, 0, 0, 4]), 1),
        ];
        let places = Places::of(links.iter().map(|(link, domain)| (link, *domain)));
        let home = |address: [u8; 4]| places.home(0, address.into(), false);
        assert_eq!((home([10, 0, 0, 1]), home([10, 0, 0, 2])), (Some(0), Some(5)));
        assert_eq!((home([10, 0, 0, 3]), home([10, 0, 0, 4]), home([10, 0, 0, 5])), (None, None, None));
        assert_eq!(home([127, 0, 0, 1]), Some(0));
    }
}
