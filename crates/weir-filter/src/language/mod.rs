//! The language: tokens, grammar, values, and back to text.

mod domain;
mod grammar;
mod literals;
mod operator;
mod print;
mod tokens;
mod values;

use crate::expression::{Expression, Subject};
use crate::mistake::{Mistake, did_you_mean, quoted};
pub(crate) use domain::words;
use weir_record::{FIELDS, Field, Kind};

/// How deep parentheses may nest.
const DEEPEST: usize = 64;

/// How many bytes a filter may have: enough for some 50 000 networks.
const LONGEST: usize = 1 << 20;

/// Names that stand for a field of either end. `host` becomes `name` where it is compared with one.
const EITHER: &[(&str, &str, &str)] = &[
    ("port", "source_port", "destination_port"),
    ("address", "source_address", "destination_address"),
    ("host", "source_address", "destination_address"),
    ("process", "source_process", "destination_process"),
    ("pid", "source_pid", "destination_pid"),
    ("unit", "source_unit", "destination_unit"),
    ("container", "source_container", "destination_container"),
    ("name", "source_name", "destination_name"),
    ("label", "source_label", "destination_label"),
    ("country", "source_country", "destination_country"),
    ("pod", "source_pod", "destination_pod"),
    ("namespace", "source_namespace", "destination_namespace"),
    ("service", "source_service", "destination_service"),
    ("owner", "source_owner", "destination_owner"),
    ("container_name", "source_container_name", "destination_container_name"),
    ("container_image", "source_container_image", "destination_container_image"),
];

/// Reads a filter.
pub(crate) fn parse(text: &str) -> Result<Expression, Mistake> {
    parse_from(text, 1)
}

/// Reads a filter that stands in a longer text, where its first character has this column.
pub(crate) fn parse_from(text: &str, column: usize) -> Result<Expression, Mistake> {
    if text.len() > LONGEST {
        let message = format!("a filter has at most {LONGEST} bytes, and this one {}", text.len());
        return Err(Mistake::new(column, message));
    }
    grammar::parse(&tokens::tokens(text, column))
}

/// The fields that can be tested: one value each.
pub(crate) fn fields() -> impl Iterator<Item = &'static Field> {
    FIELDS.iter().filter(|field| field.kind != Kind::Observations)
}

/// The field of this name.
fn field(name: &str) -> Option<&'static Field> {
    fields().find(|field| field.name == name)
}

/// What a name in a filter stands for.
fn subject(name: &str, column: usize) -> Result<Subject, Mistake> {
    if let Some(field) = field(name) {
        return Ok(Subject::Field(field));
    }
    let either = EITHER.iter().find(|either| either.0 == name);
    let both = either.and_then(|&(name, source, destination)| {
        Some(Subject::Either { name, source: field(source)?, destination: field(destination)? })
    });
    both.ok_or_else(|| {
        if FIELDS.iter().any(|field| field.name == name) {
            return Mistake::new(column, format!("{name} is a list: a filter cannot test it"));
        }
        let known = fields().map(|field| field.name).chain(EITHER.iter().map(|either| either.0));
        let meant = did_you_mean(name, known).unwrap_or_else(|| ": docs/fields.md lists them".into());
        Mistake::new(column, format!("there is no field {}{meant}", quoted(name)))
    })
}
