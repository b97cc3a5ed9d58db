//! An answer as it comes, which says when it is not whole.

use crate::trust::said_at_all;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;
use weir_record::printable_start;

/// How long nothing may come. A question over many rows is thought about.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much is read at once, and how many of these may lie here.
const PIECE: usize = 64 * 1024;
const PIECES: usize = 16;
/// What a stream of Arrow ends with.
const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
/// What is kept of what came last: a mistake stands there.
const TAIL: usize = 4096;
/// Of a mistake.
const LONGEST: usize = 300;

/// Its pieces, and an error at the end of one that is not whole.
pub struct Answer {
    pieces: Receiver<io::Result<Vec<u8>>>,
    tail: Vec<u8>,
    about: String,
    patience: Duration,
    is_over: bool,
}

impl Answer {
    /// What this gives, which is asked in a thread of its own: whoever says nothing is not waited for. Errors are of `about`.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn new<R: Read>(
        about: String,
        ask: impl FnOnce() -> io::Result<R> + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, pieces) = sync_channel(PIECES);
        let of = about.clone();
        thread::Builder::new().name("clickhouse".into()).spawn(move || match ask() {
            Ok(source) => hand_on(source, &sender, &of),
            Err(error) => drop(sender.send(Err(error))),
        })?;
        Ok(Self { pieces, tail: Vec::new(), about, patience: PATIENCE, is_over: false })
    }

    fn keep(&mut self, piece: &[u8]) {
        self.tail.extend_from_slice(&piece[piece.len().saturating_sub(TAIL)..]);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL));
    }

    /// Why it ends where it should go on: what the server says there, if it says something.
    fn cut(&self) -> io::Error {
        let text = String::from_utf8_lossy(&self.tail);
        let said = text.rfind("DB::Exception").map(|at| {
            let from = text[..at].rfind("Code:").unwrap_or(at);
            printable_start(text[from..].lines().next().unwrap_or_default().trim(), LONGEST)
        });
        broken(&self.about, said.as_deref().unwrap_or("ask again"))
    }
}

fn broken(about: &str, why: &str) -> io::Error {
    io::Error::other(format!("{about}: its answer breaks off: {why}"))
}

/// Until nobody takes any more.
fn hand_on(mut source: impl Read, sender: &SyncSender<io::Result<Vec<u8>>>, about: &str) {
    loop {
        let mut piece = vec![0; PIECE];
        let read = source.read(&mut piece);
        let is_last = !matches!(read, Ok(1..));
        let piece = read.map_err(|error| broken(about, &said_at_all(&error))).map(|length| {
            piece.truncate(length);
            piece
        });
        let is_end = piece.as_ref().is_ok_and(Vec::is_empty);
        if is_end || sender.send(piece).is_err() || is_last {
            return;
        }
    }
}

impl Iterator for Answer {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        if self.is_over {
            return None;
        }
        let next = match self.pieces.recv_timeout(self.patience) {
            Ok(Ok(piece)) => {
                self.keep(&piece);
                return Some(Ok(piece));
            }
            Ok(Err(error)) => Some(Err(error)),
            Err(RecvTimeoutError::Disconnected) if self.tail.ends_with(&END) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Err(self.cut())),
            Err(RecvTimeoutError::Timeout) => {
                Some(Err(broken(&self.about, &format!("nothing comes for {} s", self.patience.as_secs()))))
            }
        };
        self.is_over = true;
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static [u8]) -> io::Result<Vec<u8>> {
        let answer = Answer::new("http://ch".into(), move || Ok(text)).expect("a thread");
        Ok(answer.collect::<io::Result<Vec<_>>>()?.concat())
    }

    #[test]
    fn what_is_not_whole_is_none() {
        assert_eq!(read(b"abc\xff\xff\xff\xff\0\0\0\0").expect("whole").len(), 11);
        for text in [&b""[..], b"abc", b"\xff\xff\xff\xff\0\0\0"] {
            let said = read(text).expect_err("not whole").to_string();
            assert_eq!(said, "http://ch: its answer breaks off: ask again");
        }
        let said =
            read(b"\x01\x02\r\nCode: 241. DB::Exception: memory\x1b limit\r\nmore").expect_err("not whole");
        assert!(
            said.to_string().ends_with("breaks off: Code: 241. DB::Exception: memory\\u{1b} limit"),
            "{said}"
        );
    }

    #[test]
    fn nobody_waits_for_ever() {
        let (silent, _held) = io::pipe().expect("a pipe");
        let mut answer = Answer::new("http://ch".into(), move || Ok(silent)).expect("a thread");
        answer.patience = Duration::from_millis(10);
        assert!(
            answer
                .next()
                .is_some_and(|next| next.is_err_and(|error| error.to_string().contains("nothing comes")))
        );
        assert!(answer.next().is_none());
    }
}
