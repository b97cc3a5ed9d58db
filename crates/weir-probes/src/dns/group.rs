//! Where the control groups of version 2 begin.

use std::fs::{File, read_to_string};
use weir_kernel::{Error, Result};

/// Whose view of mounts is taken, and where its files are. The first process of the host sees the whole hierarchy, also
/// where this one is in a container that may see the host's processes, or under `ip netns exec`, which hides it.
const VIEWS: [(&str, &str); 2] = [("/proc/1/mountinfo", "/proc/1/root"), ("/proc/self/mountinfo", "")];

/// The root of the hierarchy, as far as this process can see.
pub fn root() -> Result<File> {
    let missing = || Error::Unexpected("no cgroup2 file system is mounted".into());
    VIEWS.iter().find_map(|(mounts, files)| root_of(mounts, files)).ok_or_else(missing)
}

fn root_of(mounts: &str, files: &str) -> Option<File> {
    let mounts = read_to_string(mounts).ok()?;
    mounts.lines().filter_map(root_in).find_map(|path| File::open(format!("{files}{path}")).ok())
}

/// The mount point in a line of mountinfo, if the whole hierarchy is mounted there. What lies above the root of
/// this process's cgroup namespace is written as `/..`.
fn root_in(line: &str) -> Option<String> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(3);
    let (root, point) = (fields.next()?, fields.next()?);
    let is_whole = root.split('/').all(|part| ["", ".."].contains(&part));
    // As proc(5) has it: these four are written in octal.
    let unescaped = || {
        [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
            .iter()
            .fold(point.to_owned(), |path, (code, character)| path.replace(code, character))
    };
    (is_whole && file_system.split(' ').next() == Some("cgroup2")).then(unescaped)
}

#[cfg(test)]
mod tests {
    use super::root_in;

    #[test]
    fn the_whole_hierarchy_of_version_2() {
        let unified = "41 31 0:38 / /sys/fs/cgroup/uni\\040fied rw,relatime shared:9 - cgroup2 cgroup2 rw";
        assert_eq!(root_in(unified).as_deref(), Some("/sys/fs/cgroup/uni fied"));
        let from_inside = "41 31 0:38 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
        assert_eq!(root_in(from_inside).as_deref(), Some("/sys/fs/cgroup"));
        for other in [
            "41 31 0:38 /system.slice /mnt rw,relatime - cgroup2 cgroup2 rw",
            "42 31 0:39 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu",
            "42 31 0:39 /",
            "",
        ] {
            assert_eq!(root_in(other), None, "{other}");
        }
    }
}
