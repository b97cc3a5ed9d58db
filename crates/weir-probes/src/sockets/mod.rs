//! The sockets probe: which process uses a socket, whatever its network namespace.
//!
//! The kernel half is `sockets.bpf.c`. Nothing of it runs for a packet: it hears of system calls, and of TCP's states.

use weir_kernel::{Loaded, Opened, Result, Ring, SocketEvent, Traced};

pub(crate) const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sockets.bpf.o"));

/// How it hears of system calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hooks {
    /// Tracepoints after each send and receive (6.3).
    Tracepoints,
    /// The functions that send and receive (5.11, where the kernel allows fentry).
    Functions,
}

impl Hooks {
    /// In the order in which they are tried.
    const ALL: [Self; 2] = [Self::Tracepoints, Self::Functions];

    pub(crate) const fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Tracepoints => &["weir_sent", "weir_received"],
            Self::Functions => &["weir_sends", "weir_receives", "weir_sends6", "weir_receives6"],
        }
    }

    /// The words for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tracepoints => "tracepoints",
            Self::Functions => "fentry",
        }
    }
}

const STATE: &str = "weir_state";
const EXISTING: &str = "weir_existing";

/// Those that run with either of the hooks, by name.
pub(crate) const OTHERS: [&str; 2] = [STATE, EXISTING];

/// The probe, attached.
pub struct Sockets {
    loaded: Loaded,
    hooks: Hooks,
    events: Ring<SocketEvent>,
    _traced: Vec<Traced>,
}

impl Sockets {
    /// Loads and attaches it, with the first hooks that this kernel has.
    ///
    /// # Errors
    /// The kernel's refusal of the last of them: it is older than 5.11, or allows neither.
    pub fn attach() -> Result<Self> {
        let [first, second] = Hooks::ALL;
        Self::attach_to(first).or_else(|_| Self::attach_to(second))
    }

    /// As [`attach`](Self::attach), with these hooks or none.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn attach_to(hooks: Hooks) -> Result<Self> {
        let mut opened = Opened::new("sockets", OBJECT)?;
        let wanted = |name: &str| OTHERS.contains(&name) || hooks.programs().contains(&name);
        opened.only_programs(wanted);
        let loaded = opened.load()?;
        let events = Ring::new(&loaded, "events")?;
        let traced = hooks.programs().iter().chain([&STATE]).map(|program| loaded.trace(program));
        let traced = traced.collect::<Result<_>>()?;
        Ok(Self { loaded, hooks, events, _traced: traced })
    }

    /// How it hears of system calls.
    pub fn hooks(&self) -> Hooks {
        self.hooks
    }

    /// The programs that run, by name.
    pub fn programs(&self) -> impl Iterator<Item = &'static str> {
        self.hooks.programs().iter().copied().chain([STATE])
    }

    /// The object itself, for its statistics.
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// The sockets that processes hold now.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn existing(&self) -> Result<Vec<SocketEvent>> {
        self.loaded.iterate(EXISTING)
    }

    /// Hands the events that are there to `visit`, at most about `limit` of them. How many.
    ///
    /// # Errors
    /// The kernel refuses to be read.
    pub fn consume(&self, limit: usize, visit: impl FnMut(&SocketEvent)) -> Result<usize> {
        self.events.consume(limit, visit)
    }

    /// How much of the ring was full, as [`Ring::take_fill`] has it.
    pub fn take_fill(&self) -> f64 {
        self.events.take_fill()
    }

    /// Events that the ring had no room for, since the start.
    ///
    /// # Errors
    /// There is no such counter.
    pub fn lost(&self) -> Result<u64> {
        self.loaded.global_value("lost_events")
    }
}
