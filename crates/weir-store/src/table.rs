//! What a table holds: its name and its columns. The writer and the reader know no more of any table than this.

use crate::version::{self, SchemaVersion};
use arrow_schema::{DataType, Field as Arrow, Fields, Schema, SchemaRef, TimeUnit};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use weir_record::{EventColumn, EventKind, FIELDS, Field, Kind, LedgerWindow, Unit};

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its name, in SQL as everywhere.
    pub name: &'static str,
    /// What kind of value it holds.
    pub kind: Kind,
    /// Whether it may be null.
    pub nullable: bool,
    /// What its number counts.
    pub unit: Unit,
    /// What it says.
    pub doc: &'static str,
}

/// A kind of record that is kept.
#[derive(Debug)]
pub struct Table {
    /// Its name, and that of its directory.
    pub name: &'static str,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// The column of times that its segments are cut by. Not null.
    pub time: &'static str,
    /// How its segments are laid out.
    pub layout: Layout,
    /// Of roll-ups, how much time a row sums up, in nanoseconds.
    pub span: Option<u64>,
    /// How much of it is held in memory before a segment is made of it, in bytes.
    pub memory: usize,
    schema: SchemaRef,
}

/// Few events come in a minute beside the flows that there are.
const MEMORY: usize = 8 << 20;
const MEMORY_OF_FLOWS: usize = 48 << 20;

/// How segments are laid out: what makes them small, and questions fast.
#[derive(Debug, Clone, Copy, Default)]
pub struct Layout {
    /// Columns that questions name single values of: segments have bloom filters of these.
    pub sought: &'static [&'static str],
    /// Columns in which hardly a value is there twice: a dictionary would be longer than what it stands for.
    pub unlike: &'static [&'static str],
    /// Columns of ids that are numbers in a row: of those only the last digits differ.
    pub ids: &'static [&'static str],
    /// Columns of lengths of time in the kernel's ticks, which are often the same.
    pub ticks: &'static [&'static str],
    /// Rows of a row group are sorted by these, of which so many bits tell them apart, 32 at most altogether: what is
    /// alike lies together, and a page has few values.
    pub alike: &'static [(&'static str, u32)],
    /// Those that are the same there are sorted by these numbers.
    pub sorted: [&'static str; 2],
    /// And those that are the same there, too, by what these add up to; by time where a table has none.
    pub then: &'static [&'static str],
}

/// What flow records have and the store does not keep: it follows from the addresses, ports and protocol, and is worth
/// as many bytes as all the rest of a record.
const NOT_KEPT: &[&str] = &["community_id"];

static FLOWS: LazyLock<Table> = LazyLock::new(|| {
    let columns = kept_fields().map(|field| Column {
        name: field.name,
        kind: field.kind,
        // What one observation point saw is said by the rest of the record; see `observations`.
        nullable: field.nullable || field.kind == Kind::Observations,
        unit: field.unit,
        doc: field.doc,
    });
    let layout = Layout {
        sought: &["source_address", "destination_address", "source_port", "destination_port"],
        unlike: &["flow_id", "source_port"],
        ids: &["flow_id"],
        ticks: &[
            "source_tcp_busy_time",
            "destination_tcp_busy_time",
            "source_tcp_receive_window_limited_time",
            "destination_tcp_receive_window_limited_time",
            "source_tcp_send_buffer_limited_time",
            "destination_tcp_send_buffer_limited_time",
        ],
        alike: &[("direction", 8), ("protocol", 8), ("destination_port", 16)],
        sorted: ["reverse_bytes", "bytes"],
        // How far the other end is: several columns follow from that, and few connections have both.
        then: &["source_tcp_min_rtt", "destination_tcp_min_rtt"],
    };
    Table { memory: MEMORY_OF_FLOWS, ..Table::new("flows", columns.collect(), "end", layout) }
});

/// Each kind of events, in the order of [`EventKind::ALL`].
static EVENTS: LazyLock<Vec<Table>> = LazyLock::new(|| EventKind::ALL.map(of_events).into());

fn of_events(kind: &'static EventKind) -> Table {
    let columns = kept_columns(kind).map(|column| Column {
        name: column.name(),
        kind: column.kind(),
        nullable: column.name() != "time",
        unit: column.unit(),
        doc: column.doc(),
    });
    let columns: Vec<_> = columns.collect();
    let has_addresses = columns.iter().any(|column| column.name == "destination_address");
    let sought: &[_] = if has_addresses { &["source_address", "destination_address"] } else { &[] };
    Table::new(kind.table, columns, "time", Layout { sought, ..Layout::default() })
}

/// The columns of events of this kind that are kept, in their order.
pub(crate) fn kept_columns(kind: &'static EventKind) -> impl Iterator<Item = EventColumn> {
    kind.columns().filter(|column| !NOT_KEPT.contains(&column.name()))
}

static LOST_EVENTS: LazyLock<Table> = LazyLock::new(|| {
    let column = |name, kind, unit, doc| Column { name, kind, nullable: false, unit, doc };
    let columns = vec![
        column("time", Kind::Time, Unit::Time, "Before this they are missing."),
        column("probe", Kind::Text, Unit::None, "Whose events they were."),
        column("cause", Kind::Text, Unit::None, "Why they did not get through."),
        column("events", Kind::Number, Unit::None, "How many."),
    ];
    Table::new("lost_events", columns, "time", Layout::default())
});

static LEDGER: LazyLock<Table> = LazyLock::new(|| {
    let columns = LedgerWindow::columns().map(|column| Column {
        name: column.name,
        kind: column.kind,
        nullable: column.is_later,
        unit: column.unit,
        doc: column.doc,
    });
    Table::new("ledger", columns.collect(), "end", Layout::default())
});

/// The fields of flow records that are kept, in the order of columns.
pub(crate) fn kept_fields() -> impl Iterator<Item = &'static Field> {
    FIELDS.iter().filter(|field| !NOT_KEPT.contains(&field.name))
}

impl Table {
    /// A table of records of some kind.
    pub fn new(name: &'static str, columns: Vec<Column>, time: &'static str, layout: Layout) -> Self {
        let fields: Vec<_> = columns
            .iter()
            .map(|column| Arrow::new(column.name, arrow_type(column.kind), column.nullable))
            .collect();
        let version = (version::KEY.to_owned(), SchemaVersion::TODAY.number().to_string());
        let metadata = HashMap::from([version, (version::TABLE.to_owned(), name.to_owned())]);
        let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
        Self { name, columns, time, layout, span: None, memory: MEMORY, schema }
    }

    /// The same, with rows that sum up so much time.
    pub(crate) fn spanning(self, span: u64) -> Self {
        Self { span: Some(span), ..self }
    }

    /// Every table that there is.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        let first = [Self::flows(), Self::ledger(), Self::lost_events()];
        first.into_iter().chain(Self::roll_ups()).chain(EVENTS.iter())
    }

    /// Events that are missing in the others.
    pub fn lost_events() -> &'static Self {
        &LOST_EVENTS
    }

    /// What became of packets, minute by minute.
    pub fn ledger() -> &'static Self {
        &LEDGER
    }

    /// Flow records.
    pub fn flows() -> &'static Self {
        &FLOWS
    }

    /// Its columns as Arrow has them.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}

/// Numbers are all of 64 bits: what would fit into fewer today need not tomorrow, and the file's encodings make them
/// small anyway. Addresses are text, so that every tool can ask for them as people write them.
fn arrow_type(kind: Kind) -> DataType {
    match kind {
        Kind::Time => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        Kind::Text | Kind::Address => DataType::Utf8,
        Kind::Number => DataType::UInt64,
        Kind::Flag => DataType::Boolean,
        Kind::Bits => DataType::List(Arc::new(Arrow::new_list_field(DataType::UInt8, false))),
        Kind::Observations => {
            DataType::List(Arc::new(Arrow::new_list_field(DataType::Struct(observation_fields()), false)))
        }
    }
}

/// What an observation holds, as in its JSON.
pub(crate) fn observation_fields() -> Fields {
    let field = |name: &str, of: DataType| Arrow::new(name, of, name == "vlan");
    [
        field("netns", DataType::Utf8),
        field("interface", DataType::Utf8),
        field("interface_index", DataType::UInt64),
        field("direction", DataType::Utf8),
        field("decapsulated", DataType::Boolean),
        field("vlan", DataType::UInt64),
        field("translated", DataType::Boolean),
        field("reverse", DataType::Boolean),
        field("packets", DataType::UInt64),
        field("bytes", DataType::UInt64),
    ]
    .into_iter()
    .collect()
}
