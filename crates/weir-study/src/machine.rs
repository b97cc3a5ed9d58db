//! The machine: what it is, and who runs where on it.

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::fs;
use std::process::{Command, Stdio};
use std::thread;

/// CPU, kernel and compiler, in one line: figures mean nothing without them.
pub fn describe() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu_model(&cpuinfo);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpus = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    format!("{model}, {cpus} CPUs, Linux {}, {}", kernel.trim(), env!("WEIR_STUDY_CLANG"))
}

/// The name in `/proc/cpuinfo`.
pub fn cpu_model(cpuinfo: &str) -> &str {
    let line = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    line.map_or("unknown CPU", |(_, name)| name.trim())
}

/// Bytes of memory.
pub fn memory() -> u64 {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Has this process, and the ones that it starts, go before whatever else the machine is busy with.
/// What they measure is noise otherwise. Where there is no renice(1), or no privilege, so be it.
pub fn go_first() {
    let mut renice = Command::new("renice");
    renice.args(["-n", "-15", "-p", &std::process::id().to_string()]);
    let _ = renice.stdout(Stdio::null()).stderr(Stdio::null()).status();
}

/// Runs `work` on a thread of its own that stays on one CPU.
pub fn on_one_cpu<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            pin_to_one_cpu()?;
            work()
        });
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Does `work` on this thread, on the last of `cpus` meanwhile and on any of them afterwards.
pub fn on_last_of<T>(cpus: &[usize], work: impl FnOnce() -> Result<T>) -> Result<T> {
    stay_on(&cpus[cpus.len().saturating_sub(1)..])?;
    let result = work();
    stay_on(cpus)?;
    result
}

/// Keeps the calling thread on one CPU, the last: the first has most of the interrupts.
pub fn pin_to_one_cpu() -> Result<()> {
    pin(|cpu, last| cpu == last)
}

/// Keeps the calling thread off that CPU, where there is another.
pub fn leave_that_cpu() -> Result<()> {
    pin(|cpu, last| cpu != last || last == 0)
}

/// The CPUs that this process may use, in order.
pub fn allowed() -> Result<Vec<usize>> {
    // Of the process, not of the thread: that may be pinned already.
    let allowed = sched_getaffinity(Pid::this()).context("cannot read the CPU affinity")?;
    Ok((0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu).unwrap_or(false)).collect())
}

/// Keeps the calling thread on these CPUs.
pub fn stay_on(cpus: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    for &cpu in cpus {
        set.set(cpu)?;
    }
    let this_thread = Pid::from_raw(0);
    sched_setaffinity(this_thread, &set).context("cannot set the CPU affinity")
}

fn pin(wanted: impl Fn(usize, usize) -> bool) -> Result<()> {
    let allowed = allowed()?;
    let last = allowed.last().copied().unwrap_or(0);
    stay_on(&allowed.into_iter().filter(|&cpu| wanted(cpu, last)).collect::<Vec<_>>())
}
