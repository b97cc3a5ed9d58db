//! What the end-to-end tests in `tests/` stand on. They know the `weir` binary only from the
//! outside: its command line, its JSON and its exit status; the truth they hold it to comes
//! from the kernel's own counters and from what they sent.
//!
//! Everything happens in network namespaces made for one test and removed after it. Every
//! test needs root and says so when it is not.
#![forbid(unsafe_code)]

pub mod agent;
pub mod api_server;
pub mod bpffs;
pub mod bridge;
pub mod chdb;
pub mod clients;
pub mod control;
pub mod conversation;
pub mod dig;
pub mod disk;
pub mod dns;
pub mod docker;
pub mod duckdb;
pub mod flood;
pub mod folder;
pub mod forwarded;
pub mod frames;
pub mod frames_ipv6;
pub mod groups;
pub mod history;
pub mod http;
pub mod inject;
pub mod iperf;
pub mod ipfix;
pub mod lines;
pub mod lookups;
pub mod meanwhile;
pub mod mmdb;
pub mod netns;
pub mod oci;
pub mod output;
pub mod pair;
pub mod path;
pub mod peer;
pub mod python;
pub mod queues;
pub mod router;
pub mod servers;
pub mod shell;
pub mod sockets;
pub mod ss;
pub mod terminal;
pub mod trace;
pub mod wire;
pub mod witness;
pub mod workload;

use std::iter;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// More than one of the kernel's ticks, and what a busy machine adds to it: what happens after so long has a later time.
pub const TICKS: Duration = Duration::from_millis(50);

/// Asks `probe` every 10 ms until it answers; panics, naming `what`, after `timeout`.
pub fn wait_for<T>(what: &str, timeout: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}: not within {timeout:?}");
        sleep(Duration::from_millis(10));
    }
}

/// A port of the loopback that nobody has, and that no connection gets by chance.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let port = || {
        let number = std::process::id().wrapping_mul(31).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        10_000 + (number % 20_000) as u16
    };
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    iter::repeat_with(port).take(1000).find(is_free).expect("a port")
}
