//! From values to places: linear and logarithmic scales, and where their ticks are.

/// What a length of the drawing stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    from: f64,
    to: f64,
    logarithmic: bool,
    /// Ticks are no closer than that.
    finest: f64,
}

impl Scale {
    /// From 0 to a round number that is no less than any of the (finite) values.
    pub fn linear(values: impl IntoIterator<Item = f64>) -> Self {
        let greatest = greatest(values);
        let greatest = if greatest > 1.0 / BEYOND { greatest } else { 1.0 };
        let step = step(greatest, 5);
        Self { from: 0.0, to: (greatest / step - 1e-9).ceil() * step, logarithmic: false, finest: 0.0 }
    }

    /// From `floor`, above 0, to the next 1, 2 or 5 times a power of ten that is no less than any of the values.
    pub fn logarithmic(floor: f64, values: impl IntoIterator<Item = f64>) -> Self {
        let greatest = greatest(values).max(floor * 1.01);
        let decade = 10f64.powf(greatest.log10().floor());
        let to = [1.0, 2.0, 5.0].map(|n| n * decade).into_iter().find(|&to| greatest <= to * (1.0 + 1e-9));
        Self { from: floor, to: to.unwrap_or(decade * 10.0), logarithmic: true, finest: 0.0 }
    }

    /// Exactly from here to there; one value on its own lies in the middle.
    pub fn between(from: f64, to: f64, logarithmic: bool) -> Self {
        Self { from, to, logarithmic, finest: 0.0 }
    }

    /// Of things that are whole: from 1 to that many.
    pub fn counting(to: f64) -> Self {
        Self { finest: 1.0, ..Self::between(1.0, to, false) }
    }

    /// The place of a value, from 0 to 1. What lies outside is put on the edge.
    pub fn place(&self, value: f64) -> f64 {
        let [from, to, value] =
            [self.from, self.to, value].map(|v| if self.logarithmic { v.ln() } else { v });
        let place = (value - from) / (to - from);
        // No number: both ends are the same. Nothing: the logarithm of what is not above 0.
        if place.is_finite() {
            place.clamp(0.0, 1.0)
        } else if value == f64::NEG_INFINITY || self.logarithmic && value.is_nan() {
            0.0
        } else {
            0.5
        }
    }

    /// Round values along the scale, no more than `most` of them where that is possible.
    pub fn ticks(&self, most: usize) -> Vec<f64> {
        if self.logarithmic { self.log_ticks(most) } else { self.linear_ticks(most) }
    }

    /// Digits after the point that tell these ticks from one another.
    pub fn digits(&self, most: usize) -> usize {
        match self.ticks(most)[..] {
            [first, second, ..] if !self.logarithmic => {
                (0..6).find(|&n| is_round((second - first) * 10f64.powi(n))).unwrap_or(0) as usize
            }
            _ => 0,
        }
    }

    fn linear_ticks(&self, most: usize) -> Vec<f64> {
        let span = self.to - self.from;
        if !(1.0 / BEYOND..BEYOND).contains(&span) {
            return vec![self.from];
        }
        let step = step(span, most).max(self.finest);
        let first = (self.from / step - 1e-9).ceil();
        let last = (self.to / step + 1e-9).floor();
        (0..=(last - first).max(0.0) as u32).map(|n| (first + f64::from(n)) * step).collect()
    }

    fn log_ticks(&self, most: usize) -> Vec<f64> {
        let decades = self.from.log10().floor() as i32..=self.to.log10().ceil() as i32;
        let within = |tick: &f64| (self.from * 0.999..=self.to * 1.001).contains(tick);
        let with = |steps: &[f64]| -> Vec<f64> {
            let all = decades.clone().flat_map(|decade| steps.iter().map(move |n| n * 10f64.powi(decade)));
            all.filter(within).collect()
        };
        let choices = [with(&[1.0, 2.0, 5.0]), with(&[1.0, 3.0]), with(&[1.0])];
        let [fine, middle, coarse] = choices;
        let fits = [fine, middle].into_iter().find(|ticks| ticks.len() <= most);
        fits.unwrap_or_else(|| {
            let each = coarse.len().div_ceil(most.max(1)).max(1);
            coarse.into_iter().step_by(each).collect()
        })
    }
}

fn is_round(value: f64) -> bool {
    (value - value.round()).abs() < 1e-6 && value.round() != 0.0
}

/// What no figure of a study reaches: beyond it, arithmetic would leave the numbers.
const BEYOND: f64 = 1e15;

/// The greatest of the sane values, or 0.
fn greatest(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().filter(|value| value.abs() < BEYOND).fold(0.0, f64::max)
}

/// 1, 2 or 5 times a power of ten, of which at most that many fit into the span.
fn step(span: f64, most: usize) -> f64 {
    let least = span / most.max(1) as f64;
    let decade = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0]
        .map(|n| n * decade)
        .into_iter()
        .find(|&step| least <= step * (1.0 + 1e-9))
        .unwrap_or(decade * 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_scales_end_at_round_numbers() {
        let scale = Scale::linear([0.2, 0.97, f64::NAN]);
        assert_eq!(scale.place(0.0), 0.0);
        assert_eq!(scale.place(1.0), 1.0);
        assert_eq!(scale.place(7.0), 1.0);
        let ticks: Vec<String> = scale.ticks(5).iter().map(|tick| format!("{tick:.1}")).collect();
        assert_eq!(ticks, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(scale.digits(5), 1);
        assert_eq!(Scale::linear([80.0]).digits(5), 0);
        assert_eq!(Scale::linear([0.0123]).digits(5), 3);
        assert_eq!(Scale::linear([]).place(0.5), 0.5);
    }

    #[test]
    fn logarithmic_scales_take_what_is_not_above_0() {
        let scale = Scale::logarithmic(10.0, [1730.0]);
        assert_eq!(scale.ticks(10), [10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0]);
        assert_eq!(scale.ticks(4), [10.0, 100.0, 1000.0]);
        assert_eq!(
            [scale.place(-5.0), scale.place(0.0), scale.place(10.0), scale.place(2000.0)],
            [0.0, 0.0, 0.0, 1.0]
        );
        assert!(scale.place(100.0) < scale.place(101.0));
    }

    #[test]
    fn one_value_lies_in_the_middle() {
        assert_eq!(Scale::between(40.0, 40.0, true).place(40.0), 0.5);
        assert_eq!(Scale::counting(4.0).ticks(20), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(Scale::between(40.0, 40.0, false).ticks(5), [40.0]);
    }
}
