//! Flows as netobserv's agent sends them: `Record` of its `proto/flow.proto` (package `pbflow`, fields 1 to 28). The numbers
//! behind the fields are those that it has there.
//!
//! A flow of its goes one way, as NetFlow's do: a record of both directions leaves as two ([`OneWay`]). What it has a field for
//! and Weir does not see is left out: MAC addresses, the answers of DNS, the kernel's number for why a packet was dropped.

use crate::batch::{Body, Form};
use crate::protobuf::{self, Message};
use std::io;
use std::net::IpAddr;
use weir_ipfix::OneWay;
use weir_record::{Direction, FlowRecord, Observation};

/// netobserv's own port for it.
pub const PORT: u16 = 2055;

/// Nanoseconds in a second, and in a microsecond.
const SECOND: u64 = 1_000_000_000;
const MICROSECOND: u64 = 1000;

/// `Records`: what its collectors take by gRPC.
#[derive(Default)]
pub struct Records {
    agent: Option<IpAddr>,
}

impl Body for Records {
    fn form(&self) -> Form {
        Form::of(protobuf::MEDIA_TYPE)
    }

    fn comes_from(&mut self, agent: Option<IpAddr>) {
        self.agent = agent;
    }

    fn refusal(&self, record: &FlowRecord) -> Option<String> {
        OneWay::both(record).err().map(|why| why.to_string())
    }

    fn append(&mut self, out: &mut Vec<u8>, record: &FlowRecord) -> io::Result<()> {
        let mut records = Message(out);
        for flow in OneWay::both(record).map_err(io::Error::other)? {
            records.message(1, |entry| put_record(entry, &flow, self.agent)); // entries
        }
        Ok(())
    }
}

/// Writes a `Record`, as one that the agent of this address has counted. What is 0 is not written, as proto3 has it; the
/// messages that readers look into without asking whether they are there always are.
pub fn put_record(record: &mut Message<'_>, flow: &OneWay<'_>, agent: Option<IpAddr>) {
    put_number(record, 1, flow.record.key.ethertype()); // eth_protocol
    put_number(record, 2, number(flow.direction)); // direction
    record.message(3, |time| put_time(time, flow.record.start)); // time_flow_start
    record.message(4, |time| put_time(time, flow.record.end)); // time_flow_end
    record.message(5, |_| {}); // data_link
    record.message(6, |network| {
        let (source, destination) = flow.ends();
        network.message(1, |ip| put_address(ip, source)); // src_addr
        network.message(2, |ip| put_address(ip, destination)); // dst_addr
        put_number(network, 3, flow.class_of_service().unwrap_or(0) >> 2); // dscp
    });
    record.message(7, |transport| {
        let (source, destination) = flow.ports.unwrap_or_default();
        put_number(transport, 1, source); // src_port
        put_number(transport, 2, destination); // dst_port
        put_number(transport, 3, flow.protocol); // protocol
    });
    put_number(record, 8, flow.count.bytes); // bytes
    put_number(record, 9, flow.count.packets); // packets
    record.bytes(10, &flow.record.interface.name); // interface
    if let Some(agent) = agent {
        record.message(12, |ip| put_address(ip, agent)); // agent_ip
    }
    // From 0x100 on netobserv has flags of its own.
    put_number(record, 13, flow.flags_byte().unwrap_or(0)); // flags
    let (kind, code) = flow.icmp.unwrap_or_default();
    put_number(record, 14, kind); // icmp_type
    put_number(record, 15, code); // icmp_code
    if let Some(dropped) = flow.record.dropped.as_ref().filter(|_| flow.is_first()) {
        put_number(record, 16, dropped.bytes); // pkt_drop_bytes
        put_number(record, 17, dropped.packets); // pkt_drop_packets
    }
    if let Some(rtt) = round_trip(flow) {
        record.message(24, |duration| put_time(duration, rtt.saturating_mul(MICROSECOND))); // time_flow_rtt
    }
    put_interfaces(record, flow);
    put_translation(record, flow);
}

/// `Direction`, as IPFIX has it (61).
fn number(direction: Direction) -> u8 {
    u8::from(direction == Direction::Egress)
}

fn put_number(message: &mut Message<'_>, field: u32, number: impl Into<u64>) {
    let number = number.into();
    if number > 0 {
        message.number(field, number);
    }
}

/// A `Timestamp` or a `Duration` of so many nanoseconds.
fn put_time(time: &mut Message<'_>, nanos: u64) {
    put_number(time, 1, nanos / SECOND); // seconds
    put_number(time, 2, nanos % SECOND); // nanos
}

/// `IP`: one of both families, and so also where it is 0.
fn put_address(ip: &mut Message<'_>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => ip.fixed32(1, address.to_bits()), // ipv4
        IpAddr::V6(address) => ip.bytes(2, address.octets()),    // ipv6
    }
}

/// As the kernel of either end has it, that of whoever has sent the packets first; microseconds.
fn round_trip(flow: &OneWay<'_>) -> Option<u64> {
    let rtt = |end: &weir_record::End| end.tcp.as_ref()?.rtt;
    let [there, back] = [&flow.record.source, &flow.record.destination].map(rtt);
    if flow.is_forward { there.or(back) } else { back.or(there) }
}

/// `dup_list`: where its packets were seen, the interface that has counted them first. Each `DupMapEntry` once.
fn put_interfaces(record: &mut Message<'_>, flow: &OneWay<'_>) {
    let mut put = |name: &str, direction| {
        record.message(26, |entry| {
            entry.bytes(1, name); // interface
            put_number(entry, 2, number(direction)); // direction
        });
    };
    put(&flow.record.interface.name, flow.direction);
    let place = |one: &Observation| (one.interface.index, one.direction);
    let has_seen = |one: &&Observation| one.reverse != flow.is_forward && one.count.packets > 0;
    let seen = || flow.record.observations.iter().filter(has_seen);
    for (at, one) in seen().enumerate() {
        let is_first = place(one) == (flow.record.interface.index, flow.direction);
        if !is_first && !seen().take(at).any(|before| place(before) == place(one)) {
            put(&one.interface.name, one.direction);
        }
    }
}

/// `xlat`: what its packets say behind a NAT.
fn put_translation(record: &mut Message<'_>, flow: &OneWay<'_>) {
    let Some(translation) = flow.record.translation else { return };
    let (there, back) = (translation.source, translation.destination);
    let (source, destination) = if flow.is_forward { (there, back) } else { (back, there) };
    record.message(28, |xlat| {
        xlat.message(1, |ip| put_address(ip, source.0)); // src_addr
        xlat.message(2, |ip| put_address(ip, destination.0)); // dst_addr
        put_number(xlat, 3, source.1); // src_port
        put_number(xlat, 4, destination.1); // dst_port
    });
}
