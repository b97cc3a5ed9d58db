//! In which container and pod the agent itself is, as the mounts and the control group of its process tell.

use std::fs;
use weir_record::cgroup;

/// Where Kubernetes says which namespace a pod is of, to whoever has a service account.
const NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// Attributes by OpenTelemetry's names; on a bare host they are empty.
pub fn known() -> Vec<(&'static str, Option<String>)> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (mounts, group) = (read("/proc/self/mountinfo"), read("/proc/self/cgroup"));
    vec![
        ("container.id", container(&mounts, &group)),
        ("k8s.pod.uid", pod(&mounts, &group)),
        ("k8s.namespace.name", Some(read(NAMESPACE).trim().to_owned())),
    ]
}

/// Whoever is in a control group's own namespace sees `/` there; the files that a runtime puts over those of the image lie
/// where the container's number is. A host has others' containers among its mounts, but none over its own names.
fn container(mounts: &str, group: &str) -> Option<String> {
    let of_mount = own_mounts(mounts).flat_map(parts).find(|part| is_container(part));
    of_mount.map(Into::into).or_else(|| Some(cgroup::owner(cgroup::path_of(group)?).container?.id))
}

fn pod(mounts: &str, group: &str) -> Option<String> {
    let of_group = cgroup::path_of(group).and_then(|path| cgroup::owner(path).pod_uid);
    // What the kubelet puts there comes from `pods/UID`.
    let of_mount = |root: &str| root.split_once("/pods/")?.1.split('/').next().map(str::to_owned);
    of_group.or_else(|| own_mounts(mounts).filter_map(of_mount).find(|uid| is_uid(uid)))
}

/// Where what is mounted over these names comes from (proc_pid_mountinfo(5): fields 4 and 5).
fn own_mounts(mounts: &str) -> impl Iterator<Item = &str> {
    let root = |line| {
        let mut fields = str::split_ascii_whitespace(line).skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"].contains(&point).then_some(root)
    };
    mounts.lines().filter_map(root)
}

/// What stands between the signs that names are made with.
fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split(['/', '-', '.', ':'])
}

fn is_container(part: &str) -> bool {
    part.len() == 64 && part.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_uid(text: &str) -> bool {
    let groups: Vec<_> = text.split('-').map(str::len).collect();
    let is_hexadecimal = text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    is_hexadecimal && (groups == [8, 4, 4, 4, 12] || text.len() == 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "7be92808767a667f35c8505cbf40d14e931ef6db5b0210329cf193b15ba9d605";
    const UID: &str = "6b1e7a4c-9d35-4a5c-8f0e-2d7c1b3a9e55";

    #[test]
    fn whose_files_are_over_ours() {
        let docker = format!(
            "2321 2308 254:1 /var/lib/docker/containers/{ID}/resolv.conf /etc/resolv.conf rw,relatime - ext4 /dev/vda1 rw\n"
        );
        assert_eq!((container(&docker, "0::/\n").as_deref(), pod(&docker, "0::/\n")), (Some(ID), None));
        let pod_of = format!(
            "1 2 8:1 /var/lib/kubelet/pods/{UID}/etc-hosts /etc/hosts rw - ext4 /dev/sda1 rw\n\
             1 2 8:1 /var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/{ID}/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n"
        );
        let found = (container(&pod_of, "0::/\n"), pod(&pod_of, "0::/\n"));
        assert_eq!(found, (Some(ID.into()), Some(UID.into())));
    }

    #[test]
    fn whose_group_is_ours() {
        let underscored = UID.replace('-', "_");
        for (group, is_pod) in [
            (format!("0::/system.slice/docker-{ID}.scope"), false),
            (format!("12:pids:/docker/{ID}\n1:name=systemd:/docker/{ID}"), false),
            (format!("0::/kubepods/besteffort/pod{UID}/{ID}"), true),
            (
                format!(
                    "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{underscored}.slice/cri-containerd-{ID}.scope"
                ),
                true,
            ),
        ] {
            assert_eq!(container("", &group).as_deref(), Some(ID), "{group}");
            assert_eq!(pod("", &group).as_deref(), is_pod.then_some(UID), "{group}");
        }
    }

    /// A mount comes from anywhere: only what is a number is taken for one.
    #[test]
    fn names_of_folders_are_no_numbers() {
        let other = "1 2 8:1 /srv/pods/web/hosts /etc/hosts rw - ext4 /dev/sda1 rw\n\
             1 2 8:1 /var/lib/lxc/web/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n";
        assert_eq!((container(other, "0::/\n"), pod(other, "0::/\n")), (None, None));
    }

    /// A host has the mounts of its containers, and is in none.
    #[test]
    fn a_host_is_in_none() {
        let host = format!(
            "1 2 8:1 / / rw - ext4 /dev/sda1 rw\n\
             3 1 0:50 / /var/lib/docker/overlay2/{ID}/merged rw - overlay overlay rw\n\
             4 1 0:5 / /var/lib/kubelet/pods/{UID}/volumes/x rw - tmpfs tmpfs rw\n"
        );
        let group = "0::/system.slice/weir.service\n";
        assert_eq!((container(&host, group), pod(&host, group)), (None, None));
        assert_eq!((container("", ""), pod("", "")), (None, None));
    }
}
