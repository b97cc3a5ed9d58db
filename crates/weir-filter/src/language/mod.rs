//! The language: tokens, grammar, values, and back to text.

mod domain;
mod grammar;
mod literals;
mod operator;
mod print;
mod tokens;
mod values;
mod vocabulary;

use crate::expression::Expression;
use crate::mistake::Mistake;
use crate::subject::EventSubject;
pub(crate) use domain::words;
#[cfg(feature = "proptest")]
pub(crate) use vocabulary::fields;
use vocabulary::{OfEvents, OfRecords, Vocabulary};
use weir_record::EventKind;

/// How deep parentheses may nest.
const DEEPEST: usize = 64;

/// How many bytes a filter may have: enough for some 50 000 networks.
const LONGEST: usize = 1 << 20;

/// Reads a filter.
pub(crate) fn parse(text: &str) -> Result<Expression, Mistake> {
    parse_from(text, 1)
}

/// Reads a filter of events of these kinds.
pub(crate) fn parse_for(
    kinds: &[&'static EventKind],
    text: &str,
) -> Result<Expression<EventSubject>, Mistake> {
    parse_by(OfEvents(kinds), text, 1)
}

/// Reads a filter that stands in a longer text, where its first character has this column.
pub(crate) fn parse_from(text: &str, column: usize) -> Result<Expression, Mistake> {
    parse_by(OfRecords, text, column)
}

fn parse_by<V: Vocabulary>(names: V, text: &str, column: usize) -> Result<Expression<V::Subject>, Mistake> {
    if text.len() > LONGEST {
        let message = format!("a filter has at most {LONGEST} bytes, and this one {}", text.len());
        return Err(Mistake::new(column, message));
    }
    grammar::parse(&tokens::tokens(text, column), names)
}
