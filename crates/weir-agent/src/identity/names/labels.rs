//! What the user calls networks.

use hashbrown::HashMap;
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use weir_record::printable;

/// A network and its label: `10.1.0.0/16=db-subnet`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    network: IpNet,
    text: Arc<str>,
}

impl FromStr for Label {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || "not a label: write it like 10.1.0.0/16=db-subnet".to_string();
        let (network, label) = text.split_once('=').ok_or_else(wrong)?;
        let network = network.trim();
        let address = || network.parse::<IpAddr>().map(IpNet::from);
        let network = network.parse().or_else(|_| address()).map_err(|_| wrong())?;
        let label = label.trim();
        if label.is_empty() || label.len() > super::LONGEST || printable(label) != label {
            return Err(format!("must have a label of 1 to {} printable characters", super::LONGEST));
        }
        Ok(Self { network: network.trunc(), text: label.into() })
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.network, self.text)
    }
}

/// All of them, by network.
#[derive(Debug, Default)]
pub struct Labels {
    networks: HashMap<IpNet, Arc<str>>,
    /// Lengths of their prefixes.
    lengths: BTreeSet<u8>,
}

impl Labels {
    /// The later one counts where two are of the same network.
    pub fn new(labels: &[Label]) -> Self {
        let networks = labels.iter().map(|label| (label.network, Arc::clone(&label.text))).collect();
        Self { networks, lengths: labels.iter().map(|label| label.network.prefix_len()).collect() }
    }

    /// That of the narrowest network around an address.
    pub fn of(&self, address: IpAddr) -> Option<&Arc<str>> {
        let networks = self.lengths.iter().rev().filter_map(|length| IpNet::new(address, *length).ok());
        networks.into_iter().find_map(|network| self.networks.get(&network.trunc()))
    }

    /// How many networks have one.
    pub fn len(&self) -> usize {
        self.networks.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_network_counts() {
        let texts = [
            "10.0.0.0/8=all",
            "10.1.2.3/16 = db",
            "10.1.9.9=one",
            "::/0=six",
            "fd00::/8=home",
            "10.1.9.9=last",
        ];
        let labels: Vec<Label> = texts.iter().map(|text| text.parse().expect(text)).collect();
        assert_eq!(labels[1].to_string(), "10.1.0.0/16=db");
        let labels = Labels::new(&labels);
        let of = |address: &str| labels.of(address.parse().expect("an address")).map(|label| &**label);
        assert_eq!((of("10.2.0.1"), of("10.1.0.1"), of("10.1.9.9")), (Some("all"), Some("db"), Some("last")));
        assert_eq!((of("2001:db8::1"), of("fd00::1"), of("192.0.2.1")), (Some("six"), Some("home"), None));
        assert_eq!(labels.len(), 5);
    }

    #[test]
    fn what_is_no_label_is_refused() {
        for wrong in
            ["", "10.0.0.0/8", "10.0.0.0/33=x", "10.0.0.0/8=", "home=10.0.0.0/8", "10.0.0.0/8=a\x1bb"]
        {
            assert!(wrong.parse::<Label>().is_err(), "{wrong}");
        }
        assert!(format!("10.0.0.0/8={}", "x".repeat(256)).parse::<Label>().is_err());
    }
}
