//! The sockets probe: which process uses a socket, whatever its network namespace.
//!
//! The kernel half is `sockets.bpf.c`. Nothing of it runs for a packet: it hears of system calls, and of TCP's states.

use weir_kernel::{LEFT_USES, LeftUse, Loaded, Opened, Result, Ring, SocketEvent, Traced};

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
    /// Those of `left_uses` that were being written when they were found.
    unfinished: Vec<usize>,
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
        opened.set_constant("can_leave", u8::from(cfg!(target_arch = "x86_64")))?;
        let loaded = opened.load()?;
        let events = Ring::new(&loaded, "events")?;
        let traced = hooks.programs().iter().chain([&STATE]).map(|program| loaded.trace(program));
        let traced = traced.collect::<Result<_>>()?;
        Ok(Self { loaded, hooks, events, unfinished: Vec::new(), _traced: traced })
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

    /// Hands the first uses of connections to `visit` that were left to be found, but for those of connections that are
    /// over: what the events say comes after that. How many.
    ///
    /// # Errors
    /// There are no such globals.
    pub fn find_left(&mut self, mut visit: impl FnMut(&SocketEvent)) -> Result<usize> {
        let mut found = std::mem::take(&mut self.unfinished);
        self.loaded.take_marks("are_left", LEFT_USES as usize, |number| found.push(number))?;
        let mut count = 0;
        for number in found {
            match self.loaded.global_element::<LeftUse>("left_uses", number)? {
                None => self.unfinished.push(number),
                Some(left) if left.event.change == 0 => {}
                Some(left) => {
                    visit(&left.event);
                    count += 1;
                }
            }
        }
        Ok(count)
    }

    /// Hands the events that are there to `visit`, a few at a time, at most about `limit` of them. How many.
    ///
    /// # Errors
    /// The kernel refuses to be read, or `visit` fails.
    pub fn consume(&self, limit: usize, visit: impl FnMut(&[SocketEvent]) -> Result<()>) -> Result<usize> {
        self.events.consume_in_parts(limit, visit)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use weir_kernel::{SOCKET_CLOSED, SOCKET_FOUND};

    /// What is told of the socket that a client has, in either way: what was left is found first.
    fn told(probe: &mut Sockets, port: u16) -> [Vec<SocketEvent>; 2] {
        let (mut found, mut told) = (Vec::new(), Vec::new());
        probe.find_left(|event| found.push(*event)).expect("they can be looked at");
        let take = |events: &[SocketEvent]| {
            told.extend_from_slice(events);
            Ok(())
        };
        probe.consume(100_000, take).expect("the ring is readable");
        [found, told].map(|all| all.into_iter().filter(|one| one.local_port == port).collect())
    }

    #[test]
    fn root_the_first_use_of_a_connection_is_left_to_be_found_until_it_is_over() {
        let mut probe = Sockets::attach().expect("the kernel takes it");
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let connect = || {
            let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
            let port = client.local_addr().expect("connected").port();
            (client, port)
        };
        let (client, port) = connect();
        let [found, events] = told(&mut probe, port);
        let [used] = found[..] else { panic!("{found:?}") };
        assert_eq!((u32::from(used.change), used.owner.pid), (SOCKET_FOUND, std::process::id()), "{used:?}");
        assert!(used.life % 2 == 1 && events.is_empty(), "{events:?}");
        drop((client, listener.accept().expect("it has come")));
        let [found, events] = told(&mut probe, port);
        let [closed] = events[..] else { panic!("{events:?}") };
        assert_eq!((u32::from(closed.change), closed.life), (SOCKET_CLOSED, used.life));
        assert_eq!((closed.owner, found.len()), (used.owner, 0));

        let (client, port) = connect();
        drop((client, listener.accept().expect("it has come")));
        let [found, events] = told(&mut probe, port);
        assert_eq!((found.len(), events.len()), (0, 1), "{events:?}");
        assert_eq!((u32::from(events[0].change), events[0].owner), (SOCKET_CLOSED, used.owner));
    }
}
