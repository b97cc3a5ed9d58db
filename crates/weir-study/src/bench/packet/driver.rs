//! Has the kernel run packets through an arm, and tells how long one took.

use super::traffic::{Traffic, frame};
use anyhow::{Context, Result};
use libbpf_rs::{MapCore, MapFlags, MapHandle, ProgramInput, ProgramMut};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::Ordering;
use weir_kernel::Loaded;

/// One pattern of traffic, aimed at one arm at a time.
pub struct Driver<'harness> {
    program: ProgramMut<'harness>,
    target: MapHandle,
    frame: Vec<u8>,
}

impl<'harness> Driver<'harness> {
    /// The driver in `harness`, set to `traffic`.
    pub fn new(harness: &'harness Loaded, traffic: &Traffic) -> Result<Self> {
        harness.global_word("flows")?.store(traffic.flows, Ordering::Relaxed);
        harness.global_word("burst")?.store(traffic.burst, Ordering::Relaxed);
        Self::along(harness, traffic.ipv6)
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

    /// Sends `packets`; nanoseconds per packet, driver included, to the nearest.
    pub fn run(&self, packets: u32) -> Result<f64> {
        let input = ProgramInput { data_in: Some(&self.frame), repeat: packets, ..Default::default() };
        let output = self.program.test_run(input).context("BPF_PROG_TEST_RUN failed")?;
        Ok(output.duration.as_nanos() as f64)
    }
}
