//! `weir export`: what was kept, as a file that others read.

mod target;
mod trial;

use crate::history::{self, Conditions, Sources};
use crate::output;
use crate::records::{Column, Format, Shows, named, ordered, read_for};
use crate::run::say;
use crate::stop::Stop;
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use jiff::Zoned;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::process::ExitCode;
use target::Target;
use weir_store::Question;

/// Flags of `weir export`.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,

    /// Where to: a file, whole or not at all; standard output without this, or with -
    file: Option<PathBuf>,

    #[command(flatten)]
    which: Conditions,

    /// Those that ended after this: 5m, yesterday, 'today 09:00', 2026-11-26T09:00:00Z
    #[arg(long, value_name = "TIME", value_parser = history::moment, allow_hyphen_values = true)]
    since: Option<u64>,

    /// Those that ended before this
    #[arg(long, value_name = "TIME", value_parser = history::moment, allow_hyphen_values = true)]
    until: Option<u64>,

    /// As what; as the name of the file ends without this
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,

    /// What of each: names as in docs/fields.md
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    fields: Vec<String>,

    /// The directory of the history; /var/lib/weir without this, or a user's own: ~/.local/state/weir
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// What else it can do.
#[derive(Subcommand)]
enum Command {
    /// Send one record to one of the agent's exporters, and say what came back
    Test(trial::Arguments),
}

/// What is asked for.
struct Asked {
    format: Format,
    fields: Vec<Column>,
    question: Question,
}

impl Asked {
    /// By the flags, or the mistake in them.
    fn of(arguments: &Arguments) -> Result<Self, String> {
        let format = Format::of(arguments.output, arguments.file.as_deref())?;
        let fields = named("--fields", &arguments.fields)?;
        format.fit(&fields)?;
        let times = arguments.since.unwrap_or(0)..=arguments.until.unwrap_or(u64::MAX);
        if times.is_empty() {
            return Err("--until is before --since".into());
        }
        let (filter, columns) = (arguments.which.here()?.cloned(), read_for(&fields));
        Ok(Self { format, fields, question: Question { times, filter, columns } })
    }
}

/// Writes what was asked for.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    if let Some(Command::Test(arguments)) = &arguments.command {
        return trial::run(arguments);
    }
    let asked = match Asked::of(arguments) {
        Ok(asked) => asked,
        Err(mistake) => {
            say(&mistake);
            return Ok(ExitCode::from(2));
        }
    };
    let stop = Stop::new(None)?.on_hangup()?;
    let mut sources = Sources::kept(arguments.data_dir.as_deref())?;
    let target = Target::of(arguments.file.as_deref(), asked.format)?;
    let mut shows = asked.format.shows(&asked.fields, target.out()?)?;
    let written = write(&asked, &mut sources, &mut *shows, &stop);
    drop(shows);
    match written {
        Ok(count) => {
            target.keep()?;
            say(&conclusion(count, &target, &sources));
        }
        Err(error) if error.kind() == ErrorKind::Interrupted => bail!("stopped: {}", target.not_written()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => return output::end(Err(error)),
        Err(error) => bail!("{}: {error}", target.not_written()),
    }
    // What is not whole is not like what is.
    Ok(if sources.is_damaged() { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// How many there were.
fn write(asked: &Asked, sources: &mut Sources, shows: &mut dyn Shows, stop: &Stop) -> io::Result<usize> {
    let mut count = 0;
    ordered(sources, &asked.question, |rows| {
        if stop.is_signalled() {
            return Err(ErrorKind::Interrupted.into());
        }
        count += rows.len();
        shows.show(&rows)
    })?;
    shows.end()?;
    Ok(count)
}

fn conclusion(count: usize, target: &Target, sources: &Sources) -> String {
    let flows = if count == 1 { "1 flow".into() } else { format!("{count} flows") };
    let now = Zoned::now();
    let there = match sources.times() {
        Some((first, last)) => {
            let clock = |nanos| history::day_and_time(nanos, &now);
            format!("the history is from {} to {}", clock(first), clock(last))
        }
        None => "there is nothing in the history yet".into(),
    };
    let damaged = if sources.is_damaged() { ", without what could not be read" } else { "" };
    format!("{flows} written to {}{damaged}; {there}", target.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn asked(words: &str) -> Result<Asked, String> {
        let words = ["export"].into_iter().chain(words.split_whitespace());
        let flags = Flags::try_parse_from(words).map_err(|error| error.to_string())?;
        Asked::of(&flags.arguments)
    }

    fn mistake(words: &str) -> String {
        asked(words).map(drop).expect_err(words)
    }

    #[test]
    fn the_name_says_the_format() {
        let format = |words| asked(words).map(|asked| asked.format);
        assert_eq!(format("a.parquet"), Ok(Format::Parquet));
        assert_eq!((format("a.json"), format("a.b.JSONL")), (Ok(Format::Json), Ok(Format::Json)));
        assert_eq!((format("/tmp/x/a.csv"), format("a.ipfix")), (Ok(Format::Csv), Ok(Format::Ipfix)));
        assert_eq!(
            (format("a.csv -o json"), format("-o csv"), format("- -o csv")),
            (Ok(Format::Json), Ok(Format::Csv), Ok(Format::Csv))
        );
    }

    #[test]
    fn mistakes() {
        assert!(mistake("").contains("-o parquet, csv, json or ipfix"));
        assert!(mistake("-").contains("-o parquet, csv, json or ipfix"));
        assert!(mistake("flows.txt").contains("flows.txt"));
        assert!(mistake("-o table").contains("table"));
        assert_eq!(mistake("a.csv --since 1h --until 2h"), "--until is before --since");
        assert!(mistake("a.csv --fields byts").contains("did you mean bytes?"));
        assert!(mistake("a.ipfix --fields process").contains("source_process"));
        assert!(mistake("a.ipfix --fields community_id").contains("no element"));
        assert!(mistake("a.csv --fields observations").contains("json and parquet"));
        assert!(mistake("a.parquet --fields process").contains("source_process"));
    }
}
