//! A filter's tree to rows.

use super::dimension::Dimension;
use super::point::PointTest;
use super::row::Row;
use super::set::Set;
use crate::expression::{Expression, Test};
use crate::filter::Filter;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use weir_record::Field;

/// What to do with a test that cannot be decided for each packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// Refuse the filter.
    Refuse,
    /// Take it that it may be true, and its opposite, too: the rows match at least what the filter matches.
    Pass,
}

/// Why a filter cannot be decided for each packet by rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotKernel {
    /// It tests a field that is not known, or not until the record is complete.
    #[error("column {column}: {field} is not known of each packet")]
    Field {
        /// The field's name.
        field: &'static str,
        /// Where its test stands in the filter's text.
        column: usize,
    },
    /// It takes more rows than there are.
    #[error("it takes more than {limit} rows of the kernel's: make it simpler, or several rules of it")]
    Rows {
        /// How many there are.
        limit: usize,
    },
}

impl Filter {
    /// The filter as rows, any of which has to match.
    ///
    /// # Errors
    ///
    /// More than `limit` rows; with [`Doubt::Refuse`] a test that cannot be decided for each packet.
    pub fn rows(&self, limit: usize, doubt: Doubt) -> Result<Vec<Row>, NotKernel> {
        self.rows_knowing(limit, doubt, |_| true)
    }

    /// [`rows`](Self::rows) where only some of the fields are known for each packet.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn rows_knowing(
        &self,
        limit: usize,
        doubt: Doubt,
        known: impl Fn(&Field) -> bool,
    ) -> Result<Vec<Row>, NotKernel> {
        let rows = Build { limit, doubt, known, budget: Cell::new(BUDGET) }.rows(self.expression(), true)?;
        if rows.len() > limit { Err(NotKernel::Rows { limit }) } else { Ok(rows) }
    }
}

/// How many rows are looked at on the way to the normal form: a few seconds at the worst.
const BUDGET: usize = 1 << 20;

/// How many tests of the observation point a row may have: enough for people, and soon compared.
const MOST_POINTS: usize = 64;

struct Build<F> {
    limit: usize,
    doubt: Doubt,
    known: F,
    /// Rows that may still be looked at before it is too much.
    budget: Cell<usize>,
}

impl<F: Fn(&Field) -> bool> Build<F> {
    /// Rows for an expression, or for its opposite where it has not to hold.
    fn rows(&self, expression: &Expression, holds: bool) -> Result<Vec<Row>, NotKernel> {
        match (expression, holds) {
            (Expression::Test(test), _) => self.test(test, holds),
            (Expression::Not(inner), _) => self.rows(inner, !holds),
            (Expression::And(parts), true) | (Expression::Or(parts), false) => {
                let parts: Result<Vec<_>, _> = parts.iter().map(|part| self.rows(part, holds)).collect();
                let all = balanced(parts?, |left, right| self.product(&left, &right))?;
                Ok(all.unwrap_or_else(|| vec![Row::default()]))
            }
            (Expression::Or(parts), true) | (Expression::And(parts), false) => {
                let mut any = Vec::new();
                for part in parts {
                    any.extend(self.rows(part, holds)?);
                    if any.len() > 4 * self.most() {
                        any = self.simplified(any)?;
                    }
                }
                self.simplified(any)
            }
        }
    }

    /// How many rows may be on the way to fewer.
    fn most(&self) -> usize {
        self.limit.saturating_mul(4).clamp(256, 2048).max(self.limit)
    }

    fn too_many(&self) -> NotKernel {
        NotKernel::Rows { limit: self.limit }
    }

    fn product(&self, left: &[Row], right: &[Row]) -> Result<Vec<Row>, NotKernel> {
        if left.len().saturating_mul(right.len()) > 8 * self.most() {
            return Err(self.too_many());
        }
        self.simplified(left.iter().flat_map(|one| right.iter().map(|other| one.and(other))).collect())
    }

    fn simplified(&self, rows: Vec<Row>) -> Result<Vec<Row>, NotKernel> {
        let left = self.budget.get().checked_sub(rows.len()).ok_or_else(|| self.too_many())?;
        self.budget.set(left);
        if rows.iter().any(|row| row.points.len() > MOST_POINTS) {
            return Err(self.too_many());
        }
        let rows = joined(rows);
        if rows.len() > self.most() { Err(self.too_many()) } else { Ok(absorbed(rows)) }
    }

    fn test(&self, test: &Test, holds: bool) -> Result<Vec<Row>, NotKernel> {
        let mut rows = Vec::new();
        for field in test.subject.fields() {
            rows.push(self.field(test, field, holds)?);
        }
        if !holds {
            // Of either end: neither end fits.
            rows = vec![rows.iter().skip(1).fold(rows[0].clone(), |all, one| all.and(one))];
        }
        self.simplified(rows)
    }

    fn field(&self, test: &Test, field: &'static Field, holds: bool) -> Result<Row, NotKernel> {
        if (self.known)(field) {
            if let Some(dimension) = Dimension::of(field) {
                let set = Set::of(dimension, &test.check);
                let set = if holds { set } else { set.complement(dimension) };
                return Ok(Row::of_set(dimension, set));
            }
            if PointTest::is_for(field) {
                return Ok(Row::of_point(PointTest { field, check: test.check.clone(), passes: holds }));
            }
        }
        match self.doubt {
            Doubt::Refuse => Err(NotKernel::Field { field: field.name, column: test.column }),
            Doubt::Pass => Ok(Row::default()),
        }
    }
}

/// Fewer rows that match the same: without those that never match, and joined where they differ
/// in one dimension only.
fn joined(mut rows: Vec<Row>) -> Vec<Row> {
    rows.retain(|row| !row.is_never());
    loop {
        let before = rows.len();
        for dimension in Dimension::ALL {
            rows = joined_in(rows, dimension);
        }
        if rows.len() == before {
            return rows;
        }
    }
}

fn joined_in(rows: Vec<Row>, dimension: Dimension) -> Vec<Row> {
    let mut alike: BTreeMap<Row, Vec<Set>> = BTreeMap::new();
    for mut row in rows {
        let set = row.sets.remove(&dimension).unwrap_or_else(|| Set::full(dimension));
        alike.entry(row).or_default().push(set);
    }
    let put_back = |(mut row, sets): (Row, Vec<Set>)| {
        let Ok(all) = balanced(sets, |one, other| Ok::<_, Infallible>(one.union(&other)));
        row.put(dimension, all.unwrap_or_else(|| Set::empty(dimension)));
        row
    };
    alike.into_iter().map(put_back).collect()
}

/// Joins neighbours, and what comes of it, until one is left: what grows is so joined seldom.
fn balanced<T, E>(mut items: Vec<T>, join: impl Fn(T, T) -> Result<T, E>) -> Result<Option<T>, E> {
    while items.len() > 1 {
        let mut halved = Vec::with_capacity(items.len().div_ceil(2));
        let mut rest = items.into_iter();
        while let Some(one) = rest.next() {
            halved.push(match rest.next() {
                Some(other) => join(one, other)?,
                None => one,
            });
        }
        items = halved;
    }
    Ok(items.pop())
}

/// Drops rows that others contain.
fn absorbed(rows: Vec<Row>) -> Vec<Row> {
    let mut kept: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        if !kept.iter().any(|other| other.contains_plainly(&row)) {
            kept.retain(|other| !row.contains_plainly(other));
            kept.push(row);
        }
    }
    kept
}
