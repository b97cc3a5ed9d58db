//! The packets that the arms see.

/// How packets follow on one another.
#[derive(Debug)]
pub struct Traffic {
    /// As the reader of the report knows it.
    pub name: &'static str,
    /// IPv6, else IPv4.
    pub ipv6: bool,
    /// Number of flows; the next one is drawn at random.
    pub flows: u32,
    /// Packets that follow on one another in a flow.
    pub burst: u32,
    /// The shipped program's cost, at most, as a share of the reference's.
    pub target: Option<f64>,
}

/// IPv4 and UDP.
pub const fn ipv4(name: &'static str, flows: u32, burst: u32, target: Option<f64>) -> Traffic {
    Traffic { name, ipv6: false, flows, burst, target }
}

/// IPv6 and UDP.
pub const fn ipv6(name: &'static str, flows: u32) -> Traffic {
    Traffic { name, ipv6: true, flows, burst: 1, target: None }
}

/// All patterns; the targets are those of issue 2.
pub static TRAFFIC: [Traffic; 8] = [
    ipv4("one hot flow", 1, 1, Some(0.5)),
    ipv4("1 000 flows at random", 1_000, 1, None),
    ipv4("1 000 flows in bursts of 8", 1_000, 8, None),
    ipv4("30 000 flows in bursts of 8", 30_000, 8, Some(0.75)),
    ipv4("30 000 flows at random", 30_000, 1, Some(1.0)),
    ipv4("100 000 flows at random", 100_000, 1, None),
    ipv6("IPv6, one hot flow", 1),
    ipv6("IPv6, 30 000 flows at random", 30_000),
];

/// A UDP packet of no flow in particular: the driver fills that in.
pub fn frame(ipv6: bool) -> Vec<u8> {
    if ipv6 { udp_over_ipv6() } else { udp_over_ipv4() }
}

const ETHERNET: usize = 14;
const PORT_DNS: u8 = 53;
const UDP: u8 = 17;
const HOPS: u8 = 64;

fn udp_over_ipv4() -> Vec<u8> {
    let mut frame = vec![0; 64];
    frame[12..14].copy_from_slice(&[0x08, 0x00]);
    let ip = &mut frame[ETHERNET..];
    ip[0] = 0x45;
    ip[3] = 50; // total length
    ip[8] = HOPS;
    ip[9] = UDP;
    ip[16..20].copy_from_slice(&[10, 0, 0, 1]);
    ip[20 + 3] = PORT_DNS;
    ip[20 + 5] = 30; // UDP length
    frame
}

fn udp_over_ipv6() -> Vec<u8> {
    let mut frame = vec![0; 84];
    frame[12..14].copy_from_slice(&[0x86, 0xdd]);
    let ip = &mut frame[ETHERNET..];
    ip[0] = 0x60;
    ip[5] = 30; // payload length
    ip[6] = UDP;
    ip[7] = HOPS;
    ip[8] = 0xfd;
    ip[24] = 0xfd;
    ip[39] = 1;
    ip[40 + 3] = PORT_DNS;
    ip[40 + 5] = 30; // UDP length
    frame
}
