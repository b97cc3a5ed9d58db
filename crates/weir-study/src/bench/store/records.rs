//! Records as a host makes them, the same ones every time.
//!
//! What a server does that also asks others: 100 000 peers and 40 services by Zipf's law, one in four connections its
//! own; packets by a power of a uniform number, so that most flows are short and a few are long; for TCP what its own
//! kernel keeps of the connection, and twenty processes by Zipf's law.

use crate::random::SplitMix64;
use std::net::Ipv4Addr;
use std::sync::Arc;
use weir_record::{
    Addresses, Count, Direction, Evidence, FlowEndReason, FlowKey, FlowRecord, Interface, InterfaceKind,
    Process, Reverse, TcpHealth, TcpState,
};

const PEERS: usize = 100_000;
const SERVICES: usize = 40;
const PROCESSES: usize = 20;
/// The kernel's tick, 4 ms: what times are rounded to.
const TICK: u64 = 4_000_000;

/// Makes records.
pub struct Records {
    random: SplitMix64,
    peers: Zipf,
    services: Zipf,
    users: Zipf,
    processes: Vec<Arc<Process>>,
    interface: Arc<Interface>,
}

impl Records {
    /// Always the same ones.
    pub fn new() -> Self {
        let process = |number: usize| Process {
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
        };
        let (name, netns) = ("eth0".into(), "4026531840".into());
        Self {
            random: SplitMix64(0x7765_6972),
            peers: Zipf::new(PEERS),
            services: Zipf::new(SERVICES),
            users: Zipf::new(PROCESSES),
            processes: (0..PROCESSES).map(|number| Arc::new(process(number))).collect(),
            interface: Arc::new(Interface {
                name,
                index: 2,
                netns,
                own_netns: true,
                kind: InterfaceKind::Physical,
            }),
        }
    }

    /// So many that end in the second after `time`, in nanoseconds since the epoch.
    pub fn make(&mut self, count: usize, time: u64) -> Vec<FlowRecord> {
        (0..count).map(|_| self.one(time)).collect()
    }

    fn one(&mut self, time: u64) -> FlowRecord {
        let draws = self.random.next();
        let (is_own, is_tcp) = (draws.is_multiple_of(4), draws >> 8 & 7 != 0);
        let peer = Ipv4Addr::from(0x0b00_0000 + scattered(self.peers.draw(&mut self.random)));
        let service = 22 + 7 * self.services.draw(&mut self.random) as u16;
        let ephemeral = 32_768 + self.random.below(28_232) as u16;
        let host = Ipv4Addr::new(10, 0, 0, 7);
        let (source, destination) = if is_own { (host, peer) } else { (peer, host) };
        let key = FlowKey::Ip {
            vlan: None,
            addresses: Addresses::V4(source, destination),
            protocol: if is_tcp { 6 } else { 17 },
            ports: Some((ephemeral, service)),
        };
        let direction = if is_own { Direction::Egress } else { Direction::Ingress };
        let mut record = FlowRecord::blank(Arc::clone(&self.interface), direction, key);
        record.flow_id = self.random.next();
        record.end = (time + self.random.below(1_000_000_000)) / TICK * TICK;
        record.start = record.end - self.long_tailed(60_000) * 1_000_000 / TICK * TICK;
        self.count(&mut record, is_tcp);
        let end = if is_own { &mut record.source } else { &mut record.destination };
        end.process = Some(Arc::clone(&self.processes[self.users.draw(&mut self.random)]));
        if is_tcp {
            let health = self.health(&record);
            let end = if is_own { &mut record.source } else { &mut record.destination };
            end.tcp = Some(Arc::new(health));
        }
        record
    }

    fn count(&mut self, record: &mut FlowRecord, is_tcp: bool) {
        record.packets = 1 + self.long_tailed(20_000);
        record.bytes = record.packets * (66 + self.random.below(200));
        let back = record.packets.div_ceil(2) + self.random.below(3);
        let count = Count { packets: back, bytes: back * (66 + self.random.below(1400)) };
        let (tcp_flags, evidence) = if is_tcp { (0x1b, Evidence::Syn) } else { (0, Evidence::Ports) };
        record.reverse = Some(Reverse { count, tcp_flags, sampling_rate: 1, evidence });
        record.tcp_flags = tcp_flags;
        record.tcp_state = is_tcp.then_some(TcpState::Closed);
        record.ttl = (64, 64);
        record.dscp_seen = 1;
        record.ecn_seen = 1;
        record.length = (66, if record.packets > 4 { 1514 } else { 66 + self.random.below(200) as u32 });
        record.end_reason =
            if is_tcp { FlowEndReason::EndOfFlowDetected } else { FlowEndReason::IdleTimeout };
    }

    fn health(&mut self, record: &FlowRecord) -> TcpHealth {
        let micros = |random: &mut SplitMix64, most| (1 + random.below(most)) * 1000;
        let rtt = 200_000 + micros(&mut self.random, 2000);
        let received = record.reverse.map_or(0, |reverse| reverse.count.bytes);
        TcpHealth {
            handshake: Some(rtt),
            rtt: Some(rtt),
            min_rtt: Some(rtt - micros(&mut self.random, 100)),
            rtt_variance: Some(micros(&mut self.random, 200)),
            congestion_window: 10,
            delivery_rate: Some(1_000_000 + self.random.below(1_000_000)),
            busy: record.packets * 1_000_000,
            bytes_sent: record.bytes - record.packets * 66,
            bytes_acknowledged: record.bytes - record.packets * 66 + 1,
            bytes_received: received,
            ..TcpHealth::default()
        }
    }

    /// Below `most`: half of them below a thousandth of it.
    fn long_tailed(&mut self, most: u64) -> u64 {
        let share = self.random.next() as f64 / u64::MAX as f64;
        (share.powi(10) * most as f64) as u64
    }
}

/// Neighbours in rank are no neighbours by address.
fn scattered(rank: usize) -> u32 {
    (rank as u32).wrapping_mul(0x9e37_79b1) >> 8
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
