//! Who began a conversation, and how we know.

use crate::{Evidence, FlowKey, TcpEnd};

/// Ports below are for services that only root may offer (RFC 6335, system ports).
const SYSTEM_PORTS: u16 = 1024;
/// Ports from here on are what Linux gives to clients (`ip_local_port_range`).
const EPHEMERAL_PORTS: u16 = 32_768;

/// Which direction's sender began it, and how we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Initiator {
    /// Whether it is the sender of the reverse direction.
    pub reverse: bool,
    /// How we know.
    pub evidence: Evidence,
}

impl Initiator {
    /// The sender of the direction that is taken for forward.
    pub const UNKNOWN: Self = Self { reverse: false, evidence: Evidence::None };

    /// Judges by what is known now: what each end of a conversation with this canonical key has sent, and when it
    /// sent first in this record. A record keeps to what the one `before` said, unless a SYN tells better.
    pub fn judge(before: Option<Self>, key: &FlowKey, ends: &[TcpEnd; 2], first: [Option<u64>; 2]) -> Self {
        match before {
            Some(known) if known.evidence == Evidence::Syn => known,
            Some(known) => by_syn(ends).unwrap_or(known),
            None => judge_anew(key, ends, first),
        }
    }
}

fn judge_anew(key: &FlowKey, ends: &[TcpEnd; 2], first: [Option<u64>; 2]) -> Initiator {
    if key.icmp().is_some() {
        // The canonical direction of ICMP is that of the request.
        return Initiator { reverse: false, evidence: Evidence::Request };
    }
    let by = |evidence, reverse| Initiator { reverse, evidence };
    let by_ports = || by_ports(key.ports()?).map(|reverse| by(Evidence::Ports, reverse));
    let by_time = || by_time(first).map(|reverse| by(Evidence::Time, reverse));
    by_syn(ends).or_else(by_ports).or_else(by_time).unwrap_or(Initiator::UNKNOWN)
}

/// A SYN has an opinion unless both ends sent one.
fn by_syn(ends: &[TcpEnd; 2]) -> Option<Initiator> {
    let reverse = match (ends.map(|end| end.opened), ends.map(|end| end.answered)) {
        ([true, false], _) => false,
        ([false, true], _) => true,
        (_, [false, true]) => false,
        (_, [true, false]) => true,
        _ => return None,
    };
    Some(Initiator { reverse, evidence: Evidence::Syn })
}

/// Whether the destination began, by its port: the source's is a server's.
fn by_ports((source, destination): (u16, u16)) -> Option<bool> {
    let class = |port| match port {
        0..SYSTEM_PORTS => 0,
        SYSTEM_PORTS..EPHEMERAL_PORTS => 1,
        _ => 2,
    };
    let (source, destination) = (class(source), class(destination));
    (source != destination).then_some(source < destination)
}

/// Whether the reverse direction was seen first.
fn by_time(first: [Option<u64>; 2]) -> Option<bool> {
    match first {
        [Some(forward), Some(reverse)] => (forward != reverse).then_some(reverse < forward),
        [forward, reverse] => (forward.is_some() || reverse.is_some()).then_some(forward.is_none()),
    }
}
