//! The options of `weir run`, read off their clap definition, each under all its names.

use crate::mask::masked;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Args, Command};
use std::any::TypeId;
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::num::ParseIntError;
use std::ops::RangeInclusive;

/// The flag that names the file, and so cannot stand in it.
pub const FILE_FLAG: &str = "config";

/// Each environment variable begins with this.
const PREFIX: &str = "WEIR_";

/// One option.
#[derive(Debug, Clone)]
pub struct Key {
    /// In the file: `idle_timeout`.
    pub name: String,
    /// Among clap's.
    pub id: String,
    /// On the command line: `--idle-timeout`.
    pub flag: String,
    /// On the command line, in short: `-i`.
    pub short: Option<char>,
    /// In the environment: `WEIR_IDLE_TIMEOUT`.
    pub variable: String,
    /// The group it stands in.
    pub heading: String,
    pub help: String,
    pub kind: Kind,
    /// A list of values, rather than one.
    pub repeatable: bool,
    /// What holds where nobody says anything else; nothing for some.
    pub default: Vec<String>,
}

/// What an option's values look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// True or false.
    Switch,
    /// One of these words.
    Choice(Vec<String>),
    /// A whole number.
    Number(RangeInclusive<i128>),
    /// What the option's parser understands, and the name that its help has for that.
    Text(String),
}

/// Options, and the command that judges their values.
pub struct Definition {
    command: Command,
    keys: Vec<Key>,
}

impl Definition {
    /// That of `weir run`.
    pub fn of_run() -> Self {
        Self::new(crate::run::Arguments::augment_args(Command::new("weir run")))
    }

    /// Every option of a command that has a long flag and takes a value or none.
    pub fn new(command: Command) -> Self {
        let mut command = command.no_binary_name(true);
        command.build();
        let keys = command.get_arguments().filter_map(|argument| key(&command, argument)).collect();
        Self { command, keys }
    }

    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    pub fn key(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The key that was probably meant.
    pub fn nearest(&self, name: &str) -> Option<&Key> {
        let name = name.to_lowercase().replace('-', "_");
        let likeness = |key: &Key| strsim::jaro(&key.name, &name);
        let nearest = self.keys.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
        (likeness(nearest) > 0.7).then_some(nearest)
    }

    /// What is wrong with a value, if anything: the whole rest of the line after the key.
    pub fn judge(&self, key: &Key, value: &str) -> Result<(), String> {
        if let Kind::Number(range) = &key.kind {
            match value.parse::<i128>() {
                Err(_) => return Err(format!("'{value}' is not a whole number")),
                Ok(number) if !range.contains(&number) => {
                    return Err(format!("{value} is not from {} to {}", range.start(), range.end()));
                }
                Ok(_) => {}
            }
        }
        match self.parse(key.argument(value.as_ref())) {
            Err(error) if is_about_a_value(&error) => Err(masked(&complaint(&error, value)).into_owned()),
            _ => Ok(()),
        }
    }

    pub fn parse(&self, arguments: impl IntoIterator<Item = OsString>) -> Result<ArgMatches, clap::Error> {
        self.command.clone().try_get_matches_from(arguments)
    }
}

impl Key {
    /// What gives this value on the command line; nothing for a switch that is off.
    pub fn argument(&self, value: &OsStr) -> Option<OsString> {
        if self.kind == Kind::Switch {
            return (value == "true").then(|| self.flag.clone().into());
        }
        let mut argument = OsString::from(format!("{}=", self.flag));
        argument.push(value);
        Some(argument)
    }
}

fn key(command: &Command, argument: &Arg) -> Option<Key> {
    let long = argument.get_long()?;
    let takes = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append | ArgAction::SetTrue);
    if long == FILE_FLAG || !takes {
        return None;
    }
    let name = long.replace('-', "_");
    let defaults = argument.get_default_values().iter();
    Some(Key {
        id: argument.get_id().to_string(),
        flag: format!("--{long}"),
        short: argument.get_short(),
        variable: format!("{PREFIX}{}", name.to_uppercase()),
        heading: argument.get_help_heading().unwrap_or("Options").to_string(),
        help: argument.get_help().map(ToString::to_string).unwrap_or_default(),
        kind: kind(command, argument),
        repeatable: matches!(argument.get_action(), ArgAction::Append),
        default: defaults.map(|value| value.to_string_lossy().into_owned()).collect(),
        name,
    })
}

fn kind(command: &Command, argument: &Arg) -> Kind {
    let is_bare = argument.get_num_args().is_some_and(|values| !values.takes_values());
    if is_bare || matches!(argument.get_action(), ArgAction::SetTrue) {
        return Kind::Switch;
    }
    let choices = argument.get_possible_values();
    if !choices.is_empty() {
        return Kind::Choice(choices.iter().map(|choice| choice.get_name().to_string()).collect());
    }
    match integer(argument).filter(|_| wants_digits(command, argument)) {
        Some(range) => Kind::Number(bounds(command, argument, range)),
        None => {
            let names = argument.get_value_names().unwrap_or_default();
            Kind::Text(names.first().map_or("value".into(), |name| name.to_lowercase()))
        }
    }
}

/// A parser may make an integer of anything, `64MiB` for one: those that read digits say that they miss them.
fn wants_digits(command: &Command, argument: &Arg) -> bool {
    let refused = command.clone().try_get_matches_from([given(argument, "x")]).err();
    let reason = refused.as_ref().and_then(Error::source);
    reason.is_some_and(|reason| reason.downcast_ref::<ParseIntError>().is_some())
}

fn given(argument: &Arg, value: impl Display) -> String {
    format!("--{}={value}", argument.get_long().unwrap_or_default())
}

/// All that the argument's type can hold, if it is an integer.
fn integer(argument: &Arg) -> Option<RangeInclusive<i128>> {
    macro_rules! range {
        ($($integer:ty),*) => {
            [$((TypeId::of::<$integer>(), <$integer>::MIN as i128..=<$integer>::MAX as i128)),*]
        };
    }
    let known = range!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);
    let kind = argument.get_value_parser().type_id();
    known.into_iter().find(|(id, _)| kind == *id).map(|(_, range)| range)
}

/// clap does not tell the bounds of a number, so it is asked: from a value that it takes towards both ends.
fn bounds(command: &Command, argument: &Arg, range: RangeInclusive<i128>) -> RangeInclusive<i128> {
    let takes = |value: i128| command.clone().try_get_matches_from([given(argument, value)]).is_ok();
    let default = argument.get_default_values().first().and_then(|value| value.to_str()?.parse().ok());
    let inside = default.into_iter().chain([1, 0, *range.start(), *range.end()]).find(|value| takes(*value));
    match inside {
        Some(inside) => edge(takes, inside, *range.start())..=edge(takes, inside, *range.end()),
        None => range,
    }
}

/// The last value that is taken on the way from one that is to one that may be.
fn edge(takes: impl Fn(i128) -> bool, inside: i128, outside: i128) -> i128 {
    if takes(outside) {
        return outside;
    }
    let (mut taken, mut refused) = (inside, outside);
    while (taken - refused).abs() > 1 {
        let middle = (taken + refused) / 2;
        if takes(middle) {
            taken = middle;
        } else {
            refused = middle;
        }
    }
    taken
}

/// As opposed to how options go together.
fn is_about_a_value(error: &clap::Error) -> bool {
    use ErrorKind::{
        InvalidUtf8, InvalidValue, TooFewValues, TooManyValues, ValueValidation, WrongNumberOfValues,
    };
    let kinds =
        [InvalidUtf8, InvalidValue, TooFewValues, TooManyValues, ValueValidation, WrongNumberOfValues];
    kinds.contains(&error.kind())
}

fn complaint(error: &clap::Error, value: &str) -> String {
    if let Some(ContextValue::Strings(choices)) = error.get(ContextKind::ValidValue) {
        return format!("'{value}' is not one of {}", choices.join(", "));
    }
    let Some(reason) = error.source().map(ToString::to_string) else {
        return first_line(error);
    };
    match reason.split(' ').next() {
        Some("not") => format!("'{value}' is {reason}"),
        Some("must") => format!("'{value}' {reason}"),
        _ => format!("'{value}': {reason}"),
    }
}

/// clap's own words, without its hints.
pub fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    masked(text.lines().next().unwrap_or_default().trim_start_matches("error: ")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An option that this file does not understand would be missing everywhere else.
    #[test]
    fn every_option_of_weir_run_has_a_key() {
        let definition = Definition::of_run();
        let own = ["help", "version", FILE_FLAG];
        let options = definition.command.get_arguments().map(Arg::get_id).map(|id| id.as_str());
        let expected: Vec<_> = options.filter(|id| !own.contains(id)).collect();
        let found: Vec<_> = definition.keys().iter().map(|key| key.id.as_str()).collect();
        assert_eq!(found, expected);
        assert!(found.len() > 5);
        for key in definition.keys() {
            assert!(!key.help.is_empty() && key.heading != "Options", "{key:?}");
            for default in &key.default {
                assert_eq!(definition.judge(key, default), Ok(()));
            }
        }
    }

    #[test]
    fn numbers_have_the_bounds_of_their_parser() {
        let ranged = |range: std::ops::RangeInclusive<i64>| clap::value_parser!(i64).range(range);
        for range in [1..=7, -5..=-2, -9..=12, 0..=i64::MAX, i64::MIN..=3, 300..=400] {
            let (start, end) = (*range.start(), *range.end());
            let default: &str = end.to_string().leak();
            let argument = Arg::new("n").long("n").value_parser(ranged(range)).default_value(default);
            let definition = Definition::new(Command::new("x").arg(argument));
            assert_eq!(definition.keys()[0].kind, Kind::Number(start.into()..=end.into()));
        }
        let whole = Arg::new("n").long("n").value_parser(clap::value_parser!(u16));
        let definition = Definition::new(Command::new("x").arg(whole));
        assert_eq!(definition.keys()[0].kind, Kind::Number(0..=65535));
    }

    #[test]
    fn the_nearest_key() {
        let definition = Definition::of_run();
        let nearest = |name| definition.nearest(name).map(|key| key.name.as_str());
        assert_eq!(nearest("idle_timout"), Some("idle_timeout"));
        assert_eq!(nearest("max-flows"), Some("max_flows"));
        assert_eq!(nearest("Interfaces"), Some("interface"));
        assert_eq!(nearest("zzzz"), None);
        assert_eq!(nearest(""), None);
    }

    #[test]
    fn a_complaint_is_half_a_sentence() {
        let definition = Definition::of_run();
        let judge = |name, value| {
            let key = definition.key(name).expect("a key");
            definition.judge(key, value).expect_err("a complaint")
        };
        let expected = "'banana' is not a duration: write it like 100ms, 15s or 1m30s";
        assert_eq!(judge("idle_timeout", "banana"), expected);
        assert_eq!(judge("interval", "1h"), "'1h' must be from 10ms to 60s");
        assert_eq!(judge("hook", "xdp"), "'xdp' is not one of auto, tcx, clsact");
        assert_eq!(judge("hook", ""), "'' is not one of auto, tcx, clsact");
        assert_eq!(judge("max_flows", "0"), "0 is not from 1 to 4294967295");
        assert_eq!(judge("max_flows", "many"), "'many' is not a whole number");
    }
}
