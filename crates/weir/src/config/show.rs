//! `weir config show`: what holds, and who said so.

use super::command::print;
use super::definition::{Definition, FILE_FLAG, Key, Kind};
use super::merge::{Origin, Setting};
use super::yaml::{self, ScalarKind};
use super::{Configuration, Sources};
use anyhow::Result;
use clap::{Args, ValueEnum, ValueHint};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::ffi::OsString;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Flags of `weir config show`.
#[derive(Args)]
pub struct Arguments {
    /// The file; as `weir run` without this
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Configuration")]
    config: Option<PathBuf>,

    /// yaml, or json: one object
    #[arg(short, long, value_name = "FORMAT", default_value = "yaml", help_heading = "Output")]
    output: Output,

    /// Flags of `weir run` to take into account
    #[arg(last = true, value_name = "FLAG")]
    flags: Vec<OsString>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Yaml,
    Json,
}

/// Prints it.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let definition = Definition::of_run();
    let file = arguments.config.as_ref().map(|path| {
        let mut argument = OsString::from(format!("--{FILE_FLAG}="));
        argument.push(path);
        argument
    });
    let flags = match definition.parse(file.into_iter().chain(arguments.flags.iter().cloned())) {
        Ok(flags) => flags,
        Err(error) => return Ok(crate::usage(&error)),
    };
    match Sources::new(flags).load() {
        Ok(configuration) if arguments.output == Output::Json => {
            print(format!("{}\n", serde_json::to_string(&shown(&definition, &configuration))?).as_bytes())
        }
        Ok(configuration) => print(text(&definition, &configuration).as_bytes()),
        Err(mistakes) => {
            eprintln!("weir: {mistakes}");
            Ok(ExitCode::from(2))
        }
    }
}

/// A configuration file that says the same, with comments.
fn text(definition: &Definition, configuration: &Configuration) -> String {
    let mut text = match &configuration.file {
        Some(file) => format!("# {}\n", file.display()),
        None => "# no file\n".into(),
    };
    let mut heading = "";
    for key in definition.keys() {
        let Some(setting) = configuration.settings.get(&key.name) else { continue };
        if key.heading != heading {
            heading = &key.heading;
            let _ = write!(text, "\n# {heading}\n");
        }
        text.push_str(&lines(key, setting));
    }
    text
}

fn lines(key: &Key, setting: &Setting) -> String {
    let Setting { values, origin } = setting;
    let values: Vec<_> = values.iter().map(|value| scalar(key, &value.to_string_lossy())).collect();
    match (key.repeatable, values.as_slice()) {
        (true, []) => format!("{}: [] # {origin}\n", key.name),
        (true, _) => {
            let items: String = values.iter().map(|value| format!("- {value}\n")).collect();
            format!("{}: # {origin}\n{items}", key.name)
        }
        (false, []) => format!("# {}: not set\n", key.name),
        (false, [value, ..]) => format!("{}: {value} # {origin}\n", key.name),
    }
}

/// Without quotes where it means the same; JSON's quotes are YAML's.
fn scalar(key: &Key, value: &str) -> String {
    let is_word = value.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/')
        && value.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
    let is_itself = matches!(key.kind, Kind::Switch | Kind::Number(_))
        || !matches!(yaml::kind(value), ScalarKind::Null | ScalarKind::Boolean);
    if is_word && is_itself { value.to_string() } else { Value::from(value).to_string() }
}

/// The object of `-o json`.
#[derive(Serialize)]
struct Shown {
    #[serde(rename = "type")]
    kind: &'static str,
    file: Option<PathBuf>,
    settings: Map<String, Value>,
}

fn shown(definition: &Definition, configuration: &Configuration) -> Shown {
    let keys = definition.keys().iter();
    let settings =
        keys.filter_map(|key| Some((key.name.clone(), entry(key, configuration.settings.get(&key.name)?))));
    Shown { kind: "configuration", file: configuration.file.clone(), settings: settings.collect() }
}

fn entry(key: &Key, setting: &Setting) -> Value {
    let mut values = setting.values.iter().map(|value| key.kind.json(&value.to_string_lossy()));
    let value: Value = match key.repeatable {
        true => values.collect(),
        false => values.next().unwrap_or_default(),
    };
    match &setting.origin {
        Origin::Flag(flag) => json!({ "value": value, "origin": "flag", "flag": flag }),
        Origin::Environment(variable) => {
            json!({ "value": value, "origin": "environment", "variable": variable })
        }
        Origin::File { line, .. } => json!({ "value": value, "origin": "file", "line": line }),
        Origin::Tuned { line, .. } => json!({ "value": value, "origin": "tuned", "line": line }),
        Origin::Default => json!({ "value": value, "origin": "default" }),
    }
}
