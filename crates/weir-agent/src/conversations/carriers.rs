//! Which conversation carries which: a packet inside a tunnel names the tunnel's flow by a digest.

use hashbrown::HashMap;
use std::time::Duration;
use weir_kernel::FlowEntry;

const IPIP: u8 = 4;
const UDP: u8 = 17;
const IPV6: u8 = 41;
const GRE: u8 = 47;
/// VXLAN, as IANA has it and as Linux does, and Geneve.
const UDP_TUNNELS: [u16; 3] = [4789, 8472, 6081];

/// A digest that no packet has named for the idle timeout and this long is of no use any more.
const GRACE: Duration = Duration::from_secs(120);

/// Conversations that are tunnels, by the probe's digest of their flows at one point.
#[derive(Debug)]
pub struct Carriers {
    /// The conversation's id, and when it was last seen, in nanoseconds since the Unix epoch.
    known: HashMap<u64, (u64, u64)>,
    keep: u64,
}

impl Carriers {
    /// None.
    pub fn new(idle_timeout: Duration) -> Self {
        let mut carriers = Self { known: HashMap::new(), keep: 0 };
        carriers.keep_for(idle_timeout);
        carriers
    }

    /// The idle timeout has changed.
    pub fn keep_for(&mut self, idle_timeout: Duration) {
        self.keep = u64::try_from(idle_timeout.saturating_add(GRACE).as_nanos()).unwrap_or(u64::MAX);
    }

    /// Whether the probe looks for packets inside this flow's.
    pub fn may_be(entry: &FlowEntry) -> bool {
        match entry.protocol {
            IPIP | IPV6 | GRE => true,
            UDP => UDP_TUNNELS.contains(&u16::from_be(entry.destination_port)),
            _ => false,
        }
    }

    /// Whose flows may be tunnels, as a filter.
    pub const FILTER: &str = "protocol in 4,41,47 or protocol == udp and destination_port in 4789,8472,6081";

    /// Notes a conversation that may carry others.
    pub fn note(&mut self, digest: u64, id: u64, now: u64) {
        self.known.insert(digest, (id, now));
    }

    /// The conversation that carries what names this digest.
    pub fn of(&self, digest: u64) -> Option<u64> {
        self.known.get(&digest).map(|(id, _)| *id)
    }

    /// Forgets those that nothing can name any more.
    pub fn expire(&mut self, now: u64) {
        self.known.retain(|_, (_, seen)| now.saturating_sub(*seen) < self.keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_filter::Filter;
    use weir_filter::generate::record;
    use weir_record::{Addresses, Direction, FlowKey, Interface, InterfaceKind};

    #[test]
    fn the_filter_is_what_the_probe_looks_into() {
        let filter: Filter = Carriers::FILTER.parse().expect("a filter");
        let interface = Interface {
            name: "eth0".into(),
            index: 2,
            netns: "1".into(),
            own_netns: true,
            kind: InterfaceKind::Physical,
        };
        let addresses = Addresses::V4([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        for protocol in 0..=u8::MAX {
            for port in [53, 4788, 4789, 6081, 8472] {
                let ports = (protocol == UDP || protocol == 6).then_some((40_000, port));
                let key = FlowKey::Ip { vlan: None, addresses, protocol, ports };
                let entry = FlowEntry { protocol, destination_port: port.to_be(), ..FlowEntry::default() };
                let record = record(interface.clone(), Direction::Ingress, key);
                assert_eq!(filter.matches(&record), Carriers::may_be(&entry), "{protocol} {port}");
            }
        }
    }
}
