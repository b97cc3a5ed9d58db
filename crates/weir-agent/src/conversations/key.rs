//! Which conversation a flow belongs to.

use weir_record::FlowKey;

/// Which of the observation points that saw the same packets counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dedup {
    /// Every interface has conversations of its own.
    Off,
    /// The one that saw the conversation first.
    First,
    /// The one nearest to the wire.
    Outer,
    /// The one nearest to the process.
    Inner,
}

/// What is joined into one conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joining {
    /// Both directions (RFC 5103).
    pub biflow: bool,
    /// Observation points.
    pub dedup: Dedup,
}

/// What tells one conversation from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// In its canonical direction, where directions are joined.
    pub flow: FlowKey,
    /// Where its packets in the direction of `flow` are seen, as far as that keeps conversations
    /// apart: the observation point, or the observation domain.
    at: u32,
}

/// Where a flow was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    /// Number of the observation point.
    pub point: u16,
    /// Number of its observation domain (RFC 7011): packets can pass only between points of one.
    pub domain: u32,
}

impl Joining {
    /// The conversation of a flow that was seen at `site`, and whether this is its reverse direction.
    pub fn key(&self, flow: FlowKey, site: Site) -> (Key, bool) {
        let reversed = self.other_direction(&flow);
        let canonical = reversed.unwrap_or(flow);
        let key = match self.place(&canonical, if reversed.is_some() { site.point ^ 1 } else { site.point }) {
            Some(point) => Key { flow: canonical, at: point.into() },
            // A tagged trunk and the untagged interface on top of it see the same packet.
            None => Key { flow: canonical.with_vlan(None), at: site.domain },
        };
        (key, reversed.is_some())
    }

    /// The VLAN of a flow, as far as it keeps observations apart. A priority tag (id 0) names
    /// none, and a host may give it to some packets of a conversation only.
    pub fn vlan(&self, flow: &FlowKey) -> Option<u16> {
        flow.vlan().filter(|id| *id != 0 || self.dedup == Dedup::Off)
    }

    /// Whether conversations with this key have two directions.
    pub fn is_joined(&self, flow: &FlowKey) -> bool {
        self.biflow && flow.is_canonical().is_some()
    }

    /// The key as the other end sends it, if that is the canonical one.
    fn other_direction(&self, flow: &FlowKey) -> Option<FlowKey> {
        let reverse = self.biflow && flow.is_canonical() == Some(false);
        if reverse { flow.reversed() } else { None }
    }

    /// The point that keeps the same ends at different places of a domain apart: any where points
    /// are not joined. Frames that are not IP name no ends, and loopback addresses are of one host
    /// only: those of two network namespaces have nothing to do with each other.
    fn place(&self, flow: &FlowKey, point: u16) -> Option<u16> {
        match flow {
            _ if self.dedup == Dedup::Off => Some(point),
            FlowKey::Other { .. } => Some(point),
            FlowKey::Ip { addresses, .. } if addresses.are_loopback() => Some(point & !1),
            FlowKey::Ip { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversations::samples::{icmp, tcp, tcp_between};

    const ON: Joining = Joining { biflow: true, dedup: Dedup::First };
    const APART: Joining = Joining { biflow: true, dedup: Dedup::Off };
    const FLOWS: Joining = Joining { biflow: false, dedup: Dedup::Off };

    fn at(point: u16) -> Site {
        Site { point, domain: 0 }
    }

    fn one(joining: Joining, a: (FlowKey, u16), b: (FlowKey, u16)) -> bool {
        joining.key(a.0, at(a.1)).0 == joining.key(b.0, at(b.1)).0
    }

    #[test]
    fn directions_and_points_are_joined_as_told() {
        let (there, back) = (tcp(40_000, 80), tcp(40_000, 80).reversed().expect("TCP has two directions"));
        let vlan = there.with_vlan(Some(5));
        assert!(one(ON, (there, 2), (back, 5)) && one(ON, (there, 2), (vlan, 6)));
        assert_ne!(ON.key(there, at(2)).1, ON.key(back, at(2)).1);
        // Without dedup: what goes in there comes out here again, and nothing else is the same.
        assert!(one(APART, (there, 2), (back, 3)) && one(APART, (there, 3), (back, 2)));
        assert!(!one(APART, (there, 2), (there, 3)) && !one(APART, (there, 2), (back, 5)));
        assert!(!one(APART, (there, 2), (vlan, 2)));
        assert!(!one(FLOWS, (there, 2), (back, 3)) && one(FLOWS, (there, 2), (there, 2)));
        assert!(!one(Joining { biflow: false, ..ON }, (there, 2), (back, 2)));
    }

    #[test]
    fn requests_and_replies_are_one_conversation_errors_are_none() {
        let (request, reply) = (icmp(8), icmp(8).reversed().expect("it is answered"));
        assert_eq!(
            (reply.icmp(), reply.addresses()),
            (Some((0, 0)), icmp(0).reversed().and_then(|k| k.addresses()))
        );
        assert!(one(ON, (request, 2), (reply, 3)) && !ON.key(request, at(2)).1 && ON.key(reply, at(3)).1);
        assert!(!one(ON, (request, 2), (icmp(0), 3)), "a reply in the same direction is to another request");
        assert_eq!(icmp(3).reversed(), None);
        assert!(!ON.is_joined(&icmp(3)));
    }

    #[test]
    fn nobody_talks_to_itself() {
        let same = tcp_between([10, 0, 0, 1], [10, 0, 0, 1], 7, 7);
        assert!(!ON.is_joined(&same) && !ON.key(same, at(2)).1);
    }

    #[test]
    fn what_names_no_ends_stays_where_it_is() {
        let arp = FlowKey::Other { vlan: None, ethertype: 0x0806 };
        assert!(!one(ON, (arp, 2), (arp, 4)) && one(ON, (arp, 2), (arp, 2)));
        let local = tcp_between([127, 0, 0, 1], [127, 0, 0, 1], 40_000, 80);
        assert!(one(ON, (local, 2), (local, 3)) && !one(ON, (local, 2), (local, 4)));
    }

    #[test]
    fn what_is_not_connected_is_not_joined() {
        let (there, back) = (tcp(40_000, 80), tcp(40_000, 80).reversed().expect("TCP has two directions"));
        let key = |joining: Joining, flow, point, domain| joining.key(flow, Site { point, domain }).0;
        assert_eq!(key(ON, there, 2, 1), key(ON, back, 5, 1));
        assert_ne!(key(ON, there, 2, 1), key(ON, there, 4, 2));
        // What stays with its point knows no domains.
        assert_eq!(key(APART, there, 2, 1), key(APART, back, 3, 2));
    }
}
