//! Two network namespaces, joined by veth pairs, for as long as the value lives.

use crate::namespace::{self, Namespace};
use anyhow::Result;
use std::net::Ipv4Addr;

/// What the namespaces' names begin with.
const NAME: &str = "weirb";

/// The veth pairs: alike, but for who watches them. Traffic can change from one to the other at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pair {
    /// Nobody.
    Native = 0,
    /// A program that does nothing, on the agent's hooks: what the hooks themselves cost.
    Empty = 1,
    /// An agent at each end: a packet passes a program on its way out and one on its way in.
    Weir = 2,
    /// An agent on both hooks of the sending end only: a packet passes the one on its way out.
    WeirAtOneEnd = 3,
}

impl Pair {
    /// All of them, by number.
    pub const ALL: [Self; 4] = [Self::Native, Self::Empty, Self::Weir, Self::WeirAtOneEnd];

    /// The interface's name at both ends.
    pub fn interface(self) -> &'static str {
        ["native0", "empty0", "weir0", "weir1"][self as usize]
    }

    /// The address of the sending (1) or receiving (2) end.
    fn address(self, end: u8) -> Ipv4Addr {
        Ipv4Addr::new(172, 31, self as u8, end)
    }

    /// The receiving end.
    pub fn receiver(self) -> Ipv4Addr {
        self.address(2)
    }

    /// The first of 2²² addresses that lead to the receiving end as well: one for each flow.
    pub fn first_destination(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 64 * self as u8, 0, 0)
    }
}

/// The two ends.
pub struct Network {
    /// Where packets come from.
    pub sender: Namespace,
    /// Where they go to.
    pub receiver: Namespace,
}

impl Network {
    /// Sets up both ends, their addresses and routes.
    pub fn new() -> Result<Self> {
        namespace::sweep(NAME);
        let network = Self { sender: Namespace::new(NAME, "a")?, receiver: Namespace::new(NAME, "b")? };
        network.sender.ip("link set lo up")?;
        network.receiver.ip("link set lo up")?;
        for pair in Pair::ALL {
            network.join(pair)?;
        }
        Ok(network)
    }

    fn join(&self, pair: Pair) -> Result<()> {
        let (interface, destinations) = (pair.interface(), pair.first_destination());
        let ends = [(&self.sender, pair.address(1)), (&self.receiver, pair.address(2))];
        let peer = self.receiver.name();
        self.sender.ip(&format!("link add {interface} type veth peer name {interface} netns {peer}"))?;
        for (end, address) in ends {
            end.ip(&format!("address add {address}/30 dev {interface}"))?;
            end.ip(&format!("link set {interface} up"))?;
        }
        self.sender.ip(&format!("route add {destinations}/10 via {}", pair.receiver()))?;
        self.receiver.ip(&format!("route add local {destinations}/10 dev lo"))
    }
}
