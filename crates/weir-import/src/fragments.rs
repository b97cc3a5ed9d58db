//! Which flow a fragment belongs to: only the first one has ports. It leaves behind what only it tells, the later ones
//! pick it up, as in the probe.

use crate::packet::Packet;
use hashbrown::HashMap;
use weir_record::{Addresses, FlowKey};

/// How long the later ones may be on their way, in nanoseconds; RFC 8200 has the same for putting them together.
const TIMEOUT: u64 = 60_000_000_000;
/// How many datagrams are remembered.
const MAX: usize = 16_384;

#[derive(Debug, PartialEq, Eq, Hash)]
struct Datagram {
    place: u32,
    addresses: Addresses,
    id: u32,
    protocol: u8,
}

#[derive(Debug, Clone, Copy)]
struct Origin {
    protocol: u8,
    ports: Option<(u16, u16)>,
    seen: u64,
}

/// Datagrams whose first fragment was seen.
#[derive(Debug, Default)]
pub(crate) struct Fragments(HashMap<Datagram, Origin>);

impl Fragments {
    /// The flow of a packet that came then at this place.
    pub fn key(&mut self, packet: &Packet, place: u32, time: u64) -> FlowKey {
        let (Some(fragment), FlowKey::Ip { vlan, addresses, protocol, ports }) =
            (packet.fragment, packet.key)
        else {
            return packet.key;
        };
        let datagram = Datagram { place, addresses, id: fragment.id, protocol: fragment.protocol };
        if !fragment.is_later {
            if ports.is_some() {
                self.make_room(time);
                self.0.insert(datagram, Origin { protocol, ports, seen: time });
            }
            return packet.key;
        }
        let is_fresh = |origin: &&Origin| time.saturating_sub(origin.seen) <= TIMEOUT;
        match self.0.get(&datagram).filter(is_fresh) {
            Some(&Origin { protocol, ports, .. }) => FlowKey::Ip { vlan, addresses, protocol, ports },
            None => packet.key,
        }
    }

    fn make_room(&mut self, time: u64) {
        if self.0.len() >= MAX {
            self.0.retain(|_, origin| time.saturating_sub(origin.seen) <= TIMEOUT);
        }
        if self.0.len() >= MAX {
            self.0.clear();
        }
    }
}
