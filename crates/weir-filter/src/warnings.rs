//! What is odd in a list of rules, before it runs.

use crate::normal::{Doubt, Row};
use crate::rule::{Action, Rule};
use std::collections::BTreeSet;

/// How many rows of a rule are looked at; a rule with more is not warned about.
const MOST_ROWS: usize = 64;

/// How much of a rule a warning repeats.
const LONGEST: usize = 80;

/// One line for each rule that can never match, for each that earlier ones leave nothing to, and
/// for each pair that overlaps with different sampling rates.
///
/// What cannot be told from the packet alone is not warned about.
pub fn warnings(rules: &[Rule]) -> Vec<String> {
    let looked_at: Vec<_> = rules.iter().enumerate().map(|(place, rule)| Looked::at(place, rule)).collect();
    let mut warnings = Vec::new();
    for (place, rule) in looked_at.iter().enumerate() {
        let earlier = &looked_at[..place];
        if let Some(why) = rule.never().or_else(|| rule.shadowed(earlier)) {
            warnings.push(why);
        } else {
            warnings.extend(earlier.iter().filter_map(|other| rule.sampled_otherwise(other)));
        }
    }
    warnings
}

/// A rule and its rows.
struct Looked<'a> {
    number: usize,
    rule: &'a Rule,
    /// Rows that match at least what it matches.
    at_least: Option<Vec<Row>>,
    /// Rows that match just what it matches.
    exactly: Option<Vec<Row>>,
}

impl<'a> Looked<'a> {
    fn at(place: usize, rule: &'a Rule) -> Self {
        let rows = |doubt| match &rule.filter {
            None => Some(vec![Row::default()]),
            Some(filter) => filter.rows(MOST_ROWS, doubt).ok(),
        };
        Self { number: place + 1, rule, at_least: rows(Doubt::Pass), exactly: rows(Doubt::Refuse) }
    }

    /// `rule 1 'deny …'`
    fn name(&self) -> String {
        let text = self.rule.to_string();
        let short: String = text.chars().take(LONGEST).collect();
        let more = if short.len() < text.len() { "…" } else { "" };
        format!("rule {} '{short}{more}'", self.number)
    }

    fn never(&self) -> Option<String> {
        let never = self.at_least.as_ref()?.is_empty();
        never.then(|| format!("{} can never match: no packet fits it", self.name()))
    }

    fn shadowed(&self, earlier: &[Self]) -> Option<String> {
        let mut by = BTreeSet::new();
        for row in self.at_least.as_ref()? {
            let shaped = row.shaped();
            let contains = |other: &Row| other.contains_shaped(row, &shaped);
            let covers = |rule: &&Self| rule.exactly.iter().flatten().any(contains);
            by.insert(earlier.iter().find(covers)?.number);
        }
        let by: Vec<_> = by.into_iter().map(|number| earlier[number - 1].name()).collect();
        let take = if by.len() == 1 { "takes" } else { "take" };
        Some(format!("{} is never reached: {} {take} all that it matches", self.name(), by.join(" and ")))
    }

    fn sampled_otherwise(&self, earlier: &Self) -> Option<String> {
        let (Action::Allow { one_in: first }, Action::Allow { one_in: second }) =
            (earlier.rule.action, self.rule.action)
        else {
            return None;
        };
        let (rows, others) = (self.at_least.as_ref()?, earlier.at_least.as_ref()?);
        let overlap = || rows.iter().any(|row| others.iter().any(|other| other.overlaps(row)));
        // A special case before the general one is what an ordered list is for.
        let special = || others.iter().all(|other| rows.iter().any(|row| row.contains(other)));
        (first != second && overlap() && !special()).then(|| {
            format!(
                "{} and {} overlap with different sampling: what matches both is sampled 1/{first}, by the first",
                earlier.name(),
                self.name()
            )
        })
    }
}
