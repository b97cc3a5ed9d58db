//! What a filter can test, of records and of events.

use crate::expression::Check;
use std::fmt;
use weir_record::{Event, EventColumn, EventKind, Field, FlowRecord, Kind, Unit, Value};

/// What a test can be of.
pub trait Testable: Clone {
    /// What is asked: a record, or an event.
    type Asked;

    /// Its name in the language.
    fn name(&self) -> &'static str;

    /// What it holds.
    fn sort(&self) -> Sort;

    /// Whether what it holds there fits.
    fn fits(&self, asked: &Self::Asked, check: &Check) -> bool;
}

/// What a field holds, whoever has it.
#[derive(Debug, Clone, Copy)]
pub struct Sort {
    /// The field's name: some take certain words, or numbers up to a limit.
    pub field: &'static str,
    /// What kind of value.
    pub kind: Kind,
    /// What its number counts.
    pub unit: Unit,
}

impl From<&Field> for Sort {
    fn from(field: &Field) -> Self {
        Self { field: field.name, kind: field.kind, unit: field.unit }
    }
}

/// What is tested of a record.
#[derive(Clone, Copy)]
pub enum Subject {
    /// A field.
    Field(&'static Field),
    /// A field of either end: true when it is true of one of them.
    Either {
        /// `port`, `address` or `host`.
        name: &'static str,
        /// The source's.
        source: &'static Field,
        /// The destination's.
        destination: &'static Field,
    },
}

impl Subject {
    /// The fields that are read for it, one or two; both are of the same sort.
    pub fn fields(&self) -> impl Iterator<Item = &'static Field> {
        let (first, second) = match *self {
            Self::Field(field) => (field, None),
            Self::Either { source, destination, .. } => (source, Some(destination)),
        };
        std::iter::once(first).chain(second)
    }
}

impl Testable for Subject {
    type Asked = FlowRecord;

    fn name(&self) -> &'static str {
        match self {
            Self::Field(field) => field.name,
            Self::Either { name, .. } => name,
        }
    }

    fn sort(&self) -> Sort {
        match *self {
            Self::Field(field) => field.into(),
            Self::Either { source, .. } => source.into(),
        }
    }

    fn fits(&self, record: &FlowRecord, check: &Check) -> bool {
        self.fields().any(|field| check.fits(&(field.read)(record)))
    }
}

impl PartialEq for Subject {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is tested of an event of some kinds. A kind that does not have it holds null there.
#[derive(Clone)]
pub struct EventSubject {
    name: &'static str,
    /// The first of its columns.
    first: EventColumn,
    /// Which it is in each kind that has it, one or, for either end, two.
    columns: Vec<(&'static EventKind, EventColumn)>,
}

impl EventSubject {
    /// None where no kind has it.
    pub(crate) fn new(name: &'static str, columns: Vec<(&'static EventKind, EventColumn)>) -> Option<Self> {
        let (_, first) = *columns.first()?;
        Some(Self { name, first, columns })
    }
}

impl Testable for EventSubject {
    type Asked = Event;

    fn name(&self) -> &'static str {
        self.name
    }

    fn sort(&self) -> Sort {
        Sort { field: self.first.name(), kind: self.first.kind(), unit: self.first.unit() }
    }

    fn fits(&self, event: &Event, check: &Check) -> bool {
        let kind = event.happening.kind();
        let mut own = self.columns.iter().filter(|(of, _)| *of == kind).peekable();
        match own.peek() {
            Some(_) => own.any(|(_, column)| check.fits(&column.read(event))),
            None => check.fits(&Value::Absent),
        }
    }
}

impl PartialEq for EventSubject {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for EventSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
