//! Who says it: the agent, its host, container and pod, and what `OTEL_RESOURCE_ATTRIBUTES` adds.

use super::attribute::{put_pair, put_text};
use super::surroundings;
use crate::protobuf::Message;
use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;
use std::{env, fs};

/// What the environment says of whoever runs in it ("Resource SDK", and "Environment Variable Specification").
const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
/// The same of its name, before all others.
const NAME: &str = "OTEL_SERVICE_NAME";

/// A `Resource`: attributes by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resource(BTreeMap<String, String>);

impl Resource {
    /// This host, and what the environment says, which comes before what we have found.
    ///
    /// # Errors
    /// The environment says something that is no list of attributes.
    pub fn here() -> Result<Self, String> {
        let said = |name| env::var(name).ok().filter(|text: &String| !text.is_empty());
        let mut attributes = host();
        attributes.extend(listed(&said(ATTRIBUTES).unwrap_or_default())?);
        attributes.extend(said(NAME).map(|name| ("service.name".into(), name)));
        Ok(Self(attributes))
    }

    /// Which of several agents it is, where the environment says nothing of that.
    pub fn instance(mut self, instance: String) -> Self {
        self.0.entry("service.instance.id".into()).or_insert(instance);
        self
    }

    /// What tells its host from others, where that is known.
    pub fn host(&self) -> Option<&str> {
        self.0.get("host.id").map(String::as_str)
    }

    /// Writes it.
    pub fn put(&self, resource: &mut Message<'_>) {
        for (name, value) in &self.0 {
            put_pair(resource, 1, name, |any| put_text(any, value));
        }
    }
}

fn host() -> BTreeMap<String, String> {
    let id = fs::read_to_string("/etc/machine-id").ok().map(|id| id.trim().to_owned());
    let known = [
        ("service.name", Some("weir".into())),
        ("service.version", Some(env!("CARGO_PKG_VERSION").into())),
        ("os.type", Some("linux".into())),
        ("host.name", crate::host::name()),
        ("host.id", id),
    ];
    let known = known.into_iter().chain(surroundings::known());
    let known = known.filter_map(|(name, value)| Some((name.into(), value?)));
    known.filter(|(_, value): &(_, String)| !value.is_empty()).collect()
}

/// `name=value,…`, where commas, equals signs and whatever is not ASCII are percent-encoded.
fn listed(text: &str) -> Result<BTreeMap<String, String>, String> {
    let decoded = |text: &str| percent_decode_str(text.trim()).decode_utf8().ok().map(Into::into);
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        Some((decoded(name).filter(|name: &String| !name.is_empty())?, decoded(value)?))
    };
    let pairs = text.split(',').filter(|part| !part.trim().is_empty());
    let mistake = |part| format!("{ATTRIBUTES}: '{part}' is not NAME=VALUE, percent-encoded UTF-8");
    pairs.map(|part| pair(part).ok_or_else(|| mistake(part))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_environment_lists() {
        let pairs =
            listed("k8s.pod.name=weir-x7, place=Z%C3%BCrich%2C%20CH ,empty=,eq=a=b,%3D=x,").expect("pairs");
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected =
            [("=", "x"), ("empty", ""), ("eq", "a=b"), ("k8s.pod.name", "weir-x7"), ("place", "Zürich, CH")];
        assert_eq!(pairs, expected);
        assert_eq!(listed(""), Ok(BTreeMap::new()));
        for wrong in ["a", "a=b,c", "=x", "a=%ff"] {
            assert!(listed(wrong).is_err_and(|mistake| mistake.contains(ATTRIBUTES)), "{wrong}");
        }
    }

    #[test]
    fn the_host_has_a_name_and_a_system() {
        let host = host();
        let name = nix::unistd::gethostname().expect("a name").into_string().expect("text");
        assert_eq!((host["service.name"].as_str(), host["os.type"].as_str()), ("weir", "linux"));
        assert_eq!(host["host.name"], name);
    }
}
