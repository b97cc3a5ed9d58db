//! A filter as the store asks it: of columns, and before that of what row groups and pages say of themselves.
//!
//! It decides as [`Filter::matches`] does on the records; the same values meet the same checks.

use crate::rows::{flow_records, value};
use crate::table::kept_fields;
use arrow_array::{BooleanArray, RecordBatch};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use weir_filter::{Check, Expression, Filter, Subject, Test};
use weir_record::{Field, Value};

/// The columns of a flow's key: what is not kept follows from these alone.
pub const KEY: &[&str] = &[
    "source_address",
    "destination_address",
    "source_port",
    "destination_port",
    "icmp_type",
    "icmp_code",
    "protocol",
    "ethertype",
    "vlan",
];

/// The fields that a filter tests and the store keeps, or what those follow from.
pub(crate) fn columns(filter: &Filter) -> BTreeSet<&'static str> {
    let mut names = BTreeSet::new();
    collect(filter.expression(), &mut names);
    names
}

fn collect(expression: &Expression, names: &mut BTreeSet<&'static str>) {
    match expression {
        Expression::And(parts) | Expression::Or(parts) => {
            parts.iter().for_each(|part| collect(part, names));
        }
        Expression::Not(inner) => collect(inner, names),
        Expression::Test(test) => test.subject.fields().for_each(|field| {
            if is_kept(field) {
                names.insert(field.name);
            } else {
                names.extend(KEY);
            }
        }),
    }
}

fn is_kept(field: &Field) -> bool {
    kept_fields().any(|kept| kept.name == field.name)
}

/// Which rows of a batch match. It needs the [`columns`]; one that is missing is null.
pub(crate) fn mask(filter: &Filter, batch: &RecordBatch) -> BooleanArray {
    BooleanArray::new(of(filter.expression(), batch), None)
}

fn of(expression: &Expression, batch: &RecordBatch) -> BooleanBuffer {
    let all = || BooleanBuffer::new_set(batch.num_rows());
    match expression {
        Expression::And(parts) => both(parts.iter().map(|part| of(part, batch))).unwrap_or_else(all),
        Expression::Or(parts) => either(parts.iter().map(|part| of(part, batch))).unwrap_or_else(all),
        Expression::Not(inner) => !&of(inner, batch),
        Expression::Test(test) => {
            let masks = test.subject.fields().map(|field| test_of(test, field, batch));
            either(masks).unwrap_or_else(|| BooleanBuffer::new_unset(0))
        }
    }
}

/// The rows that are in all of them; nothing where there are none.
fn both(masks: impl Iterator<Item = BooleanBuffer>) -> Option<BooleanBuffer> {
    masks.reduce(|one, other| &one & &other)
}

/// The rows that are in any of them; nothing where there are none.
fn either(masks: impl Iterator<Item = BooleanBuffer>) -> Option<BooleanBuffer> {
    masks.reduce(|one, other| &one | &other)
}

fn test_of(test: &Test<Subject>, field: &'static Field, batch: &RecordBatch) -> BooleanBuffer {
    let (rows, check) = (batch.num_rows(), &test.check);
    if !is_kept(field) {
        let read = |record: Option<_>| record.is_some_and(|record| check.fits(&(field.read)(&record)));
        return flow_records(batch).map(read).collect();
    }
    match batch.column_by_name(field.name) {
        Some(column) => BooleanBuffer::collect_bool(rows, |row| check.fits(&value(column, field.kind, row))),
        None if check.fits(&Value::Absent) => BooleanBuffer::new_set(rows),
        None => BooleanBuffer::new_unset(rows),
    }
}

/// What a row group, or a page, says of a column.
pub(crate) trait Digest {
    /// Whether there may be a null.
    fn may_be_null(&self, column: &str) -> bool;
    /// The smallest and the largest number there; none where that is not known.
    fn range(&self, column: &str) -> Option<(u64, u64)>;
    /// Whether a number may be there.
    fn may_have_number(&self, column: &str, number: u64) -> bool;
    /// Whether a text may be there.
    fn may_have_text(&self, column: &str, text: &str) -> bool;
}

/// What the pages of a row group say.
pub(crate) trait Paged {
    /// A page of one column.
    type Page: Digest;
    /// How many rows the group has.
    fn rows(&self) -> usize;
    /// The pages of a column, and how many rows each of them has; none where they say nothing.
    fn pages(&self, column: &str) -> Option<impl Iterator<Item = (usize, Self::Page)>>;

    /// The rows of those pages of a column.
    fn rows_of_pages(&self, column: &str, wanted: impl Fn(&Self::Page) -> bool) -> BooleanBuffer {
        let Some(pages) = self.pages(column) else { return BooleanBuffer::new_set(self.rows()) };
        let mut rows = BooleanBufferBuilder::new(self.rows());
        pages.for_each(|(count, page)| rows.append_n(count, wanted(&page)));
        rows.finish()
    }
}

/// Values that are looked up one by one at most; more are taken for any.
const SINGLES: usize = 32;

/// Whether there may be a row in the group that matches.
pub(crate) fn may_match(filter: &Filter, group: &impl Digest) -> bool {
    may(filter.expression(), group)
}

fn may(expression: &Expression, group: &impl Digest) -> bool {
    match expression {
        Expression::And(parts) => parts.iter().all(|part| may(part, group)),
        Expression::Or(parts) => parts.iter().any(|part| may(part, group)),
        Expression::Not(_) => true,
        Expression::Test(test) => {
            test.subject.fields().any(|field| !is_kept(field) || may_fit(&test.check, field.name, group))
        }
    }
}

/// The rows of the group that may match, by what its pages say.
pub(crate) fn may_match_by_page(filter: &Filter, group: &impl Paged) -> BooleanBuffer {
    may_by_page(filter.expression(), group)
}

fn may_by_page(expression: &Expression, group: &impl Paged) -> BooleanBuffer {
    let all = || BooleanBuffer::new_set(group.rows());
    match expression {
        Expression::And(parts) => both(parts.iter().map(|part| may_by_page(part, group))).unwrap_or_else(all),
        Expression::Or(parts) => {
            either(parts.iter().map(|part| may_by_page(part, group))).unwrap_or_else(all)
        }
        Expression::Not(_) => all(),
        Expression::Test(test) => {
            let of = |field: &'static Field| match is_kept(field) {
                true => group.rows_of_pages(field.name, |page| may_fit(&test.check, field.name, page)),
                false => all(),
            };
            either(test.subject.fields().map(of)).unwrap_or_else(all)
        }
    }
}

fn may_fit(check: &Check, column: &str, group: &impl Digest) -> bool {
    match check {
        Check::Absent => group.may_be_null(column),
        Check::Within(spans) => {
            let within = |(least, most)| spans.iter().any(|(first, last)| first <= most && least <= last);
            let singles = spans.iter().len() <= SINGLES && spans.iter().all(|(first, last)| first == last);
            group.range(column).is_none_or(within)
                && (!singles || spans.iter().any(|(number, _)| group.may_have_number(column, number)))
        }
        Check::Addresses(set) => {
            let count = set.v4.iter().len() + set.v6.iter().len();
            let mut v4 = set
                .v4
                .iter()
                .map(|(first, last)| (first == last).then(|| IpAddr::from(Ipv4Addr::from(first))));
            let mut v6 = set
                .v6
                .iter()
                .map(|(first, last)| (first == last).then(|| IpAddr::from(Ipv6Addr::from(first))));
            let mut may = |one: Option<IpAddr>| {
                one.is_none_or(|address| group.may_have_text(column, &address.to_string()))
            };
            count > SINGLES || v4.any(&mut may) || v6.any(&mut may)
        }
        Check::Text(_) | Check::Bits(..) | Check::Flag(_) => true,
    }
}
