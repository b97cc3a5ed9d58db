//! What a server answers, and what that means for a batch.

use super::channel::Refusal;
use crate::batch::{Answer, Form};
use crate::protobuf::{Content, Fields, Malformed};
use std::error::Error;
use std::time::Duration;
use tonic::{Code, Status};
use weir_record::printable_start;

/// What others say is not repeated at any length.
const REMARK: usize = 300;
/// A message that is longer than a server takes is refused by its library, as what has run out or is out of range; by
/// these words of gRPC's libraries in Go, C++ and Python, in Java, and in Rust.
const TOO_LARGE: [&str; 3] = ["larger than max", "exceeds maximum size", "message length too large"];
/// `google.rpc.RetryInfo`.
const RETRY_INFO: &[u8] = b"google.rpc.RetryInfo";

/// What this reply says of what was sent in this form.
///
/// # Errors
/// It does not take it now.
pub fn of(reply: Result<Vec<u8>, Status>, form: Form) -> Result<Answer, Refusal> {
    let status = match reply {
        Ok(message) => return Ok(Answer::Taken("OK".into(), (form.verdict)(&message))),
        Err(status) => status,
    };
    let code = status.code();
    let is_too_large = matches!(code, Code::ResourceExhausted | Code::OutOfRange)
        && TOO_LARGE.iter().any(|words| status.message().contains(words));
    match code {
        _ if is_too_large => Ok(Answer::TooLarge(said(&status))),
        Code::InvalidArgument => Ok(Answer::Refused(said(&status))),
        _ if status.source().is_some() => Err(Refusal::broken(&status)),
        _ => Err(Refusal { why: format!("the server answers {}", said(&status)), wait: wait(&status) }),
    }
}

/// Its code, by its name in Rust, and its words, harmless and short.
fn said(status: &Status) -> String {
    let words = printable_start(status.message().trim(), REMARK);
    if words.is_empty() { format!("{:?}", status.code()) } else { format!("{:?}: {words}", status.code()) }
}

/// How long it wants to be left alone.
fn wait(status: &Status) -> Option<Duration> {
    retry_info(status.details()).ok().flatten()
}

/// `google.rpc.Status` has in its `details` (3) what may be of any type: its name in `type_url` (1), and itself in `value` (2).
fn retry_info(details: &[u8]) -> Result<Option<Duration>, Malformed> {
    let mut delay = None;
    for field in Fields::of(details) {
        let (3, Content::Bytes(any)) = field? else { continue };
        let (mut is_retry_info, mut value) = (false, &[][..]);
        for field in Fields::of(any) {
            match field? {
                (1, Content::Bytes(name)) => is_retry_info = name.ends_with(RETRY_INFO),
                (2, Content::Bytes(bytes)) => value = bytes,
                _ => {}
            }
        }
        if is_retry_info {
            delay = retry_delay(value)?;
        }
    }
    Ok(delay)
}

/// `retry_delay` (1) is a `Duration` of `seconds` (1) and `nanos` (2); less than nothing is nothing.
fn retry_delay(info: &[u8]) -> Result<Option<Duration>, Malformed> {
    let mut delay = None;
    for field in Fields::of(info) {
        let (1, Content::Bytes(duration)) = field? else { continue };
        let (mut seconds, mut nanos) = (0, 0);
        for field in Fields::of(duration) {
            match field? {
                (1, Content::Number(number)) => seconds = u64::try_from(number as i64).unwrap_or_default(),
                (2, Content::Number(number)) => nanos = u32::try_from(number as i64).unwrap_or_default(),
                _ => {}
            }
        }
        delay = Some(Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos.into())));
    }
    Ok(delay)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Python's gRPC has sent it.
    const BUSY: &[u8] =
        b"\x08\x0e\x12\x04busy\x1a0\n(type.googleapis.com/google.rpc.RetryInfo\x12\x04\n\x02\x08\x02";

    #[test]
    fn how_long_it_wants_to_be_left_alone() {
        assert_eq!(retry_info(BUSY), Ok(Some(Duration::from_secs(2))));
        assert_eq!(retry_info(&BUSY[..8]), Ok(None));
        assert_eq!(retry_info(&BUSY[..BUSY.len() - 1]), Err(Malformed));
        // A duration of -1 s is ten bytes.
        let minus = [b"\x0a\x0b\x08", &[0xff; 9][..], &[1]].concat();
        assert_eq!(retry_delay(&minus), Ok(Some(Duration::ZERO)));
    }

    /// In the words of gRPC in Go and Python, in Java, and of tonic.
    #[test]
    fn too_large_is_told_from_a_quota() {
        let form = Form::of("application/x-ndjson");
        let of = |code, words: &str| super::of(Err(Status::new(code, words)), form);
        for (code, words) in [
            (Code::ResourceExhausted, "grpc: received message larger than max (5000000 vs. 4194304)"),
            (Code::ResourceExhausted, "gRPC message exceeds maximum size 4194304: 5000000"),
            (
                Code::OutOfRange,
                "Error, decoded message length too large: found 5 bytes, the limit is: 4 bytes",
            ),
        ] {
            assert!(matches!(of(code, words), Ok(Answer::TooLarge(_))), "{words}");
        }
        assert!(of(Code::ResourceExhausted, "quota").is_err_and(|refusal| refusal.wait.is_none()));
    }
}
