//! What is asked: which flows, of which time, and what of them.

use super::Arguments;
use super::shown::Format;
use crate::history::Sources;
use crate::records::{Column, csv, is_kept, named, parquet, read_for};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use weir_filter::Filter;
use weir_record::{FlowRecord, Kind};
use weir_store::Question;

/// How many are shown where nothing else is said.
const LAST: usize = 20;
/// How many may be asked for: about 2 GB of them.
const MOST_LAST: usize = 1_000_000;

/// How much of what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    /// The newest, so many.
    Newest(usize),
    /// All.
    All,
    /// Nothing: only what comes.
    Nothing,
}

/// A question.
pub struct Asked {
    pub filter: Option<Arc<Filter>>,
    /// When they ended, in nanoseconds since the epoch.
    pub times: RangeInclusive<u64>,
    pub now: u64,
    pub past: Past,
    /// What is shown of each; all of it where there are none.
    pub fields: Vec<Column>,
    /// What is summed by.
    pub groups: Vec<Column>,
    /// The columns of the history that this takes; all without.
    columns: Option<Vec<&'static str>>,
}

impl Asked {
    /// What the flags ask of this host, or the mistake in them.
    pub fn of(arguments: &Arguments) -> Result<Self, String> {
        arguments.which.here()?;
        Self::anywhere(arguments)
    }

    /// The same of whoever is asked.
    pub fn anywhere(arguments: &Arguments) -> Result<Self, String> {
        if arguments.which.source().is_some() {
            fit_there(arguments)?;
        }
        let times = arguments.since.unwrap_or(0)..=arguments.until.unwrap_or(u64::MAX);
        if times.is_empty() {
            return Err("--until is before --since".into());
        }
        let (fields, groups) = (named("--fields", &arguments.fields)?, named("--sum-by", &arguments.sum_by)?);
        fit(arguments.output, &fields, &groups)?;
        if arguments.follow && arguments.output == Format::Parquet {
            return Err(
                "--follow has no end, and before its end a Parquet file is none: -o json or csv".into()
            );
        }
        let now = weir_agent::unix_now();
        let columns = if groups.is_empty() { read_for(&fields) } else { summed_for(&groups) };
        Ok(Self {
            filter: arguments.which.filter().cloned(),
            times,
            now,
            past: past(arguments)?,
            fields,
            groups,
            columns,
        })
    }

    /// The question to the history.
    pub fn question(&self) -> Question {
        self.question_within(self.times.clone())
    }

    /// The same of another time.
    pub fn question_within(&self, times: RangeInclusive<u64>) -> Question {
        Question { times, filter: self.filter.clone(), columns: self.columns.clone() }
    }

    /// Whether a record is meant.
    pub fn wants(&self, record: &FlowRecord) -> bool {
        self.times.contains(&record.end) && self.filter.as_ref().is_none_or(|filter| filter.matches(record))
    }

    /// What goes on and is meant.
    pub fn open<'s>(&'s self, sources: &'s Sources) -> impl Iterator<Item = &'s FlowRecord> {
        sources.open.iter().filter(|record| self.wants(record))
    }
}

fn past(arguments: &Arguments) -> Result<Past, String> {
    let is_bounded = arguments.since.is_some() || arguments.until.is_some() || arguments.all;
    match arguments.last {
        Some(last) if last > MOST_LAST => {
            Err(format!("--last: at most {MOST_LAST}; --since and --all take any number"))
        }
        Some(last) => Ok(Past::Newest(last)),
        None if is_bounded || !arguments.sum_by.is_empty() => Ok(Past::All),
        None if arguments.follow => Ok(Past::Nothing),
        None => Ok(Past::Newest(LAST)),
    }
}

/// Whether a server can be asked for it.
fn fit_there(arguments: &Arguments) -> Result<(), String> {
    if arguments.follow {
        return Err(
            "--follow asks an agent of this host; ClickHouse has what has ended: ask it again with --since"
                .into(),
        );
    }
    if arguments.data_dir.is_some() || arguments.socket.is_some() {
        return Err("--from clickhouse://… asks there alone: leave out --data-dir and --socket".into());
    }
    Ok(())
}

/// Whether the format can show them.
fn fit(format: Format, fields: &[Column], groups: &[Column]) -> Result<(), String> {
    let lists = |column: &&Column| column.kind() == Kind::Observations;
    if let Some(column) =
        groups.iter().find(|column| lists(column) || !column.fields().all(|field| is_kept(field.name)))
    {
        return Err(format!("--sum-by: {} is nothing to sum by", column.name()));
    }
    if !groups.is_empty() && format == Format::Parquet {
        return Err("-o parquet is of records: sums are table, json or csv".into());
    }
    match format {
        Format::Parquet => parquet::fit(fields),
        Format::Csv | Format::Table | Format::Wide => csv::fit(fields),
        Format::Json => Ok(()),
    }
}

/// What has to be read to sum by these.
fn summed_for(groups: &[Column]) -> Option<Vec<&'static str>> {
    let groups = groups.iter().flat_map(Column::fields).map(|field| field.name);
    let names: BTreeSet<_> = groups.chain(super::sums::READ).collect();
    Some(names.into_iter().collect())
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
        let words = ["flows"].into_iter().chain(words.split_whitespace());
        let flags = Flags::try_parse_from(words).map_err(|error| error.to_string())?;
        Asked::of(&flags.arguments)
    }

    fn mistake(words: &str) -> String {
        asked(words).map(drop).expect_err(words)
    }

    #[test]
    fn how_much_of_the_past() {
        let past = |words| asked(words).map(|asked| asked.past);
        assert_eq!(past(""), Ok(Past::Newest(20)));
        assert_eq!(past("--port 80"), Ok(Past::Newest(20)));
        assert_eq!(past("--last 3 --since 1h"), Ok(Past::Newest(3)));
        assert_eq!(
            (past("--since 1h"), past("--until 1h"), past("--all")),
            (Ok(Past::All), Ok(Past::All), Ok(Past::All))
        );
        assert_eq!(past("--sum-by process"), Ok(Past::All));
        assert_eq!((past("--follow"), past("--follow --last 5")), (Ok(Past::Nothing), Ok(Past::Newest(5))));
    }

    #[test]
    fn mistakes() {
        assert!(mistake("--since soon").contains("not a time"));
        assert_eq!(mistake("--since 1h --until 2h"), "--until is before --since");
        assert!(mistake("--fields byts").contains("--fields: there is no field byts: did you mean bytes?"));
        assert!(mistake("--sum-by proces").contains("did you mean process?"));
        assert!(mistake("--sum-by observations").contains("nothing to sum by"));
        assert!(mistake("--sum-by community_id").contains("nothing to sum by"));
        assert!(mistake("--sum-by process -o parquet").contains("of records"));
        assert!(mistake("--fields process -o parquet").contains("source_process"));
        assert!(mistake("--fields observations -o csv").contains("json and parquet"));
        assert!(mistake("--last 1000001").contains("at most"));
        assert!(mistake("--top 3").contains("--sum-by"));
        assert!(mistake("--follow --sum-by process").contains("--sum-by"));
        assert!(mistake("--follow -o parquet").contains("no end"));
        assert!(mistake("--all --last 3").contains("--last"));
    }

    #[test]
    fn what_a_server_is_asked() {
        let there = |words: &str| {
            let flags = Flags::try_parse_from(
                ["flows", "--from", "clickhouse://ch"].into_iter().chain(words.split_whitespace()),
            );
            Asked::anywhere(&flags.expect("flags").arguments).map(|asked| asked.past)
        };
        assert_eq!((there(""), there("--all --port 80")), (Ok(Past::Newest(20)), Ok(Past::All)));
        assert!(there("--follow").is_err_and(|said| said.contains("ask it again")));
        assert!(there("--data-dir /d").is_err_and(|said| said.contains("leave out")));
        // Who asks over the API is not this user: it may not send the agent anywhere.
        assert!(mistake("--from clickhouse://ch").contains("`weir flows` alone"));
    }

    #[test]
    fn only_what_is_needed_is_read() {
        let columns = |words| asked(words).expect(words).question().columns;
        assert_eq!((columns(""), columns("--fields community_id")), (None, None));
        assert!(columns("--fields bytes").is_some_and(|names| names.contains(&"bytes") && names.len() == 13));
        let summed = columns("--sum-by process").expect("some");
        assert!(summed.contains(&"destination_process") && summed.contains(&"reverse_bytes"));
    }
}
