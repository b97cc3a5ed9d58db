//! Records as a busy server makes them, the same ones every time. What is assumed of its traffic is in docs/history.md.

use crate::random::SplitMix64;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use weir_record::{
    Addresses, Count, Direction, Evidence, FlowEndReason, FlowKey, FlowRecord, Interface, InterfaceKind,
    Name, NameOrigin, Process, Reverse, TcpHealth, TcpState,
};

/// Addresses that ask this host.
const CLIENTS: usize = 100_000;
/// Addresses that this host asks.
const SERVERS: usize = 500;
const SERVICES: usize = 40;
const PROCESSES: usize = 20;
/// What a service is asked for: so many kinds of exchange, each of its own size.
const KINDS: usize = 12;
/// The kernel's tick, 4 ms: what times are rounded to.
const TICK: u64 = 4_000_000;
const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);
/// Of an IPv4 packet with TCP's usual options, on Ethernet.
const HEADERS: u64 = 66;
const SEGMENT: u64 = 1448;

/// Makes records.
pub struct Records {
    random: SplitMix64,
    clients: Zipf,
    servers: Zipf,
    services: Zipf,
    kinds: Zipf,
    processes: Vec<Arc<Process>>,
    names: Vec<Arc<Name>>,
    interface: Arc<Interface>,
    ids: Ids,
}

/// One conversation, before it is a record.
struct Exchange {
    is_own: bool,
    is_tcp: bool,
    peer: Ipv4Addr,
    /// Payload there and back.
    sent: u64,
    received: u64,
    /// Round trips that it took.
    rounds: u64,
    /// How long the handshake took, nanoseconds.
    rtt: u64,
}

impl Records {
    /// Always the same ones.
    pub fn new() -> Self {
        let name = |number: usize| Name {
            text: format!("backend-{number}.internal.example.com"),
            origin: NameOrigin::Dns,
        };
        let (interface, netns) = ("eth0".into(), "4026531840".into());
        let kind = InterfaceKind::Physical;
        Self {
            random: SplitMix64(0x7765_6972),
            clients: Zipf::new(CLIENTS),
            servers: Zipf::new(SERVERS),
            services: Zipf::new(SERVICES),
            kinds: Zipf::new(KINDS),
            processes: (0..PROCESSES).map(|number| Arc::new(process(number))).collect(),
            names: (0..SERVERS).map(|number| Arc::new(name(number))).collect(),
            interface: Arc::new(Interface { name: interface, index: 2, netns, own_netns: true, kind }),
            ids: Ids::default(),
        }
    }

    /// So many that end in the second after `time`, in nanoseconds since the epoch.
    pub fn make(&mut self, count: usize, time: u64) -> Vec<FlowRecord> {
        (0..count).map(|_| self.one(time)).collect()
    }

    fn one(&mut self, time: u64) -> FlowRecord {
        // A quarter are its own, one in eight is UDP.
        let draws = self.random.next();
        let (is_own, is_tcp) = (draws.is_multiple_of(4), draws >> 8 & 7 != 0);
        let rank =
            if is_own { self.servers.draw(&mut self.random) } else { self.clients.draw(&mut self.random) };
        let service = self.services.draw(&mut self.random);
        let network = if is_own { 0x0a01_0000 } else { 0x0b00_0000 };
        let peer = Ipv4Addr::from(network + scattered(rank, if is_own { 16 } else { 8 }));
        let exchange = self.exchange(is_own, is_tcp, peer, service);

        let ephemeral = 32_768 + self.random.below(28_232) as u16;
        let (source, destination) = if is_own { (HOST, peer) } else { (peer, HOST) };
        let key = FlowKey::Ip {
            vlan: None,
            addresses: Addresses::V4(source, destination),
            protocol: if is_tcp { 6 } else { 17 },
            ports: Some((ephemeral, 22 + 7 * service as u16)),
        };
        let direction = if is_own { Direction::Egress } else { Direction::Ingress };
        let mut record = FlowRecord::blank(Arc::clone(&self.interface), direction, key);
        record.end = (time + self.random.below(1_000_000_000)) / TICK * TICK;
        // One in ten is kept open for a while.
        let idle = if self.random.below(10) == 0 { self.random.below(60_000_000_000) } else { 0 };
        record.start = record.end - (exchange.rtt * exchange.rounds + idle) / TICK * TICK;
        record.flow_id = self.ids.next(record.start);
        count(&mut record, &exchange);
        record.observations = record.by_one_point();
        let tcp = is_tcp.then(|| Arc::new(self.health(&exchange)));
        if is_own {
            record.destination.name = Some(Arc::clone(&self.names[rank]));
        }
        let end = if is_own { &mut record.source } else { &mut record.destination };
        end.process = Some(Arc::clone(&self.processes[service % PROCESSES]));
        end.tcp = tcp;
        record
    }

    /// Six in ten are just like others of their kind; the answers of the rest have any size, a few a large one.
    fn exchange(&mut self, is_own: bool, is_tcp: bool, peer: Ipv4Addr, service: usize) -> Exchange {
        let kind = self.kinds.draw(&mut self.random) as u64 + 1;
        let (sent, received) = (90 + 37 * kind + service as u64, 130 + 411 * kind * (service as u64 % 5 + 1));
        let (sent, received) = match self.random.below(10) {
            0..6 => (sent, received),
            _ => (sent + self.random.below(400), received + self.long_tailed(40_000_000)),
        };
        let received = if is_tcp { received } else { received.min(SEGMENT) };
        let rounds = if is_tcp { 3 + u64::from(received.div_ceil(10 * SEGMENT).ilog2()) } else { 1 };
        let rtt = self.near(distance(peer));
        Exchange { is_own, is_tcp, peer, sent, received, rounds, rtt }
    }

    /// What this host's TCP keeps of it.
    fn health(&mut self, exchange: &Exchange) -> TcpHealth {
        let (sent, received) = match exchange.is_own {
            true => (exchange.sent, exchange.received),
            false => (exchange.received, exchange.sent),
        };
        let is_short = exchange.received < 10 * SEGMENT;
        let window = if is_short { 10 } else { 10 + self.random.below(40) };
        // Once more for what was sent and for the farewell, and in each round of a long answer.
        let distance = distance(exchange.peer);
        let later: Vec<_> = (1..exchange.rounds).map(|_| self.near(distance) / 1000).collect();
        let mut trips = RoundTrips::begin(exchange.rtt / 1000);
        later.iter().for_each(|micros| trips.take(*micros));
        let shortest = later.into_iter().min().unwrap_or(1).max(1);
        let health = TcpHealth {
            handshake: Some(exchange.rtt / 1000),
            rtt: Some(trips.smoothed / 8),
            min_rtt: Some(trips.least),
            rtt_variance: Some(trips.deviation / 4),
            congestion_window: window,
            // The kernel counts whole segments.
            delivery_rate: Some(sent.div_ceil(SEGMENT).clamp(1, window) * SEGMENT * 1_000_000 / shortest),
            busy: (exchange.rounds * exchange.rtt).div_ceil(TICK) * TICK / 1000,
            bytes_sent: sent,
            bytes_acknowledged: sent + 1,
            bytes_received: received,
            ..TcpHealth::default()
        };
        if self.random.below(100) == 0 { self.with_losses(health) } else { health }
    }

    /// One that had to send something again.
    fn with_losses(&mut self, health: TcpHealth) -> TcpHealth {
        let segments = 1 + self.random.below(3);
        TcpHealth {
            retransmitted_segments: segments,
            retransmitted_bytes: health.bytes_sent.min(segments * SEGMENT),
            lost_segments: segments,
            congestion_window: health.congestion_window * 7 / 10,
            slow_start_threshold: Some(health.congestion_window * 7 / 10),
            ..health
        }
    }

    /// Microseconds, up to an eighth more than this: the queues on the way.
    fn near(&mut self, nanos: u64) -> u64 {
        let share = self.random.next() as f64 / u64::MAX as f64;
        (nanos + (share.powi(4) * nanos as f64 / 8.0) as u64) / 1000 * 1000
    }

    /// Below `most`: half of them below a thousandth of it.
    fn long_tailed(&mut self, most: u64) -> u64 {
        let share = self.random.next() as f64 / u64::MAX as f64;
        (share.powi(10) * most as f64) as u64
    }
}

/// Numbers of conversations as an agent gives them that drains its maps once a second: all that began within one come
/// after those of the one before, in no order.
#[derive(Default)]
struct Ids(HashMap<u64, u64>);

impl Ids {
    /// That of the next one that began then.
    fn next(&mut self, start: u64) -> u64 {
        const FIRST: u64 = 0x4b1d_6a0c_0000_0000;
        let second = start / 1_000_000_000;
        let count = self.0.entry(second).or_default();
        *count += 1;
        // No second has more than this many.
        FIRST + ((second << 16) & 0xffff_ffff) + ((*count * 40_503) & 0xffff)
    }
}

/// What the kernel makes of round trips, in microseconds: tcp_rtt_estimator().
struct RoundTrips {
    /// In eighths.
    smoothed: u64,
    /// In quarters.
    deviation: u64,
    least: u64,
}

impl RoundTrips {
    /// Of the handshake's.
    fn begin(micros: u64) -> Self {
        Self { smoothed: micros * 8, deviation: micros * 2, least: micros }
    }

    fn take(&mut self, micros: u64) {
        let old = self.smoothed >> 3;
        let change = micros.abs_diff(old) as i64 - (self.deviation >> 2) as i64;
        // One that is shorter than usual shall not count for much.
        let change = if micros < old && change > 0 { change >> 3 } else { change };
        self.smoothed = self.smoothed + micros - old;
        self.deviation = self.deviation.saturating_add_signed(change);
        self.least = self.least.min(micros);
    }
}

fn process(number: usize) -> Process {
    Process {
        pid: 1000 + number as u32,
        parent_pid: Some(1),
        started: Some(1_795_000_000_000_000_000 + number as u64),
        user_id: number as u32 % 3,
        command: format!("service-{number}"),
        executable: Some(format!("/usr/bin/service-{number}")),
        arguments: Some(format!("/usr/bin/service-{number} --config /etc/service-{number}.conf")),
        cgroup: Some(format!("/system.slice/service-{number}.service")),
        unit: Some(format!("service-{number}.service")),
        ..Process::default()
    }
}

fn count(record: &mut FlowRecord, exchange: &Exchange) {
    let segments = |payload: u64| payload.div_ceil(SEGMENT);
    let (there, back) = match exchange.is_tcp {
        // Handshake, acknowledgements of every other segment, and farewell.
        true => {
            (4 + segments(exchange.sent) + segments(exchange.received) / 2, 3 + segments(exchange.received))
        }
        false => (1, 1),
    };
    record.packets = there;
    record.bytes = there * HEADERS + exchange.sent;
    let count = Count { packets: back, bytes: back * HEADERS + exchange.received };
    let (tcp_flags, evidence) = if exchange.is_tcp { (0x1b, Evidence::Syn) } else { (0, Evidence::Ports) };
    record.reverse = Some(Reverse { count, tcp_flags, sampling_rate: 1, evidence });
    record.tcp_flags = tcp_flags;
    record.tcp_state = exchange.is_tcp.then_some(TcpState::Closed);
    let far = 40 + (scattered(u32::from(exchange.peer) as usize, 8) % 24) as u8;
    record.ttl = if exchange.is_own { (64, 64) } else { (far, far) };
    record.dscp_seen = 1;
    record.ecn_seen = 1;
    let longest = HEADERS + exchange.sent.min(SEGMENT);
    let shortest = if exchange.is_tcp { HEADERS } else { longest };
    record.length = (shortest as u32, longest as u32);
    record.end_reason =
        if exchange.is_tcp { FlowEndReason::EndOfFlowDetected } else { FlowEndReason::IdleTimeout };
}

/// A round trip to there, nanoseconds: from 0.1 to 0.4 ms for those that are near, from 1 to 256 ms for others.
fn distance(peer: Ipv4Addr) -> u64 {
    let drawn = u64::from(scattered(u32::from(peer) as usize, 0));
    if peer.octets()[0] == 10 {
        100_000 + drawn % 300_000
    } else {
        (1_000_000 + drawn % 1_000_000) << (drawn >> 29)
    }
}

/// Neighbours in rank are no neighbours by address.
fn scattered(rank: usize, shift: u32) -> u32 {
    (rank as u32).wrapping_mul(0x9e37_79b1) >> shift
}

/// Numbers from 0 on, each less often than the one before: the second half as often as the first, the third a third …
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(count: usize) -> Self {
        let mut sum = 0.0;
        let mut sums = Vec::with_capacity(count);
        for rank in 1..=count {
            sum += 1.0 / rank as f64;
            sums.push(sum);
        }
        sums.iter_mut().for_each(|so_far| *so_far /= sum);
        Self(sums)
    }

    fn draw(&self, random: &mut SplitMix64) -> usize {
        let share = random.next() as f64 / u64::MAX as f64;
        self.0.partition_point(|sum| *sum < share).min(self.0.len() - 1)
    }
}
