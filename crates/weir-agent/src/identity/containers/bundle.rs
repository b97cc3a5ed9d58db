//! The bundles of containerd and CRI-O: what a low-level runtime was told to run, with annotations that say for whom.

use super::details::Found;
use super::file;
use super::source::Failure;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// Namespaces of containerd that are looked into. There are two or three.
const NAMESPACES: usize = 64;
/// Where CRI-O's bundles keep what Kubernetes calls labels.
const CRIO_LABELS: &str = "io.kubernetes.cri-o.Labels";

/// `config.json` of a bundle.
#[derive(Deserialize)]
struct Bundle {
    annotations: Option<BTreeMap<String, String>>,
}

impl From<Bundle> for Found {
    fn from(bundle: Bundle) -> Self {
        let mut labels = bundle.annotations.unwrap_or_default();
        let inner = labels.get(CRIO_LABELS).map(|text| serde_json::from_str::<BTreeMap<_, _>>(text));
        labels.extend(inner.and_then(Result::ok).unwrap_or_default());
        Self { labels, ..Self::default() }
    }
}

/// Looks into containerd's state, `/run/containerd`: a folder for each of its namespaces, and in that one for
/// each container.
///
/// # Errors
/// A folder or file refuses, or is not what it should be.
pub fn find_in_containerd(state: &Path, id: &str) -> Result<Option<Found>, Failure> {
    let namespaces = match fs::read_dir(state.join("io.containerd.runtime.v2.task")) {
        Ok(namespaces) => namespaces,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    for namespace in namespaces.take(NAMESPACES) {
        let found: Option<Bundle> = file::read(&namespace?.path().join(id).join("config.json"))?;
        if let Some(bundle) = found {
            return Ok(Some(bundle.into()));
        }
    }
    Ok(None)
}

/// Looks into the storage that CRI-O runs containers from, `/run/containers/storage`.
///
/// # Errors
/// The file is not what it should be, or refused.
pub fn find_in_crio(storage: &Path, id: &str) -> Result<Option<Found>, Failure> {
    let bundle = storage.join("overlay-containers").join(id).join("userdata/config.json");
    Ok(file::read::<Bundle>(&bundle)?.map(Found::from))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Folder, id};
    use super::*;

    /// As containerd 1.7 and 2.x write it for the kubelet, without what is not read.
    const OF_KUBELET: &str = r#"{"ociVersion":"1.1.0","process":{"user":{"uid":0,"gid":0},"args":["nginx"],"cwd":"/"},
        "root":{"path":"rootfs"},"hostname":"web-7d4b9","mounts":[{"destination":"/proc","type":"proc","source":"proc"}],
        "annotations":{"io.kubernetes.cri.container-name":"nginx","io.kubernetes.cri.container-type":"container",
        "io.kubernetes.cri.image-name":"docker.io/library/nginx:1.27","io.kubernetes.cri.sandbox-id":"5d2e",
        "io.kubernetes.cri.sandbox-name":"web-7d4b9","io.kubernetes.cri.sandbox-namespace":"shop",
        "io.kubernetes.cri.sandbox-uid":"0a1b2c3d-0000-4000-8000-0123456789ab"},"linux":{"cgroupsPath":"kubepods"}}"#;
    /// As nerdctl has it written.
    const OF_NERDCTL: &str = r#"{"ociVersion":"1.1.0","annotations":{"nerdctl/hostname":"9d1f","nerdctl/name":"db",
        "nerdctl/namespace":"default","com.docker.compose.service":"db"}}"#;
    /// As CRI-O 1.30 writes it.
    const OF_CRIO: &str = r#"{"ociVersion":"1.1.0","annotations":{"io.container.manager":"cri-o",
        "io.kubernetes.container.name":"nginx","io.kubernetes.pod.name":"web-7d4b9","io.kubernetes.pod.namespace":"shop",
        "io.kubernetes.cri-o.ContainerType":"container","io.kubernetes.cri-o.ImageName":"docker.io/library/nginx:1.27",
        "io.kubernetes.cri-o.Labels":"{\"app\":\"web\",\"io.kubernetes.container.name\":\"nginx\"}",
        "io.kubernetes.cri-o.Name":"k8s_nginx_web-7d4b9_shop_0a1b2c3d_0"}}"#;

    #[test]
    fn containerd_has_a_folder_for_each_namespace() {
        let state = Folder::new("containerd");
        let tasks = "io.containerd.runtime.v2.task";
        state.write(&format!("{tasks}/k8s.io/{}/config.json", id(1)), OF_KUBELET);
        state.write(&format!("{tasks}/default/{}/config.json", id(2)), OF_NERDCTL);
        state.write(&format!("{tasks}/moby/{}/config.json", id(3)), "{}");
        let find = |number| find_in_containerd(state.path(), &id(number)).expect("it is read");
        let details = find(1).expect("it is there").details(&[]);
        assert_eq!(details.name.as_deref(), Some("nginx"));
        assert_eq!(details.pod.expect("it is in one").name, "web-7d4b9");
        assert_eq!(find(2).expect("it is there").details(&[]).name.as_deref(), Some("db"));
        assert_eq!(find(3), Some(Found::default()));
        assert_eq!(find(4), None);
        assert_eq!(find_in_containerd(&state.path().join("none"), &id(1)).expect("none"), None);
    }

    #[test]
    fn crio_keeps_labels_in_an_annotation() {
        let storage = Folder::new("crio");
        let write = |number, text: &str| {
            storage.write(&format!("overlay-containers/{}/userdata/config.json", id(number)), text);
        };
        write(1, OF_CRIO);
        let found = find_in_crio(storage.path(), &id(1)).expect("it is read").expect("it is there");
        let details = found.details(&[glob::Pattern::new("app").expect("a glob")]);
        assert_eq!(details.name.as_deref(), Some("nginx"));
        assert_eq!(details.image.as_deref(), Some("docker.io/library/nginx:1.27"));
        assert_eq!(details.labels.as_deref(), Some("app=web"));
        assert_eq!(details.pod.expect("it is in one").namespace, "shop");
        write(2, &OF_CRIO.replace(r#""{\"app\""#, r#""nonsense{\"app\""#));
        let found = find_in_crio(storage.path(), &id(2)).expect("it is read").expect("it is there");
        assert_eq!(found.details(&[]).name.as_deref(), Some("nginx"));
        write(3, r#"{"annotations":["nginx"]}"#);
        find_in_crio(storage.path(), &id(3)).expect_err("nonsense");
    }
}
