//! A long way between two namespaces: what leaves one device comes out of the other one later, slower, or not at all.

use crate::netns::Namespace;
use crate::pair::machine;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, MutexGuard};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};
use tun_tap::{Iface, Mode};

/// The device in either namespace.
pub const DEVICE: &str = "weirp0";
/// The near end's address.
pub const NEAR: &str = "10.78.0.1";
/// The far end's address.
pub const FAR: &str = "10.78.0.2";

/// A bare acknowledgement is shorter.
const WITH_DATA: usize = 200;
const LONGEST: usize = 2000;

/// What the way does to what is sent from near to far; back it only takes as long.
#[derive(Clone, Copy)]
pub struct Terms {
    /// One way.
    pub delay: Duration,
    /// Of packets with data, one in so many is dropped.
    pub lossy: Option<usize>,
    /// Bits a second, and how long a packet waits for its turn at most before it is dropped.
    pub narrow: Option<(u64, Duration)>,
}

impl Terms {
    /// Only far.
    pub fn far(milliseconds: u64) -> Self {
        Self { delay: Duration::from_millis(milliseconds), lossy: None, narrow: None }
    }
}

/// The way, with a host at each end.
pub struct Path {
    _way: Way,
    /// The end from which losses and a narrow link are met.
    pub near: Namespace,
    /// The other one.
    pub far: Namespace,
    _machine: MutexGuard<'static, ()>,
}

/// What carries packets between two devices of one name.
pub(crate) struct Way {
    ends: [String; 2],
    device: &'static str,
    threads: Vec<JoinHandle<()>>,
}

impl Path {
    /// IPv4 only. TCP at both ends is the textbook's.
    pub fn new(terms: Terms) -> Self {
        let machine = machine();
        let (near, far) = (Namespace::new(), Namespace::new());
        let way = Way::new([&near, &far], DEVICE, Mode::Tun, terms);
        for (end, address) in [(&near, NEAR), (&far, FAR)] {
            end.sysctl("net/ipv4/tcp_congestion_control", "reno");
            end.ip(&format!("address add {address}/24 dev {DEVICE}"));
            end.ip("link set lo up");
            end.ip(&format!("link set {DEVICE} up"));
        }
        Self { _way: way, near, far, _machine: machine }
    }
}

impl Way {
    /// Devices that are down and have no addresses; terms are met from the first end.
    pub fn new(ends: [&Namespace; 2], device: &'static str, mode: Mode, terms: Terms) -> Self {
        let [a, b] = ends.map(|end| {
            let made = end.enter(|| Iface::without_packet_info(device, mode)).expect("a tun device");
            end.ip(&format!("link set {device} txqueuelen 5000"));
            Arc::new(made)
        });
        let back = Terms { lossy: None, narrow: None, ..terms };
        let mut threads = Vec::new();
        for (from, to, terms) in [(Arc::clone(&a), Arc::clone(&b), terms), (b, a, back)] {
            let (sender, receiver) = channel();
            threads.push(std::thread::spawn(move || take(&from, &sender, terms)));
            threads.push(std::thread::spawn(move || give(&to, &receiver)));
        }
        Self { ends: ends.map(|end| end.name().to_owned()), device, threads }
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        // Who reads a device that is gone is told so.
        for end in &self.ends {
            let _ = Command::new("ip").args(["-n", end, "link", "delete", self.device]).output();
        }
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

type Packet = (Instant, Vec<u8>);

fn take(from: &Iface, to: &Sender<Packet>, terms: Terms) {
    let (mut buffer, mut with_data, mut free) = ([0; LONGEST], 0, Instant::now());
    while let Ok(length) = from.recv(&mut buffer) {
        let now = Instant::now();
        with_data += usize::from(length > WITH_DATA);
        if length > WITH_DATA && terms.lossy.is_some_and(|one_in| with_data % one_in == 0) {
            continue;
        }
        free = free.max(now);
        if let Some((rate, patience)) = terms.narrow {
            if free - now > patience {
                continue;
            }
            free += Duration::from_nanos(length as u64 * 8 * 1_000_000_000 / rate);
        }
        let _ = to.send((free + terms.delay, buffer[..length].to_vec()));
    }
}

fn give(to: &Iface, from: &Receiver<Packet>) {
    for (due, packet) in from {
        sleep(due.saturating_duration_since(Instant::now()));
        // A full device drops, as any does.
        let _ = to.send(&packet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_a_path_carries_packets_late() {
        let path = Path::new(Terms::far(20));
        let said = path.near.run("ping", &["-c", "3", "-i", "0.2", FAR]);
        let best =
            said.lines().find_map(|line| line.strip_prefix("rtt min/avg/max/mdev = ")?.split('/').next());
        let best: f64 = best.and_then(|best| best.parse().ok()).expect("three answers");
        assert!((40.0..60.0).contains(&best), "{said}");
    }
}
