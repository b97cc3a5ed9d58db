//! The universal scalability law, fitted to rates by number of CPUs.

use super::{ScalingPoint, Usl};
use std::collections::BTreeSet;

/// Three unknowns need three numbers of CPUs. Only a fourth could contradict them.
const ENOUGH_COUNTS: usize = 4;

/// One over λ, σ over λ, κ over λ: what the law is linear in.
type Unknowns = [f64; 3];

impl Usl {
    /// What so many CPUs do together, in million packets per second.
    pub fn throughput(&self, cpus: f64) -> f64 {
        let others = cpus - 1.0;
        self.lambda * cpus / (1.0 + self.sigma * others + self.kappa * cpus * others)
    }

    /// The number of CPUs beyond which one more makes all of them slower; none where there is no such number.
    pub fn peak(&self) -> Option<f64> {
        let free = (1.0 - self.sigma).max(0.0);
        match self.kappa > 0.0 {
            true => Some((free / self.kappa).sqrt().max(1.0)),
            false => (free == 0.0).then_some(1.0),
        }
    }

    /// By how much it misses the rate that misses it most, as a share of that rate.
    fn worst_miss(&self, points: &[ScalingPoint]) -> f64 {
        let misses =
            points.iter().map(|point| (self.throughput(point.senders.into()) / point.mpps - 1.0).abs());
        misses.fold(0.0, f64::max)
    }
}

/// The law that comes nearest to the rates (least squares of relative differences, no unknown below zero), and how
/// far it is to be trusted. Two numbers of CPUs give σ only, one gives nothing. Points without senders or rate are
/// left out.
///
/// Gunther's linearisation: `n/X(n) = 1/λ + (σ/λ)·(n − 1) + (κ/λ)·n·(n − 1)`. λ is fitted along, lest an error in
/// the rate of one CPU becomes one of all.
pub fn fit(points: &[ScalingPoint]) -> (Option<Usl>, String) {
    let usable = |point: &&ScalingPoint| point.senders > 0 && point.mpps.is_finite() && point.mpps > 0.0;
    let points: Vec<ScalingPoint> = points.iter().filter(usable).copied().collect();
    let counts: BTreeSet<u32> = points.iter().map(|point| point.senders).collect();
    let law = law(&points, counts.len());
    let note = note(&counts, law.map(|law| law.worst_miss(&points)));
    (law, note)
}

/// The unknown that would be negative is nought in the best fit without negative ones. Which one that is, a trial
/// of all tells: there are no more than four.
fn law(points: &[ScalingPoint], counts: usize) -> Option<Usl> {
    let trials: &[&[usize]] = match counts {
        0 | 1 => &[],
        2 => &[&[0, 1], &[0]],
        _ => &[&[0, 1, 2], &[0, 1], &[0, 2], &[0]],
    };
    let rows: Vec<Unknowns> = points.iter().map(row).collect();
    let solutions = trials.iter().filter_map(|kept| least_squares(&rows, kept));
    let possible = solutions.filter(|unknowns| unknowns[0] > 0.0 && unknowns.iter().all(|&one| one >= 0.0));
    let [inverse, sigma, kappa] =
        possible.min_by(|one, other| squares(&rows, one).total_cmp(&squares(&rows, other)))?;
    Some(Usl { lambda: 1.0 / inverse, sigma: sigma / inverse, kappa: kappa / inverse })
}

/// What the unknowns are multiplied with to make one.
fn row(point: &ScalingPoint) -> Unknowns {
    let cpus = f64::from(point.senders);
    [1.0, cpus - 1.0, cpus * (cpus - 1.0)].map(|factor| factor * point.mpps / cpus)
}

fn squares(rows: &[Unknowns], unknowns: &Unknowns) -> f64 {
    let sum =
        |row: &Unknowns| row.iter().zip(unknowns).map(|(factor, unknown)| factor * unknown).sum::<f64>();
    rows.iter().map(|row| (sum(row) - 1.0).powi(2)).sum()
}

/// Solves the normal equations for the unknowns that are kept (Gauss and Jordan); the others are nought.
fn least_squares(rows: &[Unknowns], kept: &[usize]) -> Option<Unknowns> {
    let product = |one: usize, other: usize| rows.iter().map(|row| row[one] * row[other]).sum::<f64>();
    let sum = |one: usize| rows.iter().map(|row| row[one]).sum::<f64>();
    let mut equations: Vec<Vec<f64>> = kept
        .iter()
        .map(|&one| kept.iter().map(|&other| product(one, other)).chain([sum(one)]).collect())
        .collect();
    for column in 0..kept.len() {
        let size = |line: &usize| equations[*line][column].abs();
        let pivot = (column..kept.len()).max_by(|one, other| size(one).total_cmp(&size(other)))?;
        equations.swap(column, pivot);
        let divisor = equations[column][column];
        let chosen: Vec<f64> = equations[column].iter().map(|factor| factor / divisor).collect();
        for equation in &mut equations {
            let factor = equation[column];
            equation.iter_mut().zip(&chosen).for_each(|(value, chosen)| *value -= factor * chosen);
        }
        equations[column] = chosen;
    }
    let mut unknowns = [0.0; 3];
    for (equation, &unknown) in equations.iter().zip(kept) {
        unknowns[unknown] = *equation.last()?;
    }
    unknowns.iter().all(|unknown| unknown.is_finite()).then_some(unknowns)
}

fn note(counts: &BTreeSet<u32>, miss: Option<f64>) -> String {
    let (Some(most), Some(miss)) = (counts.last(), miss) else {
        return "No fit: it takes rates with two numbers of CPUs at least.".into();
    };
    let rests = format!("The fit rests on {} numbers of CPUs ({})", counts.len(), list(counts));
    if counts.len() >= ENOUGH_COUNTS {
        let miss = 100.0 * miss;
        return format!(
            "{rests} and misses none by more than {miss:.1} %; beyond {most} it is an extrapolation."
        );
    }
    let as_many = match counts.len() {
        2 => "κ is taken as nought",
        _ => "as many as it has unknowns",
    };
    format!(
        "{rests}, {as_many}: nothing could contradict it. Contention cannot be told from threads that share a \
         core, and beyond {most} it is an extrapolation."
    )
}

fn list(counts: &BTreeSet<u32>) -> String {
    counts.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(law: Usl, counts: &[u32]) -> Vec<ScalingPoint> {
        let point = |&senders: &u32| ScalingPoint { senders, mpps: law.throughput(senders.into()) };
        counts.iter().map(point).collect()
    }

    fn near(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-6
    }

    fn assert_fits(law: Usl, counts: &[u32]) {
        let found = fit(&points(law, counts)).0.expect("a fit");
        let same =
            near(found.lambda, law.lambda) && near(found.sigma, law.sigma) && near(found.kappa, law.kappa);
        assert!(same, "{found:?} instead of {law:?}");
    }

    #[test]
    fn known_laws_are_found_again() {
        let law = Usl { lambda: 2.5, sigma: 0.08, kappa: 0.002 };
        assert!(near(law.throughput(1.0), 2.5) && near(law.throughput(2.0), 5.0 / 1.084));
        assert_fits(law, &[1, 2, 4, 8, 16, 40]);
        assert_fits(law, &[1, 2, 4]);
        assert_fits(law, &[2, 4, 8, 16]);
        assert_fits(Usl { kappa: 0.0, ..law }, &[1, 2]);
        assert_fits(Usl { sigma: 0.0, ..law }, &[1, 2, 3, 4]);
        assert_fits(Usl { lambda: 1.0, sigma: 0.0, kappa: 0.0 }, &[1, 2, 3, 4]);
    }

    /// More than twice as much with twice the CPUs: no σ below zero explains that away.
    #[test]
    fn no_unknown_is_negative() {
        let rates = [(1, 1.0), (2, 2.2), (3, 3.1), (4, 4.4)];
        let points = rates.map(|(senders, mpps)| ScalingPoint { senders, mpps });
        let law = fit(&points).0.expect("a fit");
        assert!(law.sigma >= 0.0 && law.kappa >= 0.0, "{law:?}");
        assert!((1.0..1.1).contains(&law.lambda), "{law:?}");
    }

    #[test]
    fn noise_moves_it_a_little() {
        let law = Usl { lambda: 3.0, sigma: 0.1, kappa: 0.01 };
        let mut points = points(law, &[1, 2, 3, 4, 6, 8, 12]);
        for (point, factor) in points.iter_mut().zip([1.01, 0.99, 1.0, 1.01, 0.99, 1.01, 0.99]) {
            point.mpps *= factor;
        }
        let (found, note) = fit(&points);
        let found = found.expect("a fit");
        assert!((found.lambda - 3.0).abs() < 0.1 && (found.sigma - 0.1).abs() < 0.03, "{found:?}");
        assert!(
            note.contains("7 numbers of CPUs (1, 2, 3, 4, 6, 8, 12)") && note.contains("beyond 12"),
            "{note}"
        );
        assert!(!note.contains("Contention cannot be told"), "{note}");
    }

    #[test]
    fn few_counts_are_named_as_few() {
        let law = Usl { lambda: 2.0, sigma: 0.5, kappa: 0.0 };
        assert_eq!(fit(&[]).0, None);
        let again = [points(law, &[1]), points(law, &[1])].concat();
        assert_eq!(fit(&again), (None, fit(&[]).1));
        for counts in [&[1, 2][..], &[1, 2, 3]] {
            let (found, note) = fit(&points(law, counts));
            assert!(near(found.expect("a fit").sigma, 0.5));
            let rests = format!("{} numbers of CPUs", counts.len());
            assert!(note.contains(&rests) && note.contains("Contention cannot be told"), "{note}");
            assert!(note.contains("extrapolation"), "{note}");
        }
    }

    #[test]
    fn points_without_a_rate_are_left_out() {
        let useless = [(0, 1.0), (2, 0.0), (3, f64::NAN), (4, -1.0)];
        let useless = useless.map(|(senders, mpps)| ScalingPoint { senders, mpps });
        assert_eq!(fit(&useless).0, None);
        let law = Usl { lambda: 2.0, sigma: 0.1, kappa: 0.01 };
        let good = points(law, &[1, 2, 4, 8]);
        assert_eq!(fit(&[&useless[..], &good].concat()), fit(&good));
    }

    #[test]
    fn the_peak_is_where_one_more_does_harm() {
        let law = Usl { lambda: 1.0, sigma: 0.1, kappa: 0.009 };
        assert!(near(law.peak().expect("a peak"), 10.0));
        assert!(law.throughput(10.0) > law.throughput(9.0) && law.throughput(10.0) > law.throughput(11.0));
        assert_eq!(Usl { kappa: 0.0, ..law }.peak(), None);
        assert_eq!(Usl { sigma: 1.5, ..law }.peak(), Some(1.0));
        assert_eq!(Usl { sigma: 1.5, kappa: 0.0, ..law }.peak(), Some(1.0));
    }
}
