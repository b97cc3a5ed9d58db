//! Network namespaces by name, and which of them are connected.

use crate::interfaces::{Inventory, Numbers};
use hashbrown::HashMap;
use std::sync::Arc;
use weir_record::Interface;

/// The namespaces that are watched.
#[derive(Debug, Default)]
pub struct Places {
    numbers: Numbers,
    /// The observation domain of each.
    domains: HashMap<u32, u32>,
}

impl Places {
    /// Those of `inventory`.
    pub fn of(inventory: &Inventory) -> Self {
        let mut places = Self::default();
        for (namespace, domain) in inventory.namespaces() {
            places.add(namespace.id(), namespace.name(), domain);
        }
        places
    }

    fn add(&mut self, netns: u32, name: &Arc<str>, domain: u32) {
        self.numbers.add(netns, name);
        self.domains.insert(netns, domain);
    }

    /// The namespace of an interface: 0 for the agent's own.
    pub fn netns(&self, interface: &Interface) -> u32 {
        self.numbers.of_interface(interface)
    }

    /// Whether packets may pass from one to the other, as far as that is known.
    pub fn are_connected(&self, one: u32, other: u32) -> bool {
        match (self.domains.get(&one), self.domains.get(&other)) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        }
    }
}

#[cfg(test)]
impl Places {
    /// Of these: number, name and domain.
    pub fn made_up(all: &[(u32, &str, u32)]) -> Self {
        let mut places = Self::default();
        all.iter().for_each(|(netns, name, domain)| places.add(*netns, &(*name).into(), *domain));
        places
    }
}
