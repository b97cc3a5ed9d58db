//! The asking side.

use super::flows::{Flows, Wanted};
use super::instance::{SYSTEM, number_of, socket_of, user_directory};
use super::protocol::{FlowsReply, PROTOCOL, Request};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect as connect_fd, socket};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

/// An agent in a long drain is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// The state of 65 535 observation points fits.
const LONGEST: u64 = 64 << 20;
/// How often a crowded agent is tried again, and how long in between.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(50);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// Nobody listens there.
    #[error("no agent listens on {0}")]
    Nobody(String),
    /// The socket is for its owner and group.
    #[error("no permission to ask the agent on {0}: run this as root, or as the agent's user")]
    Permission(String),
    /// It takes no more, or says nothing.
    #[error("the agent on {0} does not answer: is it stopped, or stopping?")]
    Silent(String),
    /// It says why not.
    #[error("{0}: {1}")]
    Refused(String, String),
    /// It is of another version, or no agent.
    #[error("{0} answers what this weir does not understand: {1}. Use the agent's own weir")]
    Strange(String, String),
    /// Anything else.
    #[error("cannot ask the agent on {0}: {1}")]
    Other(String, io::Error),
}

/// The sockets of the agents that this user may know of, by number, those of killed agents among them.
pub fn sockets() -> Vec<PathBuf> {
    let places = [Some(PathBuf::from(SYSTEM)), user_directory()];
    places.into_iter().flatten().flat_map(|place| sockets_in(&place)).collect()
}

fn sockets_in(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .map(|entry| entry.path())
        .filter_map(|lock| Some((number_of(&lock)?, socket_of(&lock)?)))
        .collect();
    found.sort();
    found.into_iter().map(|(_, socket)| socket).collect()
}

/// Asks the agent on `socket`. Its line, without the newline.
///
/// # Errors
/// There is no agent, no permission, or no answer.
pub fn ask(socket: &Path, request: Request) -> Result<String, Unanswered> {
    for _ in 0..TRIES {
        match ask_once(socket, request) {
            Ok(line) if !line.is_empty() => return Ok(line),
            Ok(_) => {}
            Err(error) if is_crowded(&error) => {}
            Err(error) => return Err(explain(socket, error)),
        }
        sleep(PAUSE);
    }
    Err(Unanswered::Silent(socket.display().to_string()))
}

/// Asks the agent on `socket` what has moved.
///
/// # Errors
/// As [`ask`]; or it does not know the question, or another answer to it.
pub fn ask_flows(socket: &Path, wanted: Wanted) -> Result<Flows, Unanswered> {
    let line = ask(socket, Request::Flows(wanted))?;
    let path = socket.display().to_string();
    match serde_json::from_str(&line) {
        Ok(FlowsReply { protocol: PROTOCOL, flows: Some(flows), .. }) => Ok(flows),
        Ok(FlowsReply { error: Some(error), .. }) => Err(Unanswered::Refused(path, error)),
        Ok(FlowsReply { protocol, .. }) if protocol != PROTOCOL => {
            Err(Unanswered::Strange(path, format!("it speaks protocol {protocol}, not {PROTOCOL}")))
        }
        Ok(_) => Err(Unanswered::Strange(path, "there are no conversations in it".into())),
        Err(error) => Err(Unanswered::Strange(path, error.to_string())),
    }
}

fn ask_once(socket: &Path, request: Request) -> io::Result<String> {
    let mut stream = connect(socket)?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(request.line().as_bytes())?;
    let mut line = String::new();
    // The kernel says the same where a read has waited long enough as where a queue is full.
    let is_late = |error: io::Error| match error.kind() {
        ErrorKind::WouldBlock => ErrorKind::TimedOut.into(),
        _ => error,
    };
    BufReader::new(stream.take(LONGEST)).read_line(&mut line).map_err(is_late)?;
    // Half a line is none.
    Ok(line.strip_suffix('\n').map(str::to_string).unwrap_or_default())
}

/// Does not wait for a listener whose queue is full.
pub(super) fn connect(path: &Path) -> io::Result<UnixStream> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect_fd(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(UnixStream::from(fd))
}

/// It sent us away for others, or had no room in its queue.
fn is_crowded(error: &io::Error) -> bool {
    use nix::errno::Errno;
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
        || error.raw_os_error() == Some(Errno::EAGAIN as i32)
}

fn explain(socket: &Path, error: io::Error) -> Unanswered {
    let path = socket.display().to_string();
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => Unanswered::Nobody(path),
        ErrorKind::PermissionDenied => Unanswered::Permission(path),
        ErrorKind::TimedOut => Unanswered::Silent(path),
        _ => Unanswered::Other(path, error),
    }
}
