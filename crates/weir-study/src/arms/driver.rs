//! Has the kernel run packets through an arm, and tells how long one took.

use anyhow::{Context, Result};
use libbpf_rs::{MapCore, MapFlags, MapHandle, ProgramInput, ProgramMut};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::Ordering;
use std::time::Instant;
use weir_kernel::Loaded;

/// Packets of flows that are drawn at random.
#[derive(Debug, Clone, Copy)]
pub struct Drawn {
    /// How many there are.
    pub flows: u32,
    /// Packets that follow on one another in a flow.
    pub burst: u32,
    /// IPv6, else IPv4.
    pub ipv6: bool,
}

/// One pattern of traffic, aimed at one program at a time.
pub struct Driver<'harness> {
    program: ProgramMut<'harness>,
    target: MapHandle,
    frame: Vec<u8>,
}

impl<'harness> Driver<'harness> {
    /// The driver in `harness`, set to `drawn`.
    pub fn drawing(harness: &'harness Loaded, drawn: Drawn) -> Result<Self> {
        harness.global_word("flows")?.store(drawn.flows, Ordering::Relaxed);
        harness.global_word("burst")?.store(drawn.burst, Ordering::Relaxed);
        Self::along(harness, drawn.ipv6)
    }

    /// The driver in a `harness` that knows its flows.
    pub fn along(harness: &'harness Loaded, ipv6: bool) -> Result<Self> {
        let program = harness.program(if ipv6 { "drive_ipv6" } else { "drive_ipv4" })?;
        let target = MapHandle::try_from(&harness.find_map("target")?)?;
        Ok(Self { program, target, frame: frame(ipv6) })
    }

    /// From now on `arm` gets the packets.
    pub fn aim_at(&self, arm: &ProgramMut<'_>) -> Result<()> {
        let descriptor = arm.as_fd().as_raw_fd().to_ne_bytes();
        self.target
            .update(&0u32.to_ne_bytes(), &descriptor, MapFlags::ANY)
            .with_context(|| format!("cannot drive {}", arm.name().to_string_lossy()))
    }

    /// Sends `packets`; nanoseconds per packet, driver and the call itself included. The kernel tells them too,
    /// in whole numbers.
    pub fn run(&self, packets: u32) -> Result<f64> {
        let input = ProgramInput { data_in: Some(&self.frame), repeat: packets, ..Default::default() };
        let start = Instant::now();
        self.program.test_run(input).context("BPF_PROG_TEST_RUN failed")?;
        Ok(start.elapsed().as_nanos() as f64 / f64::from(packets))
    }
}

/// A UDP packet of no flow in particular: the driver fills that in.
fn frame(ipv6: bool) -> Vec<u8> {
    if ipv6 { udp_over_ipv6() } else { udp_over_ipv4() }
}

const ETHERNET: usize = 14;
const PORT_DNS: u8 = 53;
const UDP: u8 = 17;
const HOPS: u8 = 64;

fn udp_over_ipv4() -> Vec<u8> {
    let mut frame = vec![0; 64];
    frame[12..14].copy_from_slice(&[0x08, 0x00]);
    let ip = &mut frame[ETHERNET..];
    ip[0] = 0x45;
    ip[3] = 50; // total length
    ip[8] = HOPS;
    ip[9] = UDP;
    ip[16..20].copy_from_slice(&[10, 0, 0, 1]);
    ip[20 + 3] = PORT_DNS;
    ip[20 + 5] = 30; // UDP length
    frame
}

fn udp_over_ipv6() -> Vec<u8> {
    let mut frame = vec![0; 84];
    frame[12..14].copy_from_slice(&[0x86, 0xdd]);
    let ip = &mut frame[ETHERNET..];
    ip[0] = 0x60;
    ip[5] = 30; // payload length
    ip[6] = UDP;
    ip[7] = HOPS;
    ip[8] = 0xfd;
    ip[24] = 0xfd;
    ip[39] = 1;
    ip[40 + 3] = PORT_DNS;
    ip[40 + 5] = 30; // UDP length
    frame
}
