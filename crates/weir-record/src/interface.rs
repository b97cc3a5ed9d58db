//! Interfaces: where packets are seen.

use std::fmt;
use std::sync::Arc;

/// An interface as the user knows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its number, unique in its network namespace for as long as it lives.
    pub index: u32,
    /// Its network namespace: the name in /run/netns, else the inode.
    pub netns: Arc<str>,
    /// Whether that is the namespace that the agent runs in.
    pub own_netns: bool,
    /// What it is.
    pub kind: InterfaceKind,
}

impl fmt::Display for Interface {
    /// `eth0`, and `blue/eth0` where it is in another namespace than the agent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.own_netns { f.write_str(&self.name) } else { write!(f, "{}/{}", self.netns, self.name) }
    }
}

/// What an interface is: the driver's name for it (IFLA_INFO_KIND), relatives taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the kernel's words; see `ALL`")]
pub enum InterfaceKind {
    Loopback,
    Physical,
    Veth,
    Netkit,
    Bridge,
    Bond,
    Team,
    Vlan,
    Vxlan,
    Geneve,
    Gre,
    Ipip,
    Sit,
    Xfrm,
    Tun,
    Wireguard,
    Macvlan,
    Ipvlan,
    Vrf,
    Dummy,
    Ifb,
    Other,
}

/// Every kind, its word, and the kernel's words for it where they are others.
#[rustfmt::skip]
const ALL: &[(InterfaceKind, &str, &[&str])] = &[
    (InterfaceKind::Loopback, "loopback", &[]),
    (InterfaceKind::Physical, "physical", &[]),
    (InterfaceKind::Veth, "veth", &[]),
    (InterfaceKind::Netkit, "netkit", &[]),
    (InterfaceKind::Bridge, "bridge", &[]),
    (InterfaceKind::Bond, "bond", &[]),
    (InterfaceKind::Team, "team", &[]),
    (InterfaceKind::Vlan, "vlan", &[]),
    (InterfaceKind::Vxlan, "vxlan", &[]),
    (InterfaceKind::Geneve, "geneve", &[]),
    (InterfaceKind::Gre, "gre", &["gretap", "ip6gre", "ip6gretap", "erspan", "ip6erspan"]),
    (InterfaceKind::Ipip, "ipip", &["ip6tnl"]),
    (InterfaceKind::Sit, "sit", &[]),
    (InterfaceKind::Xfrm, "xfrm", &["vti", "vti6"]),
    (InterfaceKind::Tun, "tun", &[]),
    (InterfaceKind::Wireguard, "wireguard", &[]),
    (InterfaceKind::Macvlan, "macvlan", &["macvtap"]),
    (InterfaceKind::Ipvlan, "ipvlan", &["ipvtap"]),
    (InterfaceKind::Vrf, "vrf", &[]),
    (InterfaceKind::Dummy, "dummy", &[]),
    (InterfaceKind::Ifb, "ifb", &[]),
    (InterfaceKind::Other, "other", &[]),
];

impl InterfaceKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        ALL.iter().find(|one| one.0 == self).map_or("other", |one| one.1)
    }

    /// The kind that a word stands for.
    pub fn of_word(word: &str) -> Option<Self> {
        ALL.iter().find(|one| one.1 == word).map(|one| one.0)
    }

    /// The kind of a device whose driver calls it `word`.
    pub fn of_driver(word: &str) -> Self {
        ALL.iter().find(|one| one.1 == word || one.2.contains(&word)).map_or(Self::Other, |one| one.0)
    }

    /// Every word there is.
    pub fn words() -> impl Iterator<Item = &'static str> {
        ALL.iter().map(|one| one.1)
    }

    /// Whether it wraps packets into others.
    pub fn is_tunnel(self) -> bool {
        use InterfaceKind::{Geneve, Gre, Ipip, Sit, Tun, Vxlan, Wireguard, Xfrm};
        matches!(self, Vxlan | Geneve | Gre | Ipip | Sit | Xfrm | Tun | Wireguard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_one_word() {
        for (kind, word, drivers) in ALL {
            assert_eq!((kind.as_str(), InterfaceKind::of_word(word)), (*word, Some(*kind)));
            assert!(drivers.iter().all(|driver| InterfaceKind::of_driver(driver) == *kind));
        }
        assert_eq!(InterfaceKind::of_driver("nlmon"), InterfaceKind::Other);
        assert_eq!(InterfaceKind::of_word("gretap"), None);
    }
}
