//! Docker's Engine API, which Podman speaks too, and the files in which Docker keeps the same.

use super::details::Found;
use super::source::Failure;
use super::{file, unix};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::{Agent, Error};

/// How long an answer may take: Podman's service may first have to be started for it.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// A container, as the API and the file `config.v2.json` have it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    name: Option<String>,
    config: Option<ContainerConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContainerConfig {
    image: Option<String>,
    labels: Option<BTreeMap<String, String>>,
}

impl From<Container> for Found {
    fn from(container: Container) -> Self {
        let (image, labels) = container.config.map_or((None, None), |config| (config.image, config.labels));
        // The slash is that of a name without links.
        let name = container.name.map(|name| name.strip_prefix('/').unwrap_or(&name).to_owned());
        Self { name, image, labels: labels.unwrap_or_default() }
    }
}

/// The API behind a socket.
#[derive(Debug)]
pub struct Engine(Agent);

impl Engine {
    /// That of this socket.
    pub fn at(socket: PathBuf) -> Self {
        Self(unix::client(socket, PATIENCE))
    }

    /// Asks for a container.
    ///
    /// # Errors
    /// There is no answer, or none that is understood.
    pub fn find(&self, id: &str) -> Result<Option<Found>, Failure> {
        match self.0.get(format!("http://localhost/containers/{id}/json")).call() {
            Ok(answer) => {
                let container: Container = file::parse(answer.into_body().into_reader())?;
                Ok(Some(container.into()))
            }
            Err(Error::StatusCode(404)) => Ok(None),
            Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Looks into the folder in which Docker keeps its containers, `/var/lib/docker`.
///
/// # Errors
/// The file is not what it should be, or refused.
pub fn find_in_folder(root: &Path, id: &str) -> Result<Option<Found>, Failure> {
    let container: Option<Container> = file::read(&root.join("containers").join(id).join("config.v2.json"))?;
    Ok(container.map(Found::from))
}

#[cfg(test)]
mod tests;
