//! Rules: what becomes of the packets that a filter matches.

use crate::filter::Filter;
use crate::language;
use crate::mistake::{Mistake, did_you_mean, quoted};
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// One rule of an ordered list, of which the first that matches decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// What becomes of what it matches.
    pub action: Action,
    /// What it matches; none matches everything.
    pub filter: Option<Filter>,
}

/// What becomes of packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// They are not counted into flows.
    Deny,
    /// One in so many of them is; with one, each.
    Allow {
        /// Of how many packets one is taken.
        one_in: NonZeroU32,
    },
}

impl FromStr for Rule {
    type Err = Mistake;

    /// `deny EXPR`, `allow EXPR`, `allow 1/100 EXPR`; without EXPR it is for everything.
    fn from_str(text: &str) -> Result<Self, Mistake> {
        let mut rest = Rest { text, column: 1 };
        let column = rest.skip_space();
        let word = rest.take(char::is_alphabetic);
        let action = match word.to_ascii_lowercase().as_str() {
            "deny" => Action::Deny,
            "allow" => {
                rest.skip_space();
                Action::Allow { one_in: rest.sampling()? }
            }
            _ => return Err(no_action(if word.is_empty() { text.trim() } else { word }, column)),
        };
        let column = rest.skip_space();
        let filter = if rest.text.is_empty() {
            None
        } else {
            Some(Filter::from_expression(language::parse_from(rest.text, column)?))
        };
        Ok(Self { action, filter })
    }
}

fn no_action(word: &str, column: usize) -> Mistake {
    let meant = did_you_mean(word, ["deny", "allow"]).unwrap_or_default();
    Mistake::new(column, format!("a rule begins with 'deny' or 'allow', not {}{meant}", quoted(word)))
}

/// What is left of a rule's text, and the column where that begins.
struct Rest<'t> {
    text: &'t str,
    column: usize,
}

impl<'t> Rest<'t> {
    fn take(&mut self, fits: fn(char) -> bool) -> &'t str {
        let (taken, rest) = self.text.split_at(self.text.find(|one| !fits(one)).unwrap_or(self.text.len()));
        self.text = rest;
        self.column += taken.chars().count();
        taken
    }

    /// Returns the column of what comes next.
    fn skip_space(&mut self) -> usize {
        self.take(char::is_whitespace);
        self.column
    }

    /// `1/N`, where it begins with a digit.
    fn sampling(&mut self) -> Result<NonZeroU32, Mistake> {
        if !self.text.starts_with(|one: char| one.is_ascii_digit()) {
            return Ok(NonZeroU32::MIN);
        }
        let column = self.column;
        let ratio = self.take(|one| !one.is_whitespace());
        let one_in = ratio.strip_prefix("1/").and_then(|number| number.parse().ok());
        one_in.ok_or_else(|| {
            let message = format!("a sampling rate is 1/N, N from 1 to {}, not {}", u32::MAX, quoted(ratio));
            Mistake::new(column, message)
        })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.action.fmt(f)?;
        self.filter.as_ref().map_or(Ok(()), |filter| write!(f, " {filter}"))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deny => f.write_str("deny"),
            Self::Allow { one_in: NonZeroU32::MIN } => f.write_str("allow"),
            Self::Allow { one_in } => write!(f, "allow 1/{one_in}"),
        }
    }
}
