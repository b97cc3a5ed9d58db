//! Control groups, to be named as container runtimes name theirs.

use crate::netns::succeed;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Control groups of the test's own, taken down with it.
pub struct Groups {
    mount: PathBuf,
    made: Vec<PathBuf>,
}

impl Groups {
    /// None yet, in a mount of their own.
    pub fn new() -> Self {
        let mount = std::env::temp_dir().join(format!("weirt-groups-{}", std::process::id()));
        std::fs::create_dir(&mount).expect("a folder");
        succeed(Command::new("mount").args(["-t", "cgroup2", "none"]).arg(&mount));
        Self { mount, made: Vec::new() }
    }

    /// Makes the group at this path, and all above it: the file where a process joins it.
    pub fn make(&mut self, path: &str) -> PathBuf {
        let mut group = self.mount.clone();
        for part in path.split('/') {
            group.push(part);
            if std::fs::create_dir(&group).is_ok() {
                self.made.push(group.clone());
            }
        }
        group.join("cgroup.procs")
    }
}

impl Default for Groups {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        // The kernel lets go of a group a moment after its last process.
        for group in self.made.iter().rev() {
            let gone = || std::fs::remove_dir(group).is_ok() || !group.exists();
            (0..100).take_while(|_| !gone()).for_each(|_| std::thread::sleep(Duration::from_millis(20)));
        }
        let _ = Command::new("umount").arg(&self.mount).status();
        let _ = std::fs::remove_dir(&self.mount);
    }
}
