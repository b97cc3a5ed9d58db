//! The TCP probe: how connections fare, by TCP's own books.
//!
//! The kernel half is `tcp.bpf.c`. Nothing of it runs for a segment: it looks at all sockets when it is asked, and at
//! each once more when it closes.

use weir_kernel::{Iterator, Loaded, Opened, Result, Ring, TcpLook, Traced};

/// The kernel half.
pub const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tcp.bpf.o"));

/// The programs that run by themselves, by name.
pub const PROGRAMS: [&str; 3] = ["weir_tcp_state", "weir_tcp_reset", "weir_tcp_was_reset"];
/// The one that runs when it is asked.
pub const NOW: &str = "weir_tcp_now";
const STORAGE: &str = "notes";

/// The probe, attached.
pub struct Tcp {
    loaded: Loaded,
    ends: Ring<TcpLook>,
    now: Iterator,
    _traced: Vec<Traced>,
}

impl Tcp {
    /// Loads and attaches it.
    ///
    /// # Errors
    /// The kernel's refusal: it takes `iter/tcp` (5.9).
    pub fn attach() -> Result<Self> {
        // Linux 5.11 lets programs at tracepoints keep notes in socket storage.
        Self::attach_with(true).or_else(|_| Self::attach_with(false))
    }

    fn attach_with(storage: bool) -> Result<Self> {
        let mut opened = Opened::new("TCP", OBJECT)?;
        opened.set_constant("can_store", u8::from(storage))?;
        if !storage {
            opened.only_maps(|map| map != STORAGE)?;
        }
        let loaded = opened.load()?;
        let ends = Ring::new(&loaded, "ends")?;
        let now = loaded.iterator(NOW)?;
        let traced = PROGRAMS.iter().map(|program| loaded.trace(program)).collect::<Result<_>>()?;
        Ok(Self { loaded, ends, now, _traced: traced })
    }

    /// The object itself, for its statistics.
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// Looks at all sockets of the thread's network namespace that runs it.
    pub fn now(&self) -> &Iterator {
        &self.now
    }

    /// Hands the connections that have ended to `visit`, and the resets that were sent, at most about `limit` of them.
    /// How many.
    ///
    /// # Errors
    /// The kernel refuses to be read.
    pub fn consume(&self, limit: usize, visit: impl FnMut(&TcpLook)) -> Result<usize> {
        self.ends.consume(limit, visit)
    }

    /// How much of the ring was full, as [`Ring::take_fill`] has it.
    pub fn take_fill(&self) -> f64 {
        self.ends.take_fill()
    }

    /// Ends that the ring had no room for, since the start.
    ///
    /// # Errors
    /// There is no such counter.
    pub fn lost(&self) -> Result<u64> {
        self.loaded.global_value("lost_ends")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use weir_kernel::{TCP_ENDED, TCP_OPENED};

    #[test]
    fn root_a_connection_is_seen_while_it_lives_and_when_it_ends() {
        let probe = Tcp::attach().expect("the kernel takes it");
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("it has one").port();
        let mut client = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        let (mut server, _) = listener.accept().expect("it has come");
        client.write_all(b"hello").expect("it is sent");
        server.read_exact(&mut [0; 5]).expect("it is received");
        let all: Vec<TcpLook> = probe.now().all().expect("they are listed");
        let of_client = |look: &&TcpLook| look.remote_port == port;
        let seen = all.iter().find(of_client).expect("it is there");
        assert_eq!((seen.state, seen.bytes_sent, seen.segments_sent), (1, 5, 1), "{seen:?}");
        assert!(seen.handshake > 0 && seen.rtt > 0 && u32::from(seen.marks) & TCP_OPENED != 0, "{seen:?}");
        drop((client, server));
        let mut ended = Vec::new();
        probe.consume(100_000, |look| ended.push(*look)).expect("it is readable");
        let last = ended.iter().find(of_client).expect("it has ended");
        assert_eq!((u32::from(last.change), last.handshake), (TCP_ENDED, seen.handshake), "{last:?}");
    }
}
