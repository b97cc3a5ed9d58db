//! The hellos probe: what clients say before TLS and QUIC encrypt, whatever the port.
//!
//! The kernel half is `hellos.bpf.c`. It hangs on interfaces, looks at the beginning of each payload, and copies what
//! begins a client's first message, or goes on with it.

use crate::Programs;
use crate::flows::LinkLayer;
use crate::programs::ByLinkLayer;
use weir_kernel::{Loaded, Opened, PayloadPart, Result, Ring};

/// The object itself, to try its programs one by one.
pub const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hellos.bpf.o"));

/// What runs for packets, by name: where frames begin with Ethernet, and where with the network header.
pub const PROGRAMS: [&str; 4] = ["weir_hello_in", "weir_hello_out", "weir_hello_ip_in", "weir_hello_ip_out"];

/// The probe in the kernel.
pub struct Hellos {
    loaded: Loaded,
    programs: ByLinkLayer,
    parts: Ring<PayloadPart>,
}

impl Hellos {
    /// Loads it; nothing is attached yet.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn load() -> Result<Self> {
        let loaded = Opened::new("hellos", OBJECT)?.load()?;
        let programs = ByLinkLayer::of(&loaded, PROGRAMS)?;
        let parts = Ring::new(&loaded, "payloads")?;
        Ok(Self { loaded, programs, parts })
    }

    /// The programs for interfaces whose frames begin so.
    pub fn programs(&self, link_layer: LinkLayer) -> &Programs {
        self.programs.of_link(link_layer)
    }

    /// Hands the parts that are there to `visit`, with the bytes that were copied, at most about `limit` of them. How
    /// many.
    ///
    /// # Errors
    /// The kernel refuses to be read.
    pub fn consume(&self, limit: usize, mut visit: impl FnMut(&PayloadPart, &[u8])) -> Result<usize> {
        self.parts.consume_with_text(limit, |part, bytes| {
            // There is more room than bytes.
            visit(part, &bytes[..bytes.len().min(part.length as usize)]);
        })
    }

    /// Parts that the ring had no room for, since the start.
    ///
    /// # Errors
    /// There is no such counter.
    pub fn lost(&self) -> Result<u64> {
        self.loaded.global_value("lost_payloads")
    }
}
