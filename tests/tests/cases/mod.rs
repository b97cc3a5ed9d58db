//! The table: frames, and the records that they must become.

mod fragments;
mod ipv4;
mod ipv6;
mod link;

use weir_tests::frames::{IPV4, IPV6, Ipv4, Ipv6};
use weir_tests::output::Flow;

/// One kind of packet.
pub struct Case {
    /// What it is.
    pub name: &'static str,
    /// The frames, in the order in which they are sent.
    pub frames: Vec<Vec<u8>>,
    /// The records, without the observation point.
    pub expected: Vec<Flow>,
}

/// All of them.
pub fn all() -> Vec<Case> {
    let mut table = Table::default();
    ipv4::add(&mut table);
    ipv6::add(&mut table);
    fragments::add(&mut table);
    link::add(&mut table);
    table.cases
}

/// The table while it grows. Each case gets addresses that no other has.
#[derive(Default)]
pub struct Table {
    cases: Vec<Case>,
}

impl Table {
    /// A case about IPv4. `describe` completes a record that holds the addresses already.
    pub fn ipv4(
        &mut self,
        name: &'static str,
        frames: impl FnOnce(Ipv4) -> Vec<Vec<u8>>,
        describe: impl FnOnce(Flow) -> Flow,
    ) {
        let number = u8::try_from(self.cases.len()).expect("at most 256 cases");
        let ip = Ipv4 {
            source: [10, 99, number, 1].into(),
            destination: [10, 99, number, 2].into(),
            ..Ipv4::default()
        };
        let (source, destination) = (ip.source.to_string(), ip.destination.to_string());
        self.add(name, frames(ip), describe(between(source, destination, IPV4)));
    }

    /// A case about IPv6.
    pub fn ipv6(
        &mut self,
        name: &'static str,
        frames: impl FnOnce(Ipv6) -> Vec<Vec<u8>>,
        describe: impl FnOnce(Flow) -> Flow,
    ) {
        let number = u16::try_from(self.cases.len()).expect("a number");
        let address = |host| [0xfd99, 0, 0, number, 0, 0, 0, host].into();
        let ip = Ipv6 { source: address(1), destination: address(2), ..Ipv6::default() };
        let (source, destination) = (ip.source.to_string(), ip.destination.to_string());
        self.add(name, frames(ip), describe(between(source, destination, IPV6)));
    }

    /// A case that is known by its ethertype only.
    pub fn ethertype(&mut self, name: &'static str, ethertype: u16, vlan: Option<u16>, frames: Vec<Vec<u8>>) {
        self.add(name, frames, Flow { ethertype, vlan, ..Flow::default() });
    }

    /// A second flow in the case that was added last: it takes over the last of its frames.
    pub fn and(&mut self, describe: impl FnOnce(Flow) -> Flow) {
        let case = self.cases.last_mut().expect("a case before");
        let bytes = case.frames.last().expect("a frame").len() as u64;
        let first = &mut case.expected[0];
        first.packets -= 1;
        first.bytes -= bytes;
        let second = describe(first.clone());
        case.expected.push(Flow { packets: 1, bytes, ..second });
    }

    fn add(&mut self, name: &'static str, frames: Vec<Vec<u8>>, flow: Flow) {
        let packets = frames.len() as u64;
        let bytes = frames.iter().map(|frame| frame.len() as u64).sum();
        self.cases.push(Case { name, frames, expected: vec![Flow { packets, bytes, ..flow }] });
    }
}

fn between(source: String, destination: String, ethertype: u16) -> Flow {
    Flow {
        source_address: Some(source),
        destination_address: Some(destination),
        ethertype,
        dscp: Some(0),
        ..Flow::default()
    }
}

/// Completes a record: protocol and ports.
pub fn ports(protocol: &str, source: u16, destination: u16) -> impl FnOnce(Flow) -> Flow {
    let protocol = protocol.to_owned();
    move |flow| Flow {
        protocol: Some(protocol),
        source_port: Some(source),
        destination_port: Some(destination),
        ..flow
    }
}

/// Completes a record: TCP, with the flags of all its packets.
pub fn tcp_flags(source: u16, destination: u16, flags: u16) -> impl FnOnce(Flow) -> Flow {
    move |flow| Flow { tcp_flags: Some(flags), ..ports("tcp", source, destination)(flow) }
}

/// Completes a record: a protocol whose ports, if it has any, cannot be read.
pub fn portless(protocol: &str) -> impl FnOnce(Flow) -> Flow {
    let protocol = protocol.to_owned();
    move |flow| Flow { protocol: Some(protocol), ..flow }
}

/// Completes a record: ICMP.
pub fn icmp(protocol: &str, kind: u8, code: u8) -> impl FnOnce(Flow) -> Flow {
    let protocol = protocol.to_owned();
    move |flow| Flow { protocol: Some(protocol), icmp_type: Some(kind), icmp_code: Some(code), ..flow }
}
