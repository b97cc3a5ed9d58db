//! What a connection stands on. Why it breaks off is told to HTTP/2 alone, which keeps it to itself: here it is heard.

use crate::trust::said_at_all;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Why a connection broke off, if it did.
#[derive(Debug, Clone, Default)]
pub struct Cause(Arc<Mutex<Option<String>>>);

impl Cause {
    /// In words.
    pub fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn hear<T>(&self, result: io::Result<T>) -> io::Result<T> {
        // An end without a word says no more than that it is one.
        if let Err(error) = &result
            && error.kind() != ErrorKind::UnexpectedEof
        {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| said_at_all(error));
        }
        result
    }
}

/// A stream whose first error is kept.
pub struct Heard<S> {
    stream: S,
    cause: Cause,
}

impl<S> Heard<S> {
    /// This one's is kept there.
    pub fn new(stream: S, cause: Cause) -> Self {
        Self { stream, cause }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, room));
        Poll::Ready(self.cause.hear(read))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        Poll::Ready(self.cause.hear(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(context));
        Poll::Ready(self.cause.hear(flushed))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
