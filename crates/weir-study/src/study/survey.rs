//! What the machine is, and what cannot be measured on it.

use crate::machine;
use crate::results::Machine;
use std::collections::BTreeSet;
use std::fs;

/// Looks around.
pub fn survey(cpus: &[usize]) -> Machine {
    let cpuinfo = read("/proc/cpuinfo").unwrap_or_default();
    let virtual_machine = flags(&cpuinfo).any(|flag| flag == "hypervisor");
    let mut machine = Machine {
        cpu: machine::cpu_model(&cpuinfo).into(),
        cpus: cpus.len() as u32,
        siblings: siblings(cpus),
        memory: machine::memory(),
        kernel: read("/proc/sys/kernel/osrelease").unwrap_or_default(),
        mitigations: mitigations(),
        hypervisor: virtual_machine.then(hypervisor),
        governor: read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        jit: read("/proc/sys/net/core/bpf_jit_enable").is_none_or(|word| word != "0"),
        compiler: env!("WEIR_STUDY_CLANG").into(),
        limits: Vec::new(),
    };
    machine.limits = limits(&machine);
    machine
}

fn limits(machine: &Machine) -> Vec<String> {
    let mut limits = Vec::new();
    let cores = machine.siblings.len();
    if machine.cpus < 4 {
        limits.push(format!(
            "With {} CPUs no more than {} can send while another reads: how arms behave when many CPUs write to \
             one map at once (contention) cannot be measured here.",
            machine.cpus,
            machine.cpus.saturating_sub(1).max(1)
        ));
    }
    if cores < machine.cpus as usize {
        limits.push(format!(
            "The {} CPUs are threads of {cores} {}: a line of memory that two of them write never leaves the core, \
             so that contention between siblings is cheaper than between cores; and a busy consumer slows down the \
             sender beside it.",
            machine.cpus,
            if cores == 1 { "core" } else { "cores" },
        ));
    }
    if machine.hypervisor.is_some() {
        limits.push(
            "It is a virtual machine: whether its CPUs are cores or siblings only the host knows; a wake-up of \
             another CPU leaves the machine and costs more than on bare metal, as do the clock and every miss of \
             the TLB; other machines on the same host make noise."
                .into(),
        );
    }
    if !machine.jit {
        limits.push("BPF programs are interpreted (net.core.bpf_jit_enable is 0): all costs are several times too high.".into());
    }
    if machine.governor.as_deref().is_some_and(|governor| governor != "performance") {
        limits.push(
            "The clock rate follows the load: idle arms are measured at a lower rate than busy ones.".into(),
        );
    }
    limits
}

/// As far as it lets itself be known.
fn hypervisor() -> String {
    let clocks = read("/sys/devices/system/clocksource/clocksource0/available_clocksource");
    match clocks {
        Some(clocks) if clocks.contains("kvm-clock") => "KVM".into(),
        Some(clocks) if clocks.contains("hyperv") => "Hyper-V".into(),
        Some(clocks) if clocks.contains("xen") => "Xen".into(),
        _ => read("/sys/class/dmi/id/sys_vendor").unwrap_or("unknown".into()),
    }
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn flags(cpuinfo: &str) -> impl Iterator<Item = &str> {
    let line = cpuinfo.lines().find_map(|line| line.strip_prefix("flags"));
    line.unwrap_or_default().split_whitespace()
}

/// A list of CPUs for each core, as far as the kernel knows.
fn siblings(cpus: &[usize]) -> Vec<Vec<u32>> {
    let core = |cpu: &usize| {
        read(&format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"))
            .unwrap_or_else(|| cpu.to_string())
    };
    let cores: BTreeSet<String> = cpus.iter().map(core).collect();
    let of = |name: &String| cpus.iter().filter(|cpu| core(cpu) == *name).map(|cpu| *cpu as u32).collect();
    cores.iter().map(of).collect()
}

fn mitigations() -> Vec<String> {
    let entries = fs::read_dir("/sys/devices/system/cpu/vulnerabilities").into_iter().flatten().flatten();
    let mut lines: Vec<String> = entries
        .filter_map(|entry| {
            let text = read(entry.path().to_str()?)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            text.starts_with("Mitigation").then(|| format!("{name}: {text}"))
        })
        .collect();
    lines.sort();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_measured_is_said() {
        let small = Machine { cpus: 2, siblings: vec![vec![0, 1]], jit: true, ..Machine::default() };
        let said = limits(&small);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("contention") && said[1].contains("threads of 1 core"));
        let large = Machine {
            cpus: 8,
            siblings: (0..8).map(|cpu| vec![cpu]).collect(),
            jit: true,
            ..Machine::default()
        };
        assert_eq!(limits(&large), Vec::<String>::new());
        assert_eq!(limits(&Machine { jit: false, ..large }).len(), 1);
    }
}
