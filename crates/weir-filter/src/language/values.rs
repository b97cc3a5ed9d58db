//! An operator and values, for a field, to a check.

use super::domain::{Domain, TCP_FLAGS, TCP_FLAGS_MOST};
use super::literals::{self, Addresses};
use super::operator::Operator;
use super::tokens::Token;
use super::vocabulary::Vocabulary;
use crate::expression::{AddressSet, Bits, Check, Pattern};
use crate::mistake::{Mistake, did_you_mean, quoted};
use crate::spans::Spans;
use crate::subject::Testable;
use weir_record::{Unit, protocol_names};

/// The mistake of a field without an operator.
pub(super) fn missing_operator(subject: &impl Testable, next: &Token<'_>) -> Mistake {
    let operators = spelled(Domain::of(subject.sort()).operators());
    next.instead_of(&format!("an operator for {} ({operators})", subject.name()))
}

/// Whether a field takes an operator at all.
pub(super) fn admit(subject: &impl Testable, operator: Operator, column: usize) -> Result<(), Mistake> {
    let operators = Domain::of(subject.sort()).operators();
    if operators.contains(&operator) {
        return Ok(());
    }
    let message = format!("{} takes {}, not '{operator}'", subject.name(), spelled(operators));
    Err(Mistake::new(column, message))
}

fn spelled(operators: &[Operator]) -> String {
    operators.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(" ")
}

/// Values, each list with what it is compared with.
type Parts<'t, S> = Vec<(S, Vec<&'t Token<'t>>)>;

/// Values by what they are compared with: those of `host` may be addresses and names.
pub(super) fn by_kind<'t, V: Vocabulary>(
    names: V,
    subject: V::Subject,
    operator: Operator,
    values: Vec<&'t Token<'t>>,
) -> Result<Parts<'t, V::Subject>, Mistake> {
    let is_name = |value: &&Token<'_>| value.text().is_some_and(|(text, _)| literals::is_name(text));
    let is_list = operator == Operator::In || values.len() == 1;
    if subject.name() != "host" || !is_list {
        return Ok(vec![(subject, values)]);
    }
    let column = values.first().map_or(1, |value| value.column);
    let (called, addresses): (Vec<_>, Vec<_>) = values.into_iter().partition(is_name);
    let parts = [(subject, addresses), (names.subject("name", column)?, called)];
    Ok(parts.into_iter().filter(|(_, values)| !values.is_empty()).collect())
}

/// What `subject operator values` asks, and whether for the opposite.
pub(super) fn check(
    subject: &impl Testable,
    operator: Operator,
    values: &[&Token<'_>],
) -> Result<(Check, bool), Mistake> {
    let negate = operator == Operator::NotEqual;
    let operator = if negate { Operator::Equal } else { operator };
    let asked = Asked { name: subject.name(), operator, domain: Domain::of(subject.sort()), values };
    asked.check().map(|check| (check, negate))
}

/// A comparison before it is resolved.
struct Asked<'a> {
    name: &'static str,
    operator: Operator,
    domain: Domain,
    values: &'a [&'a Token<'a>],
}

/// Text of a value, and whether it is quoted.
type Literal<'a> = (&'a str, bool);

impl Asked<'_> {
    fn check(&self) -> Result<Check, Mistake> {
        if self.is_null()? {
            return Ok(Check::Absent);
        }
        let is_set = matches!(self.domain, Domain::TcpFlags | Domain::Bits);
        if let (Some(second), false) = (self.values.get(1), is_set || self.operator == Operator::In) {
            let message = format!("'{}' takes one value: write 'in' for a list", self.operator);
            return Err(Mistake::new(second.column, message));
        }
        match &self.domain {
            Domain::Time => self.spans('/', literals::time),
            Domain::Number(most, unit) => {
                self.spans('-', |text| literals::number(text, *unit).filter(|number| number <= most))
            }
            Domain::Protocol => self.protocols(),
            Domain::Address => self.addresses(),
            Domain::Text => self.text(),
            Domain::Words(words) => self.words(words),
            Domain::Flag => Ok(Check::Flag(self.each(|(text, _)| flag(text))?.contains(&true))),
            Domain::TcpFlags => self.bits(tcp_flags),
            Domain::Bits => self
                .bits(|text| literals::number(text, Unit::None).filter(|bit| *bit < 64).map(|bit| 1 << bit)),
        }
    }

    /// Whether it is compared with null, which stands alone.
    fn is_null(&self) -> Result<bool, Mistake> {
        let Some(null) = self.values.iter().find(|value| value.is_word("null")) else {
            return Ok(false);
        };
        if self.operator == Operator::Equal && self.values.len() == 1 {
            return Ok(true);
        }
        let name = self.name;
        let message = format!("null stands alone: write '{name} == null' or '{name} != null'");
        Err(Mistake::new(null.column, message))
    }

    /// Reads every value; the first that cannot be read is the mistake.
    fn each<T>(&self, read: impl Fn(Literal<'_>) -> Option<T>) -> Result<Vec<T>, Mistake> {
        self.values
            .iter()
            .map(|value| value.text().and_then(&read).ok_or_else(|| self.refused(value)))
            .collect()
    }

    /// The mistake of a value that the field does not take.
    fn refused(&self, value: &Token<'_>) -> Mistake {
        let (text, _) = value.text().unwrap_or_default();
        let why = match &self.domain {
            Domain::Address => literals::address_hint(text),
            Domain::Number(..) => literals::range_hint(text),
            Domain::Words(words) => did_you_mean(text, words.iter().copied()),
            Domain::Protocol => did_you_mean(text, protocol_names().map(|(_, name)| name)),
            Domain::TcpFlags => did_you_mean(text, TCP_FLAGS.map(|(name, _)| name)),
            _ => None,
        };
        let (name, takes) = (self.name, self.domain.takes());
        let message = format!("{name} takes {takes}, not {}{}", quoted(text), why.unwrap_or_default());
        Mistake::new(value.column, message)
    }

    /// A set of numbers: values, ranges of them, or what lies on one side of a value.
    fn spans(&self, dash: char, read: impl Fn(&str) -> Option<u64>) -> Result<Check, Mistake> {
        let ordered = !matches!(self.operator, Operator::Equal | Operator::In);
        let ranges = self.each(|(text, _)| {
            let range = text.split_once(dash).filter(|_| !ordered);
            let (first, last) = match range {
                Some((first, last)) => (read(first)?, read(last)?),
                None => (read(text)?, read(text)?),
            };
            (first <= last).then_some((first, last))
        })?;
        let spans: Spans<u64> = ranges.into_iter().map(|(first, last)| self.side(first, last)).collect();
        Ok(Check::Within(spans))
    }

    /// The range that a comparison with a value stands for; empty where it begins after its end.
    fn side(&self, first: u64, last: u64) -> (u64, u64) {
        const NONE: (u64, u64) = (1, 0);
        match self.operator {
            Operator::Less => first.checked_sub(1).map_or(NONE, |below| (0, below)),
            Operator::LessOrEqual => (0, first),
            Operator::More => first.checked_add(1).map_or(NONE, |above| (above, u64::MAX)),
            Operator::MoreOrEqual => (first, u64::MAX),
            _ => (first, last),
        }
    }

    fn protocols(&self) -> Result<Check, Mistake> {
        let ranges = self.each(|(text, quoted)| literals::protocols(text, quoted))?;
        Ok(Check::Within(ranges.into_iter().flatten().collect()))
    }

    fn addresses(&self) -> Result<Check, Mistake> {
        let ranges = self.each(|(text, _)| literals::addresses(text))?;
        let v4 = |range: &Addresses| {
            if let Addresses::V4(first, last) = *range { Some((first, last)) } else { None }
        };
        let v6 = |range: &Addresses| {
            if let Addresses::V6(first, last) = *range { Some((first, last)) } else { None }
        };
        Ok(Check::Addresses(AddressSet {
            v4: ranges.iter().filter_map(v4).collect(),
            v6: ranges.iter().filter_map(v6).collect(),
        }))
    }

    fn text(&self) -> Result<Check, Mistake> {
        let patterns = self.values.iter().map(|value| {
            let (text, quoted) = value.text().unwrap_or_default();
            literals::pattern(text, quoted).map_err(|why| Mistake::new(value.column, why))
        });
        Ok(Check::Text(sorted(patterns.collect::<Result<_, _>>()?)))
    }

    /// The words that values and globs fit, of those that there are.
    fn words(&self, words: &[&str]) -> Result<Check, Mistake> {
        let fitting = self.each(|(text, quoted)| {
            let pattern = literals::pattern(text, quoted).ok()?;
            let fitting: Vec<_> = words.iter().filter(|word| pattern.fits(word)).collect();
            (!fitting.is_empty())
                .then(|| fitting.into_iter().map(|word| Pattern::Exact((*word).into())).collect())
        })?;
        let fitting: Vec<Vec<Pattern>> = fitting;
        Ok(Check::Text(sorted(fitting.into_iter().flatten().collect())))
    }

    fn bits(&self, read: impl Fn(&str) -> Option<u64>) -> Result<Check, Mistake> {
        let mask = self.each(|(text, _)| read(text))?.into_iter().fold(0, |mask, bits| mask | bits);
        let how = match self.operator {
            Operator::Has => Bits::All,
            Operator::In => Bits::Any,
            _ => Bits::Exactly,
        };
        Ok(Check::Bits(how, mask))
    }
}

fn sorted(mut patterns: Vec<Pattern>) -> Vec<Pattern> {
    patterns.sort_unstable();
    patterns.dedup();
    patterns
}

fn flag(text: &str) -> Option<bool> {
    [("true", true), ("false", false)]
        .iter()
        .find(|(word, _)| text.eq_ignore_ascii_case(word))
        .map(|found| found.1)
}

fn tcp_flags(text: &str) -> Option<u64> {
    let named = TCP_FLAGS.iter().find(|(name, _)| text.eq_ignore_ascii_case(name)).map(|flag| flag.1);
    named.or_else(|| literals::number(text, Unit::None).filter(|bits| *bits <= TCP_FLAGS_MOST))
}
