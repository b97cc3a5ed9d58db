//! Prometheus's remote write 1.0: `prometheus.WriteRequest`, compressed by Snappy as a block. The numbers of fields are those
//! of Prometheus's `prompb/types.proto`.

use super::page::{Labels, families};
use super::pusher::{Request, Words};
use crate::batch::{Answer, Carrier, Form, Verdict};
use crate::client::{Address, Client, Post};
use crate::protobuf::{self, Message};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::mem;
use std::net::IpAddr;
use weir_record::printable_start;

/// Samples in one request: as many as Prometheus itself sends.
const MOST: usize = 2000;
/// What says that a series has ended: a NaN that is no other (`value.StaleNaN`).
const STALE: u64 = 0x7ff0_0000_0000_0002;
/// What others say is not repeated at any length.
const REMARK: usize = 300;
/// What the standard wants to be said with each request.
const HEADERS: [(&str, &str); 2] =
    [("Content-Encoding", "snappy"), ("X-Prometheus-Remote-Write-Version", "0.1.0")];

/// A sample of each series, and of those that have ended since.
pub struct Samples {
    /// What each series has beside its own labels.
    own: Labels,
    /// What was told last.
    told: BTreeMap<Labels, f64>,
}

impl Samples {
    /// With these labels on each series.
    pub fn new(own: Labels) -> Self {
        Self { own, told: BTreeMap::new() }
    }

    /// All series of a page, with their values. What has the name of an own label is called `exported_…`, as a scrape does it.
    fn series(&self, page: &str) -> io::Result<BTreeMap<Labels, f64>> {
        let families = families(page).map_err(io::Error::other)?;
        let samples = families.into_iter().flat_map(|family| family.samples);
        let series = samples.map(|sample| {
            let mut labels = sample.labels;
            for (name, value) in &self.own {
                if let Some(theirs) = labels.insert(name.clone(), value.clone()) {
                    labels.insert(format!("exported_{name}"), theirs);
                }
            }
            labels.insert("__name__".into(), sample.name);
            (labels, sample.value.as_f64())
        });
        Ok(series.collect())
    }
}

impl Words for Samples {
    fn form(&self) -> Form {
        Form::of(protobuf::MEDIA_TYPE)
    }

    fn requests(&mut self, page: Option<&str>, time: i64) -> io::Result<Vec<Request>> {
        let series = page.map(|page| self.series(page)).transpose()?.unwrap_or_default();
        let told = mem::replace(&mut self.told, series);
        let gone = told.keys().filter(|labels| !self.told.contains_key(*labels));
        let gone = gone.map(|labels| (labels, f64::from_bits(STALE)));
        let samples: Vec<_> = self.told.iter().map(|(labels, value)| (labels, *value)).chain(gone).collect();
        samples.chunks(MOST).map(|some| request(some, time)).collect()
    }
}

fn request(samples: &[(&Labels, f64)], time: i64) -> io::Result<Request> {
    let mut plain = Vec::new();
    let mut request = Message(&mut plain);
    for (labels, value) in samples {
        request.message(1, |series| {
            for (name, value) in *labels {
                series.message(1, |label| {
                    label.bytes(1, name);
                    label.bytes(2, value);
                });
            }
            series.message(2, |sample| {
                sample.fixed64(1, value.to_bits());
                sample.number(2, time as u64); // an int64
            });
        });
    }
    let body = snap::raw::Encoder::new().compress_vec(&plain).map_err(io::Error::other)?;
    Ok(Request { body, samples: samples.len() as u64 })
}

/// The server. What it answers has a meaning of its own: all that is wrong with a request is wrong for good, but for 429.
pub struct Receiver(Client);

impl Receiver {
    /// There.
    pub fn new(address: Address) -> Self {
        Self(Client::new(address))
    }
}

impl Carrier for Receiver {
    fn largest(&self) -> usize {
        usize::MAX
    }

    fn connect(&mut self) -> io::Result<Option<IpAddr>> {
        self.0.connect().map(|()| None)
    }

    fn carry(&mut self, bytes: &[u8], form: Form) -> io::Result<Answer> {
        let post = Post { query: "", content_type: form.content_type, headers: &HEADERS, body: bytes };
        let reply = self.0.post(&post)?;
        let page = String::from_utf8_lossy(&reply.page);
        let says = match printable_start(page.trim(), REMARK) {
            remark if remark.is_empty() => format!("the server answers {}", reply.status),
            remark => format!("the server answers {}: {remark}", reply.status),
        };
        match reply.status.as_u16() {
            200..=299 => Ok(Answer::Taken(says, Verdict::default())),
            429 | 500..=599 => Err(self.0.not_now(&reply, says)),
            _ => Ok(Answer::Refused(says)),
        }
    }

    fn failed(&self, why: fmt::Arguments<'_>) -> io::Error {
        self.0.failed(why)
    }

    fn disconnect(&mut self) {
        self.0.disconnect();
    }
}
