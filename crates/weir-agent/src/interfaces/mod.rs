//! The interfaces that there are: asked for once, then followed by notifications.

mod domains;
mod message;
mod names;
mod namespace;
mod netlink;
mod selection;
#[cfg(test)]
mod tests;

use crate::{Error, Result};
use domains::{Domains, Question};
use message::{ARPHRD_LOOPBACK, Heard, LinkMessage};
pub(crate) use names::{NOWHERE, Names, Numbers};
pub use namespace::Namespaces;
pub(crate) use namespace::{Namespace, find as find_namespaces};
use namespace::{Scout, Sighting};
use netlink::{Notice, Notifications, Requests};
pub use selection::{KindRule, Selection};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_probes::flows::{InterfaceId, LinkLayer};
use weir_record::{Interface, InterfaceKind};

/// The hardware type (include/uapi/linux/if_arp.h), beside that of `lo`, whose frames begin with an Ethernet header.
const ARPHRD_ETHER: u16 = 1;

/// How often the host is searched for network namespaces: their interfaces shall be watched
/// within a second.
const SEARCH_EVERY: Duration = Duration::from_millis(500);
/// Notifications that are taken at a time; a busy host shall not keep the agent from its drain.
const AT_A_TIME: usize = 10_000;

/// A survey during which notifications are lost is made anew this often.
const SURVEYS: u32 = 5;

/// An interface that can be watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    /// Which one among those of every namespace.
    pub(crate) id: InterfaceId,
    /// Tells it from an earlier one of the same number.
    pub(crate) serial: u64,
    /// As the user knows it.
    pub(crate) interface: Arc<Interface>,
    /// How its frames begin.
    pub(crate) link_layer: LinkLayer,
    /// Its addresses, where the selection asks for them.
    pub(crate) addresses: BTreeSet<IpAddr>,
}

/// What has become of the interfaces since the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Change {
    /// Nothing.
    None,
    /// Some have come, gone or changed.
    Some,
    /// That is not known of each: one may have gone and another have taken its number.
    Uncertain,
}

/// All interfaces of the wanted network namespaces.
pub(crate) struct Inventory {
    scout: Scout,
    requests: Requests,
    notifications: Notifications,
    with_addresses: bool,
    /// The agent's own namespace has a number, too, where others are looked at.
    own_nsid: Option<i32>,
    /// Which namespaces are connected, where there can be several.
    domains: Option<Domains>,
    /// By inode; 0 is the agent's own.
    namespaces: BTreeMap<u32, Namespace>,
    links: BTreeMap<InterfaceId, Link>,
    serial: u64,
    searched: Instant,
}

impl Inventory {
    /// Finds what there is now, and listens.
    ///
    /// # Errors
    /// The kernel refuses, or a namespace that the user named is not there.
    pub(crate) fn open(wanted: Namespaces, with_addresses: bool) -> Result<Self> {
        let scout = Scout::new(wanted)?;
        if scout.looks_beyond() {
            namespace::may_enter()?;
        }
        let notifications = Notifications::open(scout.looks_beyond()).map_err(Error::ListInterfaces)?;
        let mut requests = Requests::open().map_err(Error::ListInterfaces)?;
        // The kernel would give it one as soon as it speaks of a link that leads there from elsewhere.
        let own_nsid = match scout.looks_beyond() {
            true => requests.nsid(namespace::own()?.as_fd(), true).map_err(Error::ListInterfaces)?,
            false => None,
        };
        let domains = scout.may_find_several().then(Domains::default);
        let mut inventory = Self {
            scout,
            requests,
            notifications,
            with_addresses: false,
            own_nsid,
            domains,
            namespaces: BTreeMap::new(),
            links: BTreeMap::new(),
            serial: 0,
            searched: Instant::now(),
        };
        if with_addresses {
            inventory.attend_addresses()?;
        }
        inventory.survey()?;
        Ok(inventory)
    }

    /// All of them, by namespace and number.
    pub(crate) fn links(&self) -> impl Iterator<Item = &Link> + Clone {
        self.links.values()
    }

    /// One of them.
    pub(crate) fn link(&self, id: InterfaceId) -> Option<&Link> {
        self.links.get(&id)
    }

    /// The network namespace of an interface, unless it is gone.
    pub(crate) fn namespace(&self, id: InterfaceId) -> Option<&Namespace> {
        self.namespaces.get(&id.netns)
    }

    /// The network namespace with this inode; 0 is the agent's own.
    pub(crate) fn namespace_of(&self, netns: u32) -> Option<&Namespace> {
        self.namespaces.get(&netns)
    }

    /// All network namespaces that are watched, and the observation domain of each.
    pub(crate) fn namespaces(&self) -> impl Iterator<Item = (&Namespace, u32)> {
        self.namespaces.values().map(|one| (one, self.domain(InterfaceId { netns: one.id, index: 0 })))
    }

    /// The observation domain of an interface: packets can pass only between those of one domain.
    pub(crate) fn domain(&self, id: InterfaceId) -> u32 {
        let nsid = self.namespace(id).and_then(|namespace| namespace.nsid.or(self.own_nsid));
        self.domains.as_ref().zip(nsid).map_or(0, |(domains, nsid)| domains.number(nsid))
    }

    /// Listens to addresses from now on; after the next [`survey`](Self::survey) they are known.
    pub(crate) fn attend_addresses(&mut self) -> Result<()> {
        if !self.with_addresses {
            self.notifications.add_addresses().map_err(Error::ListInterfaces)?;
            self.with_addresses = true;
        }
        Ok(())
    }

    /// Finds everything anew. An interface that is still there keeps its serial.
    pub(crate) fn survey(&mut self) -> Result<()> {
        let before = std::mem::take(&mut self.links);
        for _ in 0..SURVEYS {
            self.links.clear();
            self.namespaces.clear();
            self.domains.iter_mut().for_each(Domains::restart);
            if self.search()? != Change::Uncertain {
                break;
            }
        }
        for (id, link) in &mut self.links {
            link.serial = before.get(id).map_or(link.serial, |known| known.serial);
        }
        self.connect();
        Ok(())
    }

    /// Takes in what has happened since the last time.
    pub(crate) fn refresh(&mut self) -> Result<Change> {
        let mut change = self.listen()?;
        if self.scout.looks_beyond() && self.searched.elapsed() >= SEARCH_EVERY {
            change = change.max(self.search()?);
        }
        if change == Change::Uncertain {
            self.survey()?;
        }
        Ok(change.max(self.connect()))
    }

    /// Finds out what is connected with what now.
    fn connect(&mut self) -> Change {
        let Self { domains: Some(domains), requests, namespaces, own_nsid, .. } = self else {
            return Change::None;
        };
        while let Some(question) = domains.question() {
            // What refuses to answer is gone, or about to go.
            match question {
                Question::Links(nsid) => {
                    let answer = requests.dump(Some(nsid), false).unwrap_or_default();
                    answer.iter().for_each(|heard| domains.learn(nsid, heard));
                }
                Question::Link(nsid, index) => match requests.link(nsid, index) {
                    Ok(answer) => answer.iter().for_each(|heard| domains.learn(nsid, heard)),
                    Err(_) => domains.lose((nsid, index)),
                },
            }
        }
        let watched = namespaces.values().filter_map(|namespace| namespace.nsid.or(*own_nsid));
        if domains.settle(watched) { Change::Some } else { Change::None }
    }

    fn listen(&mut self) -> Result<Change> {
        let mut notices = Vec::new();
        while notices.len() < AT_A_TIME
            && self.notifications.next(&mut notices).map_err(Error::ListInterfaces)?
        {}
        let mut change = Change::None;
        for notice in notices {
            change = change.max(match notice {
                Notice::Lost => Change::Uncertain,
                Notice::Heard(nsid, heard) => self.hear(nsid, heard),
            });
        }
        Ok(change)
    }

    fn hear(&mut self, nsid: Option<i32>, heard: Heard) -> Change {
        if let Some((domains, nsid)) = self.domains.as_mut().zip(nsid.or(self.own_nsid)) {
            domains.hear(nsid, &heard);
        }
        let netns = match nsid {
            None => Some(0),
            nsid if nsid == self.own_nsid => Some(0),
            nsid => self.namespaces.values().find(|one| one.nsid == nsid).map(|one| one.id),
        };
        match (netns, heard) {
            // Each namespace has numbers of its own for others: only the agent's count here.
            (Some(0), Heard::NamespaceGone(nsid)) => self.lose_namespace(nsid),
            (Some(id), heard) => self.take(id, heard),
            (None, _) => Change::None,
        }
    }

    /// Looks for namespaces that have come, and for names that have changed.
    fn search(&mut self) -> Result<Change> {
        self.searched = Instant::now();
        let mut change = Change::None;
        for (id, sighting) in self.scout.look() {
            change = change.max(match self.namespaces.contains_key(&id) {
                true => self.see_again(id, &sighting),
                false => self.meet(id, sighting)?,
            });
        }
        Ok(change)
    }

    /// A new namespace. One that goes while it is looked at is left to the next search.
    fn meet(&mut self, id: u32, sighting: Sighting) -> Result<Change> {
        let nsid = match self.number(id, &sighting) {
            Ok(nsid) => nsid,
            Err(_) if id != 0 => return Ok(Change::None),
            Err(error) => return Err(Error::ListInterfaces(error)),
        };
        // If the number has had another owner before, its end has been notified by now.
        let change = self.listen()?;
        self.namespaces.insert(id, Namespace { id, nsid, name: sighting.name(id), doors: sighting.doors });
        match self.requests.dump(nsid, self.with_addresses) {
            Ok(heard) => {
                if let Some((domains, nsid)) = self.domains.as_mut().zip(nsid.or(self.own_nsid)) {
                    domains.explore(nsid);
                    heard.iter().for_each(|heard| domains.learn(nsid, heard));
                }
                Ok(heard.into_iter().fold(change, |change, heard| change.max(self.take(id, heard))))
            }
            Err(error) if id == 0 => Err(Error::ListInterfaces(error)),
            Err(_) => {
                self.namespaces.remove(&id);
                Ok(change)
            }
        }
    }

    /// The number by which notifications name a namespace; those of the agent's own need none.
    fn number(&mut self, id: u32, sighting: &Sighting) -> io::Result<Option<i32>> {
        if id == 0 {
            return Ok(None);
        }
        let netns = namespace::open(id, &sighting.doors)?;
        let nsid = self.requests.nsid(netns.as_fd(), true)?;
        nsid.map(Some).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn see_again(&mut self, id: u32, sighting: &Sighting) -> Change {
        let Some(namespace) = self.namespaces.get_mut(&id) else { return Change::None };
        namespace.doors.clone_from(&sighting.doors);
        // A name that is taken away is kept: the flows of one namespace shall not change theirs.
        let is_kept = sighting.names.iter().any(|name| **name == *namespace.name);
        let Some(name) = sighting.names.first().filter(|_| !is_kept) else { return Change::None };
        namespace.name = name.as_str().into();
        let of_it = InterfaceId { netns: id, index: 0 }..=InterfaceId { netns: id, index: u32::MAX };
        for (_, link) in self.links.range_mut(of_it) {
            let interface = Interface::clone(&link.interface);
            link.interface = Arc::new(Interface { netns: Arc::clone(&namespace.name), ..interface });
        }
        Change::Some
    }

    fn lose_namespace(&mut self, nsid: i32) -> Change {
        self.domains.iter_mut().for_each(|domains| domains.forget(nsid));
        let gone =
            self.namespaces.values().find(|one| one.nsid == Some(nsid) && one.id != 0).map(|one| one.id);
        let Some(id) = gone else { return Change::None };
        self.namespaces.remove(&id);
        self.links.retain(|link, _| link.netns != id);
        self.scout.forget(id);
        Change::Some
    }

    fn take(&mut self, netns: u32, heard: Heard) -> Change {
        let of = |index| InterfaceId { netns, index };
        let changed = match heard {
            Heard::Link(link) => self.take_link(of(link.index), link),
            Heard::LinkGone(index) => self.links.remove(&of(index)).is_some(),
            Heard::Address(index, address) => {
                self.links.get_mut(&of(index)).is_some_and(|link| link.addresses.insert(address))
            }
            Heard::AddressGone(index, address) => {
                self.links.get_mut(&of(index)).is_some_and(|link| link.addresses.remove(&address))
            }
            _ => false,
        };
        if changed { Change::Some } else { Change::None }
    }

    fn take_link(&mut self, id: InterfaceId, message: LinkMessage) -> bool {
        let Some(namespace) = self.namespaces.get(&id.netns) else { return false };
        let kind = kind(&message, id.netns == 0);
        let link_layer = link_layer(message.hardware);
        let (netns, own_netns) = (Arc::clone(&namespace.name), id.netns == 0);
        let interface = Interface { name: message.name, index: id.index, netns, own_netns, kind };
        match self.links.get_mut(&id) {
            Some(link) if *link.interface == interface => false,
            Some(link) => {
                link.interface = Arc::new(interface);
                true
            }
            None => {
                self.serial += 1;
                let (serial, interface) = (self.serial, Arc::new(interface));
                self.links.insert(id, Link { id, serial, interface, link_layer, addresses: BTreeSet::new() });
                true
            }
        }
    }
}

fn kind(link: &LinkMessage, own_netns: bool) -> InterfaceKind {
    match &link.driver {
        Some(driver) => InterfaceKind::of_driver(driver),
        None if link.is_loopback() => InterfaceKind::Loopback,
        None if link.has_device => InterfaceKind::Physical,
        None if own_netns && namespace::has_device_in_sysfs(&link.name) => InterfaceKind::Physical,
        None => InterfaceKind::Other,
    }
}

/// Of the types without Ethernet, those that carry IP begin with the IP header (tun,
/// wireguard, PPP, IP tunnels); of the others the kernel's word for the protocol is kept.
fn link_layer(hardware_type: u16) -> LinkLayer {
    match hardware_type {
        ARPHRD_ETHER | ARPHRD_LOOPBACK => LinkLayer::Ethernet,
        _ => LinkLayer::None,
    }
}
