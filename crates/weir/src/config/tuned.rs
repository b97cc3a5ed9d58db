//! What `weir study --recommend` has measured: the file that `--tuned` names, the weakest word but the defaults'.
//!
//! It speaks of few options, and it has a key that is no option: `structure`, what keeps the flows in the kernel. That
//! is a fact which the measurements stand on rather than a choice, so it is checked, and cannot be set.

use super::definition::Definition;
use super::file;
use super::merge::{Origin, Settings};
use super::yaml::{self, Entry, Value};
use std::path::Path;
use weir_probes::flows::STRUCTURE;

/// The option that names the file.
pub const KEY: &str = "tuned";

const STRUCTURE_KEY: &str = "structure";

/// The options that a study can measure.
const MEASURED: [&str; 3] = ["clock", "interval", "memory_budget"];

/// Whether a text is of a tuned file: no other has a structure.
pub fn is_one(text: &str) -> bool {
    yaml::read(text).entries.iter().any(|entry| entry.key == STRUCTURE_KEY)
}

/// What a tuned file says, and everything that is wrong with it, a line each.
pub fn settings(definition: &Definition, path: &Path, text: &str) -> (Settings, Vec<String>) {
    let mut document = yaml::read(text);
    let is_whole = document.mistakes.is_empty();
    let (measured, others): (Vec<_>, _) =
        document.entries.into_iter().partition(|entry| MEASURED.contains(&entry.key.as_str()));
    let (structures, foreign): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|entry| entry.key == STRUCTURE_KEY);
    document.entries = measured;
    let origin = |line| Origin::Tuned { path: path.to_owned(), line };
    let (settings, mut wrong) = file::entries(definition, document, origin);
    wrong.extend(foreign.iter().map(|entry| (entry.line, no_place(definition, &entry.key))));
    wrong.extend(structures.iter().filter_map(|entry| Some((entry.line, judge_structure(entry)?))));
    if structures.is_empty() && is_whole {
        wrong.push((1, format!("no {STRUCTURE_KEY}: this is not a file of `weir study --recommend`")));
    }
    (settings, file::lines(path, wrong))
}

/// What is wrong with a structure, if anything.
fn judge_structure(entry: &Entry) -> Option<String> {
    let found = match &entry.value {
        Value::One(scalar) if scalar.text == STRUCTURE => return None,
        Value::One(scalar) => format!("'{}'", scalar.text),
        Value::Many(_) => "a list".into(),
    };
    Some(format!(
        "{STRUCTURE_KEY}: {found}: this weir has no such structure, only {STRUCTURE}: run `weir study --recommend` again"
    ))
}

fn no_place(definition: &Definition, name: &str) -> String {
    match definition.key(name) {
        Some(key) => format!("{}: not for a tuned file: put it into the configuration file", key.name),
        None => file::unknown(definition, name),
    }
}

/// For one that stands in a configuration file by mistake.
pub fn hint(name: &str) -> Option<String> {
    (name == STRUCTURE_KEY).then(|| format!("{name}: only for a file that `{KEY}` names"))
}
