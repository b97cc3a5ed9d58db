//! What librdkafka tells: of each message what became of it, and what goes wrong.

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, ProducerContext};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use weir_record::printable_start;

/// Of what is said.
const LONGEST: usize = 400;

/// What is said of brokers that say nothing.
const TIMES: [RDKafkaErrorCode; 3] = [
    RDKafkaErrorCode::BrokerTransportFailure,
    RDKafkaErrorCode::OperationTimedOut,
    RDKafkaErrorCode::MessageTimedOut,
];

/// Heard so far.
#[derive(Default)]
pub struct Reports(Mutex<Heard>);

struct Heard {
    /// Messages that nothing was heard of.
    waiting: usize,
    /// When one was taken last.
    taken: Instant,
    /// Why some were not, for now.
    failed: Option<RDKafkaErrorCode>,
    /// Places of records that were refused for what they are, or with one that was.
    refused: BTreeSet<usize>,
    why_refused: Option<RDKafkaErrorCode>,
    /// What went wrong last with a broker.
    said: Option<(RDKafkaErrorCode, String)>,
}

impl Default for Heard {
    fn default() -> Self {
        Self {
            waiting: 0,
            taken: Instant::now(),
            failed: None,
            refused: BTreeSet::new(),
            why_refused: None,
            said: None,
        }
    }
}

impl Reports {
    /// A batch begins.
    pub fn begin(&self) {
        *self.lock() = Heard::default();
    }

    /// One more message is on its way.
    pub fn expect_one(&self) {
        self.lock().waiting += 1;
    }

    /// What became of a message, which has these records.
    pub fn note(&self, became: Result<(), RDKafkaErrorCode>, records: Range<usize>) {
        let mut heard = self.lock();
        heard.waiting = heard.waiting.saturating_sub(1);
        match became {
            Ok(()) => heard.taken = Instant::now(),
            Err(code) if is_for_good(code) => {
                heard.taken = Instant::now();
                heard.refused.extend(records);
                heard.why_refused = Some(code);
            }
            Err(code) => heard.failed = Some(code),
        }
    }

    /// Whether some messages are on their way.
    pub fn is_waiting(&self) -> bool {
        self.lock().waiting > 0
    }

    /// How long ago one was taken last, or the batch began.
    pub fn silent_for(&self) -> Duration {
        self.lock().taken.elapsed()
    }

    /// Why some messages were not taken that may be taken later.
    pub fn failed(&self) -> Option<RDKafkaErrorCode> {
        self.lock().failed
    }

    /// The places of records that were refused, in their order.
    pub fn refused(&self) -> Vec<usize> {
        self.lock().refused.iter().copied().collect()
    }

    /// Why these were.
    pub fn why_refused(&self) -> Option<String> {
        self.lock().why_refused.map(|code| code.to_string())
    }

    /// What went wrong last with a broker.
    pub fn said(&self) -> Option<String> {
        self.lock().said.as_ref().map(|(_, why)| why.clone())
    }

    /// Whether a broker does not let us in: it will not at once.
    pub fn is_shut_out(&self) -> bool {
        matches!(self.lock().said, Some((RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL, _)))
    }

    /// What is behind a code that is the client's own, or the broker's word.
    pub fn why(&self, code: RDKafkaErrorCode) -> String {
        match self.said() {
            // What brokers answer says enough, and may have nothing to do with what was said before.
            Some(said) if (code as i32) < 0 => said,
            None if TIMES.contains(&code) => "no broker answers".into(),
            _ => code.to_string(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a broker will not take at another time either.
fn is_for_good(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::MessageSizeTooLarge
            | Code::InvalidRecord
            | Code::InvalidDifferentRecord
            | Code::InvalidTimestamp
    )
}

impl ClientContext for Reports {
    /// The same as errors, and more.
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, error: KafkaError, reason: &str) {
        // That all are down does not say why.
        let code = error.rdkafka_error_code().filter(|code| *code != RDKafkaErrorCode::AllBrokersDown);
        if let Some(code) = code {
            // In which of librdkafka's states, and how often, is for who knows it.
            let reason = reason.split(" (after ").next().unwrap_or_default();
            self.lock().said = Some((code, printable_start(reason, LONGEST)));
        }
    }
}

impl ProducerContext for Reports {
    /// The places of its records.
    type DeliveryOpaque = Box<Range<usize>>;

    fn delivery(&self, result: &DeliveryResult<'_>, records: Box<Range<usize>>) {
        let became = result.as_ref().map(drop);
        let code = |(error, _): &(KafkaError, _)| error.rdkafka_error_code();
        self.note(became.map_err(|error| code(error).unwrap_or(RDKafkaErrorCode::Unknown)), *records);
    }
}
