//! Who is in the demo and where: hosts, addresses, and the names under which all of it can be found.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// Where named network namespaces are.
pub const NAMESPACES: &str = "/run/netns";
/// What belongs to a demo begins with this; the demo's process id follows.
pub const PREFIX: &str = "weir-demo-";

/// One host: a network namespace with one interface, `eth0`.
#[derive(Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name, also that of the switch's port that it hangs on.
    pub name: &'static str,
    /// From TEST-NET-1 (RFC 5737), which nobody uses.
    pub address: Ipv4Addr,
}

const fn host(name: &'static str, last: u8) -> Host {
    Host { name, address: Ipv4Addr::new(192, 0, 2, last) }
}

/// Fetches pages and asks the database.
pub const CLIENT_1: Host = host("client-1", 11);
/// Fetches a film, over the lossy line.
pub const CLIENT_2: Host = host("client-2", 12);
/// Serves pages.
pub const WEB: Host = host("web", 80);
/// The database.
pub const DB: Host = host("db", 63);
/// Resolves names.
pub const DNS: Host = host("dns", 53);
/// Tries which ports are open.
pub const SCANNER: Host = host("scanner", 66);

/// Everybody.
pub const HOSTS: [Host; 6] = [CLIENT_1, CLIENT_2, SCANNER, WEB, DB, DNS];

/// The host at an address.
pub fn at(address: std::net::IpAddr) -> Option<&'static Host> {
    HOSTS.iter().find(|host| host.address == address)
}

/// What the DNS server knows.
pub const NAMES: [(&str, Ipv4Addr); 2] = [("web.test", WEB.address), ("db.test", DB.address)];

/// Pages, and how long they are.
pub const PAGES: [(&str, usize); 2] = [("index.html", 2_000), ("film", 512 << 10)];

/// Ports of the servers.
pub const WEB_PORT: u16 = 80;
/// That of redis.
pub const DB_PORT: u16 = 6379;
/// That of DNS.
pub const DNS_PORT: u16 = 53;
/// The last port that the scanner tries.
pub const LAST_SCANNED: u16 = 1024;

/// One demo among others, told apart by its process id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    /// Of the `weir demo` that it belongs to.
    pub pid: u32,
}

impl Stage {
    /// The stage of this process.
    pub fn own() -> Self {
        Self { pid: std::process::id() }
    }

    /// The stage that a namespace or a directory belongs to, by its name.
    pub fn of(name: &str) -> Option<Self> {
        let pid = name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()?;
        Some(Self { pid })
    }

    /// The namespace of a host, or of the router.
    pub fn namespace(self, name: &str) -> String {
        format!("{PREFIX}{}-{name}", self.pid)
    }

    /// The namespace that the switches are in.
    pub fn router(self) -> String {
        self.namespace("router")
    }

    /// All namespaces of this demo.
    pub fn namespaces(self) -> impl Iterator<Item = String> {
        std::iter::once(self.router()).chain(HOSTS.iter().map(move |host| self.namespace(host.name)))
    }

    /// Where the servers find their files, and leave their last words.
    pub fn directory(self) -> PathBuf {
        Path::new("/run").join(format!("{PREFIX}{}", self.pid))
    }

    /// Whether its demo still runs. A process id is used again: the process must be a `weir demo`.
    pub fn is_alive(self) -> bool {
        std::fs::read(format!("/proc/{}/cmdline", self.pid))
            .is_ok_and(|line| line.split(|byte| *byte == 0).skip(1).any(|word| word == b"demo"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_whose_it_is() {
        let stage = Stage { pid: 4711 };
        for name in stage.namespaces() {
            assert_eq!(Stage::of(&name), Some(stage), "{name}");
        }
        let directory = stage.directory();
        assert_eq!(Stage::of(directory.file_name().and_then(|name| name.to_str()).unwrap()), Some(stage));
        for other in ["weir-demo-", "weir-demo-blue", "weirt-4711-0", "demo", "weir-demo--1"] {
            assert_eq!(Stage::of(other), None, "{other}");
        }
    }

    #[test]
    fn a_process_that_is_no_demo_is_not_alive() {
        // Above the kernel's largest process id, so nobody has it.
        assert!(!Stage { pid: 99_999_999 }.is_alive());
        assert!(!Stage::own().is_alive(), "this is a test, not a demo");
    }
}
