//! Classic BPF on a socket: the kernel drops what the program does not want before it is queued.

use crate::{Error, Result};
use std::os::fd::{AsRawFd, BorrowedFd};

/// One instruction (include/uapi/linux/filter.h, `struct sock_filter`).
#[derive(Debug, Clone, Copy)]
pub struct Instruction {
    /// What to do: BPF_….
    pub code: u16,
    /// How many instructions to skip if a test holds.
    pub if_true: u8,
    /// How many if it does not.
    pub if_false: u8,
    /// What to do it with.
    pub operand: u32,
}

/// Has `program` decide what the socket receives from now on.
///
/// # Errors
/// The kernel refuses the program.
pub fn filter_socket(socket: BorrowedFd<'_>, program: &[Instruction]) -> Result<()> {
    let mut code: Vec<_> = program
        .iter()
        .map(|one| libc::sock_filter { code: one.code, jt: one.if_true, jf: one.if_false, k: one.operand })
        .collect();
    let what = "cannot filter a socket";
    let len = u16::try_from(code.len()).map_err(|_| Error::Unexpected(format!("{what}: too long")))?;
    let program = libc::sock_fprog { len, filter: code.as_mut_ptr() };
    let length = size_of_val(&program) as libc::socklen_t;
    // SAFETY: the kernel copies `len` instructions from an array that is as long and outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            std::ptr::from_ref(&program).cast(),
            length,
        )
    };
    if result < 0 { Err(Error::last_os_error(what)) } else { Ok(()) }
}
