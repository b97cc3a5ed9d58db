//! One value for each option, by precedence.

use super::definition::{Definition, first_line};
use clap::ArgMatches;
use clap::parser::ValueSource;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// By key.
pub type Settings = BTreeMap<String, Setting>;

/// What an option is set to. No values where it has no default either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub values: Vec<OsString>,
    pub origin: Origin,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Flag(String),
    Environment(String),
    File { path: PathBuf, line: usize },
    Tuned { path: PathBuf, line: usize },
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(out, "flag {flag}"),
            Self::Environment(variable) => write!(out, "environment {variable}"),
            Self::File { path, line } => write!(out, "file {}:{line}", path.display()),
            Self::Tuned { path, line } => write!(out, "tuned {}:{line}", path.display()),
            Self::Default => write!(out, "default"),
        }
    }
}

/// Flags before environment before file before defaults. A list replaces a list.
pub fn merge(
    definition: &Definition,
    flags: &ArgMatches,
    mut environment: Settings,
    mut file: Settings,
) -> Settings {
    let mut settings = Settings::new();
    for key in definition.keys() {
        let values = || flags.get_raw(&key.id).into_iter().flatten().map(OsString::from).collect();
        let flag = (flags.value_source(&key.id) == Some(ValueSource::CommandLine))
            .then(|| Setting { values: values(), origin: Origin::Flag(key.flag.clone()) });
        let given = flag.or_else(|| environment.remove(&key.name)).or_else(|| file.remove(&key.name));
        let setting = given.unwrap_or_else(|| Setting {
            values: key.default.iter().map(OsString::from).collect(),
            origin: Origin::Default,
        });
        settings.insert(key.name.clone(), setting);
    }
    settings
}

/// Takes from a tuned file what nobody else has said.
pub fn fill_in(settings: &mut Settings, tuned: Settings) {
    for (key, setting) in tuned {
        if settings.get(&key).is_none_or(|said| said.origin == Origin::Default) {
            settings.insert(key, setting);
        }
    }
}

/// The options, as if all that is set had been given as flags: clap judges how they go together.
pub fn parse(definition: &Definition, settings: &Settings) -> Result<ArgMatches, String> {
    let given = settings.iter().filter(|(_, setting)| setting.origin != Origin::Default);
    let given = given.filter_map(|(name, setting)| Some((definition.key(name)?, setting)));
    let arguments =
        given.flat_map(|(key, setting)| setting.values.iter().filter_map(|value| key.argument(value)));
    definition.parse(arguments).map_err(|error| attribute(definition, settings, &first_line(&error)))
}

/// clap's message speaks of flags; this adds where they come from.
fn attribute(definition: &Definition, settings: &Settings, message: &str) -> String {
    let is_named = |flag: &str| message.split([' ', '\'', '=']).any(|word| word == flag);
    let named = definition.keys().iter().filter(|key| is_named(&key.flag));
    let origins: Vec<_> = named
        .filter_map(|key| settings.get(&key.name).map(|setting| format!("{}: {}", key.name, setting.origin)))
        .collect();
    match origins.is_empty() {
        true => message.to_string(),
        false => format!("{message} ({})", origins.join(", ")),
    }
}
