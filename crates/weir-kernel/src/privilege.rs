//! What this process may do, asked before the kernel says no.

use std::path::Path;

/// A capability that the agent needs, by its bit in `CapEff` (include/uapi/linux/capability.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capability {
    /// As capabilities(7) calls it.
    pub name: &'static str,
    bit: u32,
    /// What it is needed for.
    pub purpose: &'static str,
}

/// Since 5.8; before that, and in place of the other two, CAP_SYS_ADMIN.
pub const NEEDED: [Capability; 3] = [
    Capability { name: "CAP_BPF", bit: 39, purpose: "load BPF programs and maps" },
    Capability { name: "CAP_NET_ADMIN", bit: 12, purpose: "attach them to interfaces" },
    Capability { name: "CAP_PERFMON", bit: 38, purpose: "read kernel memory in them" },
];

const CAP_SYS_ADMIN: u32 = 21;

/// Those of [`NEEDED`] that this process does not have.
pub fn missing_capabilities() -> Vec<Capability> {
    missing_in(&own_status())
}

/// Whether this process may mount file systems.
pub fn can_mount() -> bool {
    effective_in(&own_status()) >> CAP_SYS_ADMIN & 1 == 1
}

fn own_status() -> String {
    std::fs::read_to_string("/proc/self/status").unwrap_or_default()
}

fn effective_in(status: &str) -> u64 {
    let hex = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    hex.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0)
}

fn missing_in(status: &str) -> Vec<Capability> {
    let effective = effective_in(status);
    let has = |bit: u32| effective >> bit & 1 == 1;
    let by_admin = |bit: u32| bit != 12 && has(CAP_SYS_ADMIN);
    NEEDED.into_iter().filter(|needed| !has(needed.bit) && !by_admin(needed.bit)).collect()
}

/// Where the kernel describes its own types (CONFIG_DEBUG_INFO_BTF, 5.4).
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// Whether the kernel describes its own types.
pub fn has_btf() -> bool {
    Path::new(KERNEL_BTF).exists()
}

/// The number of CPUs that can be online without hotplug: the highest online number, plus one.
pub fn online_cpus() -> u32 {
    let online = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    highest(&online).map_or(1, |highest| highest + 1)
}

/// The last number of a list such as `0-3,8`.
fn highest(list: &str) -> Option<u32> {
    list.trim().rsplit([',', '-']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_missing() {
        let names = |status: &str| missing_in(status).iter().map(|c| c.name).collect::<Vec<_>>();
        assert_eq!(names("CapEff:\t000001ffffffffff\n"), Vec::<&str>::new());
        assert_eq!(names("CapEff:\t0000000000000000\n"), ["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"]);
        assert_eq!(names("CapEff:\t0000000000200000\n"), ["CAP_NET_ADMIN"]);
    }

    #[test]
    fn reads_cpu_lists() {
        assert_eq!(highest("0-3,8\n"), Some(8));
        assert_eq!(highest("0\n"), Some(0));
        assert_eq!(highest(""), None);
    }
}
