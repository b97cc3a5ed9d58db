//! The DNS probe: answers that this host's sockets receive.
//!
//! The kernel half is `dns.bpf.c`. It looks at the headers of each packet that is delivered to a socket, and copies
//! those that are answers.

mod group;

use std::os::fd::AsFd;
use weir_kernel::{DnsMessage, Loaded, Opened, Result, Ring, Traced};

/// The object itself, to try its programs one by one.
pub const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/dns.bpf.o"));

/// The program that runs, by name.
pub const PROGRAM: &str = "weir_answers";
/// How many ports it can listen for.
pub const MOST_PORTS: usize = 4;

/// The probe, attached.
pub struct Dns {
    loaded: Loaded,
    answers: Ring<DnsMessage>,
    _attached: Traced,
}

impl Dns {
    /// Loads it and hangs it on the root of the control groups, as far up as this process can see. It takes the first
    /// [`MOST_PORTS`] of the `ports` that servers answer from.
    ///
    /// # Errors
    /// The kernel's refusal, or control groups of version 2 are not mounted.
    pub fn attach(ports: &[u16]) -> Result<Self> {
        let root = group::root()?;
        let mut opened = Opened::new("DNS", OBJECT)?;
        opened.set_constant("dns_ports", packed(ports))?;
        let loaded = opened.load()?;
        let answers = Ring::new(&loaded, "answers")?;
        let attached = loaded.attach_to_group(PROGRAM, root.as_fd())?;
        Ok(Self { loaded, answers, _attached: attached })
    }

    /// The object itself, for its statistics.
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// Hands the answers that are there to `visit`, at most about `limit` of them. How many.
    ///
    /// # Errors
    /// The kernel refuses to be read.
    pub fn consume(&self, limit: usize, visit: impl FnMut(&DnsMessage)) -> Result<usize> {
        self.answers.consume(limit, visit)
    }

    /// Answers that the ring had no room for, since the start.
    ///
    /// # Errors
    /// There is no such counter.
    pub fn lost(&self) -> Result<u64> {
        self.loaded.global_value("lost_answers")
    }
}

/// Sixteen bits each. The first one also fills the places that are left: port 0 is nobody's.
fn packed(ports: &[u16]) -> u64 {
    let first = ports.first().copied().unwrap_or(0);
    let places = ports.iter().copied().chain(std::iter::repeat(first)).take(MOST_PORTS);
    places.fold(0, |packed, port| packed << 16 | u64::from(port))
}

#[cfg(test)]
mod tests {
    use super::packed;

    #[test]
    fn ports_fill_their_places() {
        assert_eq!(packed(&[53]), 0x0035_0035_0035_0035);
        assert_eq!(packed(&[1, 2, 3, 4, 5]), 0x0001_0002_0003_0004);
    }
}
