//! Which names a filter may use, and what they stand for.

use crate::mistake::{Mistake, did_you_mean, quoted};
use crate::subject::{EventSubject, Subject, Testable};
use std::fmt::Debug;
use weir_record::{EventColumn, EventKind, FIELDS, Field, Kind};

/// The names that there are for what is asked.
pub(super) trait Vocabulary: Copy + Debug {
    /// What they stand for.
    type Subject: Testable;

    /// What a name stands for.
    fn subject(self, name: &str, column: usize) -> Result<Self::Subject, Mistake>;
}

/// Those of records.
#[derive(Debug, Clone, Copy)]
pub(super) struct OfRecords;

/// Those of events of these kinds: what at least one of them has.
#[derive(Debug, Clone, Copy)]
pub(super) struct OfEvents<'k>(pub(super) &'k [&'static EventKind]);

/// The fields that can be tested: one value each.
pub(crate) fn fields() -> impl Iterator<Item = &'static Field> {
    FIELDS.iter().filter(|field| field.kind != Kind::Observations)
}

/// A field that both ends have is asked of either by its name without this.
const ENDS: [&str; 2] = ["source_", "destination_"];

/// Stands for an end's address, or for its name where it is compared with one.
const HOST: &str = "host";

/// The fields of both ends that a name for either stands for.
fn of_ends(name: &str) -> [String; 2] {
    ENDS.map(|end| end.to_owned() + if name == HOST { "address" } else { name })
}

/// The name for either end, by that of the one end's field.
fn either_name(field: &'static str) -> Option<&'static str> {
    ENDS.iter().find_map(|end| field.strip_prefix(end))
}

impl Vocabulary for OfRecords {
    type Subject = Subject;

    fn subject(self, name: &str, column: usize) -> Result<Subject, Mistake> {
        let named = |name: &str| fields().find(|field| field.name == name);
        if let Some(field) = named(name) {
            return Ok(Subject::Field(field));
        }
        let [source, destination] = of_ends(name);
        if let (Some(source), Some(destination)) = (named(&source), named(&destination)) {
            let either = either_name(source.name).filter(|_| name != HOST).unwrap_or(HOST);
            return Ok(Subject::Either { name: either, source, destination });
        }
        if FIELDS.iter().any(|field| field.name == name) {
            return Err(Mistake::new(column, format!("{name} is a list: a filter cannot test it")));
        }
        let known = known(fields().map(|field| field.name));
        let meant = did_you_mean(name, known).unwrap_or_else(|| ": docs/fields.md lists them".into());
        Err(Mistake::new(column, format!("there is no field {}{meant}", quoted(name))))
    }
}

/// Fields, and the names for either end.
fn known(fields: impl Iterator<Item = &'static str>) -> impl Iterator<Item = &'static str> {
    fields.flat_map(|field| std::iter::once(field).chain(either_name(field))).chain([HOST])
}

impl Vocabulary for OfEvents<'_> {
    type Subject = EventSubject;

    fn subject(self, name: &str, column: usize) -> Result<EventSubject, Mistake> {
        let columns = |kind: &'static EventKind| columns(kind, name).into_iter().map(move |one| (kind, one));
        let columns: Vec<_> = self.0.iter().copied().flat_map(columns).collect();
        let own = columns.first().map(|(_, column)| column.name());
        let called = own.and_then(|own| match name {
            HOST => Some(HOST),
            _ if own == name => Some(own),
            _ => either_name(own),
        });
        called
            .and_then(|called| EventSubject::new(called, columns))
            .ok_or_else(|| Mistake::new(column, self.lacks(name)))
    }
}

impl OfEvents<'_> {
    /// What is said of a name that none of the kinds has: which kinds do, or what was probably meant.
    fn lacks(self, name: &str) -> String {
        let names = |kinds: &[&'static EventKind]| {
            kinds.iter().map(|kind| kind.name).collect::<Vec<_>>().join(" and ")
        };
        let lacking = format!("events of {} have no {}", names(self.0), quoted(name));
        let having: Vec<_> =
            EventKind::ALL.into_iter().filter(|kind| !columns(kind, name).is_empty()).collect();
        if !having.is_empty() {
            return format!("{lacking}: those of {} do", names(&having));
        }
        let known = known(self.0.iter().flat_map(|kind| kind.columns()).map(|column| column.name()));
        let meant =
            did_you_mean(name, known).unwrap_or_else(|| ": docs/events.md lists what they have".into());
        lacking + &meant
    }
}

/// What a name stands for in a kind: a column, or those of the ends.
fn columns(kind: &EventKind, name: &str) -> Vec<EventColumn> {
    match kind.column(name) {
        Some(column) => vec![column],
        None => of_ends(name).iter().filter_map(|name| kind.column(name)).collect(),
    }
}
