//! What this kernel can do, found out by trying it.
//!
//! Nothing is attached, nothing is left behind: whatever is made here ends with its descriptor.
//! An error says why not: [`is_permission`] for want of privileges, else for want of the feature.

use crate::object::map_options;
use crate::{Error, Opened, Result};
use libbpf_rs::PrintLevel;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A program of [`NoOp`]'s is called so; it is never attached.
pub const NO_OP: &str = "weir_no_op";

/// A kind of map that the probes stand on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Map {
    /// An array that user space can map (`BPF_F_MMAPABLE`, 5.5).
    MmapableArray,
    /// The ring buffer (5.8).
    RingBuffer,
    /// The hash that forgets what was used longest ago (4.10).
    LruHash,
}

/// Creates the smallest such map, and closes it again.
///
/// # Errors
/// EPERM: CAP_BPF is missing (CAP_SYS_ADMIN before 5.8). EINVAL: the kernel is older than the map.
pub fn try_map(map: Map) -> Result<()> {
    let options = map_options(if map == Map::MmapableArray { libbpf_sys::BPF_F_MMAPABLE } else { 0 });
    let (kind, key, value, entries) = match map {
        Map::MmapableArray => (libbpf_sys::BPF_MAP_TYPE_ARRAY, 4, 8, 1),
        // A multiple of the page size, whatever that is here.
        Map::RingBuffer => (libbpf_sys::BPF_MAP_TYPE_RINGBUF, 0, 0, 65536),
        Map::LruHash => (libbpf_sys::BPF_MAP_TYPE_LRU_HASH, 4, 8, 16),
    };
    // SAFETY: the name ends with a zero, `options` says its own size, and both outlive the call.
    let fd = unsafe { libbpf_sys::bpf_map_create(kind, c"weir_try".as_ptr(), key, value, entries, &options) };
    owned(fd, "map refused").map(drop)
}

/// Waits for a grace period with `membarrier(2)` (4.3), whose `MEMBARRIER_CMD_GLOBAL` is a `synchronize_rcu()`.
///
/// # Errors
/// EINVAL: a kernel with `nohz_full` CPUs. ENOSYS: none of CONFIG_MEMBARRIER.
pub fn try_membarrier() -> Result<()> {
    // SAFETY: takes no pointers.
    match unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_GLOBAL, 0, 0) } {
        0 => Ok(()),
        _ => Err(Error::last_os_error("membarrier(2) refused")),
    }
}

/// The TC program that does nothing, for trying out what can be done with one.
#[derive(Debug)]
pub struct NoOp(OwnedFd);

impl NoOp {
    /// Loads it.
    ///
    /// # Errors
    /// EPERM: CAP_BPF or CAP_NET_ADMIN is missing (CAP_SYS_ADMIN before 5.8).
    pub fn load() -> Result<Self> {
        use libbpf_sys::{BPF_ALU64, BPF_EXIT, BPF_JMP, BPF_K, BPF_MOV, bpf_insn};
        // r0 = -1 (TC_ACT_UNSPEC); exit
        let code = [
            bpf_insn { code: (BPF_ALU64 | BPF_MOV | BPF_K) as u8, imm: -1, ..Default::default() },
            bpf_insn { code: (BPF_JMP | BPF_EXIT) as u8, ..Default::default() },
        ];
        let (kind, name, license) = (libbpf_sys::BPF_PROG_TYPE_SCHED_CLS, c"weir_no_op", c"Dual BSD/GPL");
        // SAFETY: both strings end with a zero, the length is that of `code`, and all outlive the call.
        let fd = unsafe {
            libbpf_sys::bpf_prog_load(
                kind,
                name.as_ptr(),
                license.as_ptr(),
                code.as_ptr(),
                code.len() as libbpf_sys::size_t,
                std::ptr::null_mut(),
            )
        };
        owned(fd, "TC program refused").map(Self)
    }

    /// Asks for a TCX link (6.6) on an interface that cannot exist.
    ///
    /// # Errors
    /// The kernel has no TCX; see [`is_tcx_missing`](crate::is_tcx_missing).
    pub fn try_tcx(&self) -> Result<()> {
        let options = libbpf_sys::bpf_link_create_opts {
            sz: size_of::<libbpf_sys::bpf_link_create_opts>() as libbpf_sys::size_t,
            ..Default::default()
        };
        // SAFETY: `options` says its own size and outlives the call.
        let fd = unsafe {
            libbpf_sys::bpf_link_create(self.0.as_raw_fd(), i32::MAX, libbpf_sys::BPF_TCX_INGRESS, &options)
        };
        match owned(fd, "TCX link refused") {
            // The kernel went as far as to look for the interface.
            Err(error) if error.errno() == Some(libc::ENODEV) => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    /// Whether the kernel has turned it into machine code (`bpf_prog_info.jited_prog_len`, 4.13).
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn is_compiled(&self) -> Result<bool> {
        Ok(self.info()?.jited_prog_len > 0)
    }

    /// How long a run that does nothing takes by the kernel's own statistics, which are to be
    /// on: what these statistics measure of themselves. None where they are off.
    ///
    /// # Errors
    /// The kernel cannot run programs by hand (before 4.12), or does not tell.
    pub fn run_time(&self) -> Result<Option<Duration>> {
        const RUNS: i32 = 20_000;
        let frame = [0_u8; 64];
        let mut options = libbpf_sys::bpf_test_run_opts {
            sz: size_of::<libbpf_sys::bpf_test_run_opts>() as libbpf_sys::size_t,
            data_in: frame.as_ptr().cast(),
            data_size_in: frame.len() as u32,
            repeat: RUNS,
            ..Default::default()
        };
        // SAFETY: `options` says its own size and that of `frame`; both outlive the call.
        let answer = unsafe { libbpf_sys::bpf_prog_test_run_opts(self.0.as_raw_fd(), &mut options) };
        if answer < 0 {
            return Err(Error::kernel("cannot run a program", io::Error::from_raw_os_error(-answer)));
        }
        let info = self.info()?;
        Ok(info.run_time_ns.checked_div(info.run_cnt).map(Duration::from_nanos))
    }

    fn info(&self) -> Result<libbpf_sys::bpf_prog_info> {
        let mut info = libbpf_sys::bpf_prog_info::default();
        let mut length = size_of_val(&info) as u32;
        // SAFETY: `length` is the size of `info`, which asks for no arrays; both outlive the call.
        let answer =
            unsafe { libbpf_sys::bpf_prog_get_info_by_fd(self.0.as_raw_fd(), &mut info, &mut length) };
        match answer {
            0 => Ok(info),
            error => Err(Error::kernel("cannot ask about a program", io::Error::from_raw_os_error(-error))),
        }
    }
}

/// Whether the kernel has the clsact qdisc (4.5, `sch_ingress`), or a module of its to load.
/// Only looked for: to try it would be to change an interface.
pub fn has_clsact() -> bool {
    let symbols = fs::File::open("/proc/kallsyms").map(BufReader::new).into_iter();
    let built_in = || symbols.flat_map(|file| file.lines().map_while(io::Result::ok)).any(is_clsact_symbol);
    let modules = format!("/lib/modules/{}", release());
    let is_module = |list: &str| {
        fs::read_to_string(format!("{modules}/{list}")).is_ok_and(|text| text.contains("/sch_ingress.ko"))
    };
    is_module("modules.builtin") || is_module("modules.dep") || built_in()
}

/// `ffffffff81a3c0d0 t clsact_init [sch_ingress]`
fn is_clsact_symbol(line: impl AsRef<str>) -> bool {
    line.as_ref().split_ascii_whitespace().nth(2) == Some("clsact_init")
}

/// Whether the kernel's release is this one or newer. For what cannot be tried.
pub fn is_at_least(major: u32, minor: u32) -> bool {
    let mut numbers =
        release().split(|c: char| !c.is_ascii_digit()).map(str::parse).collect::<Vec<_>>().into_iter();
    let mut next = || numbers.next().and_then(Result::ok).unwrap_or(0);
    (next(), next()) >= (major, minor)
}

/// The kernel's release, as `uname -r` has it.
pub fn release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_string()
}

/// How loading one program went.
#[derive(Debug)]
pub struct DryLoad {
    /// Whether the kernel took it.
    pub outcome: Result<()>,
    /// What libbpf and the verifier had to say about a refusal.
    pub log: String,
}

/// Loads `program` of an object, without the object's other programs and with maps as small
/// as they are written there, and lets it go again.
pub fn dry_load(name: &'static str, object: &[u8], program: &str) -> DryLoad {
    let load = || {
        let mut opened = Opened::new(name, object)?;
        opened.only_programs(|other| other == program);
        libbpf_rs::set_print(Some((PrintLevel::Warn, note)));
        opened.load().map(drop)
    };
    take_notes();
    let outcome = load();
    libbpf_rs::set_print(None);
    DryLoad { outcome, log: take_notes() }
}

/// libbpf's messages come through a plain function: what it says lands here.
static NOTES: Mutex<String> = Mutex::new(String::new());

fn note(_level: PrintLevel, message: String) {
    NOTES.lock().unwrap_or_else(PoisonError::into_inner).push_str(&message);
}

fn take_notes() -> String {
    std::mem::take(&mut NOTES.lock().unwrap_or_else(PoisonError::into_inner))
}

/// libbpf's answer: a new descriptor, or the error number, negative.
pub(crate) fn owned(fd: i32, what: &str) -> Result<OwnedFd> {
    if fd < 0 {
        return Err(Error::kernel(what, io::Error::from_raw_os_error(-fd)));
    }
    // SAFETY: a fresh descriptor that nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether the kernel refused for want of privileges: EPERM or EACCES.
pub fn is_permission(error: &Error) -> bool {
    matches!(error, Error::Kernel { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_want_of_privileges() {
        let refused = |errno| Error::kernel("refused", io::Error::from_raw_os_error(errno));
        assert!(is_permission(&refused(libc::EPERM)) && is_permission(&refused(libc::EACCES)));
        assert!(!is_permission(&refused(libc::EINVAL)));
    }

    #[test]
    fn finds_clsact_among_symbols() {
        assert!(is_clsact_symbol("0000000000000000 t clsact_init\t[sch_ingress]"));
        assert!(!is_clsact_symbol("0000000000000000 t clsact_init_more"));
        assert!(!is_clsact_symbol(""));
    }

    #[test]
    fn root_everything_can_be_tried_twice() {
        for _ in 0..2 {
            for map in [Map::MmapableArray, Map::RingBuffer, Map::LruHash] {
                try_map(map).expect("the kernel has it");
            }
            let program = NoOp::load().expect("it loads");
            program.is_compiled().expect("the kernel tells");
            assert!(program.try_tcx().is_ok() || has_clsact(), "one hook or the other");
        }
    }

    #[test]
    fn root_what_is_no_program_is_refused_and_explained() {
        let load = dry_load("nonsense", b"\x7fELF nonsense", "weir_ingress");
        let error = load.outcome.expect_err("that is no object");
        assert!(error.to_string().contains("nonsense"), "{error}");
    }
}
