//! Names of IP protocols.

/// The number of a protocol, by its name or as text.
pub(crate) fn protocol_number(text: &str) -> Option<u8> {
    text.parse().ok().or_else(|| (0..=u8::MAX).find(|number| protocol_name(*number) == Some(text)))
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
