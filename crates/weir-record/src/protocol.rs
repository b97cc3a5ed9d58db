//! Names of IP protocols.

use std::collections::HashMap;
use std::sync::LazyLock;

/// The protocols that have a name.
pub fn protocol_names() -> impl Iterator<Item = (u8, &'static str)> {
    (0..=u8::MAX).filter_map(|number| Some((number, protocol_name(number)?)))
}

/// The number of a protocol, by its name or as text.
pub fn protocol_number(text: &str) -> Option<u8> {
    static NUMBERS: LazyLock<HashMap<&str, u8>> =
        LazyLock::new(|| protocol_names().map(|(number, name)| (name, number)).collect());
    NUMBERS.get(text).copied().or_else(|| text.parse().ok())
}

/// A protocol's name, else its number as text.
pub fn protocol_text(number: u8) -> &'static str {
    static NUMBERS: LazyLock<[String; 256]> =
        LazyLock::new(|| std::array::from_fn(|number| number.to_string()));
    protocol_name(number).unwrap_or_else(|| &NUMBERS[usize::from(number)])
}

/// The lower-case name of an IP protocol (IANA's keyword), for those that are met on hosts.
pub fn protocol_name(number: u8) -> Option<&'static str> {
    Some(match number {
        0 => "hopopt",
        1 => "icmp",
        2 => "igmp",
        4 => "ipip",
        6 => "tcp",
        17 => "udp",
        33 => "dccp",
        41 => "ipv6",
        43 => "ipv6-route",
        44 => "ipv6-frag",
        46 => "rsvp",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        58 => "icmpv6",
        59 => "ipv6-nonxt",
        60 => "ipv6-opts",
        88 => "eigrp",
        89 => "ospf",
        103 => "pim",
        112 => "vrrp",
        115 => "l2tp",
        132 => "sctp",
        136 => "udplite",
        _ => return None,
    })
}
