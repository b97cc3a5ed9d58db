//! The flags of commands, as parameters behind a `?`: --min-bytes is min_bytes, and values are those of the command line.

use crate::config::{Definition, Key, Kind};
use crate::flows::{Arguments, Asked};
use crate::history::Conditions;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use serde_json::json;
use std::ffi::OsString;
use weir_server::{Parameter, Problem};

/// Some of the flags.
pub struct Flags {
    definition: Definition,
    names: Vec<String>,
}

impl Flags {
    /// Those of a command that say which flows are meant, and these.
    pub fn of(command: Command, more: &[&str]) -> Self {
        let which = Definition::new(Conditions::augment_args(Command::new("which")));
        let which = which.keys().iter().map(|key| key.name.clone());
        let names = which.chain(more.iter().map(ToString::to_string)).collect();
        Self { definition: Definition::new(command), names }
    }

    /// Those of `weir flows`.
    pub fn of_flows(more: &[&str]) -> Self {
        Self::of(Arguments::augment_args(Command::new("flows")), more)
    }

    /// As the description has them.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.keys().map(parameter).collect()
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        self.names.iter().filter_map(|name| self.definition.key(name))
    }

    /// What `weir flows` would be asked by parameters.
    pub fn ask<'p>(
        &self,
        parameters: impl Iterator<Item = &'p (String, String)>,
    ) -> Result<(Arguments, Asked), Problem> {
        // JSON has a place for every field.
        let arguments = self.read::<Arguments>(parameters, Some("--output=json"))?;
        let asked = Asked::of(&arguments).map_err(|words| Problem::mistake(as_parameter(&words)))?;
        Ok((arguments, asked))
    }

    /// The flags of the command, from parameters, and one that they do not have.
    pub fn read<'p, A: FromArgMatches>(
        &self,
        parameters: impl Iterator<Item = &'p (String, String)>,
        own: Option<&str>,
    ) -> Result<A, Problem> {
        let flags = parameters.map(|(name, value)| self.flag(name, value)).collect::<Result<Vec<_>, _>>()?;
        let flags = flags.into_iter().flatten().chain(own.map(OsString::from));
        let matches: Result<ArgMatches, _> = self.definition.parse(flags);
        matches.and_then(|matches| A::from_arg_matches(&matches)).map_err(|error| mistake(&error))
    }

    fn flag(&self, name: &str, value: &str) -> Result<Option<OsString>, Problem> {
        let Some(key) = self.keys().find(|key| key.name == name) else { return Err(self.unknown(name)) };
        // `?dropped` is `?dropped=true`.
        let value = if key.kind == Kind::Switch && value.is_empty() { "true" } else { value };
        if key.kind == Kind::Switch && !matches!(value, "true" | "false") {
            return Err(Problem::mistake(format!("{name}: '{value}' is not true or false")));
        }
        let is_judged = key.kind != Kind::Switch;
        let judged = if is_judged { self.definition.judge(key, value) } else { Ok(()) };
        judged.map_err(|words| Problem::mistake(format!("{name}: {words}")))?;
        Ok(key.argument(value.as_ref()))
    }

    fn unknown(&self, name: &str) -> Problem {
        let nearest = self.definition.nearest(name).filter(|key| self.names.contains(&key.name));
        let meant = nearest.map(|key| format!(": did you mean {}?", key.name)).unwrap_or_default();
        Problem::mistake(format!("there is no parameter {name}{meant}"))
    }
}

fn parameter(key: &Key) -> Parameter {
    let schema = match &key.kind {
        Kind::Text(_) => json!({"type": "string"}),
        other => other.schema(),
    };
    let is_repeatable = key.repeatable && key.kind != Kind::Switch;
    Parameter { name: key.name.clone(), doc: key.help.clone(), schema, is_repeatable }
}

fn mistake(error: &clap::Error) -> Problem {
    Problem::mistake(crate::config::first_line(error))
}

/// What is said of `--sum-by`, of `sum_by`.
pub fn as_parameter(words: &str) -> String {
    let word = |word: &str| match word.strip_prefix("--") {
        Some(flag) => flag.replace('-', "_"),
        None => word.to_owned(),
    };
    words.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(query: &[(&str, &str)]) -> String {
        let query: Vec<_> = query.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let flags = Flags::of_flows(&["since", "until", "fields", "sum_by", "last"]);
        let problem = flags.ask(query.iter()).map(drop).expect_err("a problem");
        assert_eq!(problem.status(), 400);
        problem.to_string()
    }

    #[test]
    fn parameters_are_flags() {
        let read = |query: &[(&str, &str)]| {
            let query: Vec<_> = query.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            let read = Flags::of_flows(&["fields", "last"]).ask(query.iter());
            read.map_err(|problem| problem.to_string()).expect("a question").1
        };
        let filter = |text: &str| Some(weir_filter::Filter::parse(text).expect(text));
        let own = |asked: Asked| asked.filter.map(std::sync::Arc::unwrap_or_clone);
        assert_eq!(own(read(&[("not", ""), ("port", "22")])), filter("not port == 22"));
        assert_eq!(
            own(read(&[("dropped", "true"), ("port", "80,443")])),
            filter("(port == 80 or port == 443) and dropped_packets > 0")
        );
        assert_eq!(own(read(&[("dropped", "false")])), None);
        assert_eq!(own(read(&[("min_bytes", "1MiB")])), filter("bytes >= 1MiB or reverse_bytes >= 1MiB"));
        assert_eq!(read(&[("fields", "bytes,process")]).fields.len(), 2);
    }

    #[test]
    fn mistakes_name_the_parameter() {
        assert_eq!(said(&[("prot", "22")]), "there is no parameter prot: did you mean port?");
        assert_eq!(said(&[("socket", "/x")]), "there is no parameter socket");
        assert!(said(&[("port", "http")]).starts_with("port: "));
        assert!(said(&[("since", "soon")]).starts_with("since: 'soon' is not a time"));
        assert_eq!(said(&[("since", "1h"), ("until", "2h")]), "until is before since");
        assert!(
            said(&[("fields", "byts")]).starts_with("fields: there is no field byts: did you mean bytes?")
        );
        assert!(said(&[("sum_by", "observations")]).starts_with("sum_by: observations is nothing to sum by"));
        assert_eq!(said(&[("dropped", "perhaps")]), "dropped: 'perhaps' is not true or false");
    }
}
