//! What a process that answers may take of the host.

use nix::libc::rlim_t;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::fs;
use std::io;

/// Beside what the engine counts: what it reads files with, the stacks of threads that begin later, and what expressions
/// make of a batch.
const BESIDE: usize = 256 << 20;

/// Where memory is short it ends before others do, and leaves nothing behind.
pub(super) fn be_modest() {
    // None of it is needed to answer.
    let _ = prctl::set_name(c"weir-sql");
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
}

/// From now on it gets so many bytes beside what it has, and what a query needs [beside](BESIDE); then none.
///
/// # Errors
/// The kernel refuses.
pub(super) fn hold(memory: usize) -> io::Result<()> {
    let most = (held()? as rlim_t).saturating_add(memory.saturating_add(BESIDE) as rlim_t);
    let (_, hard) = getrlimit(Resource::RLIMIT_DATA)?;
    let most = most.min(hard);
    // Since Linux 4.7 (84638335900f) all private writable memory counts.
    setrlimit(Resource::RLIMIT_DATA, most, most)?;
    Ok(())
}

/// The bytes that count now.
fn held() -> io::Result<usize> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<usize>().ok());
    kilobytes.map(|kilobytes| kilobytes << 10).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_known() {
        let before = held().expect("it is known");
        let more = std::hint::black_box(vec![1_u8; 64 << 20]);
        assert!(held().expect("it is known") >= before + more.len());
    }
}
