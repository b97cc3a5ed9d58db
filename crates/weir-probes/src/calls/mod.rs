//! The calls probe: programs, ports and connections that processes ask for, and whether they get them.
//!
//! The kernel half is `calls.bpf.c`. Only what is asked about is loaded: the tracepoints of system calls make every
//! call of every process a little slower while they are in use.

use std::path::Path;
use weir_kernel::{CallEvent, Error, Loaded, Opened, Result, Ring, Traced};

/// The object itself, to try its programs one by one.
pub const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/calls.bpf.o"));

/// What processes ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// A program: execve(2).
    Exec,
    /// A port: bind(2).
    Bind,
    /// A connection of TCP: connect(2), until it is there or given up.
    Connect,
    /// A connection that somebody else has asked for: accept(2).
    Accept,
}

impl Call {
    /// The programs that hear of it, by name.
    pub const fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Exec => &["weir_exec"],
            Self::Bind => &["weir_bind_begins", "weir_bind_ends"],
            Self::Connect => &["weir_connect_begins", "weir_connect_ends", "weir_attempt"],
            Self::Accept => &["weir_accept", "weir_accept4"],
        }
    }
}

/// Where the kernel says by which number it knows a tracepoint: libbpf looks at both.
const TRACING: [&str; 2] =
    ["/sys/kernel/tracing/events/syscalls", "/sys/kernel/debug/tracing/events/syscalls"];

/// The probe, attached.
pub struct Calls {
    loaded: Loaded,
    events: Ring<CallEvent>,
    _traced: Vec<Traced>,
}

impl Calls {
    /// Loads and attaches what hears of these calls.
    ///
    /// # Errors
    /// The kernel's refusal: it takes `tp_btf` programs, the ring buffer and the running task (5.11). System calls are
    /// found through tracefs, which has to be mounted.
    pub fn attach(calls: &[Call]) -> Result<Self> {
        if calls.iter().any(|call| *call != Call::Exec)
            && !TRACING.iter().any(|path| Path::new(path).exists())
        {
            let remedy = "mount -t tracefs tracefs /sys/kernel/tracing";
            return Err(Error::Unexpected(format!(
                "system calls cannot be traced without tracefs: {remedy}"
            )));
        }
        let wanted: Vec<_> = calls.iter().flat_map(|call| call.programs()).copied().collect();
        let mut opened = Opened::new("calls", OBJECT)?;
        opened.only_programs(|name| wanted.contains(&name));
        let loaded = opened.load()?;
        let events = Ring::new(&loaded, "call_events")?;
        let traced = wanted.iter().map(|program| loaded.trace(program)).collect::<Result<_>>()?;
        Ok(Self { loaded, events, _traced: traced })
    }

    /// Hands the events that are there to `visit`, at most about `limit` of them. How many.
    ///
    /// # Errors
    /// The kernel refuses to be read.
    pub fn consume(&self, limit: usize, visit: impl FnMut(&CallEvent)) -> Result<usize> {
        self.events.consume(limit, visit)
    }

    /// Events that the kernel had no room for, since the start.
    ///
    /// # Errors
    /// There is no such counter.
    pub fn lost(&self) -> Result<u64> {
        self.loaded.global_value("lost_call_events")
    }
}
