//! The interfaces of the network namespace that the agent runs in.

use crate::{Error, Result};
use glob::Pattern;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nameindex;
use std::collections::BTreeMap;
use weir_probes::flows::LinkLayer;
use weir_record::Interface;

/// Hardware types (include/uapi/linux/if_arp.h) whose frames begin with an Ethernet header.
const ARPHRD_ETHER: u16 = 1;
const ARPHRD_LOOPBACK: u16 = 772;

/// An interface that can be watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Name and number.
    pub interface: Interface,
    /// How its frames begin.
    pub link_layer: LinkLayer,
}

/// Which interfaces the user wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    globs: Vec<Pattern>,
}

impl Selection {
    /// Those whose name fits one of `globs`; all of them where there is no glob.
    pub fn new(globs: Vec<Pattern>) -> Self {
        Self { globs }
    }

    fn wants(&self, name: &str) -> bool {
        self.globs.is_empty() || self.globs.iter().any(|glob| glob.matches(name))
    }

    /// The wanted interfaces that there are now, by number.
    ///
    /// # Errors
    /// The kernel does not list them.
    pub fn find(&self) -> Result<Vec<Found>> {
        Ok(all()?.into_values().filter(|found| self.wants(&found.interface.name)).collect())
    }

    /// [`find`](Self::find), and an error where a glob finds nothing.
    ///
    /// # Errors
    /// No interface fits one of the globs.
    pub fn find_each(&self) -> Result<Vec<Found>> {
        let found = self.find()?;
        let finds_none = |glob: &&Pattern| !found.iter().any(|one| glob.matches(&one.interface.name));
        let idle: Vec<_> = self.globs.iter().filter(finds_none).map(|glob| format!("'{glob}'")).collect();
        if idle.is_empty() && !found.is_empty() {
            return Ok(found);
        }
        let names: Vec<_> = all()?.into_values().map(|found| found.interface.name).collect();
        Err(Error::NoInterface { globs: idle.join(", "), names: names.join(", ") })
    }
}

/// Every interface of this network namespace, by number.
fn all() -> Result<BTreeMap<u32, Found>> {
    let links: BTreeMap<u32, u16> = getifaddrs()
        .map_err(Error::ListInterfaces)?
        .filter_map(|entry| {
            let link = entry.address?.as_link_addr().copied()?;
            Some((u32::try_from(link.ifindex()).ok()?, link.hatype()))
        })
        .collect();
    let interfaces = if_nameindex().map_err(Error::ListInterfaces)?;
    Ok(interfaces
        .iter()
        .map(|entry| {
            let interface =
                Interface { name: entry.name().to_string_lossy().into_owned(), index: entry.index() };
            // Without a link-layer address (tun, wireguard, PPP) there is no Ethernet header either.
            let link_layer = links.get(&entry.index()).map_or(LinkLayer::None, |kind| link_layer(*kind));
            (entry.index(), Found { interface, link_layer })
        })
        .collect())
}

/// Of the types without Ethernet, those that carry IP begin with the IP header (tun,
/// wireguard, PPP, IP tunnels); of the others the kernel's word for the protocol is kept.
fn link_layer(hardware_type: u16) -> LinkLayer {
    match hardware_type {
        ARPHRD_ETHER | ARPHRD_LOOPBACK => LinkLayer::Ethernet,
        _ => LinkLayer::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_found_and_selected() {
        let glob = |text: &str| Pattern::new(text).expect("a glob");
        let names = |globs| {
            let found = Selection::new(globs).find().expect("interfaces can be listed");
            found.into_iter().map(|found| found.interface.name).collect::<Vec<_>>()
        };
        assert!(names(vec![]).contains(&"lo".to_string()));
        assert_eq!(names(vec![glob("l?")]), ["lo"]);
        assert!(names(vec![glob("nothing*")]).is_empty());
    }
}
