//! What loaded programs cost, by the kernel's own statistics.

use crate::feature::owned;
use crate::{Error, Loaded, Result};
use libbpf_rs::btf::{Btf, BtfType};
use libbpf_rs::query::{ProgInfoIter, ProgInfoQueryOptions, ProgramInfo};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// While this lives, the kernel counts and times every run of every BPF program (5.8); the
/// counting ends with the process, whatever ends it.
#[derive(Debug)]
pub struct Statistics {
    _held: OwnedFd,
}

impl Statistics {
    /// Has the kernel begin, unless somebody else has already.
    ///
    /// # Errors
    /// EPERM: CAP_SYS_ADMIN is missing. EINVAL: the kernel is older; see [`are_on`].
    pub fn enable() -> Result<Self> {
        // SAFETY: takes no pointers.
        let fd = unsafe { libbpf_sys::bpf_enable_stats(libbpf_sys::BPF_STATS_RUN_TIME) };
        owned(fd, "cannot have programs timed").map(|held| Self { _held: held })
    }
}

/// Whether the host has its programs timed all the time: `sysctl kernel.bpf_stats_enabled` (5.1).
pub fn are_on() -> bool {
    fs::read_to_string("/proc/sys/kernel/bpf_stats_enabled").is_ok_and(|text| text.trim() == "1")
}

/// The kernel keeps no more of a program's name.
const MOST_OF_NAME: usize = libbpf_sys::BPF_OBJ_NAME_LEN as usize - 1;

/// What a program has done since it was loaded, as far as the statistics were on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runs {
    /// The kernel's number for the program.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// How often it ran.
    pub count: u64,
    /// How long, in nanoseconds, on all CPUs together.
    pub nanoseconds: u64,
}

/// The loaded programs whose names, or the beginnings of long ones, are `wanted`, in the order in which they were loaded (5.1).
///
/// # Errors
/// EPERM: CAP_SYS_ADMIN is missing.
pub fn programs(wanted: impl Fn(&str) -> bool) -> Result<Vec<Runs>> {
    let mut first = 0;
    // SAFETY: `first` outlives the call. Asked apart, since the iterator ends in silence.
    let answer = unsafe { libbpf_sys::bpf_prog_get_next_id(0, &mut first) };
    match -answer {
        0 => {}
        libc::ENOENT => return Ok(Vec::new()),
        errno => {
            return Err(Error::kernel("cannot list programs", io::Error::from_raw_os_error(errno)));
        }
    }
    let with_functions = ProgInfoQueryOptions::default().include_func_info(true);
    let infos = ProgInfoIter::with_query_opts(with_functions);
    let wanted = infos.filter(|info| wanted(&info.name.to_string_lossy()));
    let runs = wanted.map(|info| Runs {
        id: info.id,
        name: whole_name(&info).unwrap_or_else(|| info.name.to_string_lossy().into_owned()),
        count: info.run_cnt,
        nanoseconds: info.run_time_ns,
    });
    Ok(runs.collect())
}

/// Of a name that may have been cut: its function's, by the BTF that was loaded with the program.
fn whole_name(info: &ProgramInfo) -> Option<String> {
    if info.name.len() < MOST_OF_NAME {
        return None;
    }
    let types = Btf::from_prog_id(info.id).ok()?;
    let function: BtfType<'_> = types.type_by_id(info.func_info.first()?.type_id.into())?;
    Some(function.name()?.to_string_lossy().into_owned())
}

/// What one program of `loaded` has done. Needs no privilege: it is ours.
pub fn runs_of(loaded: &Loaded, program: &str) -> Option<Runs> {
    let fd = loaded.program(program).ok()?.as_fd().as_raw_fd();
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
    let number = |name| number_in(&info, name);
    Some(Runs {
        id: u32::try_from(number("prog_id:")?).ok()?,
        name: program.to_string(),
        count: number("run_cnt:").unwrap_or(0),
        nanoseconds: number("run_time_ns:").unwrap_or(0),
    })
}

/// How often one program of `loaded` was left out because the CPU was inside it already (5.12).
pub fn misses_of(loaded: &Loaded, program: &str) -> Option<u64> {
    let fd = loaded.program(program).ok()?.as_fd().as_raw_fd();
    number_in(&fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?, "recursion_misses:")
}

/// How many instructions the verifier followed for one program of `loaded`, of the million that it has patience for (5.16).
pub fn instructions_of(loaded: &Loaded, program: &str) -> Option<u64> {
    let fd = loaded.program(program).ok()?.as_fd().as_raw_fd();
    number_in(&fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?, "verified_insns:")
}

/// The process that holds each program, by the program's number, as far as this process can see them.
pub fn holders() -> BTreeMap<u32, u32> {
    let mut holders = BTreeMap::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        for descriptor in fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten() {
            if fs::read_link(descriptor.path())
                .is_ok_and(|target| target.as_os_str() == "anon_inode:bpf-prog")
            {
                let info = process.path().join("fdinfo").join(descriptor.file_name());
                let info = fs::read_to_string(info).unwrap_or_default();
                let id = number_in(&info, "prog_id:").and_then(|id| u32::try_from(id).ok());
                holders.extend(id.map(|id| (id, pid)));
            }
        }
    }
    holders
}

/// The number in the line of an fdinfo that begins with `name`.
fn number_in(info: &str, name: &str) -> Option<u64> {
    info.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// How many CPUs are online.
pub fn cpus() -> u32 {
    // SAFETY: takes no pointers.
    let count = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    u32::try_from(count).unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::{NO_OP, NoOp};

    #[test]
    fn root_runs_are_counted_while_it_lives() {
        let held = Statistics::enable().expect("Linux 5.8 or newer, and root");
        let program = NoOp::load().expect("it loads");
        let time = program.run_time().expect("it runs").expect("it is timed");
        assert!(time.as_nanos() < 100_000, "{time:?}");
        let listed = programs(|name| name == NO_OP).expect("root may list them");
        assert!(listed.iter().any(|runs| runs.count >= 20_000 && runs.nanoseconds > 0), "{listed:?}");
        // Of other tests' too, which run at the same time, the holder is this process.
        let holders = holders();
        assert!(listed.iter().any(|runs| holders.get(&runs.id) == Some(&std::process::id())), "{holders:?}");
        drop(held);
        assert!(cpus() >= 1);
    }
}
