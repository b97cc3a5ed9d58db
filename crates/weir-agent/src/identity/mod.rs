//! Who talks: joins records with the processes at their ends.

mod cgroup;
mod kubernetes;
mod names;
mod places;
mod process;
mod processes;
mod table;

use crate::interfaces::Inventory;
use crate::{Result, Settings};
use names::Names;
pub use names::{Label, NamesState, Naming};
use places::Places;
pub use process::Arguments;
use processes::Processes;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use table::{Ends, SocketTable};
use weir_kernel::{Loaded, SocketEvent};
use weir_kubernetes::{Kubernetes, KubernetesState};
use weir_probes::flows::own_netns;
use weir_probes::sockets::Sockets;
use weir_record::{Direction, FlowRecord, ProbeAccount, Process};

/// Sockets that are remembered: about 400 bytes each.
const SOCKETS: usize = 262_144;
/// Processes that are remembered beside those of these sockets.
const PROCESSES: usize = 65_536;
/// Events that are taken at a time; more than the ring holds.
const AT_A_TIME: usize = 65_536;

/// What it can say of itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
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
    /// What it knows of names.
    #[serde(default)]
    pub names: NamesState,
    /// What is known of Kubernetes.
    #[serde(default)]
    pub kubernetes: KubernetesState,
}

/// Whose the ends of conversations are.
pub struct Identity {
    probe: Option<Sockets>,
    own_netns: u32,
    sockets: SocketTable,
    processes: Processes,
    places: Places,
    heard: u64,
    names: Names,
    kubernetes: Option<Kubernetes>,
    /// What a person should know, and was not told yet.
    remarks: Vec<String>,
}

impl Identity {
    /// Attaches the probes and takes in the sockets that there are; what cannot be had is left out, and
    /// there is a remark why.
    pub fn open(settings: &Settings) -> Self {
        let linger = settings.idle_timeout + 3 * settings.interval;
        let mut identity = Self {
            probe: None,
            own_netns: own_netns(),
            sockets: SocketTable::new(SOCKETS, linger),
            processes: Processes::new(PROCESSES, settings.arguments),
            places: Places::default(),
            heard: 0,
            names: Names::open(&settings.naming),
            kubernetes: None,
            remarks: Vec::new(),
        };
        if !settings.identity {
            return identity;
        }
        identity.open_kubernetes(settings);
        // Attached first: a socket that comes meanwhile is told of twice rather than not at all.
        let existing = Sockets::attach().and_then(|probe| {
            let existing = probe.existing()?;
            identity.probe = Some(probe);
            Ok(existing)
        });
        match existing {
            Ok(existing) => existing.iter().for_each(|event| identity.learn(event)),
            Err(error) => identity.remarks.push(format!("processes stay unknown: {error}")),
        }
        identity
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
        self.names.hear()?;
        self.hear_kubernetes();
        let Some(probe) = self.probe.take() else { return Ok(()) };
        let heard = probe.consume(AT_A_TIME, |event| self.learn(event));
        self.probe = Some(probe);
        self.heard += heard? as u64;
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
        self.names.expire();
        self.expire_kubernetes();
    }

    /// Follows settings that can change.
    pub fn change(&mut self, settings: &Settings) {
        self.names.relabel(&settings.naming.labels);
    }

    /// What there is to be said since the last time.
    pub fn remarks(&mut self) -> Vec<String> {
        let mut remarks = std::mem::take(&mut self.remarks);
        remarks.extend(self.names.remarks());
        remarks
    }

    /// Enters who is at both ends.
    pub fn attribute(&self, record: &mut FlowRecord) {
        self.names.attribute(record);
        self.enter_processes(record);
        self.enter_workloads(record);
    }

    fn enter_processes(&self, record: &mut FlowRecord) {
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
        let one = Ends { protocol, local: (source, from), remote: Some((destination, to)) };
        let other = Ends { protocol, local: (destination, to), remote: Some((source, from)) };
        record.source.process = self.process_at(one, netns, source_here);
        record.destination.process = self.process_at(other, netns, destination_here);
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
            names: self.names.state(),
            kubernetes: self.kubernetes.as_ref().map(Kubernetes::state).unwrap_or_default(),
        }
    }

    /// What the probes have told, and what of it was lost.
    pub fn accounts(&self) -> Vec<ProbeAccount> {
        let of = |probe, events, lost_events| ProbeAccount { probe, events, lost_events };
        let sockets = self.probe.as_ref().map(|probe| of("sockets", self.heard, probe.lost().unwrap_or(0)));
        let names = self.names.state();
        let dns = self.names.probe().map(|_| of("dns", names.dns_answers, names.lost_dns_answers));
        sockets.into_iter().chain(dns).collect()
    }

    /// The objects of the probes and the names of their programs, for statistics.
    pub fn programs(&self) -> impl Iterator<Item = (&Loaded, &'static str)> {
        let sockets = self.probe.iter().flat_map(|probe| probe.programs().map(|name| (probe.loaded(), name)));
        let dns = self.names.probe().map(|probe| (probe.loaded(), weir_probes::dns::PROGRAM));
        sockets.chain(dns)
    }
}

/// "Any address" as sockets have it that would take packets for this one.
fn unspecified(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let v6 = IpAddr::from(std::net::Ipv6Addr::UNSPECIFIED);
    let v4 = IpAddr::from(std::net::Ipv4Addr::UNSPECIFIED);
    address.is_ipv4().then_some(v4).into_iter().chain([v6])
}
