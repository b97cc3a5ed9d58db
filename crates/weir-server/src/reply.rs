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

/// What an answer is made of.
#[derive(Debug)]
enum Piece {
    Data(Bytes),
    /// Nothing follows. An answer that does not end like this is not whole.
    End,
}

/// Whether there is an answer.
pub(crate) type Head = Result<(), Problem>;

/// An answer on its way.
#[derive(Debug)]
pub struct Reply {
    media: &'static str,
    /// None once it has been said that there is an answer.
    head: Option<oneshot::Sender<Head>>,
    watch: Watch,
    buffer: Vec<u8>,
    runtime: Handle,
}

impl Reply {
    /// Of this form, until this time; and the two ends that come out.
    pub(crate) fn new(
        media: &'static str,
        deadline: Option<Instant>,
    ) -> (Self, oneshot::Receiver<Head>, Pieces) {
        let ((head, headed), (body, pieces)) = (oneshot::channel(), mpsc::channel(PIECES));
        let (watch, runtime) = (Watch { body, deadline }, Handle::current());
        let reply = Self { media, head: Some(head), watch, buffer: Vec::new(), runtime };
        (reply, headed, Pieces { pieces, is_over: false })
    }

    /// The form in which the answer is wanted: one of those that the endpoint has.
    pub fn media(&self) -> &'static str {
        self.media
    }

    /// Whether nobody wants it any more, or it is too late.
    pub fn is_unwanted(&self) -> bool {
        self.watch.is_unwanted()
    }

    /// Why it has ended before its end.
    pub fn stopped(&self) -> Problem {
        self.watch.stopped()
    }

    /// Says whether it is wanted while something else writes it.
    pub fn watch(&self) -> Watch {
        self.watch.clone()
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
        let piece = Piece::Data(std::mem::take(&mut self.buffer).into());
        self.hand_over(piece)
    }

    fn hand_over(&self, piece: Piece) -> io::Result<()> {
        let Watch { body, deadline } = &self.watch;
        let patience = deadline.map_or(STALLED, |end| end.saturating_duration_since(Instant::now()));
        match self.runtime.block_on(async { timeout(patience, body.send(piece)).await }) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(ErrorKind::BrokenPipe.into()),
            Err(_) => Err(ErrorKind::TimedOut.into()),
        }
    }

    /// That was all, or why not.
    pub(crate) fn end(mut self, outcome: Result<(), Problem>) {
        let sent = outcome
            .and_then(|()| self.send().and_then(|()| self.hand_over(Piece::End)).map_err(|_| self.stopped()));
        // Where a part was sent already, what comes out breaks off.
        if let (Err(problem), Some(head)) = (sent, self.head.take()) {
            let _ = head.send(Err(problem));
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

/// Whether somebody waits for an answer.
#[derive(Debug, Clone)]
pub struct Watch {
    body: mpsc::Sender<Piece>,
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
pub(crate) struct Pieces {
    pieces: mpsc::Receiver<Piece>,
    is_over: bool,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        self.pieces.poll_recv(context).map(|piece| match piece {
            Some(Piece::Data(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Piece::End) => {
                self.is_over = true;
                None
            }
            // Whoever wrote it has failed, or is gone.
            None => Some(Err(io::Error::other("the answer breaks off"))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use tokio::runtime::Builder;
    use tokio::task::spawn_blocking;

    /// What somebody gets of an answer that is written like this: none at all, or how much, if it is whole.
    fn got(work: fn(Reply)) -> Option<Option<usize>> {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let (reply, headed, pieces) = Reply::new("text/plain", None);
            let writer = spawn_blocking(move || work(reply));
            let is_answer = headed.await.is_ok_and(|head| head.is_ok());
            let body = pieces.collect().await.map(|body| body.to_bytes().len());
            let _ = writer.await;
            is_answer.then(|| body.ok())
        })
    }

    fn write(reply: &mut Reply, bytes: usize) {
        reply.write_all(&vec![b'x'; bytes]).expect("it is read");
    }

    #[test]
    fn what_is_not_whole_does_not_look_whole() {
        assert_eq!(got(|reply| reply.end(Ok(()))), Some(Some(0)));
        assert_eq!(
            got(|mut reply| {
                write(&mut reply, 10 * PIECE + 1);
                reply.end(Ok(()));
            }),
            Some(Some(10 * PIECE + 1))
        );
        // Before anything was sent there is no answer, but a problem; then it breaks off.
        assert_eq!(
            got(|mut reply| {
                write(&mut reply, 1);
                reply.end(Err(Problem::failed("no")));
            }),
            None
        );
        assert_eq!(
            got(|mut reply| {
                write(&mut reply, 10 * PIECE);
                reply.end(Err(Problem::failed("no")));
            }),
            Some(None)
        );
        assert_eq!(got(|mut reply| write(&mut reply, 10 * PIECE)), Some(None));
        assert_eq!(got(drop), None);
    }
}
