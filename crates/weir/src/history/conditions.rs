//! Flags that say which flows are meant. Together they are one filter.

use crate::options;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};
use std::sync::Arc;
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

/// What was asked for by them; nothing where all flows are.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    pub filter: Option<Arc<Filter>>,
}

impl Args for Conditions {
    fn augment_args(command: Command) -> Command {
        let args = FLAGS.iter().map(|flag| {
            let arg = Arg::new(flag.name).long(flag.name).help(flag.help).value_parser(flag.read);
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
            let filters = matches.get_many::<Filter>(flag.name).into_iter().flatten();
            let filters = places(matches, flag.name).into_iter().zip(filters);
            given.extend(filters.map(|(place, filter)| (place, Some((flag.name, filter.clone())))));
        }
        given.sort_by_key(|(place, _)| *place);
        let filter = together(given.into_iter().map(|(_, what)| what))?;
        Ok(Self { filter: filter.map(Arc::new) })
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

/// One filter of all of them, in the order in which they were given; none stands for `--not`.
fn together(given: impl Iterator<Item = Option<(&'static str, Filter)>>) -> Result<Option<Filter>, Error> {
    let (mut wanted, mut all) = (FLAGS.each_ref().map(|_| Vec::new()), Vec::new());
    let mut is_negated = false;
    for what in given {
        match what {
            None if is_negated => return Err(lonely()),
            None => is_negated = true,
            Some((_, filter)) if is_negated => {
                all.push(filter.negated());
                is_negated = false;
            }
            Some((name, filter)) => {
                let own = FLAGS.iter().zip(&mut wanted).find(|(flag, _)| flag.name == name);
                own.into_iter().for_each(|(_, own)| own.push(filter.clone()));
            }
        }
    }
    if is_negated {
        return Err(lonely());
    }
    all.extend(wanted.into_iter().filter_map(Filter::any));
    Ok(Filter::all(all))
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use proptest::prelude::*;
    use proptest::sample::select;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        conditions: Conditions,
        #[arg(long)]
        last: Option<usize>,
    }

    fn read(words: &[&str]) -> Result<Option<Filter>, String> {
        let flags = Flags::try_parse_from([&["flows"], words].concat()).map_err(|error| error.to_string())?;
        Ok(flags.conditions.filter.map(Arc::unwrap_or_clone))
    }

    #[track_caller]
    fn same(words: &str, filter: &str) {
        let words: Vec<_> = words.split(' ').filter(|word| !word.is_empty()).collect();
        let wanted = (!filter.is_empty()).then(|| Filter::parse(filter).expect(filter));
        assert_eq!(read(&words), Ok(wanted), "{words:?}");
    }

    #[test]
    fn flags_are_filters() {
        same("", "");
        same("--from 10.0.0.0/8", "source_address == 10.0.0.0/8");
        same("--to 2001:db8::1", "destination_address == 2001:db8::1");
        same("--to db.example.org", "destination_name == \"db.example.org\"");
        same("--to *.example.org", "destination_name == *.example.org");
        same("--port 443", "port == 443");
        same("--port 8000-8999", "port == 8000-8999");
        same("--protocol icmp*", "protocol == icmp*");
        same("--process curl", "process == \"curl\"");
        same("--process 4711", "pid == 4711");
        same("--container 5f0c", "container == 5f0c* or container_name == \"5f0c\"");
        same("--container web-*", "container == web-* or container_name == web-*");
        same("--pod web-*", "pod == web-*");
        same(
            "--pod shop/web",
            "source_namespace == shop and source_pod == web or destination_namespace == shop and destination_pod == web",
        );
        same("-n shop", "namespace == shop");
        same("--interface veth*", "interface == veth*");
        same("--dropped", "dropped_packets > 0");
        same("--min-bytes 1MiB", "bytes >= 1MiB or reverse_bytes >= 1MiB");
        same("--filter tcp_rtt>50ms", "tcp_rtt > 50ms");
    }

    #[test]
    fn a_flag_twice_is_either_and_two_flags_are_both() {
        same("--port 80,443", "port == 80 or port == 443");
        same("--port 80 --process curl --port 443", "(port == 80 or port == 443) and process == \"curl\"");
        same("--process curl --last 3 --port 80", "port == 80 and process == \"curl\"");
    }

    #[test]
    fn not_is_about_the_next() {
        same("--not --port 22", "not port == 22");
        same("--not --port 22 --port 80", "not port == 22 and port == 80");
        same("--not --port 22 --not --port 80", "not port == 22 and not port == 80");
        same("--not --port 22,80", "not (port == 22 or port == 80)");
        same("--process curl --not --dropped", "not dropped_packets > 0 and process == \"curl\"");
        same("--not --filter port==22", "not port == 22");
        for words in [&["--not"][..], &["--port", "1", "--not"], &["--not", "--not", "--port", "1"]] {
            assert!(read(words).is_err_and(|said| said.contains("--not stands before")), "{words:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for (words, said) in [
            (["--port", "http"], "port takes a number"),
            (["--port", "70000"], "from 0 to 65535"),
            (["--port", "80 or port == 1"], "is no port"),
            (["--protocol", "tpc"], "did you mean 'tcp'"),
            (["--from", "10.1.2.3/8"], "did you mean '10.0.0.0/8'"),
            (["--from", "::1 or port == 1"], "is no source_address"),
            (["--min-bytes", "lots"], "not a size"),
            (["--filter", "prot == 22"], "did you mean 'port'"),
        ] {
            let error = read(&words).expect_err(words[1]);
            assert!(error.contains(said), "{words:?}: {error}");
        }
    }

    #[test]
    fn a_word_is_not_more_than_a_word() {
        let named = |text: &str| read(&["--process", text]);
        let quoted = |text: &str| Ok(Some(Filter::parse(text).expect(text)));
        assert_eq!(named("Web Content"), quoted("process == \"Web Content\""));
        assert_eq!(named("a\" or port == 1"), quoted("process == \"a\\\" or port == 1\""));
        assert!(named("Web *").is_err_and(|said| said.contains("write ?")));
    }

    proptest! {
        /// However flags follow each other, they mean what their filters mean.
        #[test]
        fn flags_and_their_filter_agree(
            given in prop::collection::vec((select(&POOL[..]), any::<bool>()), 0..6),
            record in weir_filter::generate::records(),
        ) {
            let words: Vec<_> = given
                .iter()
                .flat_map(|((flag, value, _), not)| not.then_some("--not").into_iter().chain([*flag, *value]))
                .collect();
            let filter = read(&words).expect("flags");
            let fits = |text: &str| Filter::parse(text).expect(text).matches(&record);
            let is_wanted = given.iter().all(|((flag, _, text), is_negated)| {
                let mut same = given.iter().filter(|((other, ..), negated)| other == flag && !negated);
                if *is_negated { !fits(text) } else { same.any(|((.., text), _)| fits(text)) }
            });
            prop_assert_eq!(filter.is_none_or(|filter| filter.matches(&record)), is_wanted);
        }
    }

    const POOL: [(&str, &str, &str); 8] = [
        ("--port", "443", "port == 443"),
        ("--port", "22,80", "port in 22,80"),
        ("--from", "10.0.0.0/8", "source_address in 10.0.0.0/8"),
        ("--to", "fd00::1", "destination_address == fd00::1"),
        ("--protocol", "tcp", "protocol == tcp"),
        ("--interface", "eth*", "interface == eth*"),
        ("--min-bytes", "1000", "bytes >= 1000 or reverse_bytes >= 1000"),
        ("--filter", "vlan == null or port == 53", "vlan == null or port == 53"),
    ];
}
