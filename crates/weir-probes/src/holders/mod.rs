//! The holders probe: which processes have which sockets among their open files.
//!
//! The kernel half is `holders.bpf.c`, an iterator: it is attached to nothing, and runs when it is asked.

use weir_kernel::{Opened, Result, SocketHolder};

pub(crate) const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/holders.bpf.o"));

/// The program, by name.
pub(crate) const PROGRAM: &str = "weir_holders";

/// All that hold a socket of the internet now, in every network namespace: once for each open file.
///
/// # Errors
/// The kernel's refusal: it takes `iter/task_file` (5.8).
pub fn now() -> Result<Vec<SocketHolder>> {
    Opened::new("holders", OBJECT)?.load()?.iterate(PROGRAM)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;

    #[test]
    fn root_a_socket_is_held_by_who_opened_it() {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a port");
        let link = fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).expect("it is open");
        let name = format!("{}", link.display());
        let holds = |holder: &SocketHolder| format!("socket:[{}]", holder.inode) == name;
        let pids = || -> Vec<u32> {
            let all = now().expect("the kernel takes it");
            all.iter().filter(|holder| holds(holder)).map(|holder| holder.owner.pid).collect()
        };
        assert_eq!(pids(), [std::process::id()]);
        let again = socket.try_clone().expect("another descriptor");
        assert_eq!(pids(), [std::process::id(); 2]);
        drop((socket, again));
        assert_eq!(pids(), []);
    }
}
