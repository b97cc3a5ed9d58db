//! Two namespaces on a bridge in a third: a packet between them crosses several interfaces of the host.

use crate::netns::Namespace;
use crate::pair::machine;
use std::sync::MutexGuard;

/// The only interface of either guest.
pub const GUEST: &str = "eth0";
/// The left guest's port of the bridge.
pub const LEFT_PORT: &str = "vethl";
/// The right guest's.
pub const RIGHT_PORT: &str = "vethr";

/// A host with two guests.
pub struct Bridged {
    /// Where the bridge is.
    pub host: Namespace,
    /// A guest.
    pub left: Namespace,
    /// Another.
    pub right: Namespace,
    _machine: MutexGuard<'static, ()>,
}

impl Bridged {
    /// IPv4 only. The guests have no addresses, and nothing speaks but what the test sends.
    #[expect(clippy::new_without_default, reason = "it has effects outside the process")]
    pub fn new() -> Self {
        let machine = machine();
        let [host, left, right] = std::array::from_fn(|_| Namespace::new());
        host.ip("link add br0 type bridge mcast_snooping 0");
        for (guest, port) in [(&left, LEFT_PORT), (&right, RIGHT_PORT)] {
            host.ip(&format!("link add {port} type veth peer name {GUEST} netns {}", guest.name()));
            host.ip(&format!("link set {port} master br0 up"));
            guest.ip(&format!("link set {GUEST} up"));
        }
        host.ip("link set br0 up");
        Self { host, left, right, _machine: machine }
    }
}
