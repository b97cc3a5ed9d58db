//! Processes that use sockets, each looked at once, while it is there.

use super::cgroup;
use super::process::{self, Arguments};
use super::text::printable;
use hashbrown::HashMap;
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use weir_kernel::SocketOwner;
use weir_record::Process;

/// What the kernel's own threads are called: what they send is nobody's.
const KERNEL: &str = "kernel";

/// Those that sockets were used by.
#[derive(Debug)]
pub struct Processes {
    /// By number and start: numbers are given anew.
    known: HashMap<(u32, u64), Arc<Process>>,
    capacity: usize,
    arguments: Arguments,
}

impl Processes {
    /// For `capacity` of them, besides those that a socket still names.
    pub fn new(capacity: usize, arguments: Arguments) -> Self {
        Self { known: HashMap::new(), capacity, arguments }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// The process that the kernel means. What it is called now counts: it may have become another program.
    pub fn of(&mut self, owner: &SocketOwner) -> Arc<Process> {
        let key = (owner.pid, owner.started);
        let command = command(owner);
        if let Some(known) = self.known.get(&key).filter(|known| known.command == command) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.capacity {
            self.known.retain(|_, process| Arc::strong_count(process) > 1);
        }
        let process = Arc::new(self.look_at(owner, command.into_owned()));
        self.known.insert(key, Arc::clone(&process));
        process
    }

    /// What the kernel has told, and what /proc adds if the process is still there.
    fn look_at(&self, owner: &SocketOwner, command: String) -> Process {
        let told = Process { pid: owner.pid, user_id: owner.user_id, command, ..Process::default() };
        if owner.is_kernel != 0 {
            return told;
        }
        // A process of the same number that has taken its place is called otherwise, or started later.
        let found = process::read(Path::new("/proc"), owner.pid, self.arguments);
        let Some(found) = found.filter(|found| is_same(found, owner)) else { return told };
        let owner = found.cgroup.as_deref().map(cgroup::owner).unwrap_or_default();
        Process {
            executable: found.executable,
            arguments: found.arguments,
            unit: owner.unit,
            container: owner.container,
            pod_uid: owner.pod_uid,
            ..told
        }
    }
}

fn command(owner: &SocketOwner) -> Cow<'_, str> {
    if owner.is_kernel != 0 {
        return KERNEL.into();
    }
    let end = owner.command.iter().position(|byte| *byte == 0).unwrap_or(owner.command.len());
    printable(&String::from_utf8_lossy(&owner.command[..end])).into()
}

/// /proc counts the start in hundredths of a second, the kernel in nanoseconds.
fn is_same(found: &process::Process, owner: &SocketOwner) -> bool {
    found.start_ticks.abs_diff(owner.started / 10_000_000) <= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(pid: u32, started: u64, name: &[u8]) -> SocketOwner {
        let mut command = [0; 16];
        command[..name.len()].copy_from_slice(name);
        SocketOwner { pid, started, command, user_id: 3, ..SocketOwner::default() }
    }

    fn processes() -> Processes {
        Processes::new(2, Arguments::UpTo(100))
    }

    #[test]
    fn one_that_is_gone_keeps_its_name() {
        let gone = owner(u32::MAX, 1, b"curl");
        let found = processes().of(&gone);
        assert_eq!((found.pid, found.user_id, found.command.as_str()), (u32::MAX, 3, "curl"));
        assert_eq!((&found.executable, &found.arguments), (&None, &None));
    }

    #[test]
    fn one_that_has_taken_its_number_is_not_it() {
        let found = processes().of(&owner(std::process::id(), 1, b"someone"));
        assert_eq!((found.command.as_str(), &found.executable), ("someone", &None));
    }

    #[test]
    fn this_one_is_found_in_proc() {
        let pid = std::process::id();
        let here = process::read(Path::new("/proc"), pid, Arguments::Hidden).expect("it runs");
        let found = processes().of(&owner(pid, here.start_ticks * 10_000_000, b"test"));
        assert_eq!(found.executable, here.executable);
        assert!(found.arguments.is_some());
    }

    #[test]
    fn the_kernels_threads_are_the_kernel() {
        let thread = SocketOwner { is_kernel: 1, ..owner(2, 1, b"kworker/0:1") };
        assert_eq!(processes().of(&thread).command, "kernel");
    }

    #[test]
    fn a_new_program_in_the_same_process_is_seen_and_memory_is_bounded() {
        let mut processes = processes();
        let first = processes.of(&owner(u32::MAX, 1, b"sh"));
        assert!(Arc::ptr_eq(&first, &processes.of(&owner(u32::MAX, 1, b"sh"))));
        assert_eq!(processes.of(&owner(u32::MAX, 1, b"curl")).command, "curl");
        drop(first);
        for started in 2..100 {
            processes.of(&owner(u32::MAX, started, b"sh"));
        }
        assert!(processes.len() <= 2, "{}", processes.len());
    }

    #[test]
    fn no_name_makes_it_panic() {
        let hostile = [0xff, 0x1b, b'[', b'2', b'J', b'\n', 0x80, 0xc3, 1, 2, 3, 4, 5, 6, 7, 8];
        let found =
            processes().of(&SocketOwner { command: hostile, pid: u32::MAX, ..SocketOwner::default() });
        assert!(found.command.starts_with("\u{fffd}\\u{1b}[2J\\n"), "{}", found.command);
    }
}
