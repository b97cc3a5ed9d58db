//! The drops probe: packets that the kernel throws away, and its reasons.
//!
//! The kernel half is `drops.bpf.c`. It counts by flow, reason, place in the code and interface, in one of two generations.
//! User space has it change to the other one, waits until nobody can be in the first any more, and reads that: each drop
//! is in one of them, and read once.

use std::sync::atomic::Ordering;
use weir_kernel::{
    After, Batch, DropCount, DropKey, GracePeriod, Loaded, Opened, Result, Traced, stats,
    tracepoint_arguments,
};

/// The object itself, to try its program.
pub const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/drops.bpf.o"));

/// The program that runs, by name.
pub const PROGRAM: &str = "weir_dropped";

/// Of the kernel's [`TRACEPOINT`]: with as many arguments it gives a reason (5.17).
const WITH_REASON: u32 = 3;
const TRACEPOINT: &str = "kfree_skb";

/// The maps of one generation, and the number of elements in them.
struct Generation {
    used: &'static str,
    maps: [Batch; 2],
}

/// The probe, attached.
pub struct Drops {
    loaded: Loaded,
    generations: [Generation; 2],
    epoch: u32,
    grace: GracePeriod,
    arguments: u32,
    _attached: Traced,
}

impl Drops {
    /// Loads and attaches it.
    ///
    /// # Errors
    /// The kernel's refusal: it takes `tp_btf` programs (5.5).
    pub fn attach() -> Result<Self> {
        let arguments = tracepoint_arguments(TRACEPOINT)?;
        let mut opened = Opened::new("drops", OBJECT)?;
        opened.set_constant("arguments_known", arguments)?;
        let loaded = opened.load()?;
        let generation = |used, flows, places| -> Result<_> {
            Ok(Generation { used, maps: [Batch::of(&loaded, flows)?, Batch::of(&loaded, places)?] })
        };
        let generations = [
            generation("used_even", "flows_even", "places_even")?,
            generation("used_odd", "flows_odd", "places_odd")?,
        ];
        let grace = GracePeriod::new()?;
        let attached = loaded.trace(PROGRAM)?;
        Ok(Self { loaded, generations, epoch: 0, grace, arguments, _attached: attached })
    }

    /// Whether the kernel gives reasons.
    pub fn gives_reasons(&self) -> bool {
        self.arguments >= WITH_REASON
    }

    /// The object itself, for its statistics.
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// Elements that wait to be read; they are dropped packets of one kind each.
    ///
    /// # Errors
    /// There is no such counter.
    pub fn waiting(&self) -> Result<u32> {
        Ok(self.loaded.global_word(self.generation().used)?.load(Ordering::Relaxed))
    }

    /// Hands all that was dropped since the last time to `visit`. Where nothing was it costs nothing, otherwise a grace
    /// period. How many elements there were.
    ///
    /// # Errors
    /// The kernel refuses to be read.
    pub fn drain(&mut self, mut visit: impl FnMut(&DropKey, &DropCount)) -> Result<usize> {
        if self.waiting()? == 0 {
            return Ok(0);
        }
        let left = self.epoch;
        self.epoch = left.wrapping_add(1);
        self.loaded.global_word("epoch")?.store(self.epoch, Ordering::Release);
        self.grace.wait()?;
        let generation = &mut self.generations[(left & 1) as usize];
        self.loaded.global_word(generation.used)?.store(0, Ordering::Relaxed);
        let mut total = 0;
        for map in &mut generation.maps {
            total += map.read_as(After::Delete, &mut visit)?;
        }
        Ok(total)
    }

    /// Packets that could not be counted, since the start: there was no room, or one was dropped while the CPU was
    /// counting another.
    ///
    /// # Errors
    /// There is no such counter.
    pub fn lost(&self) -> Result<u64> {
        let lost: u64 = self.loaded.global_value("lost_drops")?;
        Ok(lost + stats::misses_of(&self.loaded, PROGRAM).unwrap_or(0))
    }

    fn generation(&self) -> &Generation {
        &self.generations[(self.epoch & 1) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use weir_kernel::{DROP_IP, DROP_PORTS, drop_reasons};

    #[test]
    fn root_each_packet_for_a_closed_port_is_counted_with_the_reason() {
        let mut probe = Drops::attach().expect("the kernel takes it");
        let reasons = drop_reasons().expect("the kernel has type information");
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let closed = UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
        for round in 1..=3_u64 {
            for _ in 0..round {
                // What came back from the last one is an error of the next.
                assert!((0..3).any(|_| socket.send_to(&[7; 100], closed).is_ok()));
            }
            let mut told = Vec::new();
            probe
                .drain(|key, count| {
                    if u32::from(key.marks) & DROP_PORTS != 0 && key.destination_port == closed.port() {
                        told.push((*key, *count));
                    }
                })
                .expect("it can be read");
            let [(key, count)] = told[..] else { panic!("{told:?}") };
            assert_eq!((count.packets, count.bytes), (round, round * 128));
            assert_eq!(reasons.get(&key.reason).map(String::as_str), Some("NO_SOCKET"));
            assert_eq!(
                (key.ethertype, key.protocol, u32::from(key.marks)),
                (0x0800, 17, DROP_IP | DROP_PORTS)
            );
            assert_eq!(key.source_port, socket.local_addr().expect("bound").port());
            assert_eq!(key.source[1].to_ne_bytes(), [0, 0, 255, 255, 127, 0, 0, 1]);
            assert_eq!((key.netns, key.ifindex), (crate::flows::own_netns(), 1), "lo");
        }
        assert_eq!(probe.lost().expect("it is there"), 0);
    }
}
