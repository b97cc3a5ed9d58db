//! The DNS probe: queries and answers as they cross interfaces, over UDP and TCP.
//!
//! The kernel half is `dns.bpf.c`. It gets what the [flow probe](crate::flows) hands on, or hangs on interfaces by
//! itself; it looks at the ports of each packet, and copies what has one of DNS.

use crate::Programs;
use crate::flows::LinkLayer;
use crate::programs::ByLinkLayer;
use weir_kernel::{Loaded, Opened, PayloadPart, Result, Ring};

/// The object itself, to try its programs one by one.
pub const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/dns.bpf.o"));

/// What runs for packets, by name: where frames begin with Ethernet, and where with the network header.
pub const PROGRAMS: [&str; 4] = ["weir_dns_in", "weir_dns_out", "weir_dns_ip_in", "weir_dns_ip_out"];
/// How many ports it can listen for.
pub const MOST_PORTS: usize = 4;

/// Ports that servers answer from, as programs are told of them: sixteen bits each, in the order of bytes in which
/// packets have them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ports {
    packed: u64,
    count: u32,
}

impl Ports {
    /// None: nothing is DNS.
    pub const NONE: Self = Self { packed: 0, count: 0 };

    /// The first [`MOST_PORTS`] of them.
    pub fn of(ports: &[u16]) -> Self {
        let places = ports.iter().take(MOST_PORTS).enumerate();
        let packed = places.fold(0, |packed, (place, port)| packed | u64::from(port.to_be()) << (16 * place));
        Self { packed, count: ports.len().min(MOST_PORTS) as u32 }
    }

    /// Makes them constants of an object whose C includes `dns_ports.h`. Places that are left are not looked at.
    pub(crate) fn set(self, opened: &mut Opened) -> Result<()> {
        opened.set_constant("dns_ports", self.packed)?;
        opened.set_constant("dns_port_count", self.count)
    }
}

/// The probe in the kernel.
pub struct Dns {
    loaded: Loaded,
    programs: ByLinkLayer,
    messages: Ring<PayloadPart>,
}

impl Dns {
    /// Loads it; nothing is attached yet. It takes the first [`MOST_PORTS`] of the `ports` that servers answer from.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn load(ports: &[u16]) -> Result<Self> {
        let mut opened = Opened::new("DNS", OBJECT)?;
        Ports::of(ports).set(&mut opened)?;
        let loaded = opened.load()?;
        let programs = ByLinkLayer::of(&loaded, PROGRAMS)?;
        let messages = Ring::new(&loaded, "payloads")?;
        Ok(Self { loaded, programs, messages })
    }

    /// The programs for interfaces whose frames begin so.
    pub fn programs(&self, link_layer: LinkLayer) -> &Programs {
        self.programs.of_link(link_layer)
    }

    /// The object itself, for its statistics, and for benchmarks that run its programs by hand.
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// Hands the messages that are there to `visit`, with the bytes that were copied, at most about `limit` of them.
    /// How many.
    ///
    /// # Errors
    /// The kernel refuses to be read.
    pub fn consume(&self, limit: usize, mut visit: impl FnMut(&PayloadPart, &[u8])) -> Result<usize> {
        self.messages.consume_with_text(limit, |message, bytes| {
            // There is more room than bytes.
            visit(message, &bytes[..bytes.len().min(message.length as usize)]);
        })
    }

    /// How much of the ring was full, as [`Ring::take_fill`] has it.
    pub fn take_fill(&self) -> f64 {
        self.messages.take_fill()
    }

    /// Messages that the ring had no room for, since the start.
    ///
    /// # Errors
    /// There is no such counter.
    pub fn lost(&self) -> Result<u64> {
        self.loaded.global_value("lost_payloads")
    }
}

#[cfg(test)]
mod tests {
    use super::Ports;

    #[test]
    fn ports_fill_their_places() {
        assert_eq!(Ports::of(&[53]), Ports { packed: u64::from(53u16.to_be()), count: 1 });
        let Ports { packed, count } = Ports::of(&[1, 2, 3, 4, 5]);
        let bytes: Vec<_> =
            packed.to_ne_bytes().chunks(2).map(|two| u16::from_be_bytes([two[0], two[1]])).collect();
        assert_eq!((count, bytes), (4, vec![1, 2, 3, 4]));
    }
}
