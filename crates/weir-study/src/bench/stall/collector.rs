//! A collector of IPFIX that can be told to hang: then it takes no connection and reads from none.

use crate::namespace::Namespace;
use anyhow::{Context, Result};
use hashbrown::{DefaultHashBuilder, HashSet};
use std::hash::BuildHasher;
use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use weir_ipfix::Decoder;
use weir_record::FlowRecord;

const UDP: u8 = 17;
/// Of a message of IPFIX (RFC 7011, section 3.1): version, and the length of all of it.
const HEADER: usize = 4;
/// How soon it hears that it shall hang, or end.
const GLANCE: Duration = Duration::from_millis(50);

/// What it has, of UDP.
#[derive(Default)]
pub struct Seen {
    /// Records, repeats among them.
    pub records: u64,
    ids: HashSet<u64>,
    /// What the records count, each once.
    pub packets: u64,
    /// How long after its end each record came, in seconds, since this was last taken.
    pub lags: Vec<f64>,
}

impl Seen {
    /// Records, each once.
    pub fn distinct(&self) -> u64 {
        self.ids.len() as u64
    }
}

struct Shared {
    hangs: AtomicBool,
    ends: AtomicBool,
    seen: Mutex<Seen>,
    hasher: DefaultHashBuilder,
}

/// One of them, on a thread of its own.
pub struct Collector {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Collector {
    /// Listens in this namespace.
    pub fn start(namespace: &Namespace) -> Result<Self> {
        let listener = namespace
            .inside(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("a collector cannot listen"))?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let (hangs, ends) = (AtomicBool::new(false), AtomicBool::new(false));
        let shared =
            Arc::new(Shared { hangs, ends, seen: Mutex::default(), hasher: DefaultHashBuilder::default() });
        let its = Arc::clone(&shared);
        let thread = Some(thread::spawn(move || its.serve(&listener)));
        Ok(Self { address, shared, thread })
    }

    /// What to export to.
    pub fn url(&self, name: &str) -> String {
        format!("ipfix+tcp://{}?name={name}", self.address)
    }

    /// Makes it hang, or go on.
    pub fn hang(&self, hangs: bool) {
        self.shared.hangs.store(hangs, Ordering::Relaxed);
    }

    /// Looks at what it has.
    pub fn look<T>(&self, at: impl FnOnce(&mut Seen) -> T) -> T {
        at(&mut self.shared.seen.lock().expect("nobody panics with it"))
    }

    /// Ends it.
    pub fn end(mut self) -> Result<()> {
        self.shared.ends.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it ends once");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn serve(&self, listener: &TcpListener) -> Result<()> {
        while !self.ends.load(Ordering::Relaxed) {
            if self.hangs.load(Ordering::Relaxed) {
                thread::sleep(GLANCE);
                continue;
            }
            match listener.accept() {
                Ok((stream, _)) => self.read(stream)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(GLANCE),
                Err(error) => return Err(error).context("no connection"),
            }
        }
        Ok(())
    }

    /// Reads one connection to its end.
    fn read(&self, mut stream: TcpStream) -> Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(GLANCE))?;
        let (mut decoder, mut bytes, mut part) = (Decoder::new(), Vec::new(), vec![0; 1 << 16]);
        while !self.ends.load(Ordering::Relaxed) {
            if self.hangs.load(Ordering::Relaxed) {
                thread::sleep(GLANCE);
                continue;
            }
            match stream.read(&mut part) {
                Ok(0) => return Ok(()),
                Ok(length) => bytes.extend_from_slice(&part[..length]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                // Of a connection that was given up while it hung the rest is gone.
                Err(_) => return Ok(()),
            }
            let used = self.messages(&mut decoder, &bytes)?;
            bytes.drain(..used);
        }
        Ok(())
    }

    /// Takes whole messages from the beginning, and says how long these are.
    fn messages(&self, decoder: &mut Decoder, bytes: &[u8]) -> Result<usize> {
        let mut used = 0;
        while let Some([_, _, high, low]) = bytes.get(used..used + HEADER) {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let Some(message) = bytes.get(used..used + length) else { break };
            let mut seen = self.seen.lock().expect("nobody panics with it");
            decoder.message(message, |record| self.take(&mut seen, &record))?;
            used += length;
        }
        Ok(used)
    }

    fn take(&self, seen: &mut Seen, record: &FlowRecord) {
        if record.key.protocol() != Some(UDP) {
            return;
        }
        seen.records += 1;
        if seen.ids.insert(self.hasher.hash_one((record.flow_id, record.start, record.end))) {
            seen.packets += record.packets;
        }
        let end = UNIX_EPOCH + Duration::from_nanos(record.end);
        let lag = SystemTime::now().duration_since(end).unwrap_or_default();
        seen.lags.push(lag.as_secs_f64());
    }
}
