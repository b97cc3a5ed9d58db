//! Containers that users run without being root: each has runtimes of their own.

use super::source::Source;
use nix::unistd::{Uid, User};
use std::fs;
use std::path::{Path, PathBuf};
use weir_record::Runtime;

/// Users that are looked at.
const USERS: usize = 64;

/// Where such runtimes are, of all users who are logged in, or have processes that stay when they are not.
pub fn sources(with_labels: bool) -> Vec<Source> {
    of(Path::new("/run/user"), with_labels, |user| {
        User::from_uid(Uid::from_raw(user)).ok().flatten().map(|user| user.dir)
    })
}

fn of(run: &Path, with_labels: bool, home: impl Fn(u32) -> Option<PathBuf>) -> Vec<Source> {
    let names = fs::read_dir(run)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let users = names.filter_map(|name| name.parse::<u32>().ok()).take(USERS);
    users.flat_map(|user| of_user(&run.join(user.to_string()), home(user), with_labels)).collect()
}

fn of_user(run: &Path, home: Option<PathBuf>, with_labels: bool) -> Vec<Source> {
    let storage =
        home.map(|home| Source::folder(Runtime::Podman, home.join(".local/share/containers/storage")));
    let mut podman: Vec<_> = storage.into_iter().collect();
    podman.push(Source::socket(Runtime::Podman, run.join("podman/podman.sock")));
    if with_labels {
        podman.reverse();
    }
    podman.push(Source::socket(Runtime::Docker, run.join("docker.sock")));
    podman
}

#[cfg(test)]
mod tests {
    use super::super::tests::Folder;
    use super::*;

    #[test]
    fn every_user_has_three_places() {
        let run = Folder::new("users");
        run.write("1000/bus", "");
        run.write("systemd/private", "");
        let home = |user| (user == 1000).then(|| PathBuf::from("/home/maria"));
        let places = |with_labels| {
            let sources = of(run.path(), with_labels, home);
            sources.into_iter().map(|source| source.place).collect::<Vec<_>>()
        };
        let storage = PathBuf::from("/home/maria/.local/share/containers/storage");
        let socket = |name: &str| run.path().join("1000").join(name);
        let [podman, docker] = [socket("podman/podman.sock"), socket("docker.sock")];
        assert_eq!(places(false), [storage.clone(), podman.clone(), docker.clone()]);
        assert_eq!(places(true), [podman, storage, docker]);
    }
}
