//! What a conversation is to this host: which of its ends are here, and who began.

use std::net::IpAddr;
use weir_record::{Direction, End, Evidence, FlowKey, FlowRecord, InterfaceKind};

/// Neighbour discovery (RFC 4861): how hosts of a link find each other, and no conversation of theirs.
const NEIGHBOUR_DISCOVERY: std::ops::RangeInclusive<u16> = 133..=137;
const ICMPV6: u8 = 58;

/// Who began, as this host sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// This host, and the other end is elsewhere.
    To,
    /// Somebody elsewhere.
    From,
    /// This host or the other end: nothing tells.
    With,
    /// Neither end is here: it is forwarded.
    Through,
    /// Both ends are here.
    Within,
}

impl Role {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::To => "to",
            Self::From => "from",
            Self::With => "with",
            Self::Through => "through",
            Self::Within => "within",
        }
    }
}

/// A record of IP, and what it is to this host.
pub struct Relation<'r> {
    pub role: Role,
    pub record: &'r FlowRecord,
    pub protocol: u8,
    /// Of source and destination.
    addresses: (IpAddr, IpAddr),
    /// Whether the source is the end that is here, where one is.
    is_source_here: bool,
    /// Whether it is known who began: then the destination's port is the service's.
    is_initiator_known: bool,
}

impl<'r> Relation<'r> {
    /// None where it is not IP: nobody is named.
    pub fn of(record: &'r FlowRecord) -> Option<Self> {
        let (addresses, protocol) = (record.key.addresses()?, record.key.protocol()?);
        let is_initiator_known = record.reverse.is_some_and(|back| back.evidence != Evidence::None);
        let has_process = |end: &End| end.process.is_some();
        let (source, destination) = (has_process(&record.source), has_process(&record.destination));
        let is_source_here = source || (!destination && record.direction == Direction::Egress);
        let role = if (source && destination) || stays(record) {
            Role::Within
        } else if !source && !destination && is_forwarded(record) {
            Role::Through
        } else if !is_initiator_known {
            Role::With
        } else if is_source_here {
            Role::To
        } else {
            Role::From
        };
        Some(Self { role, record, protocol, addresses, is_source_here, is_initiator_known })
    }

    /// The port of who was talked to, where that is known.
    pub fn service_port(&self) -> Option<u16> {
        self.record.key.ports().filter(|_| self.is_initiator_known).map(|ports| ports.1)
    }

    /// Who was talked to, and at which address.
    pub fn service(&self) -> (&'r End, IpAddr) {
        (&self.record.destination, self.addresses.1)
    }

    /// Whether it is known whom it was begun to.
    pub fn has_service(&self) -> bool {
        self.is_initiator_known
    }

    /// The end that is elsewhere, and its address: of what is forwarded who was talked to. None where nobody is, and
    /// where it is said to nobody in particular.
    pub fn peer(&self) -> Option<(&'r End, IpAddr)> {
        let (source, destination) =
            ((&self.record.source, self.addresses.0), (&self.record.destination, self.addresses.1));
        let peer = match self.role {
            Role::Within => return None,
            Role::To | Role::Through => destination,
            Role::From => source,
            Role::With if self.is_source_here => destination,
            Role::With => source,
        };
        let is_discovery = self.protocol == ICMPV6
            && self.record.key.icmp().is_some_and(|(kind, _)| NEIGHBOUR_DISCOVERY.contains(&kind));
        let are_two = is_somebody(source.1) && is_somebody(destination.1);
        (are_two && !is_discovery).then_some(peer)
    }

    /// Whether somebody here answered, or took what came.
    pub fn is_served(&self) -> bool {
        const REFUSED: u16 = 0x14;
        let back = self.record.reverse.filter(|back| back.count.packets > 0);
        if !self.record.key.is_tcp() {
            return back.is_some() || self.record.destination.process.is_some();
        }
        // A reset alone is what a port says where nobody listens.
        back.is_some_and(|back| back.tcp_flags & !REFUSED != 0)
            || self.record.tcp_state.is_some_and(|state| {
                matches!(state, weir_record::TcpState::Established | weir_record::TcpState::Closed)
            })
    }
}

/// Whether it never leaves the host.
fn stays(record: &FlowRecord) -> bool {
    let is_loopback = matches!(record.key, FlowKey::Ip { addresses, .. } if addresses.are_loopback());
    is_loopback || record.interface.kind == InterfaceKind::Loopback
}

/// Whether its packets came in, and went out again.
fn is_forwarded(record: &FlowRecord) -> bool {
    record.observations.iter().any(|one| !one.reverse && one.direction != record.direction)
}

/// Groups, everyone on the link, and nobody yet are not somebody.
fn is_somebody(address: IpAddr) -> bool {
    let is_everyone = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !address.is_multicast() && !address.is_unspecified() && !is_everyone
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::sync::Arc;
    use weir_record::{
        Addresses, Count, FlowEndReason, Interface, Layer, Observation, Process, Reverse, TcpState,
    };

    /// A TCP conversation with one packet each way that this host, 10.0.0.1, began, or was begun to.
    pub fn record(direction: Direction, other: &str, port: u16) -> FlowRecord {
        let interface = Interface {
            name: "eth0".into(),
            index: 2,
            netns: "1".into(),
            own_netns: true,
            kind: InterfaceKind::Physical,
        };
        let (own, other) = ([10, 0, 0, 1].into(), other.parse().expect("an address"));
        let is_out = direction == Direction::Egress;
        let addresses = if is_out { Addresses::V4(own, other) } else { Addresses::V4(other, own) };
        let key = FlowKey::Ip { vlan: None, addresses, protocol: 6, ports: Some((40_000, port)) };
        let count = Count { packets: 1, bytes: 60 };
        let back = Reverse { count, tcp_flags: 0x12, sampling_rate: 1, evidence: Evidence::Syn };
        FlowRecord {
            packets: 1,
            bytes: 60,
            reverse: Some(back),
            tcp_state: Some(TcpState::Closed),
            end_reason: FlowEndReason::EndOfFlowDetected,
            ..FlowRecord::blank(Arc::new(interface), direction, key)
        }
    }

    /// An end where this process is.
    pub fn here(command: &str) -> End {
        let process = Process { pid: 7, command: command.into(), ..Process::default() };
        End { process: Some(Arc::new(process)), ..End::default() }
    }

    fn told(record: &FlowRecord) -> (Role, Option<String>, Option<u16>) {
        let relation = Relation::of(record).expect("IP");
        (relation.role, relation.peer().map(|(_, address)| address.to_string()), relation.service_port())
    }

    #[test]
    fn who_began_and_who_is_elsewhere() {
        let peer = || Some("10.0.0.2".to_owned());
        let out = record(Direction::Egress, "10.0.0.2", 80);
        assert_eq!(told(&out), (Role::To, peer(), Some(80)));
        let into = record(Direction::Ingress, "10.0.0.2", 22);
        assert_eq!(told(&into), (Role::From, peer(), Some(22)));
        // A process outweighs the interface: that of a container's other end has packets come in.
        let container = FlowRecord { source: here("curl"), ..into.clone() };
        assert_eq!(told(&container), (Role::To, Some("10.0.0.1".into()), Some(22)));
        let both = FlowRecord { destination: here("sshd"), ..container };
        assert_eq!(told(&both), (Role::Within, None, Some(22)));
        let unknown = |record: FlowRecord| {
            let reverse = record.reverse.map(|back| Reverse { evidence: Evidence::None, ..back });
            FlowRecord { reverse, ..record }
        };
        assert_eq!(told(&unknown(out.clone())), (Role::With, peer(), None));
        assert_eq!(told(&unknown(into)), (Role::With, peer(), None));
        let alone = FlowRecord { reverse: None, ..out };
        assert_eq!(told(&alone), (Role::With, peer(), None), "with --biflow off nobody says who began");
    }

    #[test]
    fn what_is_forwarded_is_nobodys_here() {
        let into = record(Direction::Ingress, "10.0.0.2", 443);
        let seen = |direction, reverse| Observation {
            point: 0,
            interface: Arc::clone(&into.interface),
            direction,
            layer: Layer::Outer,
            vlan: None,
            translated: false,
            reverse,
            count: Count::default(),
        };
        let at_one = [seen(Direction::Ingress, false), seen(Direction::Egress, true)];
        let one = FlowRecord { observations: at_one.iter().cloned().collect(), ..into.clone() };
        assert_eq!(told(&one).0, Role::From);
        let at_two = at_one.into_iter().chain([seen(Direction::Egress, false)]);
        let two = FlowRecord { observations: at_two.collect(), ..into };
        assert_eq!(told(&two), (Role::Through, Some("10.0.0.1".into()), Some(443)));
    }

    #[test]
    fn groups_are_nobody() {
        for other in ["224.0.0.251", "255.255.255.255", "0.0.0.0"] {
            let record = record(Direction::Egress, other, 5353);
            assert_eq!(told(&record).1, None, "{other}");
        }
        let loopback = record(Direction::Egress, "127.0.0.1", 80);
        assert_eq!(told(&loopback), (Role::Within, None, Some(80)));
    }

    #[test]
    fn a_reset_is_no_service() {
        let answered = |flags: u16, state| {
            let record = record(Direction::Ingress, "10.0.0.2", 22);
            let reverse = record.reverse.map(|back| Reverse { tcp_flags: flags, ..back });
            let record = FlowRecord { reverse, tcp_state: Some(state), ..record };
            Relation::of(&record).expect("IP").is_served()
        };
        assert!(!answered(0x14, TcpState::Reset), "refused");
        assert!(answered(0x16, TcpState::Reset), "accepted, and broken off");
        assert!(answered(0x10, TcpState::Established), "met on its way");
    }
}
