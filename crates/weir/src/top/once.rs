//! `weir top --once`: the rows, printed.

use super::Arguments;
use super::group::{Group, Row, rows};
use super::layout::GIVING_WAY;
use super::listener::Shared;
use crate::output::{self, Output};
use crate::table::{self, Align, Column};
use crate::text;
use crate::view::Summary;
use anyhow::Result;
use serde::Serialize;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;
use weir_record::Moved;

const COLUMNS: [Column; 11] = [
    ("NAME", Align::Left),
    ("PID", Align::Right),
    ("WHERE", Align::Left),
    ("FLOWS", Align::Right),
    ("IN/S", Align::Right),
    ("OUT/S", Align::Right),
    ("PKT/S", Align::Right),
    ("TOTAL", Align::Right),
    ("RTT", Align::Right),
    ("RETR", Align::Right),
    ("FAIL", Align::Right),
];

/// Prints what was counted.
pub fn print(arguments: &Arguments, board: &Shared) -> Result<ExitCode> {
    let board = board.lock();
    let mut rows = rows(&board.tally, arguments.group, arguments.filter.as_ref());
    // What has not moved was there before.
    rows.retain(|row| row.total != Moved::default());
    // An agent may have drained more than once, and conversations have ended.
    rows.iter_mut().for_each(|row| (row.recent, row.live) = (row.total, row.flows));
    arguments.sort.apply(&mut rows);
    let printed = match arguments.output {
        Output::Table => print_table(&rows, &board.summary, board.time),
        Output::Json => print_json(&rows, arguments.group, board.time),
    };
    output::end(printed)
}

fn print_table(rows: &[Row], summary: &Summary, time: Duration) -> io::Result<()> {
    let cells: Vec<_> = rows.iter().map(|row| cells(row, time)).collect();
    let width = table::room();
    let mut out = anstream::stdout().lock();
    writeln!(out, "{}{}", summary.counted(), summary.verdict())?;
    let (columns, cells) = table::narrow(&COLUMNS, &cells, width, &GIVING_WAY);
    for line in table::render(&columns, &cells, width) {
        writeln!(out, "{line}")?;
    }
    out.flush()
}

/// A row as people read it.
pub fn cells(row: &Row, time: Duration) -> Vec<String> {
    let number = |number| if number == 0 { "-".into() } else { text::count(number) };
    let rate = |bytes| if bytes == 0 { "-".into() } else { text::bit_rate(bytes, time) };
    let packets = row.recent.packets() as f64 / time.as_secs_f64().max(1e-9);
    vec![
        row.key.name.clone(),
        row.key.pid.map_or("-".into(), |pid| pid.to_string()),
        row.key.place.clone().unwrap_or("-".into()),
        number(row.live as u64),
        rate(row.recent.back.bytes),
        rate(row.recent.forth.bytes),
        number(packets.ceil() as u64),
        text::bytes(row.total.bytes()),
        rtt(row.rtt()),
        number(row.fared.retransmitted_segments),
        number(row.fared.failures),
    ]
}

/// A round-trip time as people read it.
pub fn rtt(micros: Option<u64>) -> String {
    micros.map_or("-".into(), text::micros)
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    group: Group,
    name: &'a str,
    pid: Option<u32>,
    place: Option<&'a str>,
    flows: usize,
    seconds: f64,
    in_packets: u64,
    in_bytes: u64,
    out_packets: u64,
    out_bytes: u64,
    /// In microseconds.
    tcp_rtt: Option<u64>,
    tcp_retransmitted_segments: u64,
    tcp_retransmitted_bytes: u64,
    tcp_resets_sent: u64,
    tcp_resets_received: u64,
    tcp_failures: u64,
}

fn print_json(rows: &[Row], group: Group, time: Duration) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for row in rows {
        let Row { key, flows, total, fared, .. } = row;
        let line = Line {
            group,
            name: &key.name,
            pid: key.pid,
            place: key.place.as_deref(),
            flows: *flows,
            seconds: time.as_secs_f64(),
            in_packets: total.back.packets,
            in_bytes: total.back.bytes,
            out_packets: total.forth.packets,
            out_bytes: total.forth.bytes,
            tcp_rtt: row.rtt(),
            tcp_retransmitted_segments: fared.retransmitted_segments,
            tcp_retransmitted_bytes: fared.retransmitted_bytes,
            tcp_resets_sent: fared.resets_sent,
            tcp_resets_received: fared.resets_received,
            tcp_failures: fared.failures,
        };
        output::json_line(&mut out, &line)?;
    }
    out.flush()
}
