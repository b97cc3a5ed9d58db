//! What the environment says: a variable for each option.

use super::definition::{Definition, Key, Kind};
use super::merge::{Origin, Setting, Settings};
use std::ffi::OsString;

/// What the variables say, and everything that is wrong with them, a line each. An empty variable says nothing.
pub fn settings(
    definition: &Definition,
    variable: impl Fn(&str) -> Option<OsString>,
) -> (Settings, Vec<String>) {
    let mut settings = Settings::new();
    let mut mistakes = Vec::new();
    for key in definition.keys() {
        let Some(text) = variable(&key.variable).filter(|text| !text.is_empty()) else { continue };
        match text
            .into_string()
            .map_err(|_| "not UTF-8 text".into())
            .and_then(|text| values(definition, key, &text))
        {
            Ok(values) => {
                let origin = Origin::Environment(key.variable.clone());
                settings.insert(key.name.clone(), Setting { values, origin });
            }
            Err(what) => mistakes.push(format!("{}: {what}", key.variable)),
        }
    }
    (settings, mistakes)
}

/// A list has one value on each line: any other separator may be part of a value.
fn values(definition: &Definition, key: &Key, text: &str) -> Result<Vec<OsString>, String> {
    if key.kind == Kind::Switch {
        return switch(text).map(|on| vec![on.into()]);
    }
    let values: Vec<_> = match key.repeatable {
        true => text.lines().map(str::trim).filter(|line| !line.is_empty()).collect(),
        false => vec![text],
    };
    for value in &values {
        definition.judge(key, value)?;
    }
    Ok(values.into_iter().map(OsString::from).collect())
}

/// The environment knows no types, and everybody has a word of their own for yes.
fn switch(text: &str) -> Result<&'static str, String> {
    match text.to_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok("true"),
        "false" | "0" | "no" | "off" => Ok("false"),
        _ => Err(format!("'{text}' is not true or false")),
    }
}
