//! The retransmits probe: segments that TCP sends again.
//!
//! The kernel half is `retransmits.bpf.c`. Nothing of it runs for any other
//! segment; beside it, it notes who asks for a connection.

use weir_kernel::{Loaded, Opened, Result, RetransmitEvent, Ring, Traced};

/// The object itself, to try its programs one by one.
pub const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/retransmits.bpf.o"));

/// The programs that run, by name.
pub const PROGRAMS: [&str; 3] = ["weir_retransmit", "weir_retransmit_synack", "weir_caller"];

/// The probe, attached.
pub struct Retransmits {
    loaded: Loaded,
    events: Ring<RetransmitEvent>,
    _traced: Vec<Traced>,
}

impl Retransmits {
    /// Loads and attaches it.
    ///
    /// # Errors
    /// The kernel's refusal: it takes `tp_btf` programs the ring buffer and the running task (5.11).
    pub fn attach() -> Result<Self> {
        let loaded = Opened::new("retransmits", OBJECT)?.load()?;
        let events = Ring::new(&loaded, "retransmit_events")?;
        let traced = PROGRAMS.iter().map(|program| loaded.trace(program)).collect::<Result<_>>()?;
        Ok(Self { loaded, events, _traced: traced })
    }

    /// Hands the events that are there to `visit`, at most about `limit` of them. How many.
    ///
    /// # Errors
    /// The kernel refuses to be read.
    pub fn consume(&self, limit: usize, visit: impl FnMut(&RetransmitEvent)) -> Result<usize> {
        self.events.consume(limit, visit)
    }

    /// Events that the ring had no room for, since the start.
    ///
    /// # Errors
    /// There is no such counter.
    pub fn lost(&self) -> Result<u64> {
        self.loaded.global_value("lost_retransmit_events")
    }
}
