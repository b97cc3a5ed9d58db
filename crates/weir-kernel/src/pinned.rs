//! Maps that outlive the process: they have a name in a file system of the kernel's own (bpffs, Linux 4.4), which holds
//! them until it is removed.

use crate::error::from_libbpf;
use crate::object::map_options;
use crate::privilege::can_mount;
use crate::{Error, Result};
use libbpf_rs::{MapCore, MapHandle, MapType};
use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// Where bpffs is on every host that has one.
pub const BPFFS: &str = "/sys/fs/bpf";

/// The name of a map, which stays until somebody takes it away: whoever ends in disorder does not.
#[derive(Debug)]
pub struct Pin(PathBuf);

impl Pin {
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Where the map is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Takes it away; the map goes with its last user.
    pub fn remove(self) {
        // Whoever has taken it away before has done the same.
        let _ = fs::remove_file(self.0);
    }
}

/// A map that another process has left.
pub struct Pinned(MapHandle);

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pinned").field(&self.0.name()).finish()
    }
}

impl Pinned {
    /// The one of this name.
    ///
    /// # Errors
    /// It is not there, or is no map, or the privilege is missing.
    pub fn open(path: &Path) -> Result<Self> {
        let what = || format!("cannot open the map {}", path.display());
        if !path.is_absolute() || path.as_os_str().as_encoded_bytes().contains(&0) {
            return Err(Error::Unexpected(what()));
        }
        MapHandle::from_pinned_path(path).map(Self).map_err(|e| from_libbpf(what(), &e))
    }

    /// Its descriptor.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// How many rows of this size it has, whichever way the table is kept; none where they are of another size.
    pub fn rows(&self, size: usize) -> Option<usize> {
        match (self.0.value_size() as usize, self.0.max_entries() as usize) {
            (row, rows) if row == size => Some(rows),
            (table, 1) if table.is_multiple_of(size) => Some(table / size),
            _ => None,
        }
    }
}

/// Sees to it that there is a bpffs in [`BPFFS`], as `tc` and `bpftool` do: on a host without systemd nobody may have
/// mounted one. Only its owner gets in.
///
/// # Errors
/// There is none, and CAP_SYS_ADMIN to mount one is missing.
pub fn mount_bpffs() -> Result<()> {
    if has_bpffs() {
        return Ok(());
    }
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC | libc::MS_RELATIME;
    let (kind, place, mode) = (c"bpf", c"/sys/fs/bpf", c"mode=700");
    // SAFETY: all strings end with a zero and outlive the call.
    match unsafe { libc::mount(kind.as_ptr(), place.as_ptr(), kind.as_ptr(), flags, mode.as_ptr().cast()) } {
        0 => Ok(()),
        _ => Err(Error::last_os_error("no bpffs in /sys/fs/bpf, and none can be mounted")),
    }
}

fn has_bpffs() -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let places = mounts.lines().map(|line| line.split(' ').skip(1));
    places.into_iter().any(|mut words| words.next() == Some(BPFFS) && words.next() == Some("bpf"))
}

/// Tries whether this process may give a map a name in [`BPFFS`], and takes it away again. Where there is none, whether
/// it may mount one.
///
/// # Errors
/// EPERM, EACCES: it may not.
pub fn try_pin() -> Result<()> {
    if !has_bpffs() {
        let cannot = || Error::kernel(format!("no bpffs in {BPFFS}"), io::ErrorKind::NotFound);
        return can_mount().then_some(()).ok_or_else(cannot);
    }
    let created = MapHandle::create(MapType::Array, Some("weir_try"), 4, 8, 1, &map_options(0));
    let mut map = created.map_err(|e| from_libbpf("map refused", &e))?;
    let path = Path::new(BPFFS).join(format!("weir-try-{}", std::process::id()));
    map.pin(&path).map_err(|e| from_libbpf(format!("cannot pin a map to {}", path.display()), &e))?;
    Pin::new(&path).remove();
    Ok(())
}
