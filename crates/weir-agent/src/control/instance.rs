//! Which of the host's agents this is. The first one is number 1, and so on: the lowest number that
//! no living agent has.
//!
//! A number belongs to whoever holds the lock (flock(2)) on its file, so that it is free again when
//! its owner is killed. Claims, and giving them up, take turns by a lock on the directory: two
//! agents that start at once never share, and what killed ones left behind goes at the next start.

#[cfg(test)]
mod tests;

use super::client::connect;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::geteuid;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// Where root's agents are found.
pub(super) const SYSTEM: &str = "/run/weir";
/// Owner and group may connect: whoever may write to the socket.
const SOCKET_MODE: u32 = 0o660;
const BACKLOG: i32 = 64;
/// More agents than a host has use for.
const MOST: u32 = 1000;

/// Why an agent has no control socket.
#[derive(Debug, thiserror::Error)]
pub enum Unclaimed {
    /// There is no directory of the user's own.
    #[error("XDG_RUNTIME_DIR is not set: set it, run as root, or use --socket PATH")]
    NoDirectory,
    /// A file or directory refuses.
    #[error("{what} {path}: {source}")]
    Refused {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: String,
        /// The kernel's word.
        source: io::Error,
    },
    /// The path is in use.
    #[error("{0} is in use by a running program: choose another --socket")]
    InUse(String),
    /// The path is no socket, and not to be removed.
    #[error("{0} is there and is no socket: choose another --socket")]
    NoSocket(String),
    /// Somebody else could put files there.
    #[error("{0} does not belong to this user: remove it, or use --socket PATH")]
    Foreign(String),
    /// There are too many.
    #[error("{MOST} agents run here already")]
    TooMany,
}

fn refused(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Unclaimed {
    let path = path.display().to_string();
    move |source| Unclaimed::Refused { what, path, source }
}

/// An agent among the agents of this host, for as long as it lives.
///
/// All that two agents must not share is derived from the number: today the control socket,
/// `weir.sock` for number 1 and `weir-N.sock` for number N. A port to listen on (base + N - 1) or a
/// directory to write to is to be derived likewise, so that a second agent finds its own place
/// without being told. Where there is no directory to agree in, the number is 1 for everybody, and
/// what is derived from it must be ready to find its place taken.
#[derive(Debug)]
pub struct Instance {
    number: u32,
    socket: PathBuf,
    listener: Option<UnixListener>,
    /// The directory and the locked file of the number.
    claim: Option<(PathBuf, File)>,
}

impl Instance {
    /// Claims the lowest free number and listens on its socket, or on `forced`.
    ///
    /// # Errors
    /// There is no place for a socket, or `forced` is taken.
    pub fn claim(forced: Option<&Path>) -> Result<Self, Unclaimed> {
        let place = directory().and_then(|directory| Ok((take_turns(&directory)?, directory)));
        match (place, forced) {
            (Ok((turn, directory)), _) => Self::claim_in(&directory, &turn, forced),
            // Whoever names a path needs no directory.
            (Err(_), Some(socket)) => Self::listen_at(1, socket.to_path_buf(), None),
            (Err(why), None) => Err(why),
        }
    }

    /// In a directory where it is our turn.
    fn claim_in(directory: &Path, _turn: &File, forced: Option<&Path>) -> Result<Self, Unclaimed> {
        sweep(directory);
        for number in 1..=MOST {
            let path = file(directory, number, "lock");
            let mut options = OpenOptions::new();
            let lock = options.create(true).truncate(false).write(true).open(&path);
            let lock = lock.map_err(refused("cannot create", &path))?;
            if lock.try_lock().is_err() {
                continue;
            }
            let socket = forced.map_or_else(|| file(directory, number, "sock"), Path::to_path_buf);
            let claimed = Self::listen_at(number, socket, Some((directory.to_path_buf(), lock)));
            if claimed.is_err() {
                give_up(directory, number);
            }
            return claimed;
        }
        Err(Unclaimed::TooMany)
    }

    fn listen_at(number: u32, socket: PathBuf, claim: Option<(PathBuf, File)>) -> Result<Self, Unclaimed> {
        make_way(&socket)?;
        let listener = listen_on(&socket).map_err(refused("cannot listen on", &socket))?;
        if let Some((directory, lock)) = &claim {
            let words = format!("{}\n{}\n", std::process::id(), socket.display());
            let mut lock: &File = lock;
            if let Err(error) = lock.set_len(0).and_then(|()| lock.write_all(words.as_bytes())) {
                let _ = fs::remove_file(&socket);
                return Err(refused("cannot write to", directory)(error));
            }
        }
        Ok(Self { number, socket, listener: Some(listener), claim })
    }

    /// 1 for the first agent of this host.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The control socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    pub(super) fn take_listener(&mut self) -> Option<UnixListener> {
        self.listener.take()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let turn = self.claim.as_ref().map(|(directory, _)| lock_directory(directory));
        let _ = fs::remove_file(&self.socket);
        if let Some((directory, _lock)) = &self.claim {
            give_up(directory, self.number);
        }
        drop(turn);
    }
}

/// Our turn it is, and the number is ours.
fn give_up(directory: &Path, number: u32) {
    let _ = fs::remove_file(file(directory, number, "lock"));
    // Only the last one finds it empty.
    let _ = fs::remove_dir(directory);
}

/// Where this user's agents agree.
fn directory() -> Result<PathBuf, Unclaimed> {
    if geteuid().is_root() { Ok(SYSTEM.into()) } else { user_directory().ok_or(Unclaimed::NoDirectory) }
}

/// The place of agents that are not root's.
pub(super) fn user_directory() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_RUNTIME_DIR").filter(|base| !base.is_empty())?;
    Some(Path::new(&base).join("weir"))
}

/// `weir.sock`, `weir-2.sock`, and their locks.
fn file(directory: &Path, number: u32, kind: &str) -> PathBuf {
    directory.join(if number == 1 { format!("weir.{kind}") } else { format!("weir-{number}.{kind}") })
}

/// The number of a lock file.
pub(super) fn number_of(lock: &Path) -> Option<u32> {
    let name = lock.file_name()?.to_str()?.strip_suffix(".lock")?;
    if name == "weir" { Some(1) } else { name.strip_prefix("weir-")?.parse().ok().filter(|n| *n > 1) }
}

/// What a lock file says: whose it is, and where the socket is.
pub(super) fn socket_of(lock: &Path) -> Option<PathBuf> {
    Some(PathBuf::from(fs::read_to_string(lock).ok()?.lines().nth(1)?))
}

/// The directory, made if need be, and locked until the file is dropped.
fn take_turns(directory: &Path) -> Result<File, Unclaimed> {
    // The last agent to go takes the directory away: then it is made again.
    for _ in 0..100 {
        let fresh = make_directory(directory).map_err(refused("cannot create", directory))?;
        match lock_directory(directory) {
            // Whatever the umask is.
            Ok(turn) if fresh => {
                let opened = turn.set_permissions(Permissions::from_mode(0o755));
                return opened.map(|()| turn).map_err(refused("cannot open to others", directory));
            }
            Ok(turn) if turn.metadata().is_ok_and(|held| held.uid() == geteuid().as_raw()) => {
                return Ok(turn);
            }
            Ok(_) => return Err(Unclaimed::Foreign(directory.display().to_string())),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(refused("cannot lock", directory)(error)),
        }
    }
    Err(refused("cannot lock", directory)(ErrorKind::NotFound.into()))
}

/// Whether it was not there before.
fn make_directory(directory: &Path) -> io::Result<bool> {
    match DirBuilder::new().mode(0o755).create(directory) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// NotFound where the directory went away while we waited.
fn lock_directory(directory: &Path) -> io::Result<File> {
    let held = File::open(directory)?;
    held.lock()?;
    let (locked, there) = (held.metadata()?, fs::symlink_metadata(directory)?);
    if (locked.dev(), locked.ino()) == (there.dev(), there.ino()) {
        Ok(held)
    } else {
        Err(ErrorKind::NotFound.into())
    }
}

/// Removes what killed agents have left.
fn sweep(directory: &Path) {
    for path in fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let Ok(lock) = File::open(&path) else { continue };
        if number_of(&path).is_none() || lock.try_lock().is_err() {
            continue;
        }
        if let Some(socket) = socket_of(&path) {
            let _ = make_way(&socket);
        }
        let _ = fs::remove_file(&path);
    }
}

/// Removes a socket that nobody listens on.
fn make_way(path: &Path) -> Result<(), Unclaimed> {
    let shown = || path.display().to_string();
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(refused("cannot look at", path)(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(Unclaimed::NoSocket(shown())),
        Ok(_) => {}
    }
    match connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(refused("cannot remove", path))
        }
        _ => Err(Unclaimed::InUse(shown())),
    }
}

/// Never open to anybody but the owner on the way to its permissions.
fn listen_on(path: &Path) -> io::Result<UnixListener> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    // Linux gives the file the mode of the unbound socket, less the umask.
    fchmod(&fd, Mode::S_IRUSR | Mode::S_IWUSR)?;
    bind(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    let ready = Backlog::new(BACKLOG).map_err(io::Error::from).and_then(|backlog| {
        listen(&fd, backlog)?;
        fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))
    });
    match ready {
        Ok(()) => Ok(UnixListener::from(fd)),
        Err(error) => {
            let _ = fs::remove_file(path);
            Err(error)
        }
    }
}
