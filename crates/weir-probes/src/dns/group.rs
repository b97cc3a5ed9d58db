//! Where the control groups of version 2 begin.

use std::fs::{File, read_to_string};
use weir_kernel::{Error, Result};

/// The root of the hierarchy, as far as this process can see.
pub fn root() -> Result<File> {
    const MOUNTS: &str = "/proc/self/mountinfo";
    let mounts =
        read_to_string(MOUNTS).map_err(|error| Error::kernel(format!("cannot read {MOUNTS}"), error))?;
    let Some(path) = mounts.lines().find_map(root_in) else {
        return Err(Error::Unexpected("no cgroup2 file system is mounted".into()));
    };
    File::open(&path).map_err(|error| Error::kernel(format!("cannot open {path}"), error))
}

/// The mount point in a line of mountinfo, if the whole hierarchy is mounted there.
fn root_in(line: &str) -> Option<String> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(3);
    let (root, point) = (fields.next()?, fields.next()?);
    let is_root = root == "/" && file_system.split(' ').next() == Some("cgroup2");
    // As proc(5) has it: these four are written in octal.
    let unescaped = || {
        [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
            .iter()
            .fold(point.to_owned(), |path, (code, character)| path.replace(code, character))
    };
    is_root.then(unescaped)
}

#[cfg(test)]
mod tests {
    use super::root_in;

    #[test]
    fn the_whole_hierarchy_of_version_2() {
        let unified = "41 31 0:38 / /sys/fs/cgroup/uni\\040fied rw,relatime shared:9 - cgroup2 cgroup2 rw";
        assert_eq!(root_in(unified).as_deref(), Some("/sys/fs/cgroup/uni fied"));
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
