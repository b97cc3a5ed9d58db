//! One place where a runtime says what it knows of its containers.

use super::details::Found;
use super::engine::{self, Engine};
use super::runtimes::Wanted;
use super::{bundle, storage};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;
use weir_record::Runtime;

/// Why a place has not answered.
#[derive(Debug, Error)]
pub enum Failure {
    /// It is not for us.
    #[error("permission denied")]
    Refused,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::Refused,
            _ => Self::Other(error.to_string()),
        }
    }
}

impl From<ureq::Error> for Failure {
    fn from(error: ureq::Error) -> Self {
        match error {
            ureq::Error::Io(error) => error.into(),
            ureq::Error::Timeout(_) => Self::Other(format!("no answer within {:?}", engine::PATIENCE)),
            other => Self::Other(other.to_string()),
        }
    }
}

/// A place, and how it is read.
#[derive(Debug)]
pub struct Source {
    /// Whose containers are known there.
    pub runtime: Runtime,
    /// Where it is.
    pub place: PathBuf,
    reader: Reader,
}

#[derive(Debug)]
enum Reader {
    Engine(Engine),
    DockerFolder,
    PodmanStorage,
    ContainerdState,
    CrioStorage,
}

impl Source {
    /// The Engine API at a socket.
    pub fn socket(runtime: Runtime, socket: impl Into<PathBuf>) -> Self {
        let place = socket.into();
        Self { runtime, reader: Reader::Engine(Engine::at(place.clone())), place }
    }

    /// The folder where a runtime keeps what it knows.
    pub fn folder(runtime: Runtime, folder: impl Into<PathBuf>) -> Self {
        let reader = match runtime {
            Runtime::Podman => Reader::PodmanStorage,
            Runtime::CriO => Reader::CrioStorage,
            Runtime::Docker => Reader::DockerFolder,
            Runtime::Containerd | Runtime::Lxc | Runtime::Unknown => Reader::ContainerdState,
        };
        Self { runtime, place: folder.into(), reader }
    }

    /// Looks for a container; nothing too where there is no such place.
    ///
    /// # Errors
    /// It does not answer, or cannot be understood.
    pub fn find(&self, id: &str) -> Result<Option<Found>, Failure> {
        match &self.reader {
            Reader::Engine(engine) => engine.find(id),
            Reader::DockerFolder => engine::find_in_folder(&self.place, id),
            Reader::PodmanStorage => storage::find(&self.place, id),
            Reader::ContainerdState => bundle::find_in_containerd(&self.place, id),
            Reader::CrioStorage => bundle::find_in_crio(&self.place, id),
        }
    }

    /// Whether it is there and lets us in; nothing where it is not there. Asks nobody.
    pub fn is_open(&self) -> Option<bool> {
        let (path, access) = match self.reader {
            Reader::Engine(_) => (self.place.clone(), AccessFlags::R_OK | AccessFlags::W_OK),
            Reader::DockerFolder => (self.place.join("containers"), AccessFlags::R_OK | AccessFlags::X_OK),
            _ => (self.place.clone(), AccessFlags::R_OK | AccessFlags::X_OK),
        };
        match faccessat(AT_FDCWD, &path, access, AtFlags::AT_EACCESS) {
            Ok(()) => Some(true),
            Err(Errno::EACCES | Errno::EPERM) => Some(false),
            Err(_) => None,
        }
    }
}

/// Where a runtime is to be asked, in this order. Podman has no daemon: its files are read first, unless labels are
/// wanted, which only its API tells.
pub fn sources(wanted: &Wanted, with_labels: bool) -> Vec<Source> {
    let runtime = wanted.runtime;
    let socket = |path: &str| Source::socket(runtime, path);
    let folder = |path: &str| Source::folder(runtime, path);
    match (&wanted.place, runtime) {
        (Some(place), _) => vec![at(runtime, place)],
        (None, Runtime::Docker) => vec![socket("/run/docker.sock"), folder("/var/lib/docker")],
        (None, Runtime::Podman) => {
            let mut both = vec![folder("/var/lib/containers/storage"), socket("/run/podman/podman.sock")];
            if with_labels {
                both.reverse();
            }
            both
        }
        (None, Runtime::CriO) => vec![folder("/run/containers/storage")],
        (None, Runtime::Containerd) => {
            let states =
                ["/run/containerd", "/run/k3s/containerd", "/var/snap/microk8s/common/run/containerd"];
            states.map(folder).into()
        }
        (None, Runtime::Lxc | Runtime::Unknown) => Vec::new(),
    }
}

/// What a user named: the API of those that have one is a socket, all else a folder.
fn at(runtime: Runtime, place: &Path) -> Source {
    let has_api = matches!(runtime, Runtime::Docker | Runtime::Podman);
    if has_api && !place.is_dir() { Source::socket(runtime, place) } else { Source::folder(runtime, place) }
}
