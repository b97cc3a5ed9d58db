//! Which directory a command reads.

use anyhow::{Result, anyhow};
use nix::unistd::geteuid;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use weir_store::Store;

/// The history of the host, which root's agent writes.
const SYSTEM: &str = "/var/lib/weir";

/// The one that was named; else the host's, or a user's own where there is one.
pub fn directory(named: Option<&Path>) -> PathBuf {
    let own = || own(geteuid().is_root(), |name| env::var_os(name)).filter(|path| path.exists());
    named.map(Path::to_path_buf).or_else(own).unwrap_or_else(|| SYSTEM.into())
}

/// Where an agent keeps one that was told no place; none for a user without a home.
pub fn of_agent() -> Option<PathBuf> {
    let is_root = geteuid().is_root();
    if is_root { Some(SYSTEM.into()) } else { own(is_root, |name| env::var_os(name)) }
}

/// That of a user who is not root.
fn own(is_root: bool, variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if is_root { None } else { state_by(variable).map(|state| state.join("weir")) }
}

/// Where programs keep what they remember for this user; nowhere for one without a home.
#[cfg(feature = "sql")]
pub fn state() -> Option<PathBuf> {
    state_by(|name| env::var_os(name))
}

fn state_by(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")))
}

/// Opens it for reading.
///
/// # Errors
/// It is not there, or may not be read.
pub fn open(directory: &Path) -> Result<Store> {
    let shown = directory.display();
    match fs::read_dir(directory).map_err(|error| error.kind()) {
        Err(ErrorKind::NotFound) => Err(anyhow!(
            "there is no history in {shown}: keep one with `weir run --data-dir {shown}`, or name its directory with --data-dir"
        )),
        Err(ErrorKind::PermissionDenied) => {
            Err(anyhow!("no permission to read the history in {shown}: run this as root, or as its owner"))
        }
        Err(ErrorKind::NotADirectory) => {
            Err(anyhow!("{shown} is no directory: --data-dir takes that of `weir run`"))
        }
        _ => Ok(Store::open(directory)?),
    }
}

/// The process that writes it, or wrote it last.
pub fn writer(directory: &Path) -> Option<u32> {
    fs::read_to_string(directory.join("lock")).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_place_of_their_own() {
        let of = |set: &'static [(&str, &str)]| {
            own(false, move |name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
        };
        assert_eq!(of(&[("HOME", "/home/a"), ("XDG_STATE_HOME", "/s")]), Some("/s/weir".into()));
        assert_eq!(of(&[("HOME", "/home/a")]), Some("/home/a/.local/state/weir".into()));
        // The specification has relative paths ignored.
        assert_eq!(of(&[("HOME", "/home/a"), ("XDG_STATE_HOME", "s")]), of(&[("HOME", "/home/a")]));
        assert_eq!(of(&[]), None);
        assert_eq!(own(true, |_| Some("/root".into())), None);
        assert_eq!(directory(Some(Path::new("here"))), Path::new("here"));
    }

    #[test]
    fn what_cannot_be_read_is_said_with_a_remedy() {
        let said = |path: &str| open(Path::new(path)).map(drop).expect_err(path).to_string();
        assert!(said("/nosuch/weir").contains("weir run --data-dir /nosuch/weir"));
        assert!(said("/dev/null").contains("is no directory"));
    }
}
