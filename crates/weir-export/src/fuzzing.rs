//! What the fuzz targets do with bytes: peers may answer anything. The tests do the same with the corpus, and with what
//! comes of changing it.

mod metrics;
mod servers;
mod streams;
#[cfg(test)]
mod tests;

pub use self::streams::streams;

use crate::clickhouse;
use crate::client::retry_after;
use crate::kafka::reports::Reports;
use crate::objects::refusal::told;
use crate::peer::Later;
use crate::protobuf::{Content, Fields, Malformed, Message};
use jiff::Timestamp;
use object_store::Error;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use std::io;
use std::time::Duration;
use ureq::http::{HeaderMap, HeaderValue, StatusCode, header};

/// As much as is said of an answer at most, with our own words before it.
const LONGEST: usize = 500;
/// Statuses of HTTP that mean something to us, and others.
const STATUSES: [u16; 17] =
    [200, 202, 204, 299, 301, 400, 401, 403, 404, 413, 415, 422, 429, 500, 502, 503, 599];

/// Reads the bytes as something that a peer answers: the first one says as what, the second one how that goes on.
pub fn answers(bytes: &[u8]) {
    let Some((&[reader, choice], said)) = bytes.split_first_chunk() else { return };
    match reader % 9 {
        0 => message(choice, said),
        1 => servers::http(status(choice), said),
        2 => servers::grpc(choice, said),
        3 => retry(said),
        4 => one_line(&clickhouse::complaint(status(choice), said)),
        5 => store(choice, &String::from_utf8_lossy(said)),
        6 => broker(choice, &String::from_utf8_lossy(said)),
        7 => deliveries(said),
        _ => metrics::page(choice, &String::from_utf8_lossy(said)),
    }
}

fn status(choice: u8) -> StatusCode {
    let number = STATUSES[usize::from(choice) % STATUSES.len()];
    StatusCode::from_u16(number).expect("it is one of HTTP")
}

/// It stands in `weir status`, and in a log.
fn one_line(text: &str) {
    assert!(text.len() <= LONGEST && !text.is_empty(), "{text}");
    let deceives = |letter: char| letter.is_control() || ('\u{202a}'..='\u{202e}').contains(&letter);
    assert!(!text.contains(deceives), "{text:?}");
}

/// The first part of these.
fn cut(bytes: &[u8], choice: u8) -> &[u8] {
    &bytes[..bytes.len() * usize::from(choice) / 256]
}

/// A message of Protobuf: its fields until it makes no sense, and whether that is so.
fn fields(bytes: &[u8]) -> (Vec<(u32, Content<'_>)>, bool) {
    let mut read: Vec<_> = Fields::of(bytes).collect();
    assert!(read.len() <= bytes.len());
    let is_odd = read.pop_if(|last| *last == Err(Malformed)).is_some();
    (read.into_iter().map(|field| field.expect("nothing comes behind what makes no sense")).collect(), is_odd)
}

/// What was read of it is read again where it is written anew; of its first part no more is read.
fn message(choice: u8, bytes: &[u8]) {
    let (whole, is_odd) = fields(bytes);
    let mut again = Vec::new();
    let mut out = Message(&mut again);
    for (number, content) in &whole {
        match *content {
            Content::Number(value) => out.number(*number, value),
            Content::Bytes(bytes) => out.bytes(*number, bytes),
            Content::Fixed64(value) => out.fixed64(*number, value),
            Content::Fixed32(value) => out.fixed32(*number, value),
        }
    }
    assert!(again.len() <= bytes.len(), "it is written as short as it can be");
    assert_eq!(fields(&again), (whole.clone(), false));
    let (part, is_cut) = fields(cut(bytes, choice));
    assert!(whole.starts_with(&part));
    assert!(is_odd || is_cut || part.len() < whole.len() || whole.is_empty(), "the end is missing");
}

/// `Retry-After`: whatever it says, nobody is left alone for more than some minutes.
fn retry(said: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(said) else { return };
    let headers = HeaderMap::from_iter([(header::RETRY_AFTER, value)]);
    for now in [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX] {
        retry_after(&headers, now).into_iter().for_each(patience);
    }
}

fn patience(wait: Duration) {
    let wait = Later::wait(&Later::error(wait, &io::Error::other("busy")));
    assert!(wait.is_some_and(|wait| wait <= Duration::from_secs(300)), "{wait:?}");
}

/// A store of objects does not take one.
fn store(choice: u8, said: &str) {
    let (path, source) = (String::new(), format!("Server returned non-2xx status code: {said}").into());
    let (error, words) = match choice % 4 {
        0 => (Error::NotFound { path, source }, "there is no such place: "),
        1 => (Error::PermissionDenied { path, source }, "it does not let us in: "),
        2 => (Error::Unauthenticated { path, source }, "it does not let us in: "),
        _ => (Error::Generic { store: "S3", source }, "it answers"),
    };
    let told = told(&error).to_string();
    one_line(&told);
    assert!(told.starts_with(words), "{told}");
}

/// A broker of Kafka, or librdkafka, says what is wrong.
fn broker(choice: u8, said: &str) {
    const CODES: [Code; 5] =
        [Code::AllBrokersDown, Code::Authentication, Code::SSL, Code::BrokerTransportFailure, Code::Resolve];
    let code = CODES[usize::from(choice) % CODES.len()];
    let reports = Reports::default();
    reports.error(KafkaError::Global(code), said);
    assert_eq!(reports.said().is_none(), code == Code::AllBrokersDown);
    assert_eq!(reports.is_shut_out(), matches!(code, Code::Authentication | Code::SSL));
    reports.said().filter(|said| !said.is_empty()).iter().for_each(|said| one_line(said));
}

/// Four bytes are a message: what became of it, from where on its records are, and how many.
fn deliveries(mut bytes: &[u8]) {
    let (reports, mut refused, mut failed) = (Reports::default(), vec![false; 512], false);
    (0..bytes.len() / 4).for_each(|_| reports.expect_one());
    while let Some((&[became, _, first, count], rest)) = bytes.split_first_chunk() {
        assert!(reports.is_waiting());
        bytes = rest;
        let records = usize::from(first)..usize::from(first) + usize::from(count);
        let became = match became % 6 {
            0 | 1 => Ok(()),
            2 => Err(Code::MessageTimedOut),
            3 => Err(Code::NotLeaderForPartition),
            4 => Err(Code::MessageSizeTooLarge),
            _ => Err(Code::InvalidRecord),
        };
        match became {
            Ok(()) => {}
            Err(Code::MessageSizeTooLarge | Code::InvalidRecord) => refused[records.clone()].fill(true),
            Err(_) => failed = true,
        }
        reports.note(became, records);
    }
    assert!(!reports.is_waiting());
    assert_eq!(reports.failed().is_some(), failed);
    let places: Vec<_> = (0..refused.len()).filter(|place| refused[*place]).collect();
    assert_eq!(reports.refused(), places);
    assert!(places.is_empty() || reports.why_refused().is_some());
}
