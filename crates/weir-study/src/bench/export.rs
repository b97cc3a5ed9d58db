//! Exporters: how fast one thread makes of records what is sent.

use crate::bench::Effort;
use crate::bench::report::{Report, Row, Table, Target};
use crate::bench::store::records::Records;
use crate::spread::Spread;
use crate::study::thread_time;
use anyhow::Result;
use std::hint::black_box;
use std::time::Duration;
use weir_ipfix::Encoder;
use weir_record::FlowRecord;

/// Records in a batch, as the agent sends them.
const BATCH: usize = 2048;
/// Noon of a day that is over.
const NOON: u64 = 1_795_003_200_000_000_000;
/// What a message has room for on an Ethernet.
const MESSAGE: usize = 1472;

/// Encodes the same records in each way, one after the other.
pub fn run(effort: Effort, report: &mut Report) -> Result<()> {
    let batches = if effort.rounds > 3 { 60 } else { 10 };
    let mut records = Records::new();
    let batches: Vec<_> =
        (0..batches).map(|second| records.make(BATCH, NOON + second * 1_000_000_000)).collect();
    let (mut ipfix, mut json, mut lengths) = (Vec::new(), Vec::new(), [Vec::new(), Vec::new()]);
    for _ in 0..effort.rounds {
        let mut encoder = Encoder::new(0, u16::MAX).with_octets().usually(MESSAGE);
        let (rate, length) = measure(&batches, |records| {
            let mut bytes = 0;
            for record in records {
                bytes += encoder.add(record)?.iter().map(Vec::len).sum::<usize>();
            }
            Ok(bytes + encoder.end().map_or(0, |message| message.len()))
        })?;
        ipfix.push(rate);
        lengths[0].push(length);
        let mut line = Vec::new();
        let (rate, length) = measure(&batches, |records| {
            line.clear();
            for record in records {
                serde_json::to_writer(&mut line, record)?;
                line.push(b'\n');
            }
            Ok(black_box(&line).len())
        })?;
        json.push(rate);
        lengths[1].push(length);
    }
    let row = |name: &str, samples: Vec<f64>, target| Row {
        name: name.into(),
        value: Spread::of(samples),
        ratio: None,
        target,
    };
    let [of_ipfix, of_json] = lengths;
    report.add(Table {
        title: "export".into(),
        unit: "all fields of records of TCP and UDP with both directions, process and TCP's own figures"
            .into(),
        digits: 1,
        rows: vec![
            row("IPFIX, thousand records a second of one CPU", ipfix, Some(Target::AtLeast(200.0))),
            row("IPFIX, bytes a record", of_ipfix, None),
            row("JSON lines, thousand records a second of one CPU", json, None),
            row("JSON lines, bytes a record", of_json, None),
        ],
        notes: vec!["encoding alone: no socket; messages of 1472 bytes".into()],
    });
    Ok(())
}

/// Thousand records a second, and bytes of each.
fn measure(
    batches: &[Vec<FlowRecord>],
    mut encode: impl FnMut(&[FlowRecord]) -> Result<usize>,
) -> Result<(f64, f64)> {
    let (mut bytes, mut records, mut taken) = (0, 0, Duration::ZERO);
    for batch in batches {
        let start = thread_time()?;
        bytes += encode(batch)?;
        taken += thread_time()? - start;
        records += batch.len();
    }
    Ok((records as f64 / taken.as_secs_f64() / 1000.0, bytes as f64 / records as f64))
}
