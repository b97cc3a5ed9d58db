//! What owns a cgroup, by its path alone.
//!
//! Every runtime leaves its mark in the path. It is read from the outside in; what lies further in
//! is nearer to the process:
//!
//! ```text
//! /system.slice/docker-<id>.scope/kubelet/kubepods/pod<uid>/<id>
//!               a container               └─ a pod ──┴── the container that wins
//! ```
//!
//! A path is what its owner made of it: who may make cgroups may also choose their names.

use crate::{Container, Runtime};

/// No id and no name is longer. The kernel's own limit for one part of a path is 255.
const LONGEST: usize = 256;
/// Digits of a full id, and how few of them are still taken for one where the runtime is named.
const FULL_ID: usize = 64;
const SHORT_ID: usize = 12;

/// What a process belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owner {
    /// The innermost systemd service or scope, unless a container lies within: a container's runtime
    /// is a service too, but not the owner.
    pub unit: Option<String>,
    /// The innermost container.
    pub container: Option<Container>,
    /// The Kubernetes pod, as the API writes its uid.
    pub pod_uid: Option<String>,
}

/// Whose cgroup this is. The path begins at the root of the hierarchy, with or without its slash.
#[must_use]
pub fn owner(path: &str) -> Owner {
    let mut owner = Owner::default();
    let (mut parent, mut kubernetes) = ("", false);
    for part in path.split('/').filter(|part| !part.is_empty()) {
        kubernetes |= part.contains("kubepods");
        if let Some(uid) = pod_uid(part, kubernetes) {
            owner.pod_uid = Some(uid);
        }
        if let Some(container) = container(part, parent) {
            // What was seen so far started the container. A service of Podman's own making is the
            // container, in other words.
            if !part.starts_with("libpod-payload-") {
                owner.unit = None;
            }
            owner.container = Some(container);
        } else if let Some(unit) = unit(part) {
            owner.unit = Some(unit);
        }
        parent = part;
    }
    owner
}

/// The uid of a pod: in `pod<uid>` below `kubepods`, or in `kubepods-…-pod<uid>.slice`.
fn pod_uid(part: &str, kubernetes: bool) -> Option<String> {
    let slice = part.split(':').next().and_then(|slice| slice.strip_suffix(".slice"));
    let uid = match slice {
        Some(slice) if slice.contains("kubepods") => slice.rsplit_once("-pod")?.1,
        None if kubernetes => part.strip_prefix("pod")?,
        _ => return None,
    };
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (fits(uid) && uid.bytes().all(known)).then(|| uid.replace('_', "-"))
}

/// The container whose cgroup this part is, below its parent.
fn container(part: &str, parent: &str) -> Option<Container> {
    let found = |id: &str, runtime| Some(Container { id: id.to_owned(), runtime });
    if is_hex(part) && part.len() == FULL_ID {
        return found(part, runtime_of_folder(parent));
    }
    if let Some(name) = lxc_name(part, parent) {
        return found(name, Runtime::Lxc);
    }
    if let Some(name) = machine_name(part, parent) {
        return Some(Container { id: name, runtime: Runtime::Unknown });
    }
    // containerd with the syntax of the systemd driver, but without that driver.
    if let [_, prefix, id] = part.splitn(3, ':').collect::<Vec<_>>()[..] {
        return named(prefix, id).or_else(|| by_hand(prefix, id));
    }
    let scope = part.strip_suffix(".scope");
    let in_any = || scope.unwrap_or(part).rsplit_once('-').and_then(|(prefix, id)| named(prefix, id));
    let in_scope = || scope?.split_once('-').and_then(|(prefix, id)| by_hand(prefix, id));
    in_any().or_else(in_scope)
}

/// A container by what its runtime puts before its id. `libpod-conmon` and `crio-conmon` are not
/// there: those are the monitors of containers, outside of them.
fn named(prefix: &str, id: &str) -> Option<Container> {
    let runtime = match prefix {
        "docker" => Runtime::Docker,
        "libpod" | "libpod-payload" => Runtime::Podman,
        "cri-containerd" | "nerdctl" => Runtime::Containerd,
        "crio" => Runtime::CriO,
        _ => return None,
    };
    let known = is_hex(id) && (SHORT_ID..=FULL_ID).contains(&id.len());
    known.then(|| Container { id: id.to_owned(), runtime })
}

/// Low-level runtimes put their own name there if nobody told them more; then the id is any name.
fn by_hand(prefix: &str, id: &str) -> Option<Container> {
    let known = matches!(prefix, "crun" | "runc" | "runsc") && is_name(id);
    known.then(|| Container { id: unescaped(id), runtime: Runtime::Unknown })
}

/// The runtime that keeps its containers in this folder. The jobs of GitHub and Azure have one each,
/// for Docker.
fn runtime_of_folder(parent: &str) -> Runtime {
    match parent {
        "docker" | "actions_job" | "azpl_job" => Runtime::Docker,
        "libpod_parent" => Runtime::Podman,
        _ => Runtime::Unknown,
    }
}

/// `lxc/NAME` and `lxc.payload/NAME` of older versions, `lxc.payload.NAME` of newer ones.
/// `lxc.monitor` is outside the container.
fn lxc_name<'a>(part: &'a str, parent: &str) -> Option<&'a str> {
    let name = match parent {
        "lxc" | "lxc.payload" => part,
        _ => part.strip_prefix("lxc.payload.")?,
    };
    is_name(name).then_some(name)
}

/// What systemd-nspawn runs is in `payload`, below the unit that is named for it.
fn machine_name(part: &str, parent: &str) -> Option<String> {
    if part != "payload" {
        return None;
    }
    let service = parent.strip_prefix("systemd-nspawn@").and_then(|name| name.strip_suffix(".service"));
    let scope = parent.strip_prefix("machine-").and_then(|name| name.strip_suffix(".scope"));
    let name = unescaped(service.or(scope)?);
    is_name(&name).then_some(name)
}

fn unit(part: &str) -> Option<String> {
    // systemd puts an underscore before names that the kernel could take for its own.
    let name = part.strip_prefix('_').unwrap_or(part);
    let stem = name.strip_suffix(".service").or_else(|| name.strip_suffix(".scope"))?;
    (!stem.is_empty() && is_name(name)).then(|| unescaped(name))
}

/// Undoes `\x2d` and its like, unless something else than printable text comes out.
fn unescaped(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let (byte, after) = escape(rest).map_or((first, after), |byte| (byte, &rest[4..]));
        bytes.push(byte);
        rest = after;
    }
    match String::from_utf8(bytes) {
        Ok(text) if is_name(&text) => text,
        _ => name.to_owned(),
    }
}

/// The byte that four characters at the beginning stand for.
fn escape(text: &[u8]) -> Option<u8> {
    let [b'\\', b'x', high, low, ..] = text else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_name(text: &str) -> bool {
    fits(text) && text != "." && text != ".." && !text.chars().any(char::is_control)
}

fn fits(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len())
}

/// From the text of /proc/PID/cgroup, the path that says most about the owner.
///
/// There is one line per hierarchy. With version 2 that is the only one. Where both versions are in
/// use, the line of version 2 may say nothing, or only which service started the runtime.
#[must_use]
pub fn path_of(proc_cgroup: &str) -> Option<&str> {
    proc_cgroup
        .lines()
        .filter_map(line)
        .max_by_key(|(hierarchy, path)| worth(*hierarchy, path))
        .map(|it| it.1)
}

/// How well a hierarchy is kept, and the path in it. A cgroup that is gone says so at its end.
fn line(line: &str) -> Option<(u8, &str)> {
    let mut fields = line.splitn(3, ':');
    let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    let hierarchy = match controllers {
        "" if number == "0" => 4,
        "name=systemd" => 3,
        "pids" => 2,
        "memory" => 1,
        _ => 0,
    };
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    path.starts_with('/').then_some((hierarchy, path))
}

/// A container says more than a unit, a longer path more than a shorter one.
fn worth(hierarchy: u8, path: &str) -> (u8, usize, u8) {
    let owner = owner(path);
    let says = match (owner.container, owner.pod_uid, owner.unit) {
        (Some(_), _, _) => 3,
        (_, Some(_), _) => 2,
        (_, _, Some(_)) => 1,
        _ => 0,
    };
    (says, path.split('/').filter(|part| !part.is_empty()).count(), hierarchy)
}

#[cfg(test)]
mod tests;
