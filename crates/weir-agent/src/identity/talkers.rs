//! Which processes talk: sockets, those that use them, and what has no sockets.

use super::places::Places;
use super::portless::{Portless, Side};
use super::processes::Processes;
use super::table::{Ends, SocketTable};
use super::unix_now;
use crate::interfaces::Inventory;
use crate::{Result, Settings};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use weir_kernel::{Loaded, SocketEvent, SocketOwner};
use weir_probes::flows::own_netns;
use weir_probes::processes::PROGRAMS;
use weir_probes::sockets::Sockets;
use weir_record::{Container, Direction, FlowRecord, ProbeAccount, Process};

/// Sockets that are remembered: about 120 bytes each.
const SOCKETS: usize = 262_144;
/// Processes that are remembered beside those of these sockets.
const PROCESSES: usize = 65_536;
/// Events that are taken in one turn: more than the ring holds.
const AT_A_TIME: usize = 65_536;

/// What it can say of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TalkersState {
    /// How the kernel tells: `tracepoints`, `fentry`, `off`.
    pub hooks: String,
    /// Sockets that are remembered.
    pub sockets: u64,
    /// How many may be.
    pub socket_capacity: u64,
    /// Processes that are remembered.
    pub processes: u64,
    /// How many may be, besides those that sockets name.
    pub process_capacity: u64,
    /// Sockets that were forgotten while they were open, or while records of them may still have been on their way.
    pub evicted_sockets: u64,
    /// Events that the kernel's ring had no room for.
    pub lost_events: u64,
    /// How it hears of processes: `tracepoints`; `proc` where it reads /proc only.
    pub process_hooks: String,
    /// Programs and control groups that were forgotten while they were there.
    pub evicted_processes: u64,
    /// Events of processes that the kernel's ring had no room for.
    pub lost_process_events: u64,
}

/// Who uses which socket.
pub struct Talkers {
    probe: Option<Sockets>,
    own_netns: u32,
    sockets: SocketTable,
    processes: Processes,
    portless: Portless,
    places: Places,
    /// First uses of connections that were found, and are to be understood after the events.
    left: Vec<SocketEvent>,
    /// How many there were, of either.
    events: u64,
}

impl Talkers {
    /// Attaches the probes and takes in the sockets that there are; what is refused is left out, and said.
    /// `met` is shown each container that a process is found in.
    pub fn open(settings: &Settings, met: impl FnMut(&Container)) -> (Self, Vec<String>) {
        let linger = settings.idle_timeout + 3 * settings.interval;
        let mut talkers = Self {
            probe: None,
            own_netns: own_netns(),
            sockets: SocketTable::new(SOCKETS, linger),
            processes: Processes::new(PROCESSES, settings.arguments),
            portless: Portless::new(),
            places: Places::default(),
            left: Vec::new(),
            events: 0,
        };
        let mut remarks = Vec::new();
        if settings.identity {
            // Attached first: a socket that comes meanwhile is told of twice rather than not at all.
            match Sockets::attach().and_then(|probe| Ok((probe.existing()?, probe))) {
                Ok((existing, probe)) => {
                    talkers.probe = Some(probe);
                    remarks.extend(talkers.attach_to_processes(settings));
                    talkers.learn(&existing, met);
                }
                Err(error) => remarks.push(format!("processes stay unknown: {error}")),
            }
        }
        (talkers, remarks)
    }

    fn attach_to_processes(&mut self, settings: &Settings) -> Option<String> {
        let refused = settings.processes.then(|| self.processes.attach().err())??;
        Some(format!("what processes run is read from /proc, of those that are still there: {refused}"))
    }

    fn learn(&mut self, events: &[SocketEvent], mut met: impl FnMut(&Container)) {
        let (now, unix) = (Instant::now(), unix_now());
        for event in events {
            let netns = if event.netns == self.own_netns { 0 } else { event.netns };
            let process = self.processes.of(&event.owner);
            process.container.iter().for_each(&mut met);
            if Portless::is_for(event) {
                self.portless.learn(event, netns, process, unix);
            } else {
                self.sockets.learn(event, netns, process, now);
            }
        }
    }

    /// The process that the kernel means.
    pub fn process(&mut self, owner: &SocketOwner, met: impl FnMut(&Container)) -> Arc<Process> {
        let process = self.processes.of(owner);
        process.container.iter().for_each(met);
        process
    }

    /// Takes in what the kernel has said meanwhile.
    ///
    /// # Errors
    /// The kernel refuses to be read.
    pub fn hear(&mut self, met: impl FnMut(&Container)) -> Result<()> {
        // Put aside meanwhile: what it hands out is learned at once.
        let Some(mut probe) = self.probe.take() else { return Ok(()) };
        let heard = self.hear_of_sockets(&mut probe, met);
        self.probe = Some(probe);
        self.events += heard? as u64;
        Ok(())
    }

    fn hear_of_sockets(&mut self, probe: &mut Sockets, mut met: impl FnMut(&Container)) -> Result<usize> {
        let mut left = std::mem::take(&mut self.left);
        // Found before the ring is read, and understood after it: what ended before these began is in it.
        let found = probe.find_left(|event| left.push(*event))?;
        let told = probe.consume(AT_A_TIME, |events| {
            // What their processes were before that is among the events of processes by now.
            self.hear_of_processes()?;
            self.learn(events, &mut met);
            Ok(())
        })?;
        self.hear_of_processes()?;
        self.learn(&left, met);
        left.clear();
        self.left = left;
        Ok(found + told)
    }

    fn hear_of_processes(&mut self) -> weir_kernel::Result<()> {
        let (portless, now) = (&mut self.portless, unix_now());
        self.processes.hear(|id| portless.end(id, now))
    }

    /// How full the fuller of both rings was found since this was last asked for.
    pub fn take_fill(&self) -> f64 {
        let sockets = self.probe.as_ref().map_or(0.0, Sockets::take_fill);
        self.processes.take_fill().max(sockets)
    }

    /// Where addresses are from now on.
    pub fn place(&mut self, inventory: &Inventory) {
        if self.probe.is_some() {
            let links = inventory.links().map(|link| (link, inventory.domain(link.id)));
            self.places = Places::of(links);
        }
    }

    /// Forgets who is gone.
    pub fn expire(&mut self) {
        self.sockets.expire(Instant::now());
        self.processes.expire();
        self.portless.expire(unix_now());
    }

    /// Enters the processes at both ends.
    pub fn attribute(&self, record: &mut FlowRecord) {
        if self.probe.is_none() {
            return;
        }
        let Some((source, destination)) = record.key.addresses() else { return };
        let netns = self.places.netns(&record.interface);
        // What leaves an interface may come from a process here, what comes in may go to one.
        let (source_here, destination_here) =
            (record.direction == Direction::Egress, record.direction == Direction::Ingress);
        let Some((from, to)) = record.key.ports() else {
            let one = Side { netns, address: source, other: destination, is_source: true };
            let other = Side { netns, address: destination, other: source, is_source: false };
            record.source.process = self.portless_at(record, one, source_here);
            record.destination.process = self.portless_at(record, other, destination_here);
            return;
        };
        let protocol = record.key.protocol().unwrap_or(0);
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

    fn portless_at(&self, record: &FlowRecord, side: Side, is_here: bool) -> Option<Arc<Process>> {
        let is_local = self.places.is_local(side.netns, side.address, is_here);
        is_local.then(|| self.portless.user(record, &side))?
    }

    fn process_at(&self, ends: Ends, netns: u32, is_here: bool) -> Option<Arc<Process>> {
        let unconnected = Ends { remote: None, ..ends };
        let user = |ends: Ends, netns| self.sockets.user(&ends, netns);
        let (address, port) = ends.local;
        // Who serves every address serves those of its own namespace.
        let serves_any = || {
            let home = self.places.home(netns, address, is_here)?;
            unspecified(address).find_map(|any| user(Ends { local: (any, port), ..unconnected }, home))
        };
        user(ends, netns).or_else(|| user(unconnected, netns)).or_else(serves_any).cloned()
    }

    /// What can be said of it; nothing where it is off.
    pub fn state(&self) -> TalkersState {
        let probe = self.probe.as_ref();
        TalkersState {
            hooks: probe.map_or("off", |probe| probe.hooks().as_str()).into(),
            sockets: self.sockets.len() as u64,
            socket_capacity: SOCKETS as u64,
            processes: self.processes.len() as u64,
            process_capacity: PROCESSES as u64,
            evicted_sockets: self.sockets.evicted() + self.portless.evicted(),
            lost_events: probe.and_then(|probe| probe.lost().ok()).unwrap_or(0),
            process_hooks: match (probe, self.processes.loaded()) {
                (None, _) => "off".into(),
                (_, None) => "proc".into(),
                _ => "tracepoints".into(),
            },
            evicted_processes: self.processes.evicted(),
            lost_process_events: self.processes.lost(),
        }
    }

    /// What the probes have told, and what of it was lost.
    pub fn accounts(&self) -> impl Iterator<Item = ProbeAccount> {
        let sockets = self.probe.as_ref().map(|probe| ProbeAccount {
            probe: "sockets",
            events: self.events,
            lost_events: probe.lost().unwrap_or(0),
            evicted: self.sockets.evicted() + self.portless.evicted(),
        });
        let processes = self.processes.loaded().map(|_| ProbeAccount {
            probe: "processes",
            events: self.processes.events(),
            lost_events: self.processes.lost(),
            evicted: self.processes.evicted(),
        });
        sockets.into_iter().chain(processes)
    }

    /// The programs that run, for their statistics.
    pub fn programs(&self) -> impl Iterator<Item = (&Loaded, &'static str)> {
        let of_sockets =
            self.probe.iter().flat_map(|probe| probe.programs().map(|name| (probe.loaded(), name)));
        let of_processes =
            self.processes.loaded().into_iter().flat_map(|loaded| PROGRAMS.map(|name| (loaded, name)));
        of_sockets.chain(of_processes)
    }
}

/// "Any address" as sockets have it that would take packets for this one.
fn unspecified(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let v6 = IpAddr::from(std::net::Ipv6Addr::UNSPECIFIED);
    let v4 = IpAddr::from(std::net::Ipv4Addr::UNSPECIFIED);
    address.is_ipv4().then_some(v4).into_iter().chain([v6])
}
