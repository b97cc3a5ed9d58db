//! The comparison as a table for a terminal of 80 columns.

use super::{Comparison, Figure, Judgement};
use std::fmt;

const WIDTH: usize = 80;
const ARM: usize = 22;
const TRAFFIC: usize = 20;
/// Changes that the first sentence names.
const NAMED: usize = 3;
/// One in so many figures that did not change looks changed: that is what 95 % means.
const CHANCE: usize = 20;

/// What one came for comes first.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        wrapped(f, &self.headline())?;
        for warning in &self.warnings {
            wrapped(f, &format!("warning: {warning}"))?;
        }
        if !self.figures.is_empty() {
            writeln!(f, "\n{}", head())?;
        }
        for figure in &self.figures {
            writeln!(f, "{}", row(figure))?;
        }
        for (study, only) in [("A", &self.only_in_a), ("B", &self.only_in_b)] {
            if !only.is_empty() {
                let names: Vec<String> =
                    only.iter().map(|(arm, traffic)| format!("{arm} under {traffic}")).collect();
                wrapped(f, &format!("\nonly in {study}: {}", names.join(", ")))?;
            }
        }
        Ok(())
    }
}

impl Comparison {
    /// The answer in a sentence.
    pub fn headline(&self) -> String {
        let (changes, all) = (self.changes(), self.figures.len());
        let few = self.figures.iter().filter(|figure| figure.judgement == Judgement::FewRounds).count();
        match (all, changes.len()) {
            (0, _) => "the two have no arm and traffic in common".into(),
            (_, 0) if few == all => "nothing can be told: it takes four rounds or more in both".into(),
            (_, 0) => format!("nothing changed beyond noise{}", besides(few)),
            (_, some) => format!(
                "{some} of {all} figures changed beyond noise{}: {}{}",
                by_chance(all),
                list(&changes),
                besides(few)
            ),
        }
    }
}

fn by_chance(all: usize) -> String {
    match all / CHANCE {
        0 => String::new(),
        expected => format!(" (about {expected} would by chance)"),
    }
}

fn besides(few: usize) -> String {
    match few {
        0 => String::new(),
        few => format!("; {few} had too few rounds to tell"),
    }
}

fn list(changes: &[&Figure]) -> String {
    let named = changes.iter().take(NAMED);
    let named = named.map(|one| format!("{} under {} {}", one.arm, one.traffic, percent(one)));
    let named = named.collect::<Vec<_>>().join(", ");
    match changes.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named}, and {more} more"),
    }
}

fn percent(figure: &Figure) -> String {
    figure.percent().map(|percent| format!("{percent:+.1} %")).unwrap_or_else(|| "-".into())
}

fn head() -> String {
    format!("{:ARM$} {:TRAFFIC$} {:>6} {:>6} {:>10}", "ARM", "TRAFFIC", "A", "B", "CHANGE")
}

fn row(figure: &Figure) -> String {
    let Figure { a, b, judgement, .. } = figure;
    let (arm, traffic) = (cell(&figure.arm, ARM), cell(&figure.traffic, TRAFFIC));
    let judgement = match judgement {
        Judgement::Change => "CHANGED",
        Judgement::Noise => "noise",
        Judgement::FewRounds => "too few",
    };
    let percent = cell(&percent(figure), 10);
    format!("{arm:ARM$} {traffic:TRAFFIC$} {a:>6.3} {b:>6.3} {percent:>10} {judgement}")
}

fn cell(text: &str, width: usize) -> String {
    printable(text).chars().take(width).collect()
}

/// Names come from a file that may be anyone's: nothing in them is to move the cursor.
fn printable(text: &str) -> String {
    text.replace(|c: char| c.is_control() && c != '\n', "?")
}

fn wrapped(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let mut column = 0;
    for word in printable(text).split(' ') {
        let length = word.chars().count();
        match column {
            0 => write!(f, "{word}")?,
            _ if column + 1 + length > WIDTH => {
                write!(f, "\n  {word}")?;
                column = 2;
            }
            _ => {
                write!(f, " {word}")?;
                column += 1;
            }
        }
        column += length;
    }
    writeln!(f)
}

#[cfg(test)]
mod tests {
    use super::super::super::made_up::{measured, results};
    use super::super::super::{Measured, Results};
    use super::super::compare;
    use super::*;

    fn study(ratios: &[(&str, f64)]) -> Results {
        results(ratios.iter().map(|(arm, ratio)| measured(arm, "40-flows", *ratio, 10.0)).collect())
    }

    #[test]
    fn a_table_as_it_is_shown() {
        let a = study(&[("none", 1.0), ("weir", 0.8), ("hash", 0.5), ("array", 0.7)]);
        let mut b = study(&[("none", 1.0), ("weir", 0.9), ("hash", 0.5), ("ringbuf", 0.3)]);
        b.machine.kernel = "6.18.0".into();
        let expected = "\
1 of 2 figures changed beyond noise: weir under 40-flows +12.5 %
warning: Not the same kernel: 6.12.0 in A, 6.18.0 in B.

ARM                    TRAFFIC                   A      B     CHANGE
weir                   40-flows              0.800  0.900    +12.5 % CHANGED
hash                   40-flows              0.500  0.500     +0.0 % noise

only in A: array under 40-flows

only in B: ringbuf under 40-flows
";
        assert_eq!(compare(&a, &b).to_string(), expected);
    }

    #[test]
    fn the_headline_says_what_one_came_for() {
        let a = study(&[("weir", 0.8), ("hash", 0.5)]);
        assert_eq!(compare(&a, &a).headline(), "nothing changed beyond noise");
        let nothing = compare(&a, &study(&[("array", 0.5)]));
        assert_eq!(nothing.headline(), "the two have no arm and traffic in common");
        let mut few = a.clone();
        few.results[0].ratio_rounds.truncate(2);
        let said = "nothing changed beyond noise; 1 had too few rounds to tell";
        assert_eq!(compare(&a, &few).headline(), said);
        few.results[1].ratio_rounds.truncate(2);
        assert!(compare(&few, &a).headline().starts_with("nothing can be told"));
    }

    fn many(ratio: f64) -> Results {
        let one = |number: usize| -> Measured {
            measured(
                &format!("percpu-hash-published-{number}-\u{1b}[31m"),
                "zipf-of-many-and-more-flows",
                ratio,
                1.0,
            )
        };
        results((0..40).map(one).collect())
    }

    #[test]
    fn it_fits_eighty_columns_and_has_no_codes() {
        let found = compare(&many(0.001), &many(0.999));
        let text = format!("{found}{}", compare(&many(0.5), &study(&[])));
        assert!(text.lines().count() > 60, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
        assert!(
            found.headline().starts_with("40 of 40 figures changed beyond noise (about 2 would by chance): ")
        );
        assert!(found.headline().ends_with(", and 37 more"), "{}", found.headline());
    }

    #[test]
    fn from_nothing_there_is_no_percentage() {
        let found = compare(&study(&[("weir", 0.0)]), &study(&[("weir", 0.5)]));
        assert!(found.to_string().contains(" 0.000  0.500          - CHANGED\n"), "{found}");
    }
}
