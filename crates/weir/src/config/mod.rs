//! The configuration: flags before environment before file before tuned file before defaults.
//!
//! The clap definition of `weir run` is the one source. An option has a key in the file, a flag and a variable;
//! each value, wherever it comes from, goes through the option's own parser. [`Sources`] remembers what does not
//! change while the agent runs, so that the file can be read again.

mod command;
mod definition;
mod environment;
mod file;
mod merge;
mod page;
mod schema;
mod show;
mod tuned;
mod yaml;

pub use command::{Command, print, run};
pub use definition::{Definition, FILE_FLAG, Key, Kind, first_line};

use crate::run::Arguments;
use clap::{ArgMatches, FromArgMatches};
use file::File;
use merge::Settings;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where the values come from: the flags as given at the start, a file, the environment.
pub struct Sources {
    flags: ArgMatches,
    file: File,
    /// The tuned file that was read last.
    tuned: Option<File>,
}

impl Sources {
    /// The matches are those of `weir run`.
    pub fn new(flags: ArgMatches) -> Self {
        let named = flags.get_one::<PathBuf>(FILE_FLAG).cloned();
        Self { flags, file: File::choose(named), tuned: None }
    }

    /// Reads files and environment, again at each call: all of it or nothing.
    pub fn load(&mut self) -> Result<Configuration, Mistakes> {
        let definition = Definition::of_run();
        let mut mistakes = Vec::new();
        let mut noted = |(settings, found): (Settings, Vec<String>)| {
            mistakes.extend(found);
            settings
        };
        let environment = noted(environment::settings(&definition, |name| std::env::var_os(name)));
        let text = self.file.read().map_err(Mistakes::one)?;
        let path = self.file.path();
        let file = noted(file::settings(&definition, path, text.as_deref().unwrap_or_default()));
        if !mistakes.is_empty() {
            return Err(Mistakes(mistakes));
        }
        let mut settings = merge::merge(&definition, &self.flags, environment, file);
        fill_in_tuned(&definition, &mut settings, &mut self.tuned)?;
        let arguments = arguments(&definition, &settings)?;
        Ok(Configuration { arguments, settings, file: text.is_some().then(|| path.to_owned()) })
    }
}

/// The options of a running agent.
pub struct Configuration {
    /// As if all of them had been given as flags.
    pub arguments: Arguments,
    /// The file that was read, if any.
    pub file: Option<PathBuf>,
    settings: Settings,
}

impl Configuration {
    /// The keys whose values are not the same in another configuration, in the order of their names.
    pub fn differences(&self, other: &Self) -> Vec<&str> {
        let differs = |key: &str| {
            self.settings.get(key).map(|a| &a.values) != other.settings.get(key).map(|b| &b.values)
        };
        self.settings.keys().map(String::as_str).filter(|key| differs(key)).collect()
    }
}

/// Everything that is wrong with file and environment, a line each. Never empty.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistakes(Vec<String>);

impl Mistakes {
    fn one(line: String) -> Self {
        Self(vec![line])
    }

    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|line| printable(line))
    }
}

/// One line: the first, and how many more there are.
impl fmt::Display for Mistakes {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let mut lines = self.lines();
        out.write_str(&lines.next().unwrap_or_default())?;
        match lines.count() {
            0 => Ok(()),
            more => write!(out, " (and {more} more: `weir config check FILE` lists all)"),
        }
    }
}

/// Whatever somebody wrote into a value: no line breaks, no control sequences, no end of it.
fn printable(text: &str) -> String {
    const LONG: usize = 300;
    let mut line = String::new();
    for (at, character) in text.chars().enumerate() {
        if at == LONG {
            line.push('…');
            break;
        }
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// Takes in the tuned file that the settings name, if any. `read`: the one that was read the last time.
fn fill_in_tuned(
    definition: &Definition,
    settings: &mut Settings,
    read: &mut Option<File>,
) -> Result<(), Mistakes> {
    let Some(path) = settings.get(tuned::KEY).and_then(|setting| setting.values.first()) else {
        return Ok(());
    };
    let path = PathBuf::from(path);
    let file = match read {
        Some(file) if file.path() == path => file,
        other => other.insert(File::choose(Some(path.clone()))),
    };
    let text = file.read().map_err(Mistakes::one)?.unwrap_or_default();
    let (found, mistakes) = tuned::settings(definition, &path, &text);
    if !mistakes.is_empty() {
        return Err(Mistakes(mistakes));
    }
    merge::fill_in(settings, found);
    Ok(())
}

/// Checks a file, and the tuned file that it names, by itself: no flags, no environment. What is right but looks like a mistake, a line each.
fn check(path: &Path) -> Result<Vec<String>, Mistakes> {
    let definition = Definition::of_run();
    let text = file::read(path).map_err(Mistakes::one)?;
    let read = if tuned::is_one(&text) { tuned::settings } else { file::settings };
    let (mut settings, mistakes) = read(&definition, path, &text);
    if !mistakes.is_empty() {
        return Err(Mistakes(mistakes));
    }
    fill_in_tuned(&definition, &mut settings, &mut None)?;
    let wanted = crate::run::settings(arguments(&definition, &settings)?);
    wanted.policy_remarks().map_err(|error| Mistakes::one(format!("{}: {error}", path.display())))
}

/// Typed, as `weir run` has them.
fn arguments(definition: &Definition, settings: &Settings) -> Result<Arguments, Mistakes> {
    let matches = merge::parse(definition, settings).map_err(Mistakes::one)?;
    Arguments::from_arg_matches(&matches).map_err(|error| Mistakes::one(first_line(&error)))
}

#[cfg(test)]
mod tests;
