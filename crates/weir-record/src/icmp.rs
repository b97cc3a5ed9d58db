//! ICMP and ICMPv6 messages that ask, and those that answer them: the pairs of the Community ID
//! specification.

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// Echo, router solicitation, timestamp, information, address mask: request and reply (IANA's registry).
const REQUESTS: [(u16, u16); 5] = [(8, 0), (10, 9), (13, 14), (15, 16), (17, 18)];
/// Echo, listener query, router and neighbour solicitation, node information, home agent discovery.
const REQUESTS_V6: [(u16, u16); 6] = [(128, 129), (130, 131), (133, 134), (135, 136), (139, 140), (144, 145)];

/// What a message that has a counterpart is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Request,
    Reply,
}

/// Role and counterpart of messages of type `kind`; none where nobody answers it.
pub(crate) fn counterpart(protocol: u8, kind: u16) -> Option<(Role, u16)> {
    let pairs: &[(u16, u16)] = match protocol {
        ICMP => &REQUESTS,
        ICMPV6 => &REQUESTS_V6,
        _ => return None,
    };
    pairs.iter().find_map(|&(request, reply)| match kind {
        _ if kind == request => Some((Role::Request, reply)),
        _ if kind == reply => Some((Role::Reply, request)),
        _ => None,
    })
}
