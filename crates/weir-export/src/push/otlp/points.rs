//! Data points: what the series of a family come to.

use super::super::page::{Family, Kind, Labels, Number};
use std::collections::BTreeMap;
use std::io;

/// What there is of one combination of labels.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A counter's, or a gauge's.
    Number(Number),
    /// A histogram's.
    Histogram(Histogram),
}

/// How many were how large.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {
    /// All of them.
    pub count: u64,
    /// What they come to.
    pub sum: f64,
    /// How many up to each bound and above the one before; one more than there are bounds.
    pub buckets: Vec<u64>,
    /// The upper bounds.
    pub bounds: Vec<f64>,
}

impl Value {
    /// Whether it cannot have grown to this from `earlier`: its series has begun anew.
    pub fn has_fallen(&self, earlier: &Self) -> bool {
        match (self, earlier) {
            (Self::Number(now), Self::Number(before)) => now.as_f64() < before.as_f64(),
            (Self::Histogram(now), Self::Histogram(before)) => now.count < before.count,
            _ => true,
        }
    }
}

/// All data points of a family, by their labels.
///
/// # Errors
/// A histogram is none.
pub fn of(family: &Family) -> io::Result<BTreeMap<Labels, Value>> {
    if family.kind != Kind::Histogram {
        let points = family.samples.iter().map(|one| (one.labels.clone(), Value::Number(one.value)));
        return Ok(points.collect());
    }
    let mut histograms: BTreeMap<Labels, Series> = BTreeMap::new();
    for sample in &family.samples {
        let mut labels = sample.labels.clone();
        let bound = labels.remove("le").and_then(|bound| bound.parse().ok());
        let series = histograms.entry(labels).or_default();
        match (sample.name.strip_prefix(&family.name), bound) {
            (Some("_sum"), None) => series.sum = sample.value.as_f64(),
            (Some("_count"), None) => series.count = count(sample.value),
            (Some("_bucket"), Some(bound)) => series.up_to.push((bound, count(sample.value))),
            _ => return Err(strange(family)),
        }
    }
    let points = histograms.into_iter().map(|(labels, series)| {
        let histogram = series.histogram().ok_or_else(|| strange(family))?;
        Ok((labels, Value::Histogram(histogram)))
    });
    points.collect()
}

fn strange(family: &Family) -> io::Error {
    io::Error::other(format!("{} of the metrics is no histogram", family.name))
}

fn count(number: Number) -> Option<u64> {
    match number {
        Number::Whole(number) => number.try_into().ok(),
        Number::Real(_) => None,
    }
}

/// A histogram as Prometheus has it: each bucket has what is in those before.
#[derive(Default)]
struct Series {
    count: Option<u64>,
    sum: f64,
    up_to: Vec<(f64, Option<u64>)>,
}

impl Series {
    fn histogram(self) -> Option<Histogram> {
        let mut histogram = Histogram { count: self.count?, sum: self.sum, ..Histogram::default() };
        let mut before = 0;
        for (bound, up_to) in self.up_to {
            let up_to = up_to?;
            histogram.buckets.push(up_to.checked_sub(before)?);
            histogram.bounds.push(bound);
            before = up_to;
        }
        let last = histogram.bounds.pop()?;
        let are_sorted = histogram.bounds.is_sorted_by(|one, other| one < other);
        (last == f64::INFINITY && before == histogram.count && are_sorted).then_some(histogram)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::page::families;
    use super::*;

    fn points(lines: &str) -> io::Result<BTreeMap<Labels, Value>> {
        let page = format!("# TYPE a histogram\n{lines}# EOF\n");
        of(&families(&page).expect("a page")[0])
    }

    #[test]
    fn buckets_are_told_apart() {
        let lines = "a_sum{b=\"c\"} 2.5\na_count{b=\"c\"} 9\na_bucket{b=\"c\",le=\"0.1\"} 2\na_bucket{b=\"c\",le=\"1\"} 2\n\
                     a_bucket{b=\"c\",le=\"+Inf\"} 9\na_sum 0\na_count 0\na_bucket{le=\"+Inf\"} 0\n";
        let all = points(lines).expect("histograms");
        let of_c = Histogram { count: 9, sum: 2.5, buckets: vec![2, 0, 7], bounds: vec![0.1, 1.0] };
        let empty = Histogram { buckets: vec![0], ..Histogram::default() };
        let c = Labels::from([("b".into(), "c".into())]);
        let expected = [(Labels::new(), Value::Histogram(empty)), (c, Value::Histogram(of_c))];
        assert_eq!(all, BTreeMap::from(expected));
    }

    #[test]
    fn what_is_no_histogram_is_a_mistake() {
        for lines in [
            "a_sum 1\n",
            "a_count 1\na_bucket{le=\"1\"} 1\n",
            "a_count 1\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\n",
            "a_count 2\na_bucket{le=\"+Inf\"} 1\n",
            "a_count 1.5\na_bucket{le=\"+Inf\"} 1\n",
            "a_count 1\na_bucket{le=\"x\"} 1\n",
            "a_count 1\na_bucket 1\n",
            "a_count 1\na_bucket{le=\"2\"} 1\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 1\n",
            "a_count{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 1\n",
        ] {
            assert!(points(lines).is_err_and(|error| error.to_string().contains("no histogram")), "{lines}");
        }
    }
}
