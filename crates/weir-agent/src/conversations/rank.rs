//! How far an interface is from the wire, for `--dedup outer` and `inner`.

use weir_record::Interface;

/// What an interface is: kinds from the wire to the process, by the names that they go by.
/// A name fits if it is in the list, or the list has its beginning.
const KINDS: [&[&str]; 5] = [
    &["bond", "team"],
    &["vlan", "macvlan", "ipvlan"],
    &["vxlan", "geneve", "gre", "erspan", "ipip", "tunl", "sit", "ip6tnl", "wg", "ppp"],
    &["br", "docker", "virbr", "cni", "lxcbr", "ovs"],
    &["veth", "tun", "tap", "vnet", "cali", "lxc", "ifb", "dummy"],
];
const LOOPBACK: u8 = KINDS.len() as u8 + 1;
const VLAN: u8 = 2;

/// 0 at the wire, more towards the process. By name, until an interface tells its kind.
pub fn distance_from_wire(interface: &Interface) -> u8 {
    let name = interface.name.as_str();
    let begins = |kinds: &&[&str]| {
        kinds.iter().filter(|kind| name.starts_with(**kind)).map(|kind| kind.len()).max().unwrap_or(0)
    };
    match (0u8..).zip(&KINDS).map(|(place, kinds)| (begins(kinds), place + 1)).max() {
        _ if name == "lo" => LOOPBACK,
        Some((length, place)) if length > 0 => place,
        // eth0.5
        _ if name.contains('.') => VLAN,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_the_wire_to_the_process() {
        let names = ["enp3s0", "bond0", "eth0.5", "vxlan7", "br-lan", "veth1a2b", "lo"];
        let distances = names.map(|name| distance_from_wire(&Interface { name: name.into(), index: 1 }));
        assert_eq!(distances, [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(distance_from_wire(&Interface { name: "lxcbr0".into(), index: 1 }), 4);
    }
}
