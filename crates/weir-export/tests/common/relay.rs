//! Stands before a peer, at the same port of another address of the loopback or at another path, and is as bad as a network.

use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{self, ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

/// Where it is.
pub const HOST: &str = "127.0.0.2";
/// Where whoever it stands before is.
pub const PEER: &str = "127.0.0.1";
const TICK: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_secs(5);
/// By then what it has said is heard.
const HEARD: Duration = Duration::from_millis(500);
/// No protocol begins so.
const NONSENSE: &[u8] = b"\xff\xfe\xfd nonsense\r\n\r\n<html>\r\n\r\n";

/// What it does with what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Hands it on.
    Passes,
    /// Leaves it where it is, and keeps the connections.
    Stalls,
    /// Answers with something else.
    Raves,
    /// Closes all connections, and takes no more.
    Gone,
}

/// What it does beside that.
pub trait Manner: Clone + Send + 'static {
    /// Lets in whoever comes.
    fn enter(&self, client: Socket) -> io::Result<Box<dyn Stream>> {
        Ok(Box::new(client))
    }

    /// What is said instead of what is answered.
    fn answer(&self, bytes: Vec<u8>) -> Vec<u8> {
        bytes
    }
}

/// Hands on what it gets as it is.
#[derive(Clone)]
pub struct Plain;

impl Manner for Plain {}

pub trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// Gone on drop.
pub struct Relay {
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
    pub port: u16,
}

struct State {
    /// The mood, and how often all connections were cut.
    now: RwLock<(Mood, u64)>,
    /// Connections that had something to say when it stalled.
    kept: AtomicU64,
    /// Nonsense that it has answered.
    raved: AtomicU64,
}

impl Relay {
    /// Before whoever is at this port.
    pub fn start(port: u16, manner: impl Manner) -> Self {
        let [near, far] = [HOST, PEER].map(|host| {
            let address: SocketAddr = format!("{host}:{port}").parse().expect("an address");
            address.into()
        });
        Self::between(&near, far, manner)
    }

    /// Before whoever is at the other path.
    pub fn start_unix(near: &str, far: &str) -> Self {
        let _ = std::fs::remove_file(near);
        let [near, far] = [near, far].map(|path| SockAddr::unix(path).expect("a path"));
        Self::between(&near, far, Plain)
    }

    fn between(near: &SockAddr, far: SockAddr, manner: impl Manner) -> Self {
        let listener = Socket::new(near.domain(), Type::STREAM, None).expect("a socket");
        if near.domain() != Domain::UNIX {
            listener.set_reuse_address(true).expect("a socket");
        }
        listener.bind(near).expect("a port");
        listener.listen(64).expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let now = RwLock::new((Mood::Passes, 0));
        let state = Arc::new(State { now, kept: AtomicU64::new(0), raved: AtomicU64::new(0) });
        let of_thread = Arc::clone(&state);
        let thread = Some(spawn(move || accept(listener, &far, &of_thread, &manner)));
        Self { state, thread, port: near.as_socket().map_or(0, |address| address.port()) }
    }

    pub fn url(&self, scheme: &str, rest: &str) -> String {
        format!("{scheme}://{HOST}:{}{rest}", self.port)
    }

    /// From the next bytes on: what is being handed on meanwhile is waited for.
    pub fn becomes(&self, mood: Mood) {
        self.state.now.write().expect("nobody panics").0 = mood;
    }

    /// So, and cuts all connections that there are, with what was not handed on.
    pub fn cuts(&self, then: Mood) {
        let mut now = self.state.now.write().expect("nobody panics");
        *now = (then, now.1 + 1);
    }

    /// Connections that had something to say when it stalled.
    pub fn kept(&self) -> u64 {
        self.state.kept.load(Ordering::SeqCst)
    }

    /// How often it has answered nonsense.
    pub fn raved(&self) -> u64 {
        self.state.raved.load(Ordering::SeqCst)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.becomes(Mood::Gone);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn accept(listener: Socket, far: &SockAddr, state: &Arc<State>, manner: &impl Manner) {
    let mut connections = Vec::new();
    while state.now.read().expect("nobody panics").0 != Mood::Gone {
        match listener.accept() {
            Ok((client, _)) => {
                let (far, state, manner) = (far.clone(), Arc::clone(state), manner.clone());
                // Whoever leaves within a handshake is no failure of a test.
                connections.push(spawn(move || drop(serve(client, &far, &state, &manner))));
            }
            Err(_) => sleep(TICK),
        }
    }
    drop(listener);
    connections.into_iter().for_each(|connection| connection.join().expect("it ends"));
}

fn serve(client: Socket, far: &SockAddr, state: &State, manner: &impl Manner) -> io::Result<()> {
    let cuts = state.now.read().expect("nobody panics").1;
    client.set_nonblocking(false)?;
    client.set_read_timeout(Some(PATIENCE))?;
    client.set_write_timeout(Some(PATIENCE))?;
    let handle = client.try_clone()?;
    let mut stream = manner.enter(client)?;
    handle.set_read_timeout(Some(TICK))?;
    let between = Between { stream: &mut stream, handle: &handle, far, cuts };
    let ended = between.run(state, manner);
    if ended.as_ref().is_err_and(|error| error.kind() != ErrorKind::UnexpectedEof) {
        // What is not an end in order does not look like one.
        handle.set_linger(Some(Duration::ZERO))?;
    }
    ended
}

/// One connection.
struct Between<'c> {
    stream: &'c mut Box<dyn Stream>,
    handle: &'c Socket,
    far: &'c SockAddr,
    cuts: u64,
}

impl Between<'_> {
    fn run(mut self, state: &State, manner: &impl Manner) -> io::Result<()> {
        let (mut peer, mut is_over, mut is_kept) = (None, false, false);
        loop {
            let now = state.now.read().expect("nobody panics");
            match now.0 {
                _ if now.1 != self.cuts => return Err(ErrorKind::ConnectionReset.into()),
                Mood::Gone => return Ok(()),
                Mood::Stalls => {
                    drop(now);
                    if !is_kept && self.has_something() {
                        is_kept = true;
                        state.kept.fetch_add(1, Ordering::SeqCst);
                    }
                    sleep(TICK);
                }
                Mood::Raves => {
                    drop(now);
                    if self.is_asked()? {
                        return self.rave(state);
                    }
                }
                Mood::Passes => {
                    let peer = match &mut peer {
                        Some(peer) => peer,
                        None => peer.insert(connected(self.far)?),
                    };
                    self.pass(peer, &mut is_over, manner)?;
                }
            }
        }
    }

    fn is_asked(&mut self) -> io::Result<bool> {
        match self.stream.read(&mut [0]) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(false),
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            asked => asked.map(|_| true),
        }
    }

    fn has_something(&self) -> bool {
        self.handle.peek(&mut [MaybeUninit::uninit()]).is_ok_and(|length| length > 0)
    }

    /// Leaves something unread, and so ends with a reset: whoever reads everything and closes in order has it. Not at once,
    /// since a reset overtakes what was said before.
    fn rave(&mut self, state: &State) -> io::Result<()> {
        self.stream.write_all(NONSENSE)?;
        self.stream.flush()?;
        state.raved.fetch_add(1, Ordering::SeqCst);
        sleep(HEARD);
        Err(ErrorKind::ConnectionReset.into())
    }

    /// Who has said everything may still be answered.
    fn pass(&mut self, peer: &mut Socket, is_over: &mut bool, manner: &impl Manner) -> io::Result<()> {
        match if *is_over { Ok(Vec::new()) } else { self.stream.read_some() } {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                *is_over = true;
                peer.shutdown(Shutdown::Write)?;
            }
            asked => peer.write_all(&asked?)?,
        }
        self.stream.write_all(&manner.answer(peer.read_some()?))?;
        self.stream.flush()
    }
}

fn connected(far: &SockAddr) -> io::Result<Socket> {
    let peer = Socket::new(far.domain(), Type::STREAM, None)?;
    peer.connect(far)?;
    peer.set_read_timeout(Some(TICK))?;
    peer.set_write_timeout(Some(PATIENCE))?;
    Ok(peer)
}

trait ReadSome {
    fn read_some(&mut self) -> io::Result<Vec<u8>>;
}

impl<T: Read + ?Sized> ReadSome for T {
    /// What there is, if anything.
    fn read_some(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; 64 * 1024];
        match self.read(&mut bytes) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => {
                bytes.truncate(length);
                Ok(bytes)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }
}
