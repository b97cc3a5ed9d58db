//! The packets that the arms see.

use crate::arms::Drawn;

/// How packets follow on one another.
#[derive(Debug)]
pub struct Traffic {
    /// As the reader of the report knows it.
    pub name: &'static str,
    /// Which packets.
    pub drawn: Drawn,
    /// The shipped program's cost, at most, as a share of the reference's.
    pub target: Option<f64>,
}

/// IPv4 and UDP.
pub const fn ipv4(name: &'static str, flows: u32, burst: u32, target: Option<f64>) -> Traffic {
    Traffic { name, drawn: Drawn { flows, burst, ipv6: false }, target }
}

/// IPv6 and UDP.
pub const fn ipv6(name: &'static str, flows: u32) -> Traffic {
    Traffic { name, drawn: Drawn { flows, burst: 1, ipv6: true }, target: None }
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
