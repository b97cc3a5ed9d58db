//! A client, a router and a server in a row, each a long way from the next.

use crate::netns::Namespace;
use crate::pair::machine;
use crate::path::{Terms, Way};
use std::sync::MutexGuard;
use std::time::Duration;
use tun_tap::Mode;

/// The interface between client and router, at both ends.
pub const CLIENT_SIDE: &str = "weirc0";
/// The interface between router and server, at both ends.
pub const SERVER_SIDE: &str = "weirs0";
/// The client's address.
pub const CLIENT: &str = "10.81.0.2";
/// The server's address.
pub const SERVER: &str = "10.82.0.2";
/// The same in IPv6.
pub const SERVER_IPV6: &str = "fd82::2";

const CLIENT_IPV6: &str = "fd81::2";

/// Three hosts in a row; the router does nothing but route.
pub struct Forwarded {
    _ways: [Way; 2],
    /// Who asks.
    pub client: Namespace,
    /// Who forwards.
    pub router: Namespace,
    /// Who answers.
    pub server: Namespace,
    _machine: MutexGuard<'static, ()>,
}

impl Forwarded {
    /// With what it takes from the router to the client, and to the server, one way. Neighbours are known for good.
    pub fn new(to_client: Duration, to_server: Duration) -> Self {
        let machine = machine();
        let [client, router, server] = std::array::from_fn(|_| Namespace::new());
        router.sysctl("net/ipv4/ip_forward", "1");
        router.sysctl("net/ipv6/conf/all/forwarding", "1");
        let way = |guest, device, delay| {
            let terms = Terms { delay, lossy: None, narrow: None };
            Way::new([guest, &router], device, Mode::Tap, terms)
        };
        let ways = [way(&client, CLIENT_SIDE, to_client), way(&server, SERVER_SIDE, to_server)];
        let client_side = [(CLIENT, "10.81.0.1", 24), (CLIENT_IPV6, "fd81::1", 64)];
        let server_side = [(SERVER, "10.82.0.1", 24), (SERVER_IPV6, "fd82::1", 64)];
        for (guest, device, addresses) in
            [(&client, CLIENT_SIDE, client_side), (&server, SERVER_SIDE, server_side)]
        {
            for (end, mac) in [(guest, "02:00:00:00:03:02"), (&router, "02:00:00:00:03:01")] {
                for (parameter, value) in [("accept_ra", "0"), ("addr_gen_mode", "1"), ("disable_ipv6", "0")]
                {
                    end.sysctl(&format!("net/ipv6/conf/{device}/{parameter}"), value);
                }
                end.ip("link set lo up");
                end.ip(&format!("link set {device} address {mac} up"));
            }
            for (own, gateway, length) in addresses {
                guest.ip(&format!("address add {own}/{length} dev {device} nodad"));
                router.ip(&format!("address add {gateway}/{length} dev {device} nodad"));
                guest.ip(&format!("neighbour replace {gateway} lladdr 02:00:00:00:03:01 dev {device}"));
                router.ip(&format!("neighbour replace {own} lladdr 02:00:00:00:03:02 dev {device}"));
                guest.ip(&format!("route add default via {gateway} dev {device}"));
            }
        }
        Self { _ways: ways, client, router, server, _machine: machine }
    }
}
