//! DNS: what this host asks for, and what it is told. The probe, on interfaces, and what is made of its messages.

mod state;

pub use state::DnsState;

use crate::identity::address;
use crate::interfaces::Inventory;
use crate::posts::Posts;
use crate::{Durations, Naming, Result};
use std::net::SocketAddr;
use weir_dns::{Exchanges, Lookup, Message, Outcome, Place, Seen, Segment, Streams, Told, Transport};
use weir_kernel::{Loaded, PayloadPart, clock};
use weir_probes::dns::Ports;
use weir_probes::flows::{Flows, InterfaceId, Layout};

/// Messages that are taken at a time; more than the ring holds.
const AT_A_TIME: usize = 16_384;
/// Questions that are remembered: about 400 bytes each.
const QUESTIONS: usize = 32_768;
/// TCP streams that are followed, and what may wait of all their messages.
const STREAMS: usize = 4096;
const STREAM_BYTES: usize = 4 << 20;

const PROTOCOL_TCP: u8 = 6;

/// What it means that the flow probe cannot hand packets on.
pub const BY_ITSELF: &str = "DNS is heard by programs of its own, which costs each packet some 40 ns more";

/// The probe, and what it has told.
pub struct Dns {
    probe: weir_probes::dns::Dns,
    way: Way,
    talk: Talk,
}

/// How packets come to it.
enum Way {
    /// Its programs hang on interfaces.
    Posts(Posts),
    /// The flow probe hands on what may be DNS, at so many interfaces: one program less for each packet.
    Handed { interfaces: usize },
}

/// What is made of messages.
struct Talk {
    exchanges: Exchanges,
    streams: Streams,
    /// Messages that were read.
    read: u64,
    malformed: u64,
    /// Those of which not all was copied.
    cut: u64,
    /// How long answers took.
    latency: Durations,
}

impl Dns {
    /// Loads the probe, which hangs nowhere yet.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn open(naming: &Naming) -> Result<Self> {
        let timeout = u64::try_from(naming.dns_timeout.as_nanos()).unwrap_or(u64::MAX);
        let talk = Talk {
            exchanges: Exchanges::new(QUESTIONS, timeout),
            streams: Streams::new(STREAMS, STREAM_BYTES),
            read: 0,
            malformed: 0,
            cut: 0,
            latency: Durations::default(),
        };
        let probe = weir_probes::dns::Dns::load(&naming.dns_ports)?;
        Ok(Self { probe, way: Way::Posts(Posts::new("DNS", naming.dns_place)), talk })
    }

    /// Hears what the flow probe hands on, if that does so, rather than hang on interfaces.
    ///
    /// # Errors
    /// The kernel refuses; it will hang there.
    pub fn hear_from(&mut self, flows: &mut Flows) -> weir_kernel::Result<()> {
        if flows.hand_on(&self.probe)? {
            self.way = Way::Handed { interfaces: 0 };
        }
        Ok(())
    }

    /// Listens at the interfaces that are `wanted`, and no longer at others. Whether there is more to do, at once.
    pub fn post(&mut self, inventory: &Inventory, wanted: impl Fn(InterfaceId) -> bool) -> bool {
        let Self { probe, way, .. } = self;
        match way {
            Way::Posts(posts) => posts.follow(|link_layer| probe.programs(link_layer), inventory, wanted),
            Way::Handed { interfaces } => {
                *interfaces = inventory.links().filter(|link| wanted(link.id)).count();
                false
            }
        }
    }

    /// At how many interfaces it listens.
    fn interfaces(&self) -> usize {
        match &self.way {
            Way::Posts(posts) => posts.len(),
            Way::Handed { interfaces } => *interfaces,
        }
    }

    /// Looks which programs still hang, where it is not known of each interface whether it is the same.
    pub fn look_again(&mut self, inventory: &Inventory) {
        if let Way::Posts(posts) = &mut self.way {
            posts.look_again(inventory);
        }
    }

    /// What there is to be said since the last time.
    pub fn remarks(&mut self) -> Vec<String> {
        match &mut self.way {
            Way::Posts(posts) => posts.remarks().collect(),
            Way::Handed { .. } => Vec::new(),
        }
    }

    /// Takes in what the kernel has said meanwhile; `told` gets what comes of it.
    ///
    /// # Errors
    /// The kernel refuses to be read.
    pub fn hear(&mut self, told: &mut dyn FnMut(Told<'_>)) -> Result<()> {
        let Self { probe, talk, .. } = self;
        let mut latency = talk.latency;
        let told = &mut |one: Told<'_>| {
            latency_of(&one).into_iter().for_each(|microseconds| latency.add(microseconds));
            told(one);
        };
        // Before the ring is read: an answer that came in time is in it.
        let now = clock::monotonic()?.as_nanos() as u64;
        let consumed = probe.consume(AT_A_TIME, |message, bytes| talk.take(message, bytes, told));
        talk.exchanges.expire(now, told);
        talk.latency = latency;
        consumed?;
        Ok(())
    }

    /// How full that ring was found since this was last asked for.
    pub fn take_fill(&self) -> f64 {
        self.probe.take_fill()
    }

    /// Messages that the kernel's ring had no room for.
    pub fn lost(&self) -> u64 {
        self.probe.lost().unwrap_or(0)
    }

    /// Messages that came through.
    pub fn heard(&self) -> u64 {
        self.talk.read + self.talk.malformed
    }

    /// What had to be forgotten to make room.
    pub fn evicted(&self) -> u64 {
        self.talk.exchanges.evicted() + self.talk.streams.unfollowed().evicted
    }

    /// The programs that run, for their statistics.
    pub fn programs(&self) -> impl Iterator<Item = (&Loaded, &'static str)> {
        weir_probes::dns::PROGRAMS.into_iter().map(|name| (self.probe.loaded(), name))
    }
}

/// Loads the flow probe, which hands on to DNS what its layout says; or without that, where the kernel refuses programs
/// that have functions and hand packets on (other machines than x86-64 before Linux 6.0), and a remark.
///
/// # Errors
/// The kernel refuses it anyway.
pub fn load_flows(layout: Layout) -> weir_kernel::Result<(Flows, Option<String>)> {
    match Flows::load(layout) {
        Err(refusal) if layout.dns_ports != Ports::NONE => {
            let flows = Flows::load(Layout { dns_ports: Ports::NONE, ..layout })?;
            Ok((flows, Some(format!("{BY_ITSELF}: {refusal}"))))
        }
        outcome => Ok((outcome?, None)),
    }
}

/// How long it took, where it is an answer of which that is known.
fn latency_of(told: &Told<'_>) -> Option<u64> {
    match told {
        Told::Lookup(Lookup { outcome: Outcome::Answered(reply), .. }) => Some(reply.latency? / 1000),
        _ => None,
    }
}

impl Talk {
    fn take(&mut self, message: &PayloadPart, bytes: &[u8], told: &mut dyn FnMut(Told<'_>)) {
        let place = Place { netns: message.netns, index: message.ifindex };
        let seen = Seen { time: message.time, place, is_egress: message.egress != 0 };
        let source = SocketAddr::new(address(message.source), message.source_port);
        let destination = SocketAddr::new(address(message.destination), message.destination_port);
        let length = message.length as usize;
        if message.protocol == PROTOCOL_TCP {
            let (sequence, flags) = (message.sequence, message.tcp_flags);
            self.follow(&Segment { seen, source, destination, sequence, flags, bytes, length }, told);
            return;
        }
        let way = (source, destination, Transport::Udp);
        if message.segment == 0 {
            self.read(way, seen, (bytes, bytes.len() == length), told);
            return;
        }
        // Several of one size, in one.
        let size = usize::from(message.segment);
        for (place, one) in bytes.chunks(size).enumerate() {
            let is_whole = one.len() == size.min(length - place * size);
            self.read(way, seen, (one, is_whole), told);
        }
        self.cut += (length.div_ceil(size) - bytes.len().div_ceil(size)) as u64;
    }

    fn follow(&mut self, segment: &Segment<'_>, told: &mut dyn FnMut(Told<'_>)) {
        let mut messages = Vec::new();
        self.streams.hear(segment, |message, is_whole| messages.push((message.to_vec(), is_whole)));
        let way = (segment.source, segment.destination, Transport::Tcp);
        for (message, is_whole) in messages {
            self.read(way, segment.seen, (&message, is_whole), told);
        }
    }

    fn read(
        &mut self,
        way: (SocketAddr, SocketAddr, Transport),
        seen: Seen,
        (bytes, is_whole): (&[u8], bool),
        told: &mut dyn FnMut(Told<'_>),
    ) {
        self.cut += u64::from(!is_whole);
        match if is_whole { Message::read(bytes) } else { Message::read_cut(bytes) } {
            Ok(message) => {
                self.read += 1;
                self.exchanges.hear(way, seen, &message, told);
            }
            Err(_) => self.malformed += 1,
        }
    }
}
