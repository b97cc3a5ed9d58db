//! The files that names and places come from, read again when they change, by a thread of their own.

use super::atlas::Map;
use super::hosts::Hosts;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);
/// News that may wait: there is one of each file in a second.
const WAITING: usize = 16;
/// Bytes that are read at most. The databases that are sold have less than a gigabyte.
const LARGEST: u64 = 1 << 30;

/// What is in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Names.
    Hosts,
    /// The database that has this place among the others.
    Map(usize),
}

/// What has become of a file.
pub enum News {
    /// It says this now.
    Hosts(Hosts),
    /// The same of a database.
    Map(usize, Map),
    /// It cannot be read.
    Unreadable(String),
}

/// A file, and how it was when it was last looked at.
pub struct Watched {
    path: PathBuf,
    content: Content,
    seen: Option<Result<Stamp, io::ErrorKind>>,
}

/// What changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    modified: (i64, i64),
    length: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        Self { device: metadata.dev(), inode: metadata.ino(), modified, length: metadata.len() }
    }
}

impl Watched {
    /// One that has not been looked at.
    pub fn new(path: PathBuf, content: Content) -> Self {
        Self { path, content, seen: None }
    }

    /// What is new.
    pub fn look(&mut self) -> Option<News> {
        let now = self.stamp();
        let seen = now.as_ref().copied().map_err(io::Error::kind);
        if self.seen == Some(seen) {
            return None;
        }
        self.seen = Some(seen);
        Some(match now.and_then(|_| self.read()) {
            Ok(news) => news,
            // A host need not have one.
            Err(error) if self.content == Content::Hosts && error.kind() == io::ErrorKind::NotFound => {
                News::Hosts(Hosts::default())
            }
            Err(error) => News::Unreadable(self.remark(&error)),
        })
    }

    fn remark(&self, error: &io::Error) -> String {
        let effect = match self.content {
            Content::Hosts => "the names in it stay as they are",
            Content::Map(_) => "places stay as they are",
        };
        format!("cannot read {}: {error}: {effect} until it can", self.path.display())
    }

    fn stamp(&self) -> io::Result<Stamp> {
        let metadata = self.path.metadata()?;
        // Opening anything else might take forever.
        match metadata.is_file() {
            true => Ok(Stamp::of(&metadata)),
            false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file")),
        }
    }

    fn read(&self) -> io::Result<News> {
        let mut content = Vec::new();
        File::open(&self.path)?.take(LARGEST).read_to_end(&mut content)?;
        match self.content {
            Content::Hosts => Ok(News::Hosts(Hosts::parse(&String::from_utf8_lossy(&content)))),
            Content::Map(place) => match Map::new(content) {
                Ok(map) => Ok(News::Map(place, map)),
                Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error.to_string())),
            },
        }
    }
}

/// Looks at the files from now on, until nobody listens.
///
/// # Errors
/// There can be no thread.
pub fn watch(mut files: Vec<Watched>) -> io::Result<Receiver<News>> {
    let (news, heard) = sync_channel(WAITING);
    std::thread::Builder::new().name("weir-names".into()).spawn(move || {
        loop {
            std::thread::sleep(EVERY);
            if files.iter_mut().filter_map(Watched::look).any(|one| news.send(one).is_err()) {
                return;
            }
        }
    })?;
    Ok(heard)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::net::IpAddr;

    /// A folder of the test's own.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("weir-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("a folder");
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_hosts_file_that_comes_changes_and_goes() {
        let folder = Folder::new("hosts");
        let path = folder.0.join("hosts");
        let mut watched = Watched::new(path.clone(), Content::Hosts);
        let mut look = || match watched.look() {
            Some(News::Hosts(hosts)) => {
                Some(hosts.of(IpAddr::from([192, 0, 2, 1])).map(|name| name.text.clone()))
            }
            Some(_) => panic!("it is a hosts file"),
            None => None,
        };
        assert_eq!((look(), look()), (Some(None), None));
        fs::write(&path, "192.0.2.1 one").expect("written");
        assert_eq!((look(), look()), (Some(Some("one".into())), None));
        fs::write(folder.0.join("new"), "192.0.2.1 two").expect("written");
        fs::rename(folder.0.join("new"), &path).expect("replaced");
        assert_eq!((look(), look()), (Some(Some("two".into())), None));
        fs::remove_file(&path).expect("removed");
        assert_eq!((look(), look()), (Some(None), None));
    }

    #[test]
    fn what_is_no_database_is_said_once() {
        let folder = Folder::new("map");
        let path = folder.0.join("map.mmdb");
        let mut watched = Watched::new(path.clone(), Content::Map(0));
        let mut said = || match watched.look() {
            Some(News::Unreadable(said)) => said,
            Some(_) => "something else".into(),
            None => "nothing".into(),
        };
        assert!(said().contains("map.mmdb: No such file"));
        assert_eq!(said(), "nothing");
        fs::write(&path, [7; 5000]).expect("written");
        assert!(said().ends_with("places stay as they are until it can"));
        assert_eq!(said(), "nothing");
        fs::remove_file(&path).expect("removed");
        fs::create_dir(&path).expect("made");
        assert!(said().contains("it is not a file"));
    }
}
