//! Each query in a process of its own, which the kernel lets have so much memory and no more.
//!
//! The engine counts what sorts, groups and joins hold. What an expression makes of its values nobody counts, and a
//! program whose memory is refused ends at once. So a query that ends that way ends nothing else; one that is not wanted
//! any more is killed, whatever it is at; and all that it held is given back.

mod child;
mod frame;
mod limits;

use crate::engine::Answer;
use crate::report::Report;
use crate::statement::Statement;
use crate::{Error, Result};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::reader::StreamReader;
use frame::{Frame, Request};
use nix::sys::signal::Signal;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub use child::serve;

/// The first argument of a process that answers; the second is the history's directory, or [`FROM`] before a URL. Not a
/// command of the user's.
pub const NAME: &str = "sql-query";
/// The second argument of one that answers about what lies at a URL, which is the third.
pub const FROM: &str = "--from";
/// How often it is asked whether the answer is still wanted.
const GLANCE: Duration = Duration::from_millis(50);
/// Parts of an answer that wait to be handed on.
const PARTS: usize = 1;

/// Asks a history, each time in a process of its own. The program must have [`serve`] answer where its first argument
/// is [`NAME`].
#[derive(Debug)]
pub struct Apart {
    /// What the process is told of where to look.
    place: Vec<OsString>,
    memory: usize,
}

impl Apart {
    /// What is kept in this directory; a query may hold so many bytes in memory.
    pub fn new(directory: &Path, memory: usize) -> Self {
        Self { place: vec![directory.into()], memory }
    }

    /// The same of what lies at this URL.
    pub fn from(url: &str, memory: usize) -> Self {
        Self { place: vec![FROM.into(), url.into()], memory }
    }

    /// Hands the answer on until it is unwanted, and says what was read for it. Segments that turn out to be damaged are left out, and named
    /// in the report, unless a part of the answer was handed on by then.
    ///
    /// # Errors
    /// The statement makes no sense, needs too much memory, is not wanted any more; or the answer could not be handed on.
    pub fn ask(
        &self,
        statement: &Statement,
        answer: &mut dyn Answer,
        is_unwanted: impl Fn() -> bool,
    ) -> Result<Report> {
        let request = Request::new(statement, self.memory);
        let mut query = Query::start(&self.place, &request).map_err(Error::Start)?;
        let mut handed = Handed { answer, has_begun: false };
        let mut glance = Instant::now();
        loop {
            // However fast rows come.
            if glance.elapsed() >= GLANCE {
                glance = Instant::now();
                if is_unwanted() {
                    return Err(Error::Interrupted);
                }
            }
            match query.frames.recv_timeout(GLANCE) {
                Ok(Frame::Arrow(bytes)) => handed.take(&bytes)?,
                Ok(Frame::Without(damaged)) => handed.answer.without(&damaged),
                Ok(Frame::End(outcome)) => return outcome.map_err(Error::from),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(query.ended(self.memory)),
            }
        }
    }
}

/// A process that answers. It is killed where nobody waits for its answer any more.
struct Query {
    child: Child,
    frames: Receiver<Frame>,
    /// Its temporary files are in there, and go with it, however it ends. Dropped last.
    _files: TempDir,
}

impl Query {
    fn start(place: &[OsString], request: &Request) -> io::Result<Self> {
        let files = TempDir::with_prefix("weir-sql-")?;
        // This very program, also where another lies in its place by now.
        let mut command = Command::new("/proc/self/exe");
        command.arg0("weir").arg(NAME).args(place).env("TMPDIR", files.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C is told to who asks, not to who answers.
        let mut child = command.process_group(0).spawn()?;
        let (tell, frames) = sync_channel(PARTS);
        let out = child.stdout.take();
        let query = Self { child, frames, _files: files };
        if let Some(out) = out {
            thread::Builder::new().name("weir-sql".into()).spawn(move || read(out, &tell))?;
        }
        query.tell(request)?;
        Ok(query)
    }

    /// It takes the end of its standard input for that of who asks.
    fn tell(&self, request: &Request) -> io::Result<()> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.child.stdin.as_ref().map_or(Ok(()), |mut stdin| stdin.write_all(&line))
    }

    /// Why it ended without an answer.
    fn ended(&mut self, memory: usize) -> Error {
        let mut said = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            let _ = stderr.read_to_string(&mut said);
        }
        match self.child.wait() {
            Ok(status) => why(status, said.trim(), memory),
            Err(error) => Error::Start(error),
        }
    }
}

impl Drop for Query {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Hands on what it says, until it says nothing more.
fn read(mut out: ChildStdout, tell: &SyncSender<Frame>) {
    while let Ok(Some(frame)) = Frame::read(&mut out) {
        if tell.send(frame).is_err() {
            return;
        }
    }
}

/// What the end of a process says of its query.
fn why(status: ExitStatus, said: &str, memory: usize) -> Error {
    const ABORTED: i32 = Signal::SIGABRT as i32;
    const KILLED: i32 = Signal::SIGKILL as i32;
    match status.signal() {
        // In the words of Rust's standard library.
        Some(ABORTED) if said.contains("memory allocation of") => {
            Error::Memory { limit: memory >> 20, what: "an expression".into() }
        }
        Some(KILLED) => {
            Error::Read("the query was killed from outside: the host may have no memory left".into())
        }
        _ => Error::Read(format!(
            "the query engine has failed: {status}{}{said}",
            if said.is_empty() { "" } else { ": " }
        )),
    }
}

/// What has been handed on.
struct Handed<'a> {
    answer: &'a mut dyn Answer,
    has_begun: bool,
}

impl Handed<'_> {
    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        let unreadable = |error: ArrowError| Error::Read(format!("the answer cannot be read: {error}"));
        let stream = StreamReader::try_new(bytes, None).map_err(unreadable)?;
        if !std::mem::replace(&mut self.has_begun, true) {
            self.answer.begin(&stream.schema()).map_err(Error::Answer)?;
        }
        for rows in stream {
            self.answer.rows(&rows.map_err(unreadable)?).map_err(Error::Answer)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_it_ended_says_why() {
        let said = |status: i32, said: &str| why(ExitStatus::from_raw(status), said, 16 << 20).to_string();
        assert!(said(6, "memory allocation of 9 bytes failed").contains("more memory than the 16 MiB"));
        assert!(said(6, "").contains("has failed: signal: 6"));
        assert!(said(9, "").contains("killed from outside"));
        assert!(said(1 << 8, "no").ends_with("exit status: 1: no"));
    }
}
