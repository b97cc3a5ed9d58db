//! Who talks: joins records with the processes at their ends.

mod cgroup;
mod places;
mod process;
mod processes;
mod table;
mod text;

use crate::interfaces::Inventory;
use crate::{Result, Settings};
use places::Places;
pub use process::Arguments;
use processes::Processes;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use table::{Ends, SocketTable};
use weir_kernel::SocketEvent;
use weir_probes::flows::own_netns;
use weir_probes::sockets::Sockets;
use weir_record::{Direction, FlowRecord, Process};

/// Sockets that are remembered: about 400 bytes each.
const SOCKETS: usize = 262_144;
/// Processes that are remembered beside those of these sockets.
const PROCESSES: usize = 65_536;
/// Events that are taken at a time; more than the ring holds.
const AT_A_TIME: usize = 65_536;

/// What it can say of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityState {
    /// How the kernel tells: `tracepoints`, `fentry`, `off`.
    pub hooks: String,
    /// Sockets that are remembered.
    pub sockets: u64,
    /// Processes that are remembered.
    pub processes: u64,
    /// Sockets that were forgotten while they were open.
    pub evicted_sockets: u64,
    /// Events that the kernel's ring had no room for.
    pub lost_events: u64,
}

/// Whose the ends of conversations are.
pub struct Identity {
    probe: Option<Sockets>,
    own_netns: u32,
    sockets: SocketTable,
    processes: Processes,
    places: Places,
}

impl Identity {
    /// Attaches the probe and takes in the sockets that there are; or does not, and says why.
    pub fn open(settings: &Settings) -> (Self, Option<String>) {
        let linger = settings.idle_timeout + 3 * settings.interval;
        let mut identity = Self {
            probe: None,
            own_netns: own_netns(),
            sockets: SocketTable::new(SOCKETS, linger),
            processes: Processes::new(PROCESSES, settings.arguments),
            places: Places::default(),
        };
        if !settings.identity {
            return (identity, None);
        }
        // Attached first: a socket that comes meanwhile is told of twice rather than not at all.
        let existing = Sockets::attach().and_then(|probe| {
            let existing = probe.existing()?;
            identity.probe = Some(probe);
            Ok(existing)
        });
        let remark = match existing {
            Ok(existing) => {
                existing.iter().for_each(|event| identity.learn(event));
                None
            }
            Err(error) => Some(format!("processes stay unknown: {error}")),
        };
        (identity, remark)
    }

    fn learn(&mut self, event: &SocketEvent) {
        let Self { sockets, processes, .. } = self;
        let netns = if event.netns == self.own_netns { 0 } else { event.netns };
        sockets.learn(event, netns, processes.of(&event.owner), Instant::now());
    }

    /// Takes in what the kernel has said meanwhile.
    ///
    /// # Errors
    /// The kernel refuses to be read.
    pub fn hear(&mut self) -> Result<()> {
        let Some(probe) = self.probe.take() else { return Ok(()) };
        let heard = probe.consume(AT_A_TIME, |event| self.learn(event));
        self.probe = Some(probe);
        heard?;
        Ok(())
    }

    /// Where addresses are from now on.
    pub fn place(&mut self, inventory: &Inventory) {
        if self.probe.is_some() {
            self.places = Places::of(inventory.links());
        }
    }

    /// Forgets who is gone.
    pub fn expire(&mut self) {
        self.sockets.expire(Instant::now());
    }

    /// Enters the processes at both ends.
    pub fn attribute(&self, record: &mut FlowRecord) {
        if self.probe.is_none() {
            return;
        }
        let Some(((source, destination), (from, to))) = record.key.addresses().zip(record.key.ports()) else {
            return;
        };
        let protocol = record.key.protocol().unwrap_or(0);
        let netns = self.places.netns(&record.interface);
        // What leaves an interface may come from a process here, what comes in may go to one.
        let (source_here, destination_here) =
            (record.direction == Direction::Egress, record.direction == Direction::Ingress);
        let meant = [(source, from), (destination, to)];
        // Behind a NAT: what the one who was asked sees.
        let behind = record.translation.map(|ends| [ends.source, ends.destination]);
        let find = |[local, remote]: [(IpAddr, u16); 2], is_here| {
            self.process_at(Ends { protocol, local, remote: Some(remote) }, netns, is_here)
        };
        let turned = |[source, destination]: [(IpAddr, u16); 2]| [destination, source];
        let source = find(meant, source_here).or_else(|| find(behind?, source_here));
        let destination = behind.and_then(|behind| find(turned(behind), destination_here));
        record.source.process = source;
        record.destination.process = destination.or_else(|| find(turned(meant), destination_here));
    }

    fn process_at(&self, ends: Ends, netns: u32, is_here: bool) -> Option<Arc<Process>> {
        let unconnected = Ends { remote: None, ..ends };
        let user = |ends: Ends| self.sockets.user(&ends, netns);
        let (address, port) = ends.local;
        // Who serves every address serves those of its own namespace.
        let serves_any = || match self.places.is_local(netns, address, is_here) {
            true => unspecified(address).find_map(|any| user(Ends { local: (any, port), ..unconnected })),
            false => None,
        };
        user(ends).or_else(|| user(unconnected)).or_else(serves_any).cloned()
    }

    /// What can be said of it; nothing where it is off.
    pub fn state(&self) -> IdentityState {
        let probe = self.probe.as_ref();
        IdentityState {
            hooks: probe.map_or("off", |probe| probe.hooks().as_str()).into(),
            sockets: self.sockets.len() as u64,
            processes: self.processes.len() as u64,
            evicted_sockets: self.sockets.evicted(),
            lost_events: probe.and_then(|probe| probe.lost().ok()).unwrap_or(0),
        }
    }

    /// The probe, for its statistics.
    pub fn probe(&self) -> Option<&Sockets> {
        self.probe.as_ref()
    }
}

/// "Any address" as sockets have it that would take packets for this one.
fn unspecified(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let v6 = IpAddr::from(std::net::Ipv6Addr::UNSPECIFIED);
    let v4 = IpAddr::from(std::net::Ipv4Addr::UNSPECIFIED);
    address.is_ipv4().then_some(v4).into_iter().chain([v6])
}
