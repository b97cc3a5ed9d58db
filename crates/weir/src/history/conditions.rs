//! Flags that say which flows are meant. Together they are one filter.

#[cfg(test)]
mod tests;

use crate::options;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};
use std::sync::Arc;
use weir_export::Source;
use weir_filter::Filter;

/// A flag, and the filter that a value of it is.
struct Flag {
    name: &'static str,
    short: Option<char>,
    /// What stands for the value; none where it takes none.
    value: Option<&'static str>,
    help: &'static str,
    read: fn(&str) -> Result<Filter, String>,
}

/// Named as those of `hubble observe`, where it has them.
const FLAGS: [Flag; 12] = [
    Flag {
        name: "from",
        short: None,
        value: Some("ADDR|CIDR|NAME"),
        help: "Begun there: an address, a network, or a name or glob",
        read: |text| list(text, |one| end("source", one)),
    },
    Flag {
        name: "to",
        short: None,
        value: Some("ADDR|CIDR|NAME"),
        help: "Begun to there, likewise",
        read: |text| list(text, |one| end("destination", one)),
    },
    Flag {
        name: "port",
        short: None,
        value: Some("PORT"),
        help: "At either end; a range is 8000-8999",
        read: |text| list(text, |one| plain("port", one)),
    },
    Flag {
        name: "protocol",
        short: None,
        value: Some("NAME"),
        help: "A name, glob or number",
        read: |text| list(text, |one| plain("protocol", one)),
    },
    Flag {
        name: "process",
        short: None,
        value: Some("PID|GLOB"),
        help: "At either end: a number, or a name or glob",
        read: |text| list(text, process),
    },
    Flag {
        name: "container",
        short: None,
        value: Some("ID|GLOB"),
        help: "At either end: the beginning of an id, or a name or glob",
        read: |text| list(text, container),
    },
    Flag {
        name: "pod",
        short: None,
        value: Some("[NAMESPACE/]GLOB"),
        help: "At either end: a name or glob",
        read: |text| list(text, pod),
    },
    Flag {
        name: "namespace",
        short: Some('n'),
        value: Some("GLOB"),
        help: "Kubernetes' namespace of either end",
        read: |text| list(text, |one| worded("namespace", one)),
    },
    Flag {
        name: "interface",
        short: None,
        value: Some("GLOB"),
        help: "Counted there",
        read: |text| list(text, |one| worded("interface", one)),
    },
    Flag {
        name: "dropped",
        short: None,
        value: None,
        help: "The kernel dropped packets of it",
        read: |_| parse("dropped_packets > 0"),
    },
    Flag {
        name: "min-bytes",
        short: None,
        value: Some("SIZE"),
        help: "At least so much, there or back",
        read: |text| {
            options::size(text).and_then(|size| parse(&format!("bytes >= {size} or reverse_bytes >= {size}")))
        },
    },
    Flag {
        name: "filter",
        short: None,
        value: Some("EXPR"),
        help: "What fits, as in `weir run`; see docs/filter.md",
        read: |text| Filter::parse(text).map_err(|mistake| mistake.to_string()),
    },
];

/// Turns the next of these flags into its opposite.
const NOT: &str = "not";

/// Where a URL says who is asked; all else says who began it.
const FROM: &str = "from";

/// What a value of a flag says.
#[derive(Clone)]
enum Given {
    Filter(Filter),
    Source(Source),
}

/// What was asked for by them; nothing where all flows are.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    filter: Option<Arc<Filter>>,
    source: Option<Source>,
}

impl Conditions {
    /// Which flows, wherever they are.
    pub fn filter(&self) -> Option<&Arc<Filter>> {
        self.filter.as_ref()
    }

    /// Who is asked; this host without.
    pub fn source(&self) -> Option<&Source> {
        self.source.as_ref()
    }

    /// Which flows of this host, for who asks no other.
    ///
    /// # Errors
    /// Another was named.
    pub fn here(&self) -> Result<Option<&Arc<Filter>>, String> {
        match &self.source {
            Some(_) => {
                Err("--from: a URL is for `weir flows` alone; here it is an address, a network or a name"
                    .into())
            }
            None => Ok(self.filter()),
        }
    }
}

impl Args for Conditions {
    fn augment_args(command: Command) -> Command {
        let args = FLAGS.iter().map(|flag| {
            let (name, read) = (flag.name, flag.read);
            let arg = Arg::new(name)
                .long(name)
                .help(flag.help)
                .value_parser(move |text: &str| given(name, read, text));
            let arg = flag.short.into_iter().fold(arg, Arg::short);
            match flag.value {
                Some(value) => arg.value_name(value).action(ArgAction::Append),
                None => bare(arg),
            }
            .help_heading("Which flows (a flag given twice: either; different flags: all of them)")
        });
        let not = bare(Arg::new(NOT).long(NOT).value_parser(|_: &str| Ok::<_, String>(())));
        let not = not.help("Not the next of these flags: --not --port 22");
        command
            .args(args)
            .arg(not.help_heading("Which flows (a flag given twice: either; different flags: all of them)"))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// A flag without a value that may be given again and again, and whose place counts.
fn bare(arg: Arg) -> Arg {
    arg.action(ArgAction::Append).num_args(0).default_missing_value("")
}

impl FromArgMatches for Conditions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut given: Vec<_> = places(matches, NOT).into_iter().map(|place| (place, None)).collect();
        for flag in &FLAGS {
            let values = matches.get_many::<Given>(flag.name).into_iter().flatten();
            let values = places(matches, flag.name).into_iter().zip(values);
            given.extend(values.map(|(place, value)| (place, Some((flag.name, value.clone())))));
        }
        given.sort_by_key(|(place, _)| *place);
        together(given.into_iter().map(|(_, what)| what))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Where it stands on the command line.
fn places(matches: &ArgMatches, name: &str) -> Vec<usize> {
    let is_given = matches.value_source(name) == Some(ValueSource::CommandLine);
    matches.indices_of(name).into_iter().flatten().filter(|_| is_given).collect()
}

fn given(name: &str, read: fn(&str) -> Result<Filter, String>, text: &str) -> Result<Given, String> {
    if name == FROM && Source::is_meant(text) {
        return text.parse().map(Given::Source);
    }
    read(text).map(Given::Filter)
}

/// One filter of all of them, in the order in which they were given; none stands for `--not`.
fn together(given: impl Iterator<Item = Option<(&'static str, Given)>>) -> Result<Conditions, Error> {
    let (mut wanted, mut all) = (FLAGS.each_ref().map(|_| Vec::new()), Vec::new());
    let (mut is_negated, mut source) = (false, None);
    for what in given {
        match what {
            None if is_negated => return Err(lonely()),
            None => is_negated = true,
            Some((_, Given::Source(_))) if is_negated => return Err(lonely()),
            Some((_, Given::Source(_))) if source.is_some() => return Err(two()),
            Some((_, Given::Source(one))) => source = Some(one),
            Some((_, Given::Filter(filter))) if is_negated => {
                all.push(filter.negated());
                is_negated = false;
            }
            Some((name, Given::Filter(filter))) => {
                let own = FLAGS.iter().zip(&mut wanted).find(|(flag, _)| flag.name == name);
                own.into_iter().for_each(|(_, own)| own.push(filter.clone()));
            }
        }
    }
    if is_negated {
        return Err(lonely());
    }
    all.extend(wanted.into_iter().filter_map(Filter::any));
    Ok(Conditions { filter: Filter::all(all).map(Arc::new), source })
}

fn two() -> Error {
    Error::raw(clap::error::ErrorKind::ArgumentConflict, "--from: one URL is asked, not two\n")
}

fn lonely() -> Error {
    let words = "--not stands before the flag that it turns into its opposite: --not --port 22\n";
    Error::raw(clap::error::ErrorKind::ArgumentConflict, words)
}

fn parse(text: &str) -> Result<Filter, String> {
    Filter::parse(text).map_err(|mistake| mistake.message)
}

/// Values with commas between them: any of these.
fn list(text: &str, read: impl Fn(&str) -> Result<Filter, String>) -> Result<Filter, String> {
    let filters = text.split(',').map(|one| read(one.trim())).collect::<Result<Vec<_>, _>>()?;
    Filter::any(filters).ok_or_else(|| "a value is missing".into())
}

/// One that the filter language reads as it is.
fn plain(subject: &str, text: &str) -> Result<Filter, String> {
    if is_plain(text) {
        parse(&format!("{subject} == {text}"))
    } else {
        Err(format!("'{text}' is no {subject}"))
    }
}

/// A glob, or just this text.
fn worded(subject: &str, text: &str) -> Result<Filter, String> {
    parse(&format!("{subject} == {}", word(text)?))
}

/// As the filter language writes it.
fn word(text: &str) -> Result<String, String> {
    let is_glob = text.contains(['*', '?', '[']);
    match (is_glob, is_plain(text)) {
        (true, true) => Ok(text.to_owned()),
        (true, false) => Err("in a glob write ? for a space or a sign".into()),
        (false, _) => Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))),
    }
}

/// Whether the filter language takes it for one word.
fn is_plain(text: &str) -> bool {
    let is_sign = |one: char| one.is_whitespace() || one.is_control() || "(),\"'\\=<>&|".contains(one);
    !text.is_empty() && !text.starts_with(['[', '!']) && !text.contains(is_sign)
}

/// What is written like an address has to be one; all else is a name.
fn end(end: &str, text: &str) -> Result<Filter, String> {
    let is_numeric = text.chars().all(|one| one.is_ascii_digit() || ".-".contains(one));
    let is_address = is_numeric || text.contains(['/', ':']);
    if is_address { plain(&format!("{end}_address"), text) } else { worded(&format!("{end}_name"), text) }
}

fn process(text: &str) -> Result<Filter, String> {
    if text.parse::<u32>().is_ok() { plain("pid", text) } else { worded("process", text) }
}

fn container(text: &str) -> Result<Filter, String> {
    let name = word(text)?;
    let is_beginning = is_plain(text) && !text.contains(['*', '?', '[']);
    let id = if is_beginning { format!("{text}*") } else { name.clone() };
    parse(&format!("container == {id} or container_name == {name}"))
}

fn pod(text: &str) -> Result<Filter, String> {
    let Some((namespace, pod)) = text.split_once('/') else { return worded("pod", text) };
    let (namespace, pod) = (word(namespace)?, word(pod)?);
    let end = |end: &str| format!("{end}_namespace == {namespace} and {end}_pod == {pod}");
    parse(&format!("{} or {}", end("source"), end("destination")))
}
