//! Kafka, by librdkafka: messages to a topic, each acknowledged by all brokers that have to have it.
//!
//! A producer lives as long as a connection: what one has in its queue when something fails ends with it. librdkafka gives
//! an order and no repeats while a producer lives; what is sent again by the next one is known by its identity.

mod cluster;
mod messages;
pub mod reports;

pub use self::cluster::{Cluster, Compression, Login, Mechanism, PORTS};
pub use self::messages::{Format, Key};

use self::messages::{Message, Messages};
use self::reports::Reports;
use crate::peer::{Peer, Sent, Silence};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::borrow::Cow;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};
use weir_record::{Field, FlowRecord};

/// For brokers to say what they have, and to take something.
const PATIENCE: Duration = Duration::from_secs(5);
/// For an answer, one after the other.
const ANSWERS: [Duration; 3] =
    [Duration::from_millis(500), Duration::from_millis(1500), Duration::from_millis(3000)];
/// How often it is seen what was acknowledged.
const TICK: Duration = Duration::from_millis(5);
/// A topic that is just made has no leader for a moment.
const AGAIN: Duration = Duration::from_millis(200);
/// How long a producer's threads may take to end.
const FAREWELL: Duration = Duration::from_secs(2);
/// What a broker takes at once is its own affair (`max.message.bytes`), and it refuses a set of messages as a whole: the
/// next ones are smaller, in bytes; in the last there is one message.
const SETS: [usize; 3] = [512 * 1024, 32 * 1024, 1];

/// What is sent, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// What a message is.
    pub format: Format,
    /// What messages of one partition have in common.
    pub key: Key,
    /// How a set of messages is made smaller.
    pub compression: Compression,
}

/// A topic of a cluster.
pub struct Kafka {
    cluster: Cluster,
    manner: Manner,
    messages: Messages,
    producer: Option<BaseProducer<Reports>>,
    /// Which of the sizes sets have now.
    set: usize,
    /// A producer that does not end.
    ending: Option<Receiver<()>>,
}

impl Kafka {
    /// There, of these fields, or all.
    pub fn new(cluster: Cluster, manner: Manner, fields: Vec<&'static Field>) -> Self {
        let messages = Messages::new(manner, fields);
        Self { cluster, manner, messages, producer: None, set: 0, ending: None }
    }

    /// Makes a producer, and sees that it can send.
    fn open(&mut self) -> io::Result<()> {
        self.close();
        if self.ending.as_ref().is_some_and(|ending| ending.try_recv() == Err(TryRecvError::Empty)) {
            return Err(self.cluster.failed("the last connection does not end: DNS may not answer"));
        }
        self.ending = None;
        // What is wrong with a name, a port or a certificate is known sooner, and said in more detail, than by librdkafka.
        self.messages.agent = Some(self.cluster.reach()?);
        let config = self.cluster.config(self.manner.compression, SETS[self.set])?;
        let made = config.create_with_context(Reports::default());
        let producer = self.producer.insert(made.map_err(|error| self.cluster.failed(error))?);
        let seen = see(&self.cluster, producer);
        seen.inspect_err(|_| self.close())
    }

    /// A producer ends with its threads, and one of these may wait for DNS: we do not.
    fn close(&mut self) {
        let Some(producer) = self.producer.take() else { return };
        let (tell, told) = channel::<()>();
        let thread = thread::Builder::new().name("weir-kafka-end".into()).spawn(move || {
            drop(producer);
            drop(tell);
        });
        if thread.is_ok() && told.recv_timeout(FAREWELL) == Err(RecvTimeoutError::Timeout) {
            self.ending = Some(told);
        }
    }

    /// Sends these and waits until each was taken or refused: the places of those that were refused.
    fn put_all(&mut self, records: &[FlowRecord], sent: &mut Sent) -> io::Result<Vec<usize>> {
        let Some(producer) = &self.producer else { return Err(io::ErrorKind::NotConnected.into()) };
        let attempt = Attempt { cluster: &self.cluster, producer };
        producer.context().begin();
        let part = self.messages.each(records, SETS[self.set], &mut |message| attempt.put(message))?;
        sent.bytes += part.bytes;
        sent.refused += part.refused;
        sent.why = part.why.or(sent.why.take());
        attempt.finish()?;
        Ok(producer.context().refused())
    }
}

/// Waits until the topic is there and has somebody to take messages.
fn see(cluster: &Cluster, producer: &BaseProducer<Reports>) -> io::Result<()> {
    let start = Instant::now();
    loop {
        let found = ask(cluster, producer)?;
        let topic = found.topics().first();
        let wrong = topic.and_then(|topic| topic.error()).map(RDKafkaErrorCode::from);
        match wrong {
            None => return cluster.allows(found.brokers().iter().map(|broker| broker.host())),
            Some(RDKafkaErrorCode::LeaderNotAvailable) if start.elapsed() < PATIENCE => thread::sleep(AGAIN),
            Some(code) => return Err(cluster.failed(code)),
        }
    }
}

/// What brokers know of the topic and of each other. Who is not let in hears it sooner than an answer that does not come.
fn ask(cluster: &Cluster, producer: &BaseProducer<Reports>) -> io::Result<Metadata> {
    let mut why = String::new();
    for patience in ANSWERS {
        let found = producer.client().fetch_metadata(Some(&cluster.topic), patience);
        producer.poll(TICK);
        match found {
            Ok(found) => return Ok(found),
            Err(error) => why = producer.context().why(code(&error)),
        }
        if producer.context().is_shut_out() {
            break;
        }
    }
    Err(cluster.failed(why))
}

fn code(error: &KafkaError) -> RDKafkaErrorCode {
    error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown)
}

/// One batch on its way.
struct Attempt<'k> {
    cluster: &'k Cluster,
    producer: &'k BaseProducer<Reports>,
}

impl Attempt<'_> {
    fn put(&self, message: Message<'_>) -> io::Result<()> {
        let reports = self.producer.context();
        let mut record = BaseRecord::with_opaque_to(&self.cluster.topic, Box::new(message.records));
        record = record.payload(message.body).headers(message.headers);
        record.key = message.key;
        record.timestamp = message.time;
        reports.expect_one();
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    self.wait()?;
                }
                Err((error, back)) => {
                    reports.note(Err(code(&error)), *back.delivery_opaque);
                    return self.check();
                }
            }
        }
    }

    fn finish(&self) -> io::Result<()> {
        while self.producer.context().is_waiting() {
            self.wait()?;
        }
        self.check()
    }

    fn wait(&self) -> io::Result<()> {
        self.producer.poll(TICK);
        self.check()
    }

    fn check(&self) -> io::Result<()> {
        let reports = self.producer.context();
        if let Some(code) = reports.failed() {
            return Err(self.cluster.failed(reports.why(code)));
        }
        if reports.is_waiting() && reports.silent_for() > PATIENCE {
            let silence = format!("nothing is acknowledged for {} s", PATIENCE.as_secs());
            let why = reports.said().map_or(silence.clone(), |said| format!("{silence}; {said}"));
            return Err(self.cluster.failed(why));
        }
        Ok(())
    }
}

impl Peer for Kafka {
    fn connect(&mut self) -> io::Result<()> {
        self.set = 0;
        self.open()
    }

    fn send(&mut self, records: &[FlowRecord]) -> io::Result<Sent> {
        // One message at a time is for those that were refused, not for all that come after.
        if self.set + 1 == SETS.len() {
            self.connect()?;
        }
        let mut sent = Sent { answer: Some("the brokers have it".into()), ..Sent::default() };
        let mut refused = self.put_all(records, &mut sent)?;
        let mut rest = Cow::Borrowed(records);
        while !refused.is_empty() {
            rest = refused.iter().map(|at| rest[*at].clone()).collect::<Vec<_>>().into();
            if self.set + 1 == SETS.len() {
                sent.refused += rest.len() as u64;
                sent.why = self.producer.as_ref().and_then(|producer| producer.context().why_refused());
                break;
            }
            // One message that is wrong, and its set with it; or all that are too many for one set.
            self.set += 1;
            self.open()?;
            refused = self.put_all(&rest, &mut sent)?;
        }
        Ok(sent)
    }

    /// Takes what librdkafka has to say: it keeps it until then.
    fn look(&mut self) -> io::Result<()> {
        let Some(producer) = &self.producer else { return Ok(()) };
        producer.poll(TICK);
        match producer.client().fatal_error() {
            Some((code, why)) => Err(self.cluster.failed(format_args!("{code}: {why}"))),
            None => Ok(()),
        }
    }

    fn disconnect(&mut self) {
        self.close();
    }

    fn silence(&self) -> Silence {
        Silence::None
    }
}
