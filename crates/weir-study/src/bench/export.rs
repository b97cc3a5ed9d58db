//! Exporters: how fast one thread makes of records what is sent.

use crate::bench::Effort;
use crate::bench::report::{Report, Row, Table, Target};
use crate::bench::store::records::Records;
use crate::spread::Spread;
use crate::study::thread_time;
use anyhow::Result;
use std::time::Duration;
use weir_export::forms::{Batch, Body, JsonLines, Netobserv, Otlp, Resource, Signal};
use weir_ipfix::Encoder;
use weir_record::FlowRecord;

/// Records in a batch, as the agent sends them.
const BATCH: usize = 2048;
/// Noon of a day that is over.
const NOON: u64 = 1_795_003_200_000_000_000;
/// What a message has room for on an Ethernet.
const MESSAGE: usize = 1472;
/// What is posted at once.
const POST: usize = 512 * 1024;

/// What makes of records what is sent, and says how many bytes that is.
type Encode = Box<dyn FnMut(&[FlowRecord]) -> Result<usize>>;

/// A form, by its name, and how many thousand records a second are wanted of it.
struct Form {
    name: &'static str,
    target: Option<Target>,
    encode: fn() -> Encode,
}

const FORMS: [Form; 5] = [
    Form { name: "IPFIX", target: Some(Target::AtLeast(200.0)), encode: ipfix },
    Form { name: "Protobuf, netobserv's", target: Some(Target::AtLeast(200.0)), encode: netobserv },
    Form { name: "Protobuf, OTLP logs", target: None, encode: || otlp(Signal::Logs) },
    Form { name: "Protobuf, OTLP spans", target: None, encode: || otlp(Signal::Traces) },
    Form { name: "JSON lines", target: None, encode: || posted(Box::new(JsonLines::default())) },
];

fn ipfix() -> Encode {
    sent(Box::new(Encoder::new(0, u16::MAX).with_octets().with_options().usually(MESSAGE)))
}

fn sent(mut encoder: Box<dyn weir_ipfix::Encode>) -> Encode {
    let length = |messages: &[Vec<u8>]| messages.iter().map(Vec::len).sum::<usize>();
    Box::new(move |records| {
        let mut bytes = 0;
        for record in records {
            bytes += length(encoder.add(record)?);
        }
        Ok(bytes + length(encoder.end()))
    })
}

fn netobserv() -> Encode {
    posted(Box::new(Netobserv::default()))
}

fn otlp(signal: Signal) -> Encode {
    posted(Box::new(Otlp::new(signal, Vec::new(), Resource::default())))
}

fn posted(body: Box<dyn Body>) -> Encode {
    let mut batch = Batch::new(body, POST);
    Box::new(move |records| {
        let (mut bytes, mut rest) = (0, records);
        while !rest.is_empty() {
            let filled = batch.fill(rest)?;
            bytes += batch.bytes().len();
            rest = &rest[filled.count..];
        }
        Ok(bytes)
    })
}

/// Encodes the same records in each way, one after the other.
pub fn run(effort: Effort, report: &mut Report) -> Result<()> {
    let batches = if effort.rounds > 3 { 60 } else { 10 };
    let mut records = Records::new();
    let batches: Vec<_> =
        (0..batches).map(|second| records.make(BATCH, NOON + second * 1_000_000_000)).collect();
    let mut samples = FORMS.map(|form| (form, Vec::new(), Vec::new()));
    for _ in 0..effort.rounds {
        for (form, rates, lengths) in &mut samples {
            let (rate, length) = measure(&batches, (form.encode)())?;
            rates.push(rate);
            lengths.push(length);
        }
    }
    let rows = samples.into_iter().flat_map(|(form, rates, lengths)| {
        let row = |what: &str, samples, target| Row {
            name: format!("{}, {what}", form.name),
            value: Spread::of(samples),
            ratio: None,
            target,
        };
        [
            row("thousand records a second of one CPU", rates, form.target),
            row("bytes a record", lengths, None),
        ]
    });
    report.add(Table {
        title: "export".into(),
        unit: "all fields of records of TCP and UDP with both directions, process and TCP's own figures"
            .into(),
        digits: 1,
        rows: rows.collect(),
        notes: vec![
            "encoding alone: no socket; messages of 1472 bytes, posts of 512 KiB".into(),
            "netobserv's records go one way: each of these is two of its, with the fields that it has".into(),
        ],
    });
    Ok(())
}

/// Thousand records a second, and bytes of each.
fn measure(batches: &[Vec<FlowRecord>], mut encode: Encode) -> Result<(f64, f64)> {
    let (mut bytes, mut records, mut taken) = (0, 0, Duration::ZERO);
    for batch in batches {
        let start = thread_time()?;
        bytes += encode(batch)?;
        taken += thread_time()? - start;
        records += batch.len();
    }
    Ok((records as f64 / taken.as_secs_f64() / 1000.0, bytes as f64 / records as f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use allocation_counter::measure;
    use weir_ipfix::{NetFlow5, NetFlow9};

    /// More records take no more allocations, but for those of each post; a message is no reason for any, and holds a few.
    #[test]
    fn encoding_allocates_nothing_per_record() {
        let records = Records::new().make(4 * BATCH, NOON);
        let netflow: [(_, fn() -> Encode); 2] = [
            ("NetFlow 9", || sent(Box::new(NetFlow9::new(0, MESSAGE)))),
            ("NetFlow 5", || sent(Box::new(NetFlow5::new(0)))),
        ];
        for (name, encoder) in FORMS.map(|form| (form.name, form.encode)).into_iter().chain(netflow) {
            let mut encode = encoder();
            let mut allocated = |records| {
                encode(records).expect("encoded");
                let counted = measure(|| {
                    encode(records).expect("encoded");
                });
                counted.count_total
            };
            let (few, many) = (allocated(&records[..2 * BATCH]), allocated(&records[..]));
            assert!(many - few < 2 * BATCH as u64 / 10, "{name}: {few}, and {many} for twice as many");
        }
    }
}
