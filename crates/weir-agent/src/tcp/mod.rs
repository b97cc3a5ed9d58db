//! How well connections fare: joins records with what TCP keeps of them.
//!
//! ```text
//! all sockets, now and then (an iterator in each namespace) ─┐
//! each socket as it closes, resets (a ring) ─────────────────┴─► by both ends ──► records
//! handshakes that were forwarded (the flow probe's ring) ──────► by both ends ──────┘
//! ```

mod handshakes;
mod health;
mod listeners;
mod table;

use crate::decode::ipv6;
use crate::interfaces::{Inventory, Namespace, Numbers};
use crate::{Result, Settings};
use handshakes::Handshakes;
use health::LISTEN;
pub use health::turned_away;
pub(crate) use health::{failure, health};
use listeners::Listeners;
use serde::{Deserialize, Serialize};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use table::{Connections, Ends, Known, Side};
use weir_kernel::{Loaded, TCP_LOOKED, TcpLook, clock};
use weir_probes::flows::{Flows, own_netns};
use weir_probes::tcp::{PROGRAMS, Tcp};
use weir_record::{FlowKey, FlowRecord, ProbeAccount, TcpHealth, TcpState};

/// Connections that are remembered: about 400 bytes each.
const CONNECTIONS: usize = 131_072;
/// Ends that are taken in one turn: more than the ring holds.
const AT_A_TIME: usize = 65_536;
/// How often all sockets are looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often while somebody asks for what is live: at every drain, but for those of a very short `--interval`.
pub(crate) const LOOK_WHILE_ASKED: Duration = Duration::from_millis(500);
/// A look keeps the agent from its drain: it waits this many times as long as the last one took.
const SHARE: u32 = 100;

/// What it can say of itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthState {
    /// Whether it is on.
    pub on: bool,
    /// Connections that are remembered.
    pub connections: u64,
    /// How many may be.
    pub connection_capacity: u64,
    /// Connections that were forgotten before they were over, or while records of them may still have been on their way.
    pub evicted_connections: u64,
    /// Ends of connections that the kernel's ring had no room for.
    pub lost_ends: u64,
    /// Forwarded handshakes that are remembered.
    pub handshakes: u64,
    /// Forwarded handshakes that were forgotten while their records could be on their way.
    pub evicted_handshakes: u64,
    /// Forwarded handshakes that the kernel's ring had no room for.
    pub lost_handshakes: u64,
    /// How long it took to look at all sockets, the last time.
    pub look_seconds: f64,
}

/// How connections fare.
pub(crate) struct Health {
    probe: Option<Tcp>,
    own_netns: u32,
    tick: Duration,
    connections: Connections,
    listeners: Listeners,
    handshakes: Handshakes,
    numbers: Numbers,
    looked: Option<Instant>,
    took: Duration,
    /// Ends that the kernel has told of.
    events: u64,
}

impl Health {
    /// Attaches the probe, if it is wanted; what a user should know where it is refused.
    pub fn open(settings: &Settings) -> (Self, Option<String>) {
        let linger = settings.idle_timeout + 3 * settings.interval;
        let (probe, remark) = match settings.tcp.then(Tcp::attach) {
            Some(Ok(probe)) => (Some(probe), None),
            Some(Err(error)) => (None, Some(format!("how TCP connections fare stays unknown: {error}"))),
            None => (None, None),
        };
        let health = Self {
            probe,
            own_netns: own_netns(),
            tick: clock::tick().unwrap_or_default(),
            connections: Connections::new(CONNECTIONS, linger),
            listeners: Listeners::new(linger),
            handshakes: Handshakes::new(settings),
            numbers: Numbers::default(),
            looked: None,
            took: Duration::ZERO,
            events: 0,
        };
        (health, remark)
    }

    /// Takes in what has ended meanwhile, and the handshakes that were forwarded.
    ///
    /// # Errors
    /// The kernel refuses to be read.
    pub fn hear(&mut self, flows: &Flows) -> Result<()> {
        self.handshakes.hear(flows)?;
        self.hear_of_ends()
    }

    /// How full the fuller of both rings was found since this was last asked for.
    pub fn take_fill(&self, flows: &Flows) -> f64 {
        let ends = self.probe.as_ref().map_or(0.0, Tcp::take_fill);
        flows.take_handshakes_fill().max(ends)
    }

    /// Looks at what there is, `every` so often.
    pub fn look_again(&mut self, inventory: &Inventory, every: Duration) {
        self.numbers = Numbers::of(inventory);
        if self.looked.is_none_or(|looked| looked.elapsed() >= every.max(SHARE * self.took)) {
            self.look(inventory);
        }
    }

    fn hear_of_ends(&mut self) -> Result<()> {
        // Put aside meanwhile: what it hands out is learned at once.
        let Some(probe) = self.probe.take() else { return Ok(()) };
        let now = Instant::now();
        let heard = probe.consume(AT_A_TIME, |look| self.learn(look, now));
        self.probe = Some(probe);
        self.events += heard? as u64;
        Ok(())
    }

    /// Looks at the sockets of every namespace that is watched. One that cannot be entered any more is gone.
    pub fn look(&mut self, inventory: &Inventory) {
        if self.probe.is_none() {
            return;
        }
        let began = Instant::now();
        inventory.namespaces().for_each(|(namespace, _)| self.look_into(namespace));
        (self.took, self.looked) = (began.elapsed(), Some(began));
    }

    fn look_into(&mut self, namespace: &Namespace) {
        let Some(probe) = &self.probe else { return };
        let Ok(began) = clock::monotonic() else { return };
        let Ok(all) = look_into(probe, namespace) else { return };
        let now = Instant::now();
        all.iter().for_each(|look| self.learn(look, now));
        self.connections.sweep(namespace.id(), began.as_nanos() as u64, now);
    }

    fn learn(&mut self, look: &TcpLook, now: Instant) {
        let netns = if look.netns == self.own_netns { 0 } else { look.netns };
        let ends = ends(look);
        let is_over = u32::from(look.change) != TCP_LOOKED;
        if look.state == LISTEN && !is_over {
            self.listeners.learn(netns, ends.local, look, now);
        } else if look.remote_port != 0 {
            let health = Arc::new(health(look, self.tick));
            let known = Known { netns, socket: look.socket, time: look.time, is_over, health };
            self.connections.learn(ends, known, now);
        }
    }

    /// Forgets what is long over.
    pub fn expire(&mut self) {
        let now = Instant::now();
        self.connections.expire(now);
        self.listeners.expire(now);
        self.handshakes.expire(now);
    }

    /// Enters what the kernels at both ends keep, and how far the ends are from here.
    pub fn attribute(&mut self, record: &mut FlowRecord) {
        let Some(meant) = meant(&record.key) else { return };
        // Behind a NAT: what the one who was asked sees.
        let behind = record.translation.map(|ends| Ends { local: ends.source, remote: ends.destination });
        self.handshakes.attribute(record, [Some(meant), behind], &self.numbers);
        if self.probe.is_some() {
            self.attribute_health(record, meant, behind);
        }
    }

    fn attribute_health(&self, record: &mut FlowRecord, meant: Ends, behind: Option<Ends>) {
        let netns = self.numbers.of_interface(&record.interface);
        let find = |ends: Ends| self.connections.get(&ends, netns).cloned();
        record.source.tcp = find(meant).or_else(|| find(behind?));
        record.destination.tcp =
            behind.and_then(|behind| find(turned(behind))).or_else(|| find(turned(meant)));
        let asked = behind.unwrap_or(meant).remote;
        if record.destination.tcp.is_none() && record.tcp_state == Some(TcpState::Attempted) {
            let failure = self.listeners.turned_away(netns, asked, Instant::now());
            record.destination.tcp = failure.map(|_| Arc::new(TcpHealth { failure, ..TcpHealth::default() }));
        }
    }

    /// What can be said of it.
    pub fn state(&self) -> HealthState {
        HealthState {
            on: self.probe.is_some(),
            connections: self.connections.len() as u64,
            connection_capacity: CONNECTIONS as u64,
            evicted_connections: self.connections.evicted(),
            lost_ends: self.lost(),
            look_seconds: self.took.as_secs_f64(),
            handshakes: self.handshakes.len() as u64,
            evicted_handshakes: self.handshakes.evicted(),
            lost_handshakes: self.handshakes.lost(),
        }
    }

    fn lost(&self) -> u64 {
        self.probe.as_ref().and_then(|probe| probe.lost().ok()).unwrap_or(0)
    }

    /// What was told, and what of it was lost.
    pub fn accounts(&self) -> impl Iterator<Item = ProbeAccount> {
        let of_sockets = self.probe.as_ref().map(|_| ProbeAccount {
            probe: "tcp",
            events: self.events,
            lost_events: self.lost(),
            evicted: self.connections.evicted(),
        });
        of_sockets.into_iter().chain(self.handshakes.account())
    }

    /// The programs that run, for their statistics.
    pub fn programs(&self) -> impl Iterator<Item = (&Loaded, &'static str)> {
        self.probe.iter().flat_map(|probe| PROGRAMS.map(|name| (probe.loaded(), name)))
    }
}

/// All sockets of a namespace.
///
/// # Errors
/// It is gone, or the kernel refuses.
pub(crate) fn look_into(probe: &Tcp, namespace: &Namespace) -> io::Result<Vec<TcpLook>> {
    let now = probe.now();
    namespace.enter(|| now.all::<TcpLook>())?.map_err(io::Error::other)
}

/// Both ends, as the kernel at one of them sees them.
pub(crate) fn ends(look: &TcpLook) -> Ends {
    let side = |words, port| -> Side { (ipv6(words).to_canonical(), port) };
    Ends { local: side(look.local, look.local_port), remote: side(look.remote, look.remote_port) }
}

/// The ends that a record of TCP is about.
fn meant(key: &FlowKey) -> Option<Ends> {
    let (addresses, ports) = key.addresses().zip(key.ports()).filter(|_| key.is_tcp())?;
    Some(Ends { local: (addresses.0, ports.0), remote: (addresses.1, ports.1) })
}

fn turned(ends: Ends) -> Ends {
    Ends { local: ends.remote, remote: ends.local }
}
