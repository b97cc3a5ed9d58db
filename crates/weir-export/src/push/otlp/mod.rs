//! OpenTelemetry's metrics: each family of the page is one, with sums since the agent began (cumulative), so that a request that
//! is lost or comes twice makes no sum wrong.

mod names;
mod points;

use self::points::{Histogram, Value};
use super::page::{Family, Kind, Labels, Number, families};
use super::pusher::{Request, Words};
use crate::batch::Form;
use crate::otlp::{Envelope, FORM, Resource, now, put_pair, put_text};
use crate::protobuf::Message;
use std::collections::BTreeMap;
use std::io;
use std::mem;

/// Data points that are written before it is seen how large a request is.
const AT_ONCE: usize = 200;
/// From here on a request is large enough: what is added at once is no more than that again.
const LARGE: usize = 256 * 1024;
/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: u64 = 2;
/// `DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK`: a series has ended.
const ENDED: u64 = 1;

/// All families, and since when their series have counted.
pub struct Metrics {
    resource: Resource,
    /// What was told last.
    told: BTreeMap<String, Told>,
    /// There was nothing to tell since: what was told has been said to have ended, but will go on as it was.
    is_silent: bool,
    /// When that was, and before it when the agent began.
    last: u64,
}

/// A family as it was told last.
struct Told {
    about: Family,
    points: BTreeMap<Labels, Point>,
}

/// A series: what it comes to, since when.
struct Point {
    start: u64,
    value: Value,
}

/// A series, and where it has not ended what it comes to.
type Data<'t> = (&'t Labels, u64, Option<&'t Value>);

impl Told {
    fn goes_on(&self) -> Vec<Data<'_>> {
        self.points.iter().map(|(labels, point)| (labels, point.start, Some(&point.value))).collect()
    }

    /// What is in `now` no more.
    fn ended(&self, now: Option<&Self>) -> Vec<Data<'_>> {
        let goes_on = |labels: &Labels| now.is_some_and(|now| now.points.contains_key(labels));
        let ended = self.points.iter().filter(|(labels, _)| !goes_on(labels));
        ended.map(|(labels, point)| (labels, point.start, None)).collect()
    }
}

impl Metrics {
    /// Of an agent that begins now.
    pub fn new(resource: Resource) -> Self {
        Self { resource, told: BTreeMap::new(), is_silent: false, last: now() }
    }

    /// Since when a series has counted: as before, or since the last look if it was not there then or has begun anew.
    fn point(&self, family: &str, labels: &Labels, value: Value) -> Point {
        let before = self.told.get(family).and_then(|told| told.points.get(labels));
        let start = match before {
            Some(Point { start, value: before }) if !value.has_fallen(before) => *start,
            _ => self.last,
        };
        Point { start, value }
    }

    fn read(&self, page: &str) -> io::Result<BTreeMap<String, Told>> {
        let mut all = BTreeMap::new();
        for family in families(page).map_err(io::Error::other)? {
            let points = points::of(&family)?.into_iter();
            let points = points.map(|(labels, value)| {
                let point = self.point(&family.name, &labels, value);
                (labels, point)
            });
            let points = points.collect();
            let about = Family { samples: Vec::new(), ..family };
            all.insert(about.name.clone(), Told { about, points });
        }
        Ok(all)
    }
}

impl Words for Metrics {
    fn form(&self) -> Form {
        FORM
    }

    fn requests(&mut self, page: Option<&str>, time: i64) -> io::Result<Vec<Request>> {
        let time = u64::try_from(time).unwrap_or_default() * 1_000_000;
        let mut requests = Requests::of(&self.resource, time);
        let Some(page) = page else {
            if !mem::replace(&mut self.is_silent, true) {
                self.told.values().for_each(|family| requests.add(&family.about, &family.ended(None)));
            }
            return Ok(requests.end());
        };
        let now = self.read(page)?;
        if !mem::take(&mut self.is_silent) {
            for (name, family) in &self.told {
                requests.add(&family.about, &family.ended(now.get(name)));
            }
        }
        now.values().for_each(|family| requests.add(&family.about, &family.goes_on()));
        self.told = now;
        self.last = time;
        Ok(requests.end())
    }
}

/// Requests that are being written.
struct Requests<'r> {
    resource: &'r Resource,
    time: u64,
    done: Vec<Request>,
    open: Option<(Envelope, Request)>,
}

impl<'r> Requests<'r> {
    fn of(resource: &'r Resource, time: u64) -> Self {
        Self { resource, time, done: Vec::new(), open: None }
    }

    fn add(&mut self, family: &Family, points: &[Data<'_>]) {
        for some in points.chunks(AT_ONCE) {
            let (_, request) = self.open.get_or_insert_with(|| {
                let mut body = Vec::new();
                (Envelope::open(&mut body, self.resource), Request { body, samples: 0 })
            });
            Message(&mut request.body).message(2, |metric| put_metric(metric, family, some, self.time));
            request.samples += some.len() as u64;
            if request.body.len() > LARGE {
                self.close();
            }
        }
    }

    fn close(&mut self) {
        if let Some((envelope, mut request)) = self.open.take() {
            envelope.close(&mut request.body);
            self.done.push(request);
        }
    }

    fn end(mut self) -> Vec<Request> {
        self.close();
        self.done
    }
}

/// `Metric`. Fields of `Sum`, `Gauge` and `Histogram` have the same numbers, as far as they have them.
fn put_metric(metric: &mut Message<'_>, family: &Family, points: &[Data<'_>], time: u64) {
    metric.bytes(1, names::metric(family)); // name
    metric.bytes(2, &family.help); // description
    metric.bytes(3, names::unit(family)); // unit
    let data = match family.kind {
        Kind::Unknown | Kind::Gauge => 5, // gauge
        Kind::Counter => 7,               // sum
        Kind::Histogram => 9,             // histogram
    };
    metric.message(data, |data| {
        for point in points {
            data.message(1, |data_point| put_point(data_point, family.kind, point, time));
        }
        if [Kind::Counter, Kind::Histogram].contains(&family.kind) {
            data.number(2, CUMULATIVE); // aggregation_temporality
        }
        if family.kind == Kind::Counter {
            data.number(3, 1); // is_monotonic
        }
    });
}

/// `NumberDataPoint` or `HistogramDataPoint`: these have other numbers.
fn put_point(message: &mut Message<'_>, kind: Kind, (labels, start, value): &Data<'_>, time: u64) {
    let is_histogram = kind == Kind::Histogram;
    if [Kind::Counter, Kind::Histogram].contains(&kind) {
        message.fixed64(2, *start); // start_time_unix_nano
    }
    message.fixed64(3, time); // time_unix_nano
    match value {
        None => message.number(if is_histogram { 10 } else { 8 }, ENDED), // flags
        Some(Value::Number(Number::Whole(number))) => message.fixed64(6, *number as u64), // as_int
        Some(Value::Number(Number::Real(number))) => message.fixed64(4, number.to_bits()), // as_double
        Some(Value::Histogram(histogram)) => put_histogram(message, histogram),
    }
    let attributes = if is_histogram { 9 } else { 7 };
    for (name, value) in *labels {
        put_pair(message, attributes, &names::attribute(name), |any| put_text(any, value));
    }
}

fn put_histogram(message: &mut Message<'_>, histogram: &Histogram) {
    message.fixed64(4, histogram.count);
    message.fixed64(5, histogram.sum.to_bits());
    message.packed64(6, histogram.buckets.iter().copied()); // bucket_counts
    message.packed64(7, histogram.bounds.iter().map(|bound| bound.to_bits())); // explicit_bounds
}
