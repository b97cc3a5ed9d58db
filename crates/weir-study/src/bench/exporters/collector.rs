//! A collector of IPFIX that reads when all is over: nobody has to share a CPU with it.

use crate::bench::generator::PORT;
use crate::namespace::Namespace;
use anyhow::{Context, Result, bail, ensure};
use hashbrown::HashSet;
use nix::sys::socket::{setsockopt, sockopt};
use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use weir_ipfix::Decoder;
use weir_record::FlowRecord;

/// Room for all that anyone exports in a turn.
const BUFFER: usize = 256 << 20;
const UDP: u8 = 17;

/// A socket, and what waits in it.
pub struct Collector<'n> {
    socket: UdpSocket,
    namespace: &'n Namespace,
}

/// What was reported of the traffic.
#[derive(Default)]
pub struct Reported {
    /// Each has a destination of its own.
    destinations: HashSet<IpAddr>,
    /// In all records.
    pub packets: u64,
    /// The same.
    pub bytes: u64,
}

impl Reported {
    /// Flows, each once.
    pub fn flows(&self) -> u64 {
        self.destinations.len() as u64
    }

    fn add(&mut self, record: &FlowRecord) {
        let of_traffic = record.key.protocol() == Some(UDP)
            && record.key.ports().is_some_and(|(_, destination)| destination == PORT);
        if let Some((_, destination)) = record.key.addresses().filter(|_| of_traffic) {
            self.destinations.insert(destination);
            self.packets += record.packets;
            self.bytes += record.bytes;
        }
    }
}

impl<'n> Collector<'n> {
    /// Listens in this namespace.
    pub fn new(namespace: &'n Namespace) -> Result<Self> {
        let socket = namespace
            .inside(|| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("a collector cannot listen"))?;
        setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).context("no buffer for IPFIX")?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, namespace })
    }

    /// Where to export to.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }

    /// All that has come; an error if anything was lost on the way, which is no exporter's fault.
    pub fn read(&self) -> Result<Reported> {
        let dropped = self.dropped()?;
        ensure!(dropped == 0, "{dropped} messages had no room in the collector's buffer");
        let (mut decoder, mut reported, mut message) =
            (Decoder::new(), Reported::default(), vec![0; 1 << 16]);
        loop {
            match self.socket.recv(&mut message) {
                Ok(length) => decoder
                    .message(&message[..length], |record| reported.add(&record))
                    .context("what was exported is no IPFIX")?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(reported),
                Err(error) => bail!("cannot read what was exported: {error}"),
            }
        }
    }

    /// Messages that the kernel had no room for, by `/proc/net/udp`: the second word is the address, the last one the count.
    fn dropped(&self) -> Result<u64> {
        let port = format!(":{:04X}", self.address()?.port());
        let table = self
            .namespace
            .inside(|| fs::read_to_string("/proc/thread-self/net/udp").context("no list of sockets"))?;
        let of_us =
            |line: &&str| line.split_whitespace().nth(1).is_some_and(|address| address.ends_with(&port));
        let count = table.lines().find(of_us).and_then(|line| line.split_whitespace().last()?.parse().ok());
        count.context("the collector's socket is not in /proc/net/udp")
    }
}
