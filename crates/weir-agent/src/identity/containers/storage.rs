//! Podman's storage: it has no daemon to ask, but a list of containers for each way to store them.

use super::details::Found;
use super::file;
use super::source::Failure;
use serde::Deserialize;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// Ways to store containers that are looked at: `overlay` for most, `vfs`, `btrfs`, `zfs`.
const DRIVERS: usize = 16;

/// An entry of `containers.json`.
#[derive(Deserialize)]
struct Stored {
    id: String,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    metadata: String,
}

/// What Podman keeps in such an entry, as text.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Metadata {
    #[serde(default)]
    image_name: String,
}

/// Looks into a storage, `/var/lib/containers/storage`. Labels are not there.
///
/// # Errors
/// A file is not what it should be, or refused.
pub fn find(storage: &Path, id: &str) -> Result<Option<Found>, Failure> {
    let folders = match fs::read_dir(storage) {
        Ok(folders) => folders,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let names = folders.filter_map(|folder| folder.ok()).map(|folder| folder.path());
    let lists = names.filter(|path| path.to_string_lossy().ends_with("-containers"));
    for list in lists.take(DRIVERS) {
        let all: Option<Vec<Stored>> = file::read(&list.join("containers.json"))?;
        if let Some(one) = all.into_iter().flatten().find(|one| one.id == id) {
            return Ok(Some(one.into()));
        }
    }
    Ok(None)
}

impl From<Stored> for Found {
    fn from(stored: Stored) -> Self {
        let metadata: Metadata = serde_json::from_str(&stored.metadata).unwrap_or_default();
        Self { name: stored.names.into_iter().next(), image: Some(metadata.image_name), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Folder, id};
    use super::*;

    /// As Podman 4.3 has written it.
    const LIST: &str = r#"[{"id":"ID","names":["web"],"image":"9bea9f2796e2","layer":"1f45e4d08082",
        "metadata":"{\"image-name\":\"docker.io/library/nginx:1.27\",\"image-id\":\"9bea9f2796e2\",\"name\":\"web\",\"created-at\":1795693111}",
        "created":"2026-11-26T11:38:31.293498434Z","flags":{"MountLabel":"","ProcessLabel":""}}]"#;

    #[test]
    fn each_way_to_store_has_a_list() {
        let storage = Folder::new("podman");
        storage.write("vfs-containers/containers.json", "[]");
        storage.write("overlay-containers/containers.json", &LIST.replace("ID", &id(1)));
        storage.write("overlay-layers/layers.json", "nonsense");
        let found = find(storage.path(), &id(1)).expect("it is read").expect("it is there");
        assert_eq!(found.name.as_deref(), Some("web"));
        assert_eq!(found.image.as_deref(), Some("docker.io/library/nginx:1.27"));
        assert_eq!(find(storage.path(), &id(2)).expect("it is read"), None);
        assert_eq!(find(&storage.path().join("none"), &id(1)).expect("none"), None);
    }

    #[test]
    fn a_container_of_no_image_has_none() {
        let storage = Folder::new("rootfs");
        let list = LIST.replace("ID", &id(1)).replace("docker.io/library/nginx:1.27", "");
        storage.write("overlay-containers/containers.json", &list);
        let details = find(storage.path(), &id(1)).expect("it is read").expect("it is there").details(&[]);
        assert_eq!((details.name.as_deref(), details.image), (Some("web"), None));
    }
}
