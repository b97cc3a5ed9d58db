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
/// The router's, on that side.
pub const SERVER_GATEWAY: &str = "10.82.0.1";
/// The server's in IPv6.
pub const SERVER_IPV6: &str = "fd82::2";

const CLIENT_IPV6: &str = "fd81::2";
const CLIENT_MAC: &str = "02:00:00:00:03:02";
const SERVER_MAC: &str = "02:00:00:00:03:03";
const ROUTER_MAC: &str = "02:00:00:00:03:01";

/// Three hosts in a row; the router does nothing but pass packets on.
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
    /// Routed, with what it takes from the router to the client, and to the server, one way. Neighbours are known for
    /// good.
    pub fn new(to_client: Duration, to_server: Duration) -> Self {
        let row = Self::apart(to_client, to_server);
        row.router.sysctl("net/ipv4/ip_forward", "1");
        row.router.sysctl("net/ipv6/conf/all/forwarding", "1");
        let client_side = [(CLIENT, "10.81.0.1", 24), (CLIENT_IPV6, "fd81::1", 64)];
        let server_side = [(SERVER, SERVER_GATEWAY, 24), (SERVER_IPV6, "fd82::1", 64)];
        for (guest, device, mac, addresses) in [
            (&row.client, CLIENT_SIDE, CLIENT_MAC, client_side),
            (&row.server, SERVER_SIDE, SERVER_MAC, server_side),
        ] {
            for (own, gateway, length) in addresses {
                guest.ip(&format!("address add {own}/{length} dev {device} nodad"));
                row.router.ip(&format!("address add {gateway}/{length} dev {device} nodad"));
                guest.ip(&format!("neighbour replace {gateway} lladdr {ROUTER_MAC} dev {device}"));
                row.router.ip(&format!("neighbour replace {own} lladdr {mac} dev {device}"));
                guest.ip(&format!("route add default via {gateway} dev {device}"));
            }
        }
        row
    }

    /// The same with a bridge in the place of the router: client and server are neighbours.
    pub fn bridged(to_client: Duration, to_server: Duration) -> Self {
        let row = Self::apart(to_client, to_server);
        row.router.ip("link add br0 type bridge mcast_snooping 0");
        for device in [CLIENT_SIDE, SERVER_SIDE] {
            row.router.ip(&format!("link set {device} master br0"));
        }
        row.router.ip("link set br0 up");
        for (guest, device, own, other, mac) in [
            (&row.client, CLIENT_SIDE, [CLIENT, CLIENT_IPV6], [SERVER, SERVER_IPV6], SERVER_MAC),
            (&row.server, SERVER_SIDE, [SERVER, SERVER_IPV6], [CLIENT, CLIENT_IPV6], CLIENT_MAC),
        ] {
            for (own, other) in own.iter().zip(other) {
                guest.ip(&format!("address add {own}/8 dev {device} nodad"));
                guest.ip(&format!("neighbour replace {other} lladdr {mac} dev {device}"));
            }
        }
        row
    }

    /// Interfaces that are up and have no addresses.
    fn apart(to_client: Duration, to_server: Duration) -> Self {
        let machine = machine();
        let [client, router, server] = std::array::from_fn(|_| Namespace::new());
        let way = |guest, device, delay| {
            let terms = Terms { delay, lossy: None, narrow: None };
            Way::new([guest, &router], device, Mode::Tap, terms)
        };
        let ways = [way(&client, CLIENT_SIDE, to_client), way(&server, SERVER_SIDE, to_server)];
        for (end, device, mac) in [
            (&client, CLIENT_SIDE, CLIENT_MAC),
            (&router, CLIENT_SIDE, ROUTER_MAC),
            (&router, SERVER_SIDE, ROUTER_MAC),
            (&server, SERVER_SIDE, SERVER_MAC),
        ] {
            for (parameter, value) in [("accept_ra", "0"), ("addr_gen_mode", "1"), ("disable_ipv6", "0")] {
                end.sysctl(&format!("net/ipv6/conf/{device}/{parameter}"), value);
            }
            end.ip("link set lo up");
            end.ip(&format!("link set {device} address {mac} up"));
        }
        Self { _ways: ways, client, router, server, _machine: machine }
    }
}
