//! An answer on its way: written on a thread of its own, sent as it comes.

use crate::Problem;
use bytes::Bytes;
use hyper::body::{Body, Frame};
use std::io::{self, ErrorKind, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// What is sent together. What fails before so much was written has nothing sent yet.
const PIECE: usize = 64 * 1024;
/// Pieces on their way.
const PIECES: usize = 4;
/// Who has read nothing for so long is gone, where there is no other limit.
const STALLED: Duration = Duration::from_secs(30);

/// Whether there is an answer.
pub(crate) type Head = Result<(), Problem>;

/// An answer on its way.
#[derive(Debug)]
pub struct Reply {
    media: &'static str,
    /// None once it has been said that there is an answer.
    head: Option<oneshot::Sender<Head>>,
    body: mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
    deadline: Option<Instant>,
    runtime: Handle,
}

impl Reply {
    /// Of this form, until this time; and the two ends that come out.
    pub(crate) fn new(
        media: &'static str,
        deadline: Option<Instant>,
    ) -> (Self, oneshot::Receiver<Head>, Pieces) {
        let ((head, headed), (body, pieces)) = (oneshot::channel(), mpsc::channel(PIECES));
        let runtime = Handle::current();
        let reply = Self { media, head: Some(head), body, buffer: Vec::new(), deadline, runtime };
        (reply, headed, Pieces(pieces))
    }

    /// The form in which the answer is wanted: one of those that the endpoint has.
    pub fn media(&self) -> &'static str {
        self.media
    }

    /// Whether nobody wants it any more, or it is too late.
    pub fn is_unwanted(&self) -> bool {
        self.watch().is_unwanted()
    }

    /// Why it has ended before its end.
    pub fn stopped(&self) -> Problem {
        self.watch().stopped()
    }

    /// Says whether it is wanted while something else writes it.
    pub fn watch(&self) -> Watch {
        Watch { body: self.body.clone(), deadline: self.deadline }
    }

    /// Sends what has been written so far.
    ///
    /// # Errors
    /// Nobody reads it.
    pub fn send(&mut self) -> io::Result<()> {
        if let Some(head) = self.head.take() {
            head.send(Ok(())).map_err(|_| io::Error::from(ErrorKind::BrokenPipe))?;
        }
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::take(&mut self.buffer));
        let patience = self.deadline.map_or(STALLED, |end| end.saturating_duration_since(Instant::now()));
        match self.runtime.block_on(async { timeout(patience, self.body.send(Ok(piece))).await }) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(ErrorKind::BrokenPipe.into()),
            Err(_) => Err(ErrorKind::TimedOut.into()),
        }
    }

    /// That was all, or why not.
    pub(crate) fn end(mut self, outcome: Result<(), Problem>) {
        let problem = match outcome {
            Ok(()) => self.send().err().map(|_| self.stopped()),
            Err(problem) => Some(problem),
        };
        let Some(problem) = problem else { return };
        match self.head.take() {
            Some(head) => drop(head.send(Err(problem))),
            // Half an answer does not end like a whole one.
            None => drop(self.runtime.block_on(self.body.send(Err(io::Error::other(problem))))),
        }
    }
}

impl Write for Reply {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE {
            self.send()?;
        }
        Ok(bytes.len())
    }

    /// Nothing: what is written together is sent together. See [`Reply::send`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether somebody waits for an answer. The answer does not end before this is gone.
#[derive(Debug, Clone)]
pub struct Watch {
    body: mpsc::Sender<io::Result<Bytes>>,
    deadline: Option<Instant>,
}

impl Watch {
    /// Whether nobody wants it any more, or it is too late.
    pub fn is_unwanted(&self) -> bool {
        self.body.is_closed() || self.is_late()
    }

    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Why it has ended before its end.
    pub fn stopped(&self) -> Problem {
        if self.is_late() {
            Problem::late("it takes longer than it may: ask for less at once, or give it more time (timeout)")
        } else {
            Problem::failed("nobody waits for it any more")
        }
    }
}

/// What comes out.
#[derive(Debug)]
pub(crate) struct Pieces(mpsc::Receiver<io::Result<Bytes>>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
