//! Repeated measurements in a few numbers.

use crate::results::median;
use std::fmt;

/// Median, least and greatest of repeated measurements, and their mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The middle one, as [`median`] has it.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The greatest.
    pub greatest: f64,
    /// Their mean.
    pub mean: f64,
    /// The standard error of the mean; one sample has none.
    pub error: Option<f64>,
}

impl Spread {
    /// Of at least one sample.
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = samples.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (least, greatest) = (sorted[0], sorted[sorted.len() - 1]);
        let count = sorted.len() as f64;
        let mean = sorted.iter().sum::<f64>() / count;
        let squares: f64 = sorted.iter().map(|sample| (sample - mean).powi(2)).sum();
        let error = (sorted.len() > 1).then(|| (squares / (count - 1.0) / count).sqrt());
        Self { median: median(&sorted).unwrap_or(least), least, greatest, mean, error }
    }
}

/// `12.3 (11.9–13.0)`, with the precision asked for.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(1);
        let Self { median, least, greatest, .. } = self;
        let spread = format!("({least:.digits$}–{greatest:.digits$})");
        write!(f, "{median:>7.digits$} {spread:<15}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_one_of_unsorted_samples() {
        let Spread { median, least, greatest, .. } = Spread::of([3.0, 1.0, 9.0]);
        assert_eq!((median, least, greatest), (3.0, 1.0, 9.0));
        assert_eq!(Spread::of([4.0]).median, 4.0);
    }

    #[test]
    fn the_mean_and_how_far_it_is_to_be_trusted() {
        let Spread { mean, error, .. } = Spread::of([1.0, 3.0, 5.0, 7.0]);
        assert_eq!((mean, error), (4.0, Some((5.0_f64 / 3.0).sqrt())));
        assert_eq!((Spread::of([4.0]).mean, Spread::of([4.0]).error), (4.0, None));
    }
}
