//! One traffic on its way from end to end: who sends it, and what has arrived.

use super::Lab;
use crate::arms;
use crate::senders::{Generator, Maker, Packet, Senders, Udp, Walk, Xdp};
use crate::traffic::{Frames, GeneratorKind, Schedule};
use anyhow::{Context, Result};
use libbpf_rs::{MapCore, MapFlags, MapHandle};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use weir_kernel::{Attachment, Direction, Hook, Loaded, Position, Shared, is_tcx_missing};

/// 64-bit words of `struct arrived`: packets, missing, next.
const ARRIVED: usize = 8;

/// Senders, and the sink at the far end.
pub struct Line {
    senders: Senders,
    schedule: Arc<Schedule>,
    /// Packets that each sender has sent so far.
    sent: Vec<u64>,
    arrivals: Shared,
    _sink: Attachment,
    /// The far end's device takes live frames while it has an XDP program.
    _pass: Option<libbpf_rs::Link>,
    _traffic: Arc<Loaded>,
}

/// What has arrived so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Arrived {
    /// Packets.
    pub packets: u64,
    /// Packets whose successors have arrived.
    pub missing: u64,
}

impl Line {
    /// Sends `schedule` through `lab`, a sender on each of `cpus`.
    ///
    /// # Errors
    /// The kernel has no such generator, or a privilege is missing.
    pub fn new(lab: &Lab, schedule: Arc<Schedule>, kind: GeneratorKind, cpus: &[usize]) -> Result<Self> {
        let traffic = Arc::new(arms::traffic(schedule.steps.len() as u32)?);
        write_schedule(&traffic, &schedule)?;
        write_senders(&traffic, &schedule, cpus)?;
        let frames = Frames::between(lab.ends());
        write_headers(&traffic, &frames)?;
        let arrivals = Shared::new(traffic.map("arrivals")?, schedule.parts.len() * ARRIVED)?;
        let sink = lab.far().inside(|| attach_sink(&traffic, lab.far_index()))?;
        let pass = match kind {
            GeneratorKind::Xdp => Some(lab.far().inside(|| attach_pass(&traffic, lab.far_index()))?),
            _ => None,
        };
        let make = maker(lab, Arc::clone(&traffic), Arc::clone(&schedule), kind);
        let senders = Senders::start(cpus, make)?;
        let sent = vec![0; cpus.len()];
        Ok(Self { senders, schedule, sent, arrivals, _sink: sink, _pass: pass, _traffic: traffic })
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

    /// Everything that has arrived so far.
    pub fn arrived(&self) -> Arrived {
        let word =
            |sender: &[std::sync::atomic::AtomicU64], word: usize| sender[word].load(Ordering::Relaxed);
        self.arrivals.chunks_exact(ARRIVED).fold(Arrived::default(), |sum, sender| Arrived {
            packets: sum.packets + word(sender, 0),
            missing: sum.missing + word(sender, 1),
        })
    }
}

fn maker(lab: &Lab, traffic: Arc<Loaded>, schedule: Arc<Schedule>, kind: GeneratorKind) -> Arc<Maker> {
    let (near, far) = (lab.near().door(), lab.far().door());
    let (ends, near_index, far_index) = (lab.ends(), lab.near_index(), lab.far_index());
    let frames = Frames::between(ends);
    let length = schedule.steps.iter().map(|step| step.length).max().unwrap_or(0);
    Arc::new(move |sender, _| {
        let walk = Walk::new(Arc::clone(&schedule), sender);
        let generator: Box<dyn Generator> = match kind {
            GeneratorKind::Xdp => {
                far.enter()?;
                Box::new(Xdp::new(Arc::clone(&traffic), length, far_index))
            }
            GeneratorKind::Udp => {
                near.enter()?;
                Box::new(Udp::new(walk, (ends.ipv4[1], ends.ipv6[1])))
            }
            GeneratorKind::Packet => {
                near.enter()?;
                Box::new(Packet::new(walk, frames.clone(), (near_index, length))?)
            }
        };
        Ok(generator)
    })
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
fn attach_sink(traffic: &Loaded, index: u32) -> Result<Attachment> {
    let sink = traffic.program("sink")?;
    let on = |hook| weir_kernel::attach(sink.as_fd(), index, Direction::Ingress, (hook, Position::Tail));
    let attached =
        on(Hook::Tcx).or_else(|error| if is_tcx_missing(&error) { on(Hook::Clsact) } else { Err(error) });
    attached.context("cannot attach the sink")
}

fn attach_pass(traffic: &Loaded, index: u32) -> Result<libbpf_rs::Link> {
    let pass = traffic.program("pass")?.attach_xdp(index.try_into()?);
    pass.context("the far end takes no live frames")
}
