//! How far an interface is from the wire, for `--dedup outer` and `inner`.

use weir_record::{Interface, InterfaceKind};

/// 0 at the wire, more towards the process. Of two of a kind the one in another network
/// namespace is farther: a container's end of a veth pair.
pub fn distance_from_wire(interface: &Interface) -> u8 {
    use InterfaceKind::*;
    let distance = match interface.kind {
        Physical => 0,
        Bond | Team | Other => 1,
        Vlan | Macvlan | Ipvlan => 2,
        Vxlan | Geneve | Gre | Ipip | Sit | Xfrm | Wireguard => 3,
        Bridge | Vrf => 4,
        Veth | Netkit | Tun | Dummy | Ifb => 5,
        Loopback => 6,
    };
    2 * distance + u8::from(!interface.own_netns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_the_wire_to_the_process() {
        let of = |kind, own_netns| {
            distance_from_wire(&Interface {
                name: "eth0".into(),
                index: 1,
                netns: "1".into(),
                own_netns,
                kind,
            })
        };
        use InterfaceKind::{Bond, Bridge, Loopback, Physical, Veth, Vlan, Vxlan};
        let inwards = [Physical, Bond, Vlan, Vxlan, Bridge, Veth, Loopback].map(|kind| of(kind, true));
        assert!(inwards.is_sorted_by(|outer, inner| outer < inner), "{inwards:?}");
        assert!(of(Veth, true) < of(Veth, false) && of(Veth, false) < of(Loopback, true));
    }
}
