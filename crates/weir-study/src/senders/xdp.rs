//! Live frames (5.18): the kernel runs the generator's program on pages of its own and takes what it passes as if
//! it had come in through the far end's device. No system call per packet, no sending side at all.

use super::{Done, Generator, WINDOW};
use crate::arms::WINDOWS;
use anyhow::{Context, Result};
use libbpf_rs::ProgramInput;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use weir_kernel::{Loaded, Shared};

/// BPF_F_TEST_XDP_LIVE_FRAMES.
const LIVE_FRAMES: u32 = 1 << 1;

/// 64-bit words of `struct sender`, and which of them are the number of the next packet, the gap between packets, and when
/// the window under way began.
const SENDER: usize = 8;
const SEQUENCE: usize = 2;
const GAP: usize = 3;
const BEGAN: usize = 5;

/// Nanoseconds that the program can wait: SPINS in `traffic.bpf.c` times what reading the clock takes, at least.
const LONGEST_GAP: f64 = 50_000.0;

/// The generator's program.
pub struct Xdp {
    traffic: Arc<Loaded>,
    senders: Shared,
    windows: Shared,
    cpu: usize,
    frame: Vec<u8>,
    context: Vec<u8>,
}

impl Xdp {
    /// Frames of at most `length` bytes, let in through device `index` of the network namespace that this thread is in, from `cpu`.
    pub fn new(traffic: Arc<Loaded>, length: u16, (index, cpu): (u32, usize)) -> Result<Self> {
        // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
        let context = [0, u32::from(length), 0, index, 0, 0];
        let context = context.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let senders = Shared::new(traffic.map("senders")?, (cpu + 1) * SENDER)?;
        let windows = Shared::new(traffic.map("windows")?, (cpu + 1) * WINDOWS as usize)?;
        Ok(Self { traffic, senders, windows, cpu, frame: vec![0; usize::from(length)], context })
    }
}

impl Xdp {
    /// A word of the `struct sender` of this CPU.
    fn word(&self, number: usize) -> &AtomicU64 {
        &self.senders[self.cpu * SENDER + number]
    }

    /// Nanoseconds that a packet took in each even window of the packets from number `first` on, and in the odd one after it.
    fn windows_since(&self, first: u64) -> Vec<(f64, f64)> {
        let end = self.word(SEQUENCE).load(Ordering::Relaxed);
        let place = |window: u64| self.cpu * WINDOWS as usize + (window % u64::from(WINDOWS)) as usize;
        let took = |window| self.windows[place(window)].load(Ordering::Relaxed) as f64 / WINDOW as f64;
        let pairs = (first.div_ceil(2 * WINDOW)..).map(|pair| 2 * pair);
        // A window ends with the first packet after it.
        let whole = pairs.take_while(|even| (even + 2) * WINDOW < end);
        whole.map(|even| (took(even), took(even + 1))).collect()
    }
}

impl Generator for Xdp {
    fn send(&mut self, count: u32) -> Result<Done> {
        // The time since the last run is nobody's.
        self.word(BEGAN).store(0, Ordering::Relaxed);
        let first = self.word(SEQUENCE).load(Ordering::Relaxed);
        let input = ProgramInput {
            data_in: Some(&self.frame),
            context_in: Some(&mut self.context),
            repeat: count,
            flags: LIVE_FRAMES,
            ..Default::default()
        };
        let output = self.traffic.program("generate")?.test_run(input);
        let per_packet = output.context("the kernel does not run live frames")?.duration;
        let windows = self.windows_since(first);
        Ok(Done { packets: count.into(), time: per_packet * count, windows })
    }

    /// The program waits before each packet, as long as it may.
    fn keeps_pace(&mut self, rate: Option<f64>) -> bool {
        let gap = rate.map(|rate| 1e9 / rate.max(1.0));
        let keeps = gap.is_none_or(|gap| gap < LONGEST_GAP);
        let word = gap.filter(|_| keeps).unwrap_or(0.0) as u64;
        self.word(GAP).store(word, Ordering::Relaxed);
        keeps
    }

    /// Each run begins and ends with a grace period, about 10 ms: few and long ones. The kernel measures the
    /// time between.
    fn chunk(&self) -> (u32, u32) {
        (1 << 14, 1 << 22)
    }
}
