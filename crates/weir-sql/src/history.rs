//! A table of the history as DataFusion asks for it: its segments, and what is in logs.

use crate::segments::{Files, of_segment};
use crate::versions::Versions;
use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, BooleanArray, RecordBatch, TimestampNanosecondArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::datasource::TableType;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::union::UnionExec;
use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use weir_store::{Segment, Snapshot, Table};

/// A table at one time. While it is held nothing of it goes away.
#[derive(Debug)]
pub(crate) struct History {
    pub table: &'static Table,
    snapshot: Snapshot,
    schema: SchemaRef,
    /// The segments that are not damaged.
    segments: Vec<Segment>,
    recent: OnceLock<Recent>,
    /// Those that some part of the statement could not pass over.
    wanted: Mutex<BTreeSet<PathBuf>>,
}

/// What the logs hold, and what could not be read of them.
#[derive(Debug, Default)]
struct Recent {
    batches: Vec<RecordBatch>,
    trouble: Vec<String>,
}

impl History {
    pub fn new(table: &'static Table, snapshot: Snapshot, left_out: &BTreeSet<PathBuf>) -> Self {
        let is_whole = |segment: &&Segment| !left_out.contains(&segment.path);
        let segments = snapshot.segments().iter().filter(is_whole).cloned().collect();
        Self {
            table,
            snapshot,
            schema: viewed(table.schema()),
            segments,
            recent: OnceLock::new(),
            wanted: Mutex::default(),
        }
    }

    /// The segments that it is made of.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether its name has ruled it out.
    pub fn is_skipped(&self, segment: &Segment) -> bool {
        !self.wanted.lock().unwrap_or_else(PoisonError::into_inner).contains(&segment.path)
    }

    /// Records of logs; none as long as nobody asked for them.
    pub fn recent_rows(&self) -> usize {
        self.recent.get().map_or(0, |recent| recent.batches.iter().map(RecordBatch::num_rows).sum())
    }

    /// What could not be read of the logs.
    pub fn trouble(&self) -> Vec<String> {
        self.recent.get().map(|recent| recent.trouble.clone()).unwrap_or_default()
    }

    fn recent(&self) -> &Recent {
        self.recent.get_or_init(|| {
            let mut recent = Recent::default();
            for part in self.snapshot.recent_parts() {
                let read = part.map_err(|error| error.to_string());
                match read
                    .and_then(|batch| as_viewed(&batch, &self.schema).map_err(|error| error.to_string()))
                {
                    Ok(batch) => recent.batches.push(batch),
                    Err(trouble) => recent.trouble.push(trouble),
                }
            }
            recent
        })
    }

    /// The segments whose names do not rule out that a row in them matches.
    fn wanted(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<&Segment>> {
        let all: Vec<_> = self.segments.iter().collect();
        let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(all) };
        let schema = DFSchema::try_from(Arc::clone(&self.schema))?;
        let filter = state.create_physical_expr(filter, &schema)?;
        let keep = PruningPredicateBuilder::new()
            .with_file_schema(Arc::clone(&self.schema))
            .try_build(filter)
            .and_then(|filter| filter.prune(&Names { time: self.table.time, segments: &all }));
        // What cannot be told of names is told by what is in the files.
        let Ok(keep) = keep else { return Ok(all) };
        Ok(all.into_iter().zip(keep).filter(|(_, keep)| *keep).map(|(segment, _)| segment).collect())
    }

    fn files(
        &self,
        segments: Vec<&Segment>,
        (projection, limit): (Option<&Vec<usize>>, Option<usize>),
        state: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = segments.into_iter().map(|segment| of_segment(self.table, segment)).collect();
        let source = ParquetSource::new(Arc::clone(&self.schema))
            .with_table_parquet_options(state.default_table_options().parquet)
            .with_parquet_file_reader_factory(Arc::new(Files::default()));
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
            .with_file_group(FileGroup::new(files))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .with_expr_adapter(Some(Arc::new(Versions(self.table))));
        Ok(DataSourceExec::from_data_source(config.build()))
    }
}

#[async_trait]
impl TableProvider for History {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let segments = self.wanted(state, filters)?;
        let paths = segments.iter().map(|segment| segment.path.clone());
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).extend(paths);
        let recent = self.recent().batches.clone();
        let schema = Arc::clone(&self.schema);
        let mut parts: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        if !segments.is_empty() {
            parts.push(self.files(segments, (projection, limit), state)?);
        }
        if !recent.is_empty() || parts.is_empty() {
            parts.push(MemorySourceConfig::try_new_exec(&[recent], schema, projection.cloned())?);
        }
        UnionExec::try_new(parts)
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}

/// Texts as views: what groups and compares them does not have to copy them out of the pages. Without what is said of the
/// whole, the version among it: each file's own schema is another one, and is asked by way of [`Versions`].
fn viewed(schema: &SchemaRef) -> SchemaRef {
    let viewed = |field: &Arc<Field>| match field.data_type() {
        DataType::Utf8 => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View)),
        _ => Arc::clone(field),
    };
    Arc::new(Schema::new(schema.fields().iter().map(viewed).collect::<Vec<_>>()))
}

fn as_viewed(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns =
        columns.map(|(column, field)| Ok(cast(column, field.data_type())?)).collect::<Result<_>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// What segments' names say of what is in them: from when to when their records are.
struct Names<'s> {
    time: &'static str,
    segments: &'s [&'s Segment],
}

impl Names<'_> {
    fn times(&self, column: &Column, of: impl Fn(&Segment) -> u64) -> Option<ArrayRef> {
        let times = || self.segments.iter().map(|segment| i64::try_from(of(segment)).unwrap_or(i64::MAX));
        (column.name == self.time).then(|| {
            Arc::new(TimestampNanosecondArray::from_iter_values(times()).with_timezone("UTC")) as ArrayRef
        })
    }
}

impl PruningStatistics for Names<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.times(column, |segment| *segment.name.times().start())
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.times(column, |segment| *segment.name.times().end())
    }

    fn num_containers(&self) -> usize {
        self.segments.len()
    }

    fn null_counts(&self, _: &Column) -> Option<ArrayRef> {
        None
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        None
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
