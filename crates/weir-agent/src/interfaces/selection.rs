//! Which interfaces the user wants.

use super::Link;
use crate::{Error, Result};
use glob::Pattern;
use ipnet::IpNet;
use std::fmt::{self, Display};
use std::str::FromStr;
use weir_record::InterfaceKind;

/// By name, by kind, by address: an interface must fit all three. What is not given fits all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Selection {
    /// Names that are wanted.
    pub names: Vec<Pattern>,
    /// Names that are not.
    pub except: Vec<Pattern>,
    /// Kinds that are wanted, and those that are not.
    pub kinds: Vec<KindRule>,
    /// Where one of the interface's own addresses must lie.
    pub addresses: Vec<IpNet>,
}

impl Selection {
    pub(crate) fn wants(&self, link: &Link) -> bool {
        let name = &link.interface.name;
        (self.names.is_empty() || self.names.iter().any(|glob| glob.matches(name)))
            && !self.except.iter().any(|glob| glob.matches(name))
            && self.wants_kind(link.interface.kind)
            && (self.addresses.is_empty() || self.addresses.iter().any(|net| owns_address_in(link, *net)))
    }

    fn wants_kind(&self, kind: InterfaceKind) -> bool {
        let fits = |rule: &&KindRule| rule.word.fits(kind);
        let mut wanted = self.kinds.iter().filter(|rule| !rule.exclude).peekable();
        (wanted.peek().is_none() || wanted.any(|rule| fits(&rule)))
            && !self.kinds.iter().filter(|rule| rule.exclude).any(|rule| fits(&rule))
    }

    /// Those of `links` that are wanted; an error where a part of the selection finds nothing.
    pub(crate) fn choose<'a>(&self, links: impl Iterator<Item = &'a Link> + Clone) -> Result<Vec<Link>> {
        let mut idle = Vec::new();
        for glob in &self.names {
            note(&mut idle, glob, links.clone().any(|link| glob.matches(&link.interface.name)));
        }
        for rule in self.kinds.iter().filter(|rule| !rule.exclude) {
            note(&mut idle, rule, links.clone().any(|link| rule.word.fits(link.interface.kind)));
        }
        for net in &self.addresses {
            note(&mut idle, net, links.clone().any(|link| owns_address_in(link, *net)));
        }
        let chosen: Vec<_> = links.clone().filter(|link| self.wants(link)).cloned().collect();
        if idle.is_empty() && !chosen.is_empty() {
            return Ok(chosen);
        }
        let selection = if idle.is_empty() { "the whole selection".into() } else { idle.join(", ") };
        Err(Error::NoInterface { selection, there_are: self.describe(links) })
    }

    /// What there is, told by what the selection looks at.
    fn describe<'a>(&self, links: impl Iterator<Item = &'a Link>) -> String {
        let told = links.map(|link| {
            let kind = (!self.kinds.is_empty()).then(|| link.interface.kind.as_str().to_string());
            let addresses = link.addresses.iter().filter(|_| !self.addresses.is_empty());
            let more: Vec<_> = kind.into_iter().chain(addresses.map(ToString::to_string)).collect();
            match more.is_empty() {
                true => link.interface.to_string(),
                false => format!("{} ({})", link.interface, more.join(" ")),
            }
        });
        told.collect::<Vec<_>>().join(", ")
    }
}

fn note(idle: &mut Vec<String>, part: &impl Display, finds: bool) {
    if !finds {
        idle.push(format!("'{part}'"));
    }
}

fn owns_address_in(link: &Link, net: IpNet) -> bool {
    link.addresses.iter().any(|address| net.contains(address))
}

/// A kind that is wanted: `veth`, `tunnel`; or one that is not: `no-veth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindRule {
    exclude: bool,
    word: Word,
}

/// Tunnels are many kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Kind(InterfaceKind),
    Tunnel,
}

const TUNNEL: &str = "tunnel";
const NOT: &str = "no-";

impl Word {
    fn fits(self, kind: InterfaceKind) -> bool {
        match self {
            Self::Kind(wanted) => wanted == kind,
            Self::Tunnel => kind.is_tunnel(),
        }
    }
}

impl FromStr for KindRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (exclude, word) = text.strip_prefix(NOT).map_or((false, text), |word| (true, word));
        let word = match word {
            TUNNEL => Word::Tunnel,
            word => Word::Kind(InterfaceKind::of_word(word).ok_or_else(|| {
                let words: Vec<_> = InterfaceKind::words().chain([TUNNEL]).collect();
                format!("not a kind: there are {}; each also with '{NOT}' before it", words.join(", "))
            })?),
        };
        Ok(Self { exclude, word })
    }
}

impl Display for KindRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.word {
            Word::Kind(kind) => kind.as_str(),
            Word::Tunnel => TUNNEL,
        };
        write!(f, "{}{word}", if self.exclude { NOT } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interfaces::kind;
    use crate::interfaces::message::LinkMessage;
    use std::sync::Arc;
    use weir_probes::flows::{InterfaceId, LinkLayer};
    use weir_record::Interface;

    fn link(index: u32, name: &str, driver: &str, addresses: &[&str]) -> Link {
        let driver = (!driver.is_empty()).then(|| driver.to_string());
        let message = LinkMessage { driver, has_device: true, ..LinkMessage::default() };
        let kind = kind(&message, true);
        let interface = Interface { name: name.into(), index, netns: "1".into(), own_netns: true, kind };
        Link {
            id: InterfaceId { netns: 0, index },
            serial: 0,
            interface: Arc::new(interface),
            link_layer: LinkLayer::Ethernet,
            addresses: addresses.iter().map(|address| address.parse().expect("an address")).collect(),
        }
    }

    fn host() -> Vec<Link> {
        vec![
            link(2, "eth0", "", &["192.0.2.7", "2001:db8::7"]),
            link(3, "veth1", "veth", &[]),
            link(4, "vx", "vxlan", &["10.1.2.3"]),
            link(5, "wg0", "wireguard", &["10.9.0.1"]),
        ]
    }

    fn select(names: &[&str], except: &[&str], kinds: &[&str], addresses: &[&str]) -> Selection {
        let globs = |texts: &[&str]| texts.iter().map(|text| Pattern::new(text).expect("a glob")).collect();
        Selection {
            names: globs(names),
            except: globs(except),
            kinds: kinds.iter().map(|kind| kind.parse().expect("a kind")).collect(),
            addresses: addresses.iter().map(|net| net.parse().expect("a network")).collect(),
        }
    }

    fn chosen(selection: &Selection) -> Vec<String> {
        let links = selection.choose(host().iter()).unwrap_or_default();
        links.into_iter().map(|link| link.interface.name.clone()).collect()
    }

    #[test]
    fn every_part_must_fit() {
        assert_eq!(chosen(&Selection::default()), ["eth0", "veth1", "vx", "wg0"]);
        assert_eq!(chosen(&select(&["v*"], &[], &[], &[])), ["veth1", "vx"]);
        assert_eq!(chosen(&select(&["v*"], &["veth*"], &[], &[])), ["vx"]);
        assert_eq!(chosen(&select(&[], &[], &["tunnel"], &[])), ["vx", "wg0"]);
        assert_eq!(chosen(&select(&[], &[], &["tunnel", "no-wireguard"], &[])), ["vx"]);
        assert_eq!(chosen(&select(&[], &[], &["no-tunnel"], &[])), ["eth0", "veth1"]);
        assert_eq!(chosen(&select(&[], &[], &["physical", "veth"], &[])), ["eth0", "veth1"]);
        assert_eq!(chosen(&select(&[], &[], &[], &["10.0.0.0/8", "2001:db8::/32"])), ["eth0", "vx", "wg0"]);
        assert_eq!(chosen(&select(&[], &[], &["wireguard"], &["10.0.0.0/8"])), ["wg0"]);
    }

    #[test]
    fn what_finds_nothing_is_named_beside_what_there_is() {
        let complaint = |selection: &Selection| {
            selection.choose(host().iter()).map(|_| ()).expect_err("it finds nothing").to_string()
        };
        let said = complaint(&select(&["eth0", "ppp*"], &[], &[], &[]));
        assert!(said.contains("'ppp*'") && !said.contains("'eth0'") && said.contains("wg0"), "{said}");
        let said = complaint(&select(&[], &[], &["bridge"], &[]));
        assert!(said.contains("'bridge'") && said.contains("vx (vxlan)"), "{said}");
        let said = complaint(&select(&[], &[], &[], &["203.0.113.0/24"]));
        assert!(said.contains("203.0.113.0/24") && said.contains("eth0 (192.0.2.7 2001:db8::7)"), "{said}");
        let said = complaint(&select(&["eth0"], &["eth*"], &[], &[]));
        assert!(said.contains("whole selection"), "{said}");
    }

    #[test]
    fn kinds_are_read_and_written() {
        for text in ["veth", "no-veth", "tunnel", "no-tunnel"] {
            assert_eq!(text.parse::<KindRule>().expect("a kind").to_string(), text);
        }
        let error = "gretap".parse::<KindRule>().expect_err("no kind of ours");
        assert!(error.contains("gre") && error.contains("tunnel"), "{error}");
    }
}
