//! A page of metrics in OpenMetrics, read strictly: it is our own, and what is strange in it is a bug.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// Names and values of labels, by their names.
pub type Labels = BTreeMap<String, String>;

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    line: usize,
    what: &'static str,
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {} of the metrics: {}", self.line, self.what)
    }
}

impl std::error::Error for Mistake {}

/// A family of metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Its name, with the unit, and without what the names of its samples end with.
    pub name: String,
    /// What it is; empty where it is not said.
    pub help: String,
    /// What it is measured in; empty where that is nothing.
    pub unit: String,
    /// How its samples are to be understood.
    pub kind: Kind,
    /// Each once.
    pub samples: Vec<Sample>,
}

/// The kinds of families that there are on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Not said yet.
    Unknown,
    /// It only grows.
    Counter,
    /// It is so at this moment.
    Gauge,
    /// How many were no more than a bound.
    Histogram,
}

/// The value of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its name.
    pub name: String,
    /// What tells it from others of the name; none is empty.
    pub labels: Labels,
    /// How much it is.
    pub value: Number,
}

/// A number, as it is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole one.
    Whole(i64),
    /// Any.
    Real(f64),
}

impl Number {
    fn of(text: &str) -> Option<Self> {
        text.parse().map(Self::Whole).or_else(|_| text.parse().map(Self::Real)).ok()
    }

    /// As near as it can be had.
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Real(number) => number,
        }
    }
}

impl Kind {
    fn named(name: &str) -> Option<Self> {
        match name {
            "counter" => Some(Self::Counter),
            "gauge" => Some(Self::Gauge),
            "histogram" => Some(Self::Histogram),
            _ => None,
        }
    }

    /// What names of samples have behind that of their family.
    fn suffixes(self) -> &'static [&'static str] {
        match self {
            Self::Unknown => &[],
            Self::Counter => &["_total"],
            Self::Gauge => &[""],
            Self::Histogram => &["_bucket", "_sum", "_count"],
        }
    }
}

impl Family {
    fn called(name: &str) -> Self {
        let (help, unit, kind, samples) = (String::new(), String::new(), Kind::Unknown, Vec::new());
        Self { name: name.into(), help, unit, kind, samples }
    }

    fn has(&self, sample: &str) -> bool {
        let suffix = sample.strip_prefix(self.name.as_str());
        suffix.is_some_and(|suffix| self.kind.suffixes().contains(&suffix))
    }
}

/// All families of a page, with all series, each of which is there once.
///
/// # Errors
/// It is none, or has no end.
pub fn families(page: &str) -> Result<Vec<Family>, Mistake> {
    let (mut families, mut known) = (Vec::new(), HashSet::new());
    let mut has_ended = false;
    for (number, line) in page.lines().enumerate() {
        let mistake = |what| Mistake { line: number + 1, what };
        match line.strip_prefix("# ") {
            _ if has_ended => return Err(mistake("something behind the end")),
            Some("EOF") => has_ended = true,
            Some(said) => describe(said, &mut families).map_err(mistake)?,
            None => {
                let sample = sample(line).map_err(mistake)?;
                let family = families.last_mut().filter(|family: &&mut Family| family.has(&sample.name));
                let family = family.ok_or_else(|| mistake("a sample of another family, or of none"))?;
                if !known.insert((sample.name.clone(), sample.labels.clone())) {
                    return Err(mistake("a series that was there before"));
                }
                family.samples.push(sample);
            }
        }
    }
    match has_ended {
        true => Ok(families),
        false => Err(Mistake { line: page.lines().count(), what: "it has no end" }),
    }
}

/// `WHAT name …`, of the last family or of a new one.
fn describe(said: &str, families: &mut Vec<Family>) -> Result<(), &'static str> {
    let mut words = said.splitn(3, ' ');
    let (Some(what), Some(name)) = (words.next(), words.next()) else {
        return Err("it says nothing of a family");
    };
    let rest = words.next().unwrap_or_default();
    if families.last().is_none_or(|family| family.name != name) {
        families.push(Family::called(name));
    }
    let Some(family) = families.last_mut() else { return Ok(()) };
    match what {
        "HELP" => family.help = rest.into(),
        "UNIT" => family.unit = rest.into(),
        "TYPE" => family.kind = Kind::named(rest).ok_or("no kind of metrics that is known")?,
        _ => return Err("it says nothing of a family"),
    }
    Ok(())
}

/// `name{label="value",…} number`, without a time and without an exemplar.
fn sample(line: &str) -> Result<Sample, &'static str> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, rest) = line.split_at(end);
    if !is_name(name) {
        return Err("no name of a metric");
    }
    let (mut labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Labels::new(), rest),
    };
    let number = rest.strip_prefix(' ').ok_or("no value behind the labels")?;
    let value = Number::of(number).ok_or("the value is no number, or not alone")?;
    // An empty label is none.
    labels.retain(|_, value| !value.is_empty());
    Ok(Sample { name: name.into(), labels, value })
}

/// `label="value",…}`, and what follows.
fn labels(mut rest: &str) -> Result<(Labels, &str), &'static str> {
    let mut labels = Labels::new();
    loop {
        if let Some(rest) = rest.strip_prefix('}') {
            return Ok((labels, rest));
        }
        let (name, quoted) = rest.split_once("=\"").ok_or("a label without a value")?;
        if !is_name(name) {
            return Err("no name of a label");
        }
        let (value, behind) = text(quoted)?;
        if labels.insert(name.into(), value).is_some() {
            return Err("a label twice");
        }
        rest = match behind.strip_prefix(',') {
            Some(more) => more,
            None if behind.starts_with('}') => behind,
            None => return Err("no end of the labels"),
        };
    }
}

/// What stands before the next quotation mark, and what follows that.
fn text(quoted: &str) -> Result<(String, &str), &'static str> {
    let mut text = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok((text, &quoted[at + 1..])),
            '\\' => text.push(match letters.next() {
                Some((_, 'n')) => '\n',
                Some((_, letter @ ('"' | '\\'))) => letter,
                _ => return Err("a backslash before something else"),
            }),
            letter => text.push(letter),
        }
    }
    Err("a label without an end")
}

fn is_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_:".contains(&byte);
    text.bytes().all(is_part) && text.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    fn family(name: &str, kind: Kind, samples: Vec<Sample>) -> Family {
        Family { kind, samples, ..Family::called(name) }
    }

    fn sample(name: &str, labels: &[(&str, &str)], value: Number) -> Sample {
        Sample { name: name.into(), labels: self::labels(labels), value }
    }

    #[test]
    fn a_page_is_read() {
        let page = "# HELP a What # it is.\n# TYPE a gauge\na{b=\"x\\\"},\\\\\\n\",c=\"\",job=\"mine\"} 1.5\n\
                    # TYPE d_bytes counter\n# UNIT d_bytes bytes\nd_bytes_total 9007199254740993\n\
                    # TYPE e histogram\ne_bucket{le=\"+Inf\"} 0\ne_count 0\ne_sum +Inf\n# EOF\n";
        let a = sample("a", &[("b", "x\"},\\\n"), ("job", "mine")], Number::Real(1.5));
        let d = sample("d_bytes_total", &[], Number::Whole(9_007_199_254_740_993));
        let e = vec![
            sample("e_bucket", &[("le", "+Inf")], Number::Whole(0)),
            sample("e_count", &[], Number::Whole(0)),
            sample("e_sum", &[], Number::Real(f64::INFINITY)),
        ];
        let expected = vec![
            Family { help: "What # it is.".into(), ..family("a", Kind::Gauge, vec![a]) },
            Family { unit: "bytes".into(), ..family("d_bytes", Kind::Counter, vec![d]) },
            family("e", Kind::Histogram, e),
        ];
        assert_eq!(families(page), Ok(expected));
    }

    #[test]
    fn what_is_strange_is_a_mistake() {
        for (line, what) in [
            ("a", "no value"),
            ("1a 1", "no name of a metric"),
            ("a{b=\"c\"}1", "no value behind the labels"),
            ("a 1 2", "the value is no number, or not alone"),
            ("a_bucket{le=\"1\"} 1 # {b=\"c\"} 1", "the value is no number, or not alone"),
            ("a{b} 1", "a label without a value"),
            ("a{b=\"c\",b=\"d\"} 1", "a label twice"),
            ("a{b=\"c\\t\"} 1", "a backslash before something else"),
            ("a{b=\"c} 1", "a label without an end"),
            ("a{b=\"c\"d=\"e\"} 1", "no end of the labels"),
            ("", "no value"),
            ("x_total 1", "a sample of another family, or of none"),
            ("y 1", "a sample of another family, or of none"),
            ("x 2", "a series that was there before"),
            ("# TYPE x summary", "no kind of metrics that is known"),
            ("# NOTE x", "it says nothing of a family"),
            ("# x", "it says nothing of a family"),
        ] {
            let mistake = families(&format!("# TYPE x gauge\nx 1\n{line}\n# EOF\n"));
            assert_eq!(mistake, Err(Mistake { line: 3, what }), "{line}");
        }
        assert_eq!(families("# TYPE x gauge\nx 1\n").expect_err("cut off").what, "it has no end");
        assert_eq!(families("# EOF\nx 1\n").expect_err("behind").line, 2);
    }
}
