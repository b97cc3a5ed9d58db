//! The file system in which BPF maps have names.

use std::collections::BTreeSet;
use std::process::Command;

const PLACE: &str = "/sys/fs/bpf";

/// It is there, as on every host that systemd runs; where it was not, it goes with this.
#[derive(Debug)]
pub struct Bpffs {
    was_there: bool,
    before: BTreeSet<String>,
}

impl Bpffs {
    /// Mounts it, unless somebody has.
    pub fn mounted() -> Self {
        let was_there = Self::is_there();
        if !was_there {
            let mount = Command::new("mount").args(["-t", "bpf", "bpf", PLACE]).status();
            assert!(mount.expect("mount is there").success(), "cannot mount a bpffs");
        }
        Self { was_there, before: names() }
    }

    /// Whether somebody has mounted it.
    pub fn is_there() -> bool {
        let mounts = std::fs::read_to_string("/proc/mounts").expect("there are some");
        mounts.contains(&format!(" {PLACE} bpf "))
    }

    /// What agents have named since.
    pub fn names(&self) -> Vec<String> {
        names().difference(&self.before).cloned().collect()
    }
}

fn names() -> BTreeSet<String> {
    let entries = std::fs::read_dir(format!("{PLACE}/weir")).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

impl Drop for Bpffs {
    fn drop(&mut self) {
        if !self.was_there {
            let _ = Command::new("umount").args(["--lazy", PLACE]).status();
        }
    }
}
