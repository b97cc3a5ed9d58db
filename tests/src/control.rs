//! The agent's control socket, as a client of its own writing sees it, and `weir status`.

use crate::agent::binary;
use crate::netns::succeed;
use serde_json::Value;
use std::io::{self, BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// Where root's agents are.
pub const DIRECTORY: &str = "/run/weir";

/// The control socket of the agent with this process number: its lock file names both.
pub fn socket_of(pid: u32) -> Option<PathBuf> {
    claims().into_iter().find(|claim| claim.pid == pid).map(|claim| claim.socket)
}

/// What a lock file says.
#[derive(Debug)]
pub struct Claim {
    /// The file itself.
    pub lock: PathBuf,
    /// The agent.
    pub pid: u32,
    /// Its socket.
    pub socket: PathBuf,
}

/// All lock files there are.
pub fn claims() -> Vec<Claim> {
    let files = std::fs::read_dir(DIRECTORY).into_iter().flatten().flatten();
    let locks = files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|e| e == "lock"));
    let claim = |lock: PathBuf| {
        let text = std::fs::read_to_string(&lock).ok()?;
        let (pid, socket) = text.split_once('\n')?;
        Some(Claim { pid: pid.parse().ok()?, socket: socket.trim_end().into(), lock })
    };
    locks.filter_map(claim).collect()
}

/// Removes what an agent that was killed has left; the next agent would do it, but there may be none.
pub fn tidy(pid: u32) {
    for claim in claims().iter().filter(|claim| claim.pid == pid) {
        let _ = std::fs::remove_file(&claim.socket);
        let _ = std::fs::remove_file(&claim.lock);
    }
    let _ = std::fs::remove_dir(DIRECTORY);
}

/// Sends bytes as they are, closes that half, and returns the line that comes back; empty if there is none.
pub fn say(socket: &Path, words: &[u8]) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(words)?;
    // Whoever sends too much may have been sent away already.
    let _ = stream.shutdown(Shutdown::Write);
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line)
}

/// `weir` with these arguments, to its end.
pub fn weir(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).output().expect("weir starts")
}

/// `weir status -o json` of one agent.
pub fn status(socket: &Path) -> Value {
    let line = succeed(Command::new(binary()).args(["status", "-o", "json", "--socket"]).arg(socket));
    assert_eq!(line.lines().count(), 1, "{line}");
    serde_json::from_str(&line).expect("JSON")
}
