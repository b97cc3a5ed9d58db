//! What the kernel has for whoever takes datagrams.

use std::fs;

/// How much waits for whoever listens at a port, as /proc/net/udp has that; none as long as nobody does.
pub fn waiting(port: u16) -> Option<String> {
    let sockets = fs::read_to_string("/proc/net/udp").ok()?;
    let local = format!(":{port:04X}");
    let columns = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let of_it = |columns: &Vec<&str>| columns.get(1).is_some_and(|address| address.ends_with(&local));
    let queues = columns.filter(of_it).find_map(|columns| columns.get(4).copied().map(String::from))?;
    queues.split_once(':').map(|(_, received)| received.to_owned())
}
