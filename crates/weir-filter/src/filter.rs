//! A filter: its text, its tree, its meaning.

use crate::expression::Expression;
use crate::language;
use crate::mistake::Mistake;
use crate::subject::EventSubject;
use std::fmt;
use std::str::FromStr;
use weir_record::{Event, EventKind, FlowRecord};

/// What to keep and what not, of flow records. Prints as text that parses to the same filter.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter(Expression);

impl Filter {
    /// Reads a filter from its text.
    ///
    /// # Errors
    ///
    /// The first mistake in the text.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        language::parse(text).map(Self)
    }

    pub(crate) fn from_expression(expression: Expression) -> Self {
        Self(expression)
    }

    /// The filter that matches what all of these match; none where there are none.
    pub fn all(filters: Vec<Self>) -> Option<Self> {
        Self::joined(filters, Expression::all)
    }

    /// The filter that matches what any of these matches; none where there are none.
    pub fn any(filters: Vec<Self>) -> Option<Self> {
        Self::joined(filters, Expression::any)
    }

    fn joined(filters: Vec<Self>, join: fn(Vec<Expression>) -> Expression) -> Option<Self> {
        let parts: Vec<_> = filters.into_iter().map(|Self(expression)| expression).collect();
        if parts.is_empty() { None } else { Some(Self(join(parts))) }
    }

    /// Whether a record matches.
    pub fn matches(&self, record: &FlowRecord) -> bool {
        self.0.matches(record)
    }

    /// The tree.
    pub fn expression(&self) -> &Expression {
        &self.0
    }

    /// The filter that matches exactly what this one does not.
    ///
    /// Its text nests one level deeper, which matters only to a filter at the limit of 64.
    pub fn negated(&self) -> Self {
        Self(self.0.clone().negated())
    }
}

impl FromStr for Filter {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        Self::parse(text)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What to keep and what not, of events of some kinds.
#[derive(Debug, Clone, PartialEq)]
pub struct EventFilter(Expression<EventSubject>);

impl EventFilter {
    /// Reads it from its text. It may test what at least one of the kinds has; in those that do not, that is null.
    ///
    /// # Errors
    ///
    /// The first mistake in the text.
    pub fn parse(text: &str, kinds: &[&'static EventKind]) -> Result<Self, Mistake> {
        language::parse_for(kinds, text).map(Self)
    }

    /// Whether an event matches.
    pub fn matches(&self, event: &Event) -> bool {
        self.0.matches(event)
    }
}

impl fmt::Display for EventFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
