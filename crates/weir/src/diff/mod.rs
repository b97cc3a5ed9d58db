//! `weir diff`: two periods of the history against each other.

mod compare;
mod coverage;
mod json;
mod period;
mod relation;
mod rule;
mod spread;
mod table;
mod tally;
mod words;

use crate::history::{Conditions, Sources};
use crate::output::{self, Output};
use crate::run::say;
use anyhow::{Result, anyhow, bail};
use clap::Args;
use compare::{Changed, Found, changed, found};
use coverage::Coverage;
use jiff::Zoned;
use period::{Period, Written, both, written};
use rule::Rule;
use std::collections::BTreeSet;
use std::io::{self, BufWriter};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tally::{State, Tally};
use weir_filter::Filter;
use weir_record::FlowRecord;
use weir_store::{KEY, Question};

/// How it ends where something is new that shall not be.
const NEW: u8 = 3;

/// The columns of the history that this takes, beside those of the key.
const READ: [&str; 29] = [
    "flow_id",
    "start",
    "end",
    "interface",
    "interface_index",
    "interface_kind",
    "netns",
    "direction",
    "packets",
    "bytes",
    "reverse_packets",
    "reverse_bytes",
    "reverse_tcp_flags",
    "biflow_evidence",
    "tcp_state",
    "flow_end_reason",
    "observations",
    "source_process",
    "source_pid",
    "destination_process",
    "destination_pid",
    "source_name",
    "destination_name",
    "source_tcp_rtt",
    "destination_tcp_rtt",
    "source_tcp_failure",
    "destination_tcp_failure",
    // Those of whose figures there are any have this one.
    "source_tcp_bytes_sent",
    "destination_tcp_bytes_sent",
];

/// Flags of `weir diff`.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    which: Conditions,

    /// What it is compared with: yesterday, 2026-11-26 (that day), 2d (until now), or FROM/TO with times as of `weir flows --since`
    #[arg(long, value_name = "PERIOD", default_value = "yesterday", value_parser = written)]
    before: Written,

    /// What is compared: now (the last hour), today, 2h, or as --before
    #[arg(long, value_name = "PERIOD", default_value = "now", value_parser = written)]
    after: Written,

    /// The first so many of each list, and how many others there are; 10 in a table, all in JSON
    #[arg(long, value_name = "N")]
    top: Option<usize>,

    /// End with exit code 3 where there is any of these
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    fail_on: Vec<Rule>,

    /// How it is printed
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Output,

    /// The directory of the history; /var/lib/weir without this, or a user's own: ~/.local/state/weir
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// The control socket of the agent to ask; the one that writes the history without this
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

/// A period, what was seen in it, and how much of it could be.
struct Side {
    period: Period,
    tally: Tally,
    coverage: Coverage,
}

/// All that there is to say.
struct Difference {
    before: Side,
    after: Side,
    new: Found,
    vanished: Found,
    changed: Changed,
}

/// Prints what differs.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let periods = match arguments.periods() {
        Ok(periods) => periods,
        Err(mistake) => {
            say(&mistake);
            return Ok(ExitCode::from(2));
        }
    };
    let mut sources = Sources::open(arguments.data_dir.as_deref(), arguments.socket.as_deref())?;
    let (difference, remarks) = compare(&mut sources, arguments, periods)?;
    remarks.iter().for_each(|remark| say(remark));
    let printed = match arguments.output {
        Output::Table => table::print(&difference, arguments.top),
        Output::Json => json::write(&difference, arguments.top, BufWriter::new(io::stdout())),
    };
    let outcome = output::end(printed)?;
    let broken: BTreeSet<_> =
        arguments.fail_on.iter().filter(|rule| rule.is_broken(&difference.new)).collect();
    broken.iter().for_each(|rule| say(&rule.told(&difference.new)));
    // An answer that is not whole is not like one that is.
    Ok(match broken.is_empty() {
        _ if sources.is_damaged() => ExitCode::from(1),
        true => outcome,
        false => ExitCode::from(NEW),
    })
}

impl Arguments {
    /// What is compared, by one moment.
    ///
    /// # Errors
    /// The periods make no sense together, or another host is meant.
    pub fn periods(&self) -> std::result::Result<(Period, Period), String> {
        self.which.here()?;
        both(&self.before, &self.after)
    }
}

/// What differs between two periods, as JSON; and what there is to say of it.
///
/// # Errors
/// There is nothing in one of them.
pub fn json(sources: &mut Sources, arguments: &Arguments, periods: (Period, Period)) -> Result<Json> {
    let (difference, remarks) = compare(sources, arguments, periods)?;
    let mut object = Vec::new();
    json::write(&difference, arguments.top, &mut object)?;
    Ok(Json { object, remarks })
}

/// A difference as programs read it.
pub struct Json {
    pub object: Vec<u8>,
    pub remarks: Vec<String>,
}

/// What differs between two periods, and what there is to say of it.
fn compare(
    sources: &mut Sources,
    arguments: &Arguments,
    periods: (Period, Period),
) -> Result<(Difference, Vec<String>)> {
    let (before, after) = read(sources, periods, arguments.which.filter())?;
    let now = Zoned::now();
    let damage = "what could not be read may hold what is called new here, or gone";
    let damage = sources.is_damaged().then(|| damage.to_owned());
    let remarks = [&before, &after].map(|side| side.coverage.remark(&side.period, &now));
    let seconds = (before.coverage.seconds(), after.coverage.seconds());
    let difference = Difference {
        new: found(&after.tally, &before.tally),
        vanished: found(&before.tally, &after.tally),
        changed: changed((&before.tally, &after.tally), seconds),
        before,
        after,
    };
    Ok((difference, damage.into_iter().chain(remarks.into_iter().flatten()).collect()))
}

/// Both periods, as the history has them, and what goes on.
fn read(
    sources: &mut Sources,
    (before, after): (Period, Period),
    filter: Option<&Arc<Filter>>,
) -> Result<(Side, Side)> {
    let Some(history) = sources.times() else {
        bail!("there is nothing to compare with: {}", sources.extent());
    };
    for period in [&before, &after] {
        if !has_any(sources, &period.times) {
            let (word, times) = (&period.word, period.shown(&Zoned::now()));
            bail!("there is nothing to compare with: no record is of {word} ({times}), {}", sources.extent());
        }
    }
    let (mut earlier, mut later) = (Tally::default(), Tally::default());
    count(sources, (&before.times, filter), |record| earlier.add(record, State::Kept))?;
    let ended = *before.times.end();
    let began_before = |record: &FlowRecord| (*before.times.start()..=ended).contains(&record.start);
    count(sources, (&after.times, filter), |record| {
        later.add(record, State::Kept)?;
        if began_before(record) { earlier.note(record) } else { Ok(()) }
    })?;
    for record in sources.open.iter().filter(|record| filter.is_none_or(|filter| filter.matches(record))) {
        let added = if after.times.contains(&record.end) {
            later.add(record, State::Open)
        } else if before.times.contains(&record.end) {
            earlier.add(record, State::Open)
        } else {
            Ok(())
        };
        // What is in neither is not gone: it goes on.
        let is_later = after.times.contains(&record.end);
        let noted = if is_later && began_before(record) { earlier.note(record) } else { Ok(()) };
        added.and(noted).map_err(|full| anyhow!(full))?;
    }
    let is_live = sources.agent.is_some() && sources.is_own;
    let side =
        |period: Period, tally| Side { coverage: Coverage::of(&period, history, is_live), period, tally };
    Ok((side(before, earlier), side(after, later)))
}

/// Whether there is any record of this time, whatever is asked for.
fn has_any(sources: &mut Sources, times: &RangeInclusive<u64>) -> bool {
    if sources.open.iter().any(|record| times.contains(&record.end)) {
        return true;
    }
    let question = Question { times: times.clone(), filter: None, columns: Some(vec!["end"]) };
    sources.read(question, |batch| if batch.num_rows() == 0 { Ok(()) } else { Err(()) }).is_err()
}

fn count(
    sources: &mut Sources,
    (times, filter): (&RangeInclusive<u64>, Option<&Arc<Filter>>),
    mut take: impl FnMut(&FlowRecord) -> Result<(), String>,
) -> Result<()> {
    let columns = READ.iter().chain(KEY).copied().collect();
    let question = Question { times: times.clone(), filter: filter.cloned(), columns: Some(columns) };
    sources.read_records(question, |record| take(&record)).map_err(|full| anyhow!(full))
}
