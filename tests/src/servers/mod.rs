//! Servers as Debian has them, each of a test's own: in its namespace, with its files in a folder that goes with it.

pub mod nfcapd;
pub mod nginx;
pub mod postgres;
pub mod prometheus;
pub mod redis;
pub mod unbound;

use crate::netns::Namespace;
use crate::wait_for;
use std::collections::BTreeMap;
use std::time::Duration;

/// Waits until somebody listens on the port, as `ss` with these flags shows it.
fn wait_for_port(namespace: &Namespace, flags: &str, port: u16) {
    wait_for("the server listens", Duration::from_secs(30), || {
        namespace.run("ss", &[flags]).contains(&format!(":{port} ")).then_some(())
    });
}

/// Which process served which client, by the client's port, as a server's own log has it.
pub type Served = BTreeMap<u64, u64>;
