//! Embedded history: tables of records in a directory, kept as Parquet segments that any tool can read.
//!
//! ```text
//! DIR/lock                                           held by the one writer
//! DIR/readers                                        held, shared, by whoever reads; see `Store::snapshot`
//! DIR/flows/2026-11-27/081500-082000.17-24.5f0c93a1.parquet
//! DIR/flows/_log/25.log                              what was acknowledged and is in no segment yet
//! DIR/flows_1m/2026-11-27/081500-081900.17-24.b3100f2e.parquet   the same records, summed up by the minute
//! DIR/ledger/_open                                   windows of the ledger that are not over; see `OpenLedger`
//! DIR/quarantine/                                    what turned out to be damaged, or another's
//! ```
//!
//! Writing: [`Keeper::open`] takes the directory and gives a [`Writer`] for each table; [`flow_batch`] makes batches of
//! flow records; [`Writer::append`] and [`Writer::commit`] make them last. Reading: [`Store::open`], [`Store::snapshot`],
//! [`Snapshot::scan`], [`flow_records`]; what is in logs is read, too. Why so: docs/decisions/0015-history.md.

mod columns;
mod compact;
mod error;
mod flow_file;
mod flow_reader;
mod flow_rows;
mod flow_stream;
mod keeper;
mod ledger;
mod observations;
mod predicate;
mod quarantine;
mod recent;
mod recovery;
mod rollup;
mod rows;
mod segment;
mod spool;
mod store;
mod table;
mod version;
mod wal;
mod writer;

pub use error::{Error, Result};
pub use flow_file::FlowFile;
pub use flow_reader::FlowReader;
pub use flow_rows::{flow_batch, flow_rows};
pub use flow_stream::FlowStream;
pub use keeper::{Keeper, Opened, Retention, Tell, WhenFull};
pub use ledger::{OpenLedger, OpenWindows, Word};
pub use predicate::KEY;
pub use rows::{Rows, flow_records, value};
pub use segment::{Known, Logs, Looked, Name, Question, Segment, SegmentFile, key_values};
pub use spool::Spool;
pub use store::{Progress, Scan, Snapshot, Store};
pub use table::{Column, Layout, Table};
pub use version::SchemaVersion;
pub use writer::Writer;
