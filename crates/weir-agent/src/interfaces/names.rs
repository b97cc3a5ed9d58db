//! Network namespaces and interfaces: what records call them, and the kernel's numbers.

use super::Inventory;
use hashbrown::HashMap;
use std::sync::Arc;
use weir_probes::flows::{InterfaceId, own_netns};
use weir_record::Interface;

/// The number that no network namespace has.
pub(crate) const NOWHERE: u32 = u32::MAX;

/// Numbers of network namespaces by the names that records have.
#[derive(Debug, Default)]
pub(crate) struct Numbers(HashMap<Arc<str>, u32>);

impl Numbers {
    /// Of those that are watched.
    pub(crate) fn of(inventory: &Inventory) -> Self {
        let mut numbers = Self::default();
        inventory.namespaces().for_each(|(namespace, _)| numbers.add(namespace.id(), namespace.name()));
        numbers
    }

    /// One more.
    pub(crate) fn add(&mut self, netns: u32, name: &Arc<str>) {
        self.0.insert(Arc::clone(name), netns);
    }

    /// The namespace of an interface: 0 for the agent's own; of one that is gone [`NOWHERE`], where no socket is.
    pub(crate) fn of_interface(&self, interface: &Interface) -> u32 {
        let known = || self.0.get(&interface.netns).copied().unwrap_or(NOWHERE);
        if interface.own_netns { 0 } else { known() }
    }
}

/// Names of what the kernel tells of by inode and number.
pub(crate) struct Names<'i> {
    own: u32,
    inventory: &'i Inventory,
}

impl<'i> Names<'i> {
    /// Of what is watched.
    pub(crate) fn of(inventory: &'i Inventory) -> Self {
        Self { own: own_netns(), inventory }
    }

    fn id(&self, inode: u32) -> u32 {
        if inode == self.own { 0 } else { inode }
    }

    /// Whether the network namespace is watched.
    pub(crate) fn is_known(&self, inode: u32) -> bool {
        self.inventory.namespace_of(self.id(inode)).is_some()
    }

    /// Its name, else its inode; and whether it is the own one.
    pub(crate) fn netns(&self, inode: u32) -> (Arc<str>, bool) {
        let id = self.id(inode);
        let known = self.inventory.namespace_of(id).map(|namespace| Arc::clone(namespace.name()));
        (known.unwrap_or_else(|| inode.to_string().into()), id == 0)
    }

    /// An interface of it.
    pub(crate) fn interface(&self, inode: u32, index: u32) -> Option<Arc<Interface>> {
        let link = self.inventory.link(InterfaceId { netns: self.id(inode), index })?;
        Some(Arc::clone(&link.interface))
    }
}
