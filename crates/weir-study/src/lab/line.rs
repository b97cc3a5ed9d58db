//! One traffic on its way from end to end: who sends it, and what has arrived.

use super::remote::Remote;
use super::{Lab, Link, Veth};
use crate::arms;
use crate::namespace::Door;
use crate::senders::{Generator, Maker, Packet, Senders, Udp, Walk, Xdp};
use crate::traffic::{Frames, GeneratorKind, Schedule};
use anyhow::{Context, Result, bail, ensure};
use libbpf_rs::{MapCore, MapFlags, MapHandle};
use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use weir_kernel::{Attachment, Direction, Hook, Loaded, Position, Shared, attach, attach_somehow};

/// 64-bit words of `struct arrived`; the first is a number of packets.
pub const ARRIVED: usize = 8;
/// CPUS_MAX in `traffic.bpf.c`.
pub const CPUS_MAX: usize = 1024;

/// Senders, and who counts at the far end.
pub struct Line {
    senders: Senders,
    schedule: Arc<Schedule>,
    /// Packets that each sender has sent so far.
    sent: Vec<u64>,
    far: Far,
    given_up: bool,
}

/// Who counts what arrives.
enum Far {
    /// Our own sink.
    Here { arrivals: Shared, hooks: Option<Hooks>, door: Door, gate: Gate },
    /// Another host's.
    There(RefCell<Remote>),
}

/// The program that takes the packets of every other window off the way, and the far end's device.
struct Gate {
    traffic: Arc<Loaded>,
    index: u32,
}

/// What hangs on the far end's device.
struct Hooks {
    _sink: Attachment,
    /// The device takes live frames while it has an XDP program.
    _pass: Option<libbpf_rs::Link>,
}

impl Drop for Far {
    /// A clsact filter can be taken off inside its network namespace only.
    fn drop(&mut self) {
        if let Self::Here { hooks, door, .. } = self {
            let hooks = hooks.take();
            // A namespace that is gone has taken them with it.
            let _ = door.inside(|| {
                drop(hooks);
                Ok(())
            });
        }
    }
}

impl Line {
    /// Sends `schedule` through `lab`, a sender on each of `cpus`.
    ///
    /// # Errors
    /// The kernel has no such generator, or a privilege is missing.
    pub fn new(lab: &Lab, schedule: Arc<Schedule>, kind: GeneratorKind, cpus: &[usize]) -> Result<Self> {
        let (far, make) = match lab {
            Lab::Veth(veth) => through(veth, &schedule, kind, cpus)?,
            Lab::Link(link) => over(link, &schedule, kind)?,
        };
        let senders = Senders::start(cpus, make)?;
        Ok(Self { senders, schedule, sent: vec![0; cpus.len()], far, given_up: false })
    }

    /// Who sends.
    pub fn senders(&self) -> &Senders {
        &self.senders
    }

    /// What is sent.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Packets that each sender had sent before.
    pub fn begun(&self) -> Vec<u64> {
        self.sent.clone()
    }

    /// Notes what each sender has sent since.
    pub fn advance(&mut self, packets: &[u64]) {
        self.sent.iter_mut().zip(packets).for_each(|(sum, packets)| *sum += packets);
    }

    /// From now on, until it is dropped: whoever watches already sees every other window.
    ///
    /// # Errors
    /// Before Linux 6.6 nobody can come before a watcher; and another host has no gate.
    pub fn gate(&self) -> Result<Attachment> {
        let Far::Here { door, gate, .. } = &self.far else { bail!("measured on a veth pair only") };
        let program = gate.traffic.program("gate")?;
        let head = (Hook::Tcx, Position::Head);
        door.inside(|| Ok(attach(program.as_fd(), gate.index, Direction::Ingress, head)?))
    }

    /// Nobody knows any more what was sent: a sender has failed.
    pub fn give_up(&mut self) {
        self.given_up = true;
    }

    /// Whether a sender has failed.
    pub fn is_given_up(&self) -> bool {
        self.given_up
    }

    /// Packets that have arrived so far.
    ///
    /// # Errors
    /// The other host does not answer.
    pub fn arrived(&self) -> Result<u64> {
        let arrivals = match &self.far {
            Far::Here { arrivals, .. } => arrivals,
            Far::There(remote) => return remote.borrow_mut().arrived(),
        };
        Ok(total(arrivals))
    }

    /// Packets that came by where they are observed, of so many sent and arrived: at the far end of a veth pair,
    /// at the near end of a real link.
    pub fn observed(&self, sent: u64, arrived: u64) -> u64 {
        match self.far {
            Far::Here { .. } => arrived,
            Far::There(_) => sent,
        }
    }
}

/// Packets that a sink has counted, on all CPUs.
pub fn total(arrivals: &Shared) -> u64 {
    arrivals.iter().step_by(ARRIVED).map(|packets| packets.load(Ordering::Relaxed)).sum()
}

fn through(
    veth: &Veth,
    schedule: &Arc<Schedule>,
    kind: GeneratorKind,
    cpus: &[usize],
) -> Result<(Far, Arc<Maker>)> {
    let traffic = Arc::new(arms::traffic(schedule.steps.len() as u32)?);
    write_schedule(&traffic, schedule)?;
    write_senders(&traffic, schedule, cpus)?;
    let frames = Frames::between(veth.ends);
    write_headers(&traffic, &frames)?;
    let arrivals = Shared::new(traffic.map("arrivals")?, CPUS_MAX * ARRIVED)?;
    let index = veth.far_index;
    let sink = veth.far.inside(|| attach_sink(&traffic, index))?;
    let pass = match kind {
        GeneratorKind::Xdp => Some(veth.far.inside(|| attach_pass(&traffic, index))?),
        _ => None,
    };
    let ((near, far_door), near_index) = (veth.doors(), veth.near_index);
    let hooks = Some(Hooks { _sink: sink, _pass: pass });
    let gate = Gate { traffic: Arc::clone(&traffic), index };
    let far = Far::Here { arrivals, hooks, door: far_door.clone(), gate };
    let schedule = Arc::clone(schedule);
    let length = schedule.steps.iter().map(|step| step.length).max().unwrap_or(0);
    let destination = (veth.ends.ipv4[1], veth.ends.ipv6[1]);
    let make = move |sender, cpu| {
        let walk = Walk::new(Arc::clone(&schedule), sender);
        let generator: Box<dyn Generator> = match kind {
            GeneratorKind::Xdp => {
                far_door.enter()?;
                Box::new(Xdp::new(Arc::clone(&traffic), length, (index, cpu))?)
            }
            GeneratorKind::Packet => {
                near.enter()?;
                Box::new(Packet::new(walk, frames.clone(), (near_index, length))?)
            }
            GeneratorKind::Udp => {
                near.enter()?;
                Box::new(Udp::new(walk, destination))
            }
        };
        Ok(generator)
    };
    Ok((far, Arc::new(make)))
}

fn over(link: &Link, schedule: &Arc<Schedule>, kind: GeneratorKind) -> Result<(Far, Arc<Maker>)> {
    ensure!(
        kind == GeneratorKind::Udp,
        "over a real link packets are sent by UDP sockets, not by {}",
        kind.name()
    );
    let destination = match link.to {
        IpAddr::V4(to) => (to, Ipv6Addr::UNSPECIFIED),
        IpAddr::V6(to) => (Ipv4Addr::UNSPECIFIED, to),
    };
    let other = schedule.steps.iter().any(|step| step.ipv6 != link.to.is_ipv6());
    ensure!(!other, "this traffic is of another family than {}", link.to);
    let schedule = Arc::clone(schedule);
    let interface = link.interface.clone();
    let make = move |sender, _| {
        let walk = Walk::new(Arc::clone(&schedule), sender);
        Ok(Box::new(Udp::new(walk, destination).only_through(&interface)) as Box<dyn Generator>)
    };
    Ok((Far::There(RefCell::new(Remote::new(link.to)?)), Arc::new(make)))
}

fn write_schedule(traffic: &Loaded, schedule: &Schedule) -> Result<()> {
    let words = Shared::new(traffic.map("schedule")?, schedule.steps.len())?;
    for (word, step) in words.iter().zip(&schedule.steps) {
        // struct step: flow, length, ipv6.
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&step.flow.to_ne_bytes());
        bytes[4..6].copy_from_slice(&step.length.to_ne_bytes());
        bytes[6..].copy_from_slice(&u16::from(step.ipv6).to_ne_bytes());
        word.store(u64::from_ne_bytes(bytes), Ordering::Relaxed);
    }
    Ok(())
}

/// The generator's program knows its sender by the CPU that it runs on.
fn write_senders(traffic: &Loaded, schedule: &Schedule, cpus: &[usize]) -> Result<()> {
    let senders = MapHandle::try_from(&traffic.find_map("senders")?)?;
    for (number, (cpu, part)) in cpus.iter().zip(&schedule.parts).enumerate() {
        // struct sender: number, begin, length, position, sequence, padding.
        let mut value = vec![0_u8; senders.value_size() as usize];
        for (word, bytes) in
            [number as u32, part.start, part.end - part.start].iter().zip(value.chunks_mut(4))
        {
            bytes.copy_from_slice(&word.to_ne_bytes());
        }
        let key = u32::try_from(*cpu)?.to_ne_bytes();
        senders.update(&key, &value, MapFlags::ANY).with_context(|| format!("CPU {cpu} cannot send"))?;
    }
    Ok(())
}

fn write_headers(traffic: &Loaded, frames: &Frames) -> Result<()> {
    let headers = MapHandle::try_from(&traffic.find_map("headers")?)?;
    for (family, bytes) in frames.headers().iter().enumerate() {
        headers.update(&(family as u32).to_ne_bytes(), bytes, MapFlags::ANY)?;
    }
    Ok(())
}

/// After all who watch.
pub fn attach_sink(traffic: &Loaded, index: u32) -> Result<Attachment> {
    let sink = traffic.program("sink")?;
    attach_somehow(sink.as_fd(), index, Direction::Ingress, Position::Tail).context("cannot attach the sink")
}

fn attach_pass(traffic: &Loaded, index: u32) -> Result<libbpf_rs::Link> {
    let pass = traffic.program("pass")?.attach_xdp(index.try_into()?);
    pass.context("the far end takes no live frames")
}
