//! Network namespaces: which there are, which the user wants, and how to get inside.

use crate::{Error, Result};
use nix::sched::{CloneFlags, setns};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use weir_record::printable;

const NAMES: &str = "/run/netns";
const OWN: &str = "/proc/thread-self/ns/net";
/// Ways into a namespace that are kept: processes come and go, a mount stays.
const DOORS: usize = 4;

/// Which network namespaces the user wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Namespaces {
    /// The one that the agent runs in.
    #[default]
    Own,
    /// All of the host, as they come and go.
    Every,
    /// Those with these names in /run/netns, or of the processes with these ids.
    Named(Vec<String>),
}

/// A network namespace that is watched.
#[derive(Debug)]
pub(crate) struct Namespace {
    /// Inode; 0 for the agent's own.
    pub(super) id: u32,
    /// Its number in the agent's own namespace, unless it is that.
    pub(super) nsid: Option<i32>,
    /// Its name in /run/netns, else its inode.
    pub(super) name: Arc<str>,
    pub(super) doors: Vec<PathBuf>,
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Namespace {
    /// Its inode; 0 for the agent's own.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Its name in /run/netns, else its inode.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether a process or a mount still leads there.
    pub(crate) fn is_reachable(&self) -> bool {
        self.id == 0 || open(self.id, &self.doors).is_ok()
    }

    /// Runs `work` inside: in a thread of its own, unless it is the agent's own namespace.
    ///
    /// # Errors
    /// It is gone (ENOENT), or may not be entered.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        if self.id == 0 {
            return Ok(work());
        }
        enter(&open(self.id, &self.doors)?, work)
    }
}

fn enter<T: Send>(netns: &File, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    let inside = || setns(netns, CloneFlags::CLONE_NEWNET).map(|()| work());
    let outcome = std::thread::scope(|scope| {
        std::thread::Builder::new().name("weir-netns".into()).spawn_scoped(scope, inside).map(|it| it.join())
    })?;
    match outcome {
        Ok(outcome) => Ok(outcome?),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Opens the namespace with inode `id` through the first door that still leads there.
pub(super) fn open(id: u32, doors: &[PathBuf]) -> io::Result<File> {
    let mut leads_there = doors
        .iter()
        .filter_map(|door| File::open(door).ok())
        .filter(|file| inode(file.metadata()) == Some(id));
    leads_there.next().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
}

/// Whether another namespace could be entered: tries it with the agent's own.
pub(super) fn may_enter() -> Result<()> {
    File::open(OWN).and_then(|own| enter(&own, || ())).map_err(Error::Namespaces)
}

fn inode(metadata: io::Result<fs::Metadata>) -> Option<u32> {
    u32::try_from(metadata.ok()?.ino()).ok()
}

/// The agent's own namespace.
pub(super) fn own() -> Result<File> {
    File::open(OWN).map_err(Error::Namespaces)
}

/// The wanted namespaces that there are now.
///
/// # Errors
/// One that the user named is not there, or others may not be entered.
pub(crate) fn find(wanted: Namespaces) -> Result<Vec<Namespace>> {
    let scout = Scout::new(wanted)?;
    if scout.looks_beyond() {
        may_enter()?;
    }
    let namespace =
        |(id, seen): (u32, Sighting)| Namespace { id, nsid: None, name: seen.name(id), doors: seen.doors };
    Ok(scout.look().into_iter().map(namespace).collect())
}

/// A namespace that a look around has found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Sighting {
    /// In /run/netns; a namespace can have several.
    pub(super) names: Vec<String>,
    pub(super) doors: Vec<PathBuf>,
}

impl Sighting {
    /// The name of the namespace with this inode.
    pub(super) fn name(&self, id: u32) -> Arc<str> {
        self.names.first().map_or_else(|| id.to_string().into(), |name| name.as_str().into())
    }
}

/// Looks around for namespaces.
pub(super) struct Scout {
    wanted: Namespaces,
    /// Those of the processes that the user named: they may outlive them.
    of_processes: BTreeSet<u32>,
    own: u32,
    /// The file system that namespaces are files of.
    device: u64,
}

impl Scout {
    /// # Errors
    /// A namespace that the user named is not there.
    pub(super) fn new(wanted: Namespaces) -> Result<Self> {
        let own = own()?.metadata().map_err(Error::Namespaces)?;
        let (device, own) = (own.dev(), own.ino() as u32);
        let mut scout = Self { wanted, of_processes: BTreeSet::new(), own, device };
        if let Namespaces::Named(words) = &mut scout.wanted {
            words.iter_mut().for_each(|word| *word = printable(word));
            let words = words.clone();
            scout.find_each(&words)?;
        }
        Ok(scout)
    }

    fn find_each(&mut self, words: &[String]) -> Result<()> {
        let names: Vec<_> = self.names().into_iter().map(|(name, ..)| name).collect();
        for word in words.iter().filter(|word| !names.contains(word)) {
            let process = word.parse::<u32>().ok();
            match process.and_then(|pid| inode(fs::metadata(format!("/proc/{pid}/ns/net")))) {
                Some(id) => drop(self.of_processes.insert(id)),
                None => {
                    let names = if names.is_empty() { "none".into() } else { names.join(", ") };
                    return Err(Error::NoNamespace { word: word.clone(), names });
                }
            }
        }
        Ok(())
    }

    /// Whether there can be others than the agent's own.
    pub(super) fn looks_beyond(&self) -> bool {
        self.wanted != Namespaces::Own
    }

    /// Whether it can be more than one.
    pub(super) fn may_find_several(&self) -> bool {
        match &self.wanted {
            Namespaces::Own => false,
            Namespaces::Every => true,
            Namespaces::Named(words) => words.len() > 1,
        }
    }

    /// The name of the agent's own namespace.
    pub(super) fn own_name(&self) -> String {
        let named = self.names().into_iter().find(|(_, id, _)| *id == self.own);
        named.map_or_else(|| self.own.to_string(), |(name, ..)| name)
    }

    /// The wanted namespaces, by inode; 0 is the agent's own.
    pub(super) fn look(&self) -> BTreeMap<u32, Sighting> {
        let mut seen: BTreeMap<u32, Sighting> = BTreeMap::new();
        if self.looks_beyond() {
            for (name, id, door) in self.names() {
                let sighting = seen.entry(id).or_default();
                sighting.names.push(name);
                sighting.doors.push(door);
            }
            let doors = mounts().into_iter().chain(processes());
            doors.for_each(|(id, door)| {
                let sighting = seen.entry(id).or_default();
                if sighting.doors.len() < DOORS {
                    sighting.doors.push(door);
                }
            });
        }
        seen.retain(|id, sighting| self.wants(*id, sighting));
        let own = seen.remove(&self.own);
        if own.is_some() || !matches!(self.wanted, Namespaces::Named(_)) {
            seen.insert(0, Sighting { names: vec![self.own_name()], doors: Vec::new() });
        }
        seen
    }

    fn wants(&self, id: u32, sighting: &Sighting) -> bool {
        match &self.wanted {
            Namespaces::Own => false,
            Namespaces::Every => true,
            Namespaces::Named(words) => {
                self.of_processes.contains(&id) || sighting.names.iter().any(|name| words.contains(name))
            }
        }
    }

    /// The namespace is gone: another may get its inode.
    pub(super) fn forget(&mut self, id: u32) {
        self.of_processes.remove(&id);
    }

    /// What /run/netns names, made harmless.
    fn names(&self) -> Vec<(String, u32, PathBuf)> {
        let entries = fs::read_dir(NAMES).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries
            .filter_map(|entry| {
                let metadata = fs::metadata(entry.path()).ok()?;
                // A name whose namespace is not mounted is an empty file.
                let id = (metadata.dev() == self.device).then(|| inode(Ok(metadata)))??;
                Some((printable(entry.file_name().to_str()?), id, entry.path()))
            })
            .collect();
        names.sort();
        names
    }
}

/// Namespaces that are mounted somewhere: `… net:[4026532281] /run/docker/netns/1 … - nsfs nsfs rw`.
fn mounts() -> Vec<(u32, PathBuf)> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    table.lines().filter_map(mount).collect()
}

fn mount(line: &str) -> Option<(u32, PathBuf)> {
    let mut words = line.split(' ').skip(3);
    let id = id_in(words.next()?)?;
    // White space in a path is written in octal.
    let path = words.next()?.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n");
    Some((id, path.replace("\\134", "\\").into()))
}

/// Namespaces that processes are in.
fn processes() -> impl Iterator<Item = (u32, PathBuf)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().as_encoded_bytes()[0].is_ascii_digit()).filter_map(|entry| {
        let door = entry.path().join("ns/net");
        Some((id_in(fs::read_link(&door).ok()?.to_str()?)?, door))
    })
}

/// The inode in `net:[4026532281]`.
fn id_in(text: &str) -> Option<u32> {
    text.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()
}

/// Whether a device lies behind an interface of the agent's own namespace, where the kernel
/// does not say so itself (before 5.14). Of other namespaces sysfs shows nothing.
pub(super) fn has_device_in_sysfs(name: &str) -> bool {
    Path::new("/sys/class/net").join(name).join("device").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read() {
        let line = "300 24 0:4 net:[4026532281] /run/net\\040ns/a rw shared:2 - nsfs nsfs rw";
        assert_eq!(mount(line), Some((4_026_532_281, "/run/net ns/a".into())));
        assert_eq!(mount("301 24 0:5 / /proc rw - proc proc rw"), None);
    }

    #[test]
    fn this_process_is_in_its_own_namespace() {
        let scout = Scout::new(Namespaces::Own).expect("it can be looked at");
        assert!(processes().any(|(id, _)| id == scout.own));
        assert_eq!(scout.look().into_keys().collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn a_namespace_is_named_by_a_process_in_it() {
        let own = Namespaces::Named(vec![std::process::id().to_string()]);
        assert_eq!(Scout::new(own).expect("it is there").look().into_keys().collect::<Vec<_>>(), [0]);
        let nobody = Namespaces::Named(vec!["weirt-no-such-name".into()]);
        let error = Scout::new(nobody).map(|_| ()).expect_err("it is not there").to_string();
        assert!(error.contains("weirt-no-such-name") && !error.contains('\n'), "{error}");
    }
}
