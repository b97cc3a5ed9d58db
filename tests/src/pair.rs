//! Two namespaces joined by a veth pair, with nothing on it but what the test sends.

use crate::netns::Namespace;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The veth end in either namespace.
pub const INTERFACE: &str = "weir0";
/// The left end's address.
pub const LEFT: &str = "10.77.0.1";
/// The right end's address.
pub const RIGHT: &str = "10.77.0.2";
/// The left end's address where IPv6 is on.
pub const LEFT_IPV6: &str = "fd00::1";
/// The right end's address where IPv6 is on.
pub const RIGHT_IPV6: &str = "fd00::2";

const LEFT_MAC: &str = "02:00:00:00:00:01";
const RIGHT_MAC: &str = "02:00:00:00:00:02";

/// One test at a time within a process: each wants the machine for itself.
static MACHINE: Mutex<()> = Mutex::new(());

/// Waits for its turn.
pub(crate) fn machine() -> MutexGuard<'static, ()> {
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Two hosts on one wire.
pub struct Pair {
    /// The end that sends, in most tests.
    pub left: Namespace,
    /// The end that receives.
    pub right: Namespace,
    _machine: MutexGuard<'static, ()>,
}

impl Pair {
    /// IPv4 only. Neighbours are known for good, so there is no ARP either.
    #[expect(clippy::new_without_default, reason = "it has effects outside the process")]
    pub fn new() -> Self {
        Self::with_left_index(None)
    }

    /// As [`Pair::new`], but the left interface gets the given number, by which it can be
    /// told from every other interface on the machine.
    pub fn with_left_index(index: Option<u32>) -> Self {
        let machine = machine();
        let pair = Self { left: Namespace::new(), right: Namespace::new(), _machine: machine };
        let (left, right) = (&pair.left, &pair.right);
        let index = index.map_or(String::new(), |index| format!("index {index}"));
        left.ip(&format!(
            "link add {INTERFACE} {index} address {LEFT_MAC} type veth \
             peer name {INTERFACE} address {RIGHT_MAC} netns {}",
            right.name()
        ));
        for (end, address) in [(left, LEFT), (right, RIGHT)] {
            end.ip(&format!("address add {address}/16 dev {INTERFACE}"));
            end.ip("link set lo up");
            end.ip(&format!("link set {INTERFACE} up"));
        }
        left.ip(&format!("neighbour replace {RIGHT} lladdr {RIGHT_MAC} dev {INTERFACE} nud permanent"));
        right.ip(&format!("neighbour replace {LEFT} lladdr {LEFT_MAC} dev {INTERFACE} nud permanent"));
        pair
    }

    /// With IPv6 on the wire too. Address detection, router discovery and link-local
    /// addresses are off, but the kernel still reports the groups that it joins: a test on
    /// such a pair looks at its own flows, not at the totals.
    pub fn with_ipv6() -> Self {
        let pair = Self::new();
        for (end, address) in [(&pair.left, LEFT_IPV6), (&pair.right, RIGHT_IPV6)] {
            for (parameter, value) in [("accept_ra", "0"), ("addr_gen_mode", "1"), ("disable_ipv6", "0")] {
                end.sysctl(&format!("net/ipv6/conf/{INTERFACE}/{parameter}"), value);
            }
            end.ip(&format!("address add {address}/64 dev {INTERFACE} nodad"));
        }
        pair.left
            .ip(&format!("neighbour replace {RIGHT_IPV6} lladdr {RIGHT_MAC} dev {INTERFACE} nud permanent"));
        pair.right
            .ip(&format!("neighbour replace {LEFT_IPV6} lladdr {LEFT_MAC} dev {INTERFACE} nud permanent"));
        pair
    }

    /// Switches an offload (`tso`, `gso`, `gro`, …) at both ends.
    pub fn offload(&self, feature: &str, on: bool) {
        for end in [&self.left, &self.right] {
            end.run("ethtool", &["-K", INTERFACE, feature, if on { "on" } else { "off" }]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::witness::link;
    use std::thread::sleep;
    use std::time::Duration;

    #[test]
    fn root_a_pair_is_silent_and_carries_packets() {
        let pair = Pair::new();
        sleep(Duration::from_secs(2));
        let quiet = link(&pair.left, INTERFACE);
        assert_eq!((quiet.tx.packets, quiet.rx.packets), (0, 0));

        pair.left.run("ping", &["-c", "3", "-i", "0.01", RIGHT]);
        let counted = link(&pair.left, INTERFACE);
        assert_eq!((counted.tx.packets, counted.rx.packets), (3, 3));
        assert_eq!(counted.tx.bytes, 3 * 98);
    }

    #[test]
    fn root_a_pair_speaks_ipv6_when_asked_to() {
        let pair = Pair::with_ipv6();
        pair.left.run("ping", &["-c", "1", RIGHT_IPV6]);
    }

    #[test]
    fn root_offloads_and_the_index_can_be_chosen() {
        let pair = Pair::with_left_index(Some(70_001));
        pair.offload("tso", false);
        assert!(pair.left.run("ethtool", &["-k", INTERFACE]).contains("tcp-segmentation-offload: off"));
        assert!(pair.left.ip("link show").contains("70001: weir0"));
    }
}
