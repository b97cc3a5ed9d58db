//! `weir flows`: what was kept and what goes on, asked with one set of flags.

mod asked;
mod coming;
mod newest;
mod shown;
mod sums;

use crate::history::{self, Conditions, Sources};
use crate::output;
use crate::records::{Row, Shows, ordered};
use crate::run::say;
use crate::stop::Stop;
use anyhow::{Error, Result, bail};
pub use asked::Asked;
use asked::Past;
use clap::Args;
pub use coming::{Coming, GLANCE};
use jiff::Zoned;
use newest::newest;
pub use newest::{Before, newest_before, place};
use shown::Format;
pub use shown::{Sort, write_csv, write_json};
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::sleep;
pub use sums::sum;

/// Flags of `weir flows`.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    which: Conditions,

    /// The newest, so many; 20 where no other flag says how many
    #[arg(long, value_name = "N", conflicts_with = "sum_by")]
    last: Option<usize>,

    /// Those that ended after this: 5m, yesterday, 'today 09:00', 2026-11-26T09:00:00Z
    #[arg(long, value_name = "TIME", value_parser = history::moment, allow_hyphen_values = true)]
    since: Option<u64>,

    /// Those that ended before this
    #[arg(long, value_name = "TIME", value_parser = history::moment, allow_hyphen_values = true)]
    until: Option<u64>,

    /// All that there are
    #[arg(long, conflicts_with_all = ["last", "since", "until"])]
    all: bool,

    /// Go on with those that end from now on
    #[arg(short, long, conflicts_with_all = ["sum_by", "until"])]
    follow: bool,

    /// What they add up to, by these fields: process,destination_name
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    sum_by: Vec<String>,

    /// The first so many groups, and the others in one line
    #[arg(long, value_name = "N", requires = "sum_by")]
    top: Option<usize>,

    /// Which groups come first
    #[arg(long, value_name = "COLUMN", default_value = "bytes", requires = "sum_by")]
    sort: Sort,

    /// How they are printed
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,

    /// What to show of each: names as in docs/fields.md
    #[arg(long, value_name = "LIST", value_delimiter = ',', conflicts_with = "sum_by")]
    fields: Vec<String>,

    /// The directory of the history; /var/lib/weir without this, or a user's own: ~/.local/state/weir. What a server has: --from clickhouse://HOST:PORT/DATABASE
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// The control socket of the agent to ask; the one that writes the history without this
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl Arguments {
    /// Which groups come first, and how many of them are told by themselves.
    pub fn order(&self) -> (Sort, Option<usize>) {
        (self.sort, self.top)
    }
}

/// Prints what was asked for.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let asked = match Asked::anywhere(arguments) {
        Ok(asked) => asked,
        Err(mistake) => {
            say(&mistake);
            return Ok(ExitCode::from(2));
        }
    };
    let mut sources = match arguments.which.source() {
        Some(source) => Sources::there(source)?,
        None => Sources::open(arguments.data_dir.as_deref(), arguments.socket.as_deref())?,
    };
    if arguments.follow && sources.agent.is_none() {
        bail!("no agent answers that --follow could ask for what comes. Start one: weir run");
    }
    if asked.past == Past::All {
        say_what_is_older(&asked, &sources);
    }
    let outcome = if asked.groups.is_empty() {
        print_flows(arguments, &asked, &mut sources)?
    } else {
        print_sums(arguments, &asked, &mut sources)?
    };
    // An answer that is not whole is not like one that is.
    Ok(if sources.is_damaged() { ExitCode::from(1) } else { outcome })
}

fn print_flows(arguments: &Arguments, asked: &Asked, sources: &mut Sources) -> Result<ExitCode> {
    let mut shows = shown::new(arguments.output, asked)?;
    let past = print_past(arguments, asked, sources, &mut *shows);
    match past {
        Ok(0) if !arguments.follow => nothing(asked, sources),
        Ok(_) if arguments.follow => return follow(asked, sources, &mut *shows),
        _ => {}
    }
    output::end(past.and_then(|_| shows.end()))
}

/// How many there were.
fn print_past(
    arguments: &Arguments,
    asked: &Asked,
    sources: &mut Sources,
    shows: &mut dyn Shows,
) -> io::Result<usize> {
    // What goes on ends later: then it is shown.
    if arguments.follow {
        sources.open.clear();
    }
    match asked.past {
        Past::Nothing => Ok(0),
        Past::Newest(most) => {
            let rows = newest(sources, asked, most);
            sources.intact()?;
            shows.show(&rows).map(|()| rows.len())
        }
        Past::All => {
            let mut count = 0;
            ordered(sources, &asked.question(), |rows| {
                count += rows.len();
                shows.show(&rows)
            })?;
            let mut open: Vec<_> =
                asked.open(sources).map(|record| Row { record: record.clone(), is_open: true }).collect();
            open.sort_by_key(|row| row.record.end);
            shows.show(&open).map(|()| count + open.len())
        }
    }
}

/// Prints what ends, until it is told to end, or nobody reads, or the agent is gone.
fn follow(asked: &Asked, sources: &mut Sources, shows: &mut dyn Shows) -> Result<ExitCode> {
    let stop = Stop::new(None)?.on_hangup()?;
    let Some(mut coming) = Coming::of(asked, sources) else { return Ok(ExitCode::SUCCESS) };
    loop {
        let (rows, missed) = coming.news()?;
        if missed > 0 {
            say(&format!(
                "{missed} records ended faster than the agent could tell of them: they are not shown"
            ));
        }
        if let Err(error) = shows.show(&rows) {
            return output::end(Err(error));
        }
        if stop.is_due() {
            return output::end(shows.end());
        }
        sleep(GLANCE);
    }
}

fn print_sums(arguments: &Arguments, asked: &Asked, sources: &mut Sources) -> Result<ExitCode> {
    let groups = sum(asked, sources).map_err(Error::msg)?;
    if groups.is_empty() {
        nothing(asked, sources);
    }
    let printed = shown::print((&asked.groups, groups), arguments.order(), arguments.output);
    output::end(printed)
}

/// Says where sums are of what is asked for and is older than the records.
fn say_what_is_older(asked: &Asked, sources: &Sources) {
    let records = sources.times().map_or(u64::MAX, |(first, _)| first);
    if *asked.times.start() >= records {
        return;
    }
    let (now, sums) = (Zoned::now(), sources.older_sums(records));
    let tables =
        sums.iter().map(|(name, first)| format!("{name} from {}", history::day_and_time(*first, &now)));
    let tables = tables.collect::<Vec<_>>().join(" and ");
    if let (Some(directory), false) = (sources.directory(), sums.is_empty()) {
        say(&format!("records of that time are gone; their sums are in {}: {tables}", directory.display()));
    }
}

/// Says what there is where what was asked for is not.
fn nothing(asked: &Asked, sources: &Sources) {
    if sources.is_damaged() {
        return;
    }
    let now = Zoned::now();
    let clock = |nanos| history::day_and_time(nanos, &now);
    let there = sources.extent();
    let which = if asked.filter.is_some() { "no such flow" } else { "no flow" };
    let (since, until) = (*asked.times.start(), *asked.times.end());
    let when = match (since, until) {
        (0, u64::MAX) => String::new(),
        (_, u64::MAX) => format!(" since {}", clock(since)),
        (0, _) => format!(" until {}", clock(until)),
        _ => format!(" from {} to {}", clock(since), clock(until)),
    };
    say(&format!("{which}{when}: {there}"));
}
