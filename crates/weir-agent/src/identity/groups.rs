//! Control groups by number: where they lie, or lay.
//!
//! Those that there are when the agent starts are found in the file system, others are told by the kernel.

use super::lingering::Lingering;
use std::fs;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_kernel::{GROUP_MADE, LONGEST_PATH, ProcessEvent};

/// What is gone is kept for so long: its last processes may not have been asked about yet.
const LINGER: Duration = Duration::from_secs(60);
/// Time between two walks through the file system.
const APART: Duration = Duration::from_secs(10);

/// A bounded table of them.
#[derive(Debug)]
pub struct Groups {
    mounts: Mounts,
    paths: Lingering<u64, Arc<str>>,
    walked: Option<Instant>,
}

/// How control groups are mounted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mounts {
    /// Where the default hierarchy (version 2) is.
    default: Option<PathBuf>,
    /// Whether there are hierarchies of version 1 as well.
    is_hybrid: bool,
}

impl Mounts {
    /// Those of this process.
    pub fn own() -> Self {
        Self::of(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())
    }

    /// From the text of a mountinfo file: `31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw`.
    fn of(mountinfo: &str) -> Self {
        let mut mounts = Self::default();
        for line in mountinfo.lines() {
            let Some((before, after)) = line.split_once(" - ") else { continue };
            let mut fields = before.split(' ').skip(3);
            let (root, place) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
            match after.split(' ').next() {
                Some("cgroup2") if root == "/" && mounts.default.is_none() => {
                    mounts.default = Some(place.replace("\\040", " ").into());
                }
                Some("cgroup") => mounts.is_hybrid = true,
                _ => {}
            }
        }
        mounts
    }
}

impl Groups {
    /// For `capacity` of them.
    pub fn new(capacity: usize, mounts: Mounts) -> Self {
        Self { mounts, paths: Lingering::new(capacity, LINGER), walked: None }
    }

    /// Whether a process's group of the default hierarchy may say less than those of others.
    pub fn are_hybrid(&self) -> bool {
        self.mounts.is_hybrid
    }

    /// How many had to go while they were there.
    pub fn evicted(&self) -> u64 {
        self.paths.evicted()
    }

    /// The path of a group, if it is known.
    pub fn path(&self, id: u64) -> Option<&str> {
        self.paths.get(&id).map(|path| &**path)
    }

    /// Looks for all that there are, unless that was done a moment ago.
    pub fn walk(&mut self, now: Instant) {
        if self.walked.is_some_and(|walked| now.duration_since(walked) < APART) {
            return;
        }
        self.walked = Some(now);
        let Some(mount) = self.mounts.default.clone() else { return };
        let mut folders = vec![mount.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                let path = entry.path();
                self.insert(entry.ino(), below(&mount, &path));
                if !self.paths.is_full() {
                    folders.push(path);
                }
            }
        }
    }

    /// Takes in what became of a group.
    pub fn learn(&mut self, event: &ProcessEvent, text: &[u8], now: Instant) {
        if u32::from(event.change) == GROUP_MADE {
            let path = text.split(|byte| *byte == 0).next().unwrap_or_default();
            self.insert(event.origin, String::from_utf8_lossy(path).into());
        } else {
            self.paths.leave(event.origin, now);
        }
    }

    fn insert(&mut self, id: u64, path: Arc<str>) {
        if path.len() <= LONGEST_PATH as usize {
            self.paths.insert(id, path);
        }
    }

    /// Forgets what has been gone for long enough.
    pub fn expire(&mut self, now: Instant) {
        self.paths.expire(now);
    }
}

/// The path in the hierarchy.
fn below(mount: &Path, path: &Path) -> Arc<str> {
    let rest = path.strip_prefix(mount).unwrap_or(path);
    format!("/{}", rest.to_string_lossy()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_kernel::GROUP_GONE;

    fn event(id: u64, change: u32) -> ProcessEvent {
        ProcessEvent { origin: id, change: change as u16, ..ProcessEvent::default() }
    }

    #[test]
    fn mounts_are_found() {
        let hybrid = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw\n\
                      40 31 0:37 / /sys/fs/cgroup/systemd rw shared:9 - cgroup cgroup rw,name=systemd\n\
                      41 31 0:38 / /sys/fs/cgroup/uni\\040fied rw - cgroup2 cgroup2 rw\n";
        let found = Mounts::of(hybrid);
        assert_eq!(
            found,
            Mounts { default: Some("/sys/fs/cgroup/uni fied".into()), is_hybrid: true },
            "{found:?}"
        );
        let only_new = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate";
        assert_eq!(Mounts::of(only_new), Mounts { default: Some("/sys/fs/cgroup".into()), is_hybrid: false });
        assert_eq!(Mounts::of("nonsense\n - \n"), Mounts::default());
    }

    #[test]
    fn what_is_there_is_found_by_its_inode() {
        let mount = std::env::temp_dir().join(format!("weir-groups-{}", std::process::id()));
        fs::create_dir_all(mount.join("a.slice/b.scope")).expect("folders can be made");
        let inode = std::os::unix::fs::MetadataExt::ino;
        let id = inode(&fs::metadata(mount.join("a.slice/b.scope")).expect("it is there"));
        let mut groups = Groups::new(10, Mounts { default: Some(mount.clone()), is_hybrid: false });
        groups.walk(Instant::now());
        fs::remove_dir_all(mount).expect("they can be removed");
        assert_eq!(groups.path(id), Some("/a.slice/b.scope"));
    }

    #[test]
    fn one_that_is_gone_lingers() {
        let (mut groups, now) = (Groups::new(10, Mounts::default()), Instant::now());
        groups.learn(&event(5, GROUP_MADE), b"/a\0", now);
        groups.learn(&event(5, GROUP_GONE), b"", now);
        groups.expire(now);
        assert_eq!(groups.path(5), Some("/a"));
        groups.expire(now + LINGER);
        assert_eq!((groups.path(5), groups.evicted()), (None, 0));
    }

    #[test]
    fn memory_is_bounded_and_what_had_to_go_is_counted() {
        let (mut groups, now) = (Groups::new(2, Mounts::default()), Instant::now());
        for id in 0..100 {
            groups.learn(&event(id, GROUP_MADE), b"/a\0", now);
        }
        groups.learn(&event(1000, GROUP_MADE), &[b'a'; 2000], now);
        assert_eq!((groups.path(1000), groups.evicted()), (None, 98));
    }
}
