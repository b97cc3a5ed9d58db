//! A client and a backend, and between them a host that translates addresses (NAT).

use crate::conversation::{Conversation, End};
use crate::netns::Namespace;
use crate::pair::machine;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::MutexGuard;

/// The client's address.
pub const CLIENT: &str = "10.1.0.2";
/// The router's own, towards the backend.
pub const ROUTER: &str = "10.2.0.1";
/// Where the backend is.
pub const BACKEND: &str = "10.2.0.2";
/// Where it is, too.
pub const OTHER_BACKEND: &str = "10.2.0.3";
/// What the client asks for; nobody has it.
pub const SERVICE: &str = "10.96.0.10";
/// The same in IPv6.
pub const CLIENT_IPV6: &str = "fd01::2";
/// The same in IPv6.
pub const BACKEND_IPV6: &str = "fd02::2";
/// The same in IPv6.
pub const SERVICE_IPV6: &str = "fd96::10";

const CLIENT_MAC: &str = "02:00:00:00:01:02";
const CLIENT_SIDE_MAC: &str = "02:00:00:00:01:01";
const BACKEND_MAC: &str = "02:00:00:00:02:02";
const BACKEND_SIDE_MAC: &str = "02:00:00:00:02:01";

/// Three hosts in a row.
pub struct Routed {
    /// Who asks.
    pub client: Namespace,
    /// Who translates.
    pub router: Namespace,
    /// Who answers.
    pub backend: Namespace,
    _machine: MutexGuard<'static, ()>,
}

/// The interface between client and router, at both ends. No other test on this machine uses the name.
pub fn client_side() -> String {
    format!("w{}c", std::process::id())
}

/// The interface between router and backend, at both ends.
pub fn backend_side() -> String {
    format!("w{}b", std::process::id())
}

impl Routed {
    /// The service's port 80 leads to the backend's 8080, its 53 to 5353; what leaves for the backend has the
    /// router's address. Nothing speaks but what the test sends.
    #[expect(clippy::new_without_default, reason = "it has effects outside the process")]
    pub fn new() -> Self {
        let machine = machine();
        let [client, router, backend] = std::array::from_fn(|_| Namespace::new());
        for (guest, name, macs) in [
            (&client, client_side(), (CLIENT_SIDE_MAC, CLIENT_MAC)),
            (&backend, backend_side(), (BACKEND_SIDE_MAC, BACKEND_MAC)),
        ] {
            router.ip(&format!(
                "link add {name} address {} type veth peer name {name} address {} netns {}",
                macs.0,
                macs.1,
                guest.name()
            ));
            for end in [&router, guest] {
                for (parameter, value) in [("accept_ra", "0"), ("addr_gen_mode", "1"), ("disable_ipv6", "0")]
                {
                    end.sysctl(&format!("net/ipv6/conf/{name}/{parameter}"), value);
                }
                end.ip("link set lo up");
                end.ip(&format!("link set {name} up"));
            }
        }
        let routed = Self { client, router, backend, _machine: machine };
        routed.address();
        routed.router.sysctl("net/ipv4/ip_forward", "1");
        routed.router.sysctl("net/ipv6/conf/all/forwarding", "1");
        routed.translate_to(BACKEND);
        routed
    }

    /// Turns IPv6 off: the kernel tells of the groups that it joins when it likes, and a test that looks at totals would see it.
    pub fn only_ipv4(&self) {
        for host in [&self.client, &self.router, &self.backend] {
            host.sysctl("net/ipv6/conf/all/disable_ipv6", "1");
        }
    }

    fn address(&self) {
        let Self { client, router, backend, .. } = self;
        let hosts = [
            (client, client_side(), CLIENT_SIDE_MAC, [CLIENT, "10.1.0.1", CLIENT_IPV6, "fd01::1"]),
            (backend, backend_side(), BACKEND_SIDE_MAC, [BACKEND, ROUTER, BACKEND_IPV6, "fd02::1"]),
        ];
        for (guest, name, mac, [own, gateway, own_ipv6, gateway_ipv6]) in hosts {
            for (end, address, address_ipv6) in [(guest, own, own_ipv6), (router, gateway, gateway_ipv6)] {
                end.ip(&format!("address add {address}/24 dev {name}"));
                end.ip(&format!("address add {address_ipv6}/64 dev {name} nodad"));
            }
            for gateway in [gateway, gateway_ipv6] {
                guest.ip(&format!("neighbour replace {gateway} lladdr {mac} dev {name} nud permanent"));
                guest.ip(&format!("route add default via {gateway} dev {name}"));
            }
        }
        backend.ip(&format!("address add {OTHER_BACKEND}/24 dev {}", backend_side()));
        let known = [
            (client_side(), CLIENT_MAC, [CLIENT, CLIENT_IPV6].as_slice()),
            (backend_side(), BACKEND_MAC, &[BACKEND, OTHER_BACKEND, BACKEND_IPV6]),
        ];
        for (name, mac, addresses) in known {
            for address in addresses {
                router.ip(&format!("neighbour replace {address} lladdr {mac} dev {name} nud permanent"));
            }
        }
    }

    /// The service is at `backend` from now on.
    pub fn translate_to(&self, backend: &str) {
        let table = |family: &str, address: &str, service: &str, backend: &str| {
            let rules = format!(
                "{address} daddr {service} tcp dport 80 dnat to {backend}:8080\n\
                 {address} daddr {service} udp dport 53 dnat to {backend}:5353\n"
            );
            format!(
                "add table {family} nat\ndelete table {family} nat\ntable {family} nat {{\n\
                 chain pre {{\ntype nat hook prerouting priority -100\n{rules}}}\n\
                 chain out {{\ntype nat hook output priority -100\n{rules}}}\n\
                 chain post {{\ntype nat hook postrouting priority 100\noifname \"{}\" masquerade\n}}\n}}\n",
                backend_side()
            )
        };
        let rules = table("ip", "ip", SERVICE, backend)
            + &table("ip6", "ip6", SERVICE_IPV6, &format!("[{BACKEND_IPV6}]"));
        self.router.enter(|| {
            let mut nft =
                Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().expect("nftables");
            nft.stdin.take().expect("a pipe").write_all(rules.as_bytes()).expect("it reads");
            assert!(nft.wait().expect("it ends").success(), "{rules}");
        });
    }

    /// What the router's conntrack says of the connection from this port.
    pub fn tracked(&self, protocol: &str, port: u16) -> Tracked {
        let listed = ["ipv4", "ipv6"].map(|family| {
            self.router
                .run("conntrack", &["-L", "-f", family, "-p", protocol, "--orig-port-src", &port.to_string()])
        });
        let lines = listed.concat();
        let mut lines = lines.lines();
        let line = lines.next().unwrap_or_else(|| panic!("conntrack knows nothing of {port}"));
        assert_eq!(lines.next(), None);
        Tracked::read(line)
    }
}

/// A connection's two tuples, as `conntrack -L` shows them: source and destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracked {
    /// What the first packet said.
    pub original: (End, End),
    /// What its answers say before they are translated back.
    pub reply: (End, End),
}

impl Tracked {
    fn read(line: &str) -> Self {
        let all = |name: &str| -> Vec<String> {
            line.split(' ').filter_map(|word| word.strip_prefix(name)).map(str::to_owned).collect()
        };
        let addresses = [all("src="), all("dst=")];
        let ports = [all("sport="), all("dport=")];
        let end = |side: usize, tuple: usize| {
            let port = ports[side][tuple].parse().expect("a port");
            (Some(addresses[side][tuple].clone()), Some(port))
        };
        Self { original: (end(0, 0), end(1, 0)), reply: (end(0, 1), end(1, 1)) }
    }

    /// Whether a record says the same.
    pub fn assert_is(&self, record: &Conversation) {
        assert_eq!((&record.source, &record.destination), (&self.original.0, &self.original.1), "{record:?}");
        let translated = (&record.translated_source, &record.translated_destination);
        assert_eq!(translated, (&self.reply.1, &self.reply.0), "{record:?}");
    }
}
