//! Asks a store.

use crate::catalog::listing;
use crate::error::is_of_reading;
use crate::minus::Minus;
use crate::report::Report;
use crate::statement::Statement;
use crate::tables::Tables;
use crate::{Error, Result};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::registry::FunctionRegistry;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt;
use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::time::interval;
use weir_store::Store;

/// How often it is asked whether the answer is still wanted.
const GLANCE: Duration = Duration::from_millis(50);

/// Who takes an answer.
pub trait Answer {
    /// Its columns, once, before all rows.
    ///
    /// # Errors
    /// They could not be handed on.
    fn begin(&mut self, schema: &SchemaRef) -> io::Result<()>;

    /// Some rows.
    ///
    /// # Errors
    /// They could not be handed on.
    fn rows(&mut self, rows: &RecordBatch) -> io::Result<()>;

    /// Whether nobody wants it any more.
    fn is_unwanted(&self) -> bool;
}

/// Asks a store.
pub struct Engine {
    store: Store,
    runtime: Runtime,
    memory: usize,
}

/// Why there is no answer.
enum Trouble {
    Query(DataFusionError),
    Ours(Error),
}

impl From<DataFusionError> for Trouble {
    fn from(error: DataFusionError) -> Self {
        Self::Query(error)
    }
}

impl Engine {
    /// Of this store; a query may hold so many bytes in memory.
    ///
    /// # Errors
    /// There are no threads to be had.
    pub fn new(store: Store, memory: usize) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads())
            .thread_name("weir-sql")
            .enable_time()
            .build()
            .map_err(Error::Start)?;
        Ok(Self { store, runtime, memory })
    }

    /// Hands the answer on, and says what was read for it. Segments that turn out to be damaged are left out, and named
    /// in the report, unless a part of the answer was handed on by then.
    ///
    /// # Errors
    /// The statement makes no sense, needs too much memory, is not wanted any more; or the answer could not be handed on.
    pub fn ask(&self, statement: &Statement, answer: &mut dyn Answer) -> Result<Report> {
        let started = Instant::now();
        if let Some(listing) = listing(&statement.0) {
            let rows = listing.map_err(Error::Query)?;
            answer.begin(&rows.schema()).and_then(|()| answer.rows(&rows)).map_err(Error::Answer)?;
            return Ok(Report { rows: rows.num_rows(), took: started.elapsed(), ..Report::default() });
        }
        let mut left_out = BTreeMap::new();
        loop {
            let tables = Arc::new(Tables::new(self.store.clone(), left_out.keys().cloned().collect()));
            let mut handed = Handed { answer, rows: 0 };
            // The library takes some damage for impossible.
            let attempt = || self.runtime.block_on(self.attempt(statement, &tables, &mut handed));
            let error = match catch_unwind(AssertUnwindSafe(attempt)) {
                Err(_) => None,
                Ok(Ok(plan)) => {
                    let mut report = Report::of(&plan, &tables.named());
                    report.without(&left_out);
                    return Ok(Report { rows: handed.rows, took: started.elapsed(), ..report });
                }
                Ok(Err(Trouble::Ours(error))) => return Err(error),
                Ok(Err(Trouble::Query(error))) => Some(error),
            };
            let may_be_damage = error.as_ref().is_none_or(is_of_reading);
            let found = if may_be_damage { damaged(&tables, handed.answer)? } else { BTreeMap::new() };
            match (found.values().next(), error) {
                (None, Some(error)) => return Err(Error::of(&error, self.memory)),
                (None, None) => return Err(Error::Read("the query engine has failed".into())),
                (Some(what), _) if handed.rows > 0 => {
                    return Err(Error::Read(format!("{what}: the answer is not whole")));
                }
                (Some(_), _) => left_out.extend(found),
            }
        }
    }

    async fn attempt(
        &self,
        statement: &Statement,
        tables: &Arc<Tables>,
        handed: &mut Handed<'_>,
    ) -> std::result::Result<Arc<dyn ExecutionPlan>, Trouble> {
        let context = self.context(tables)?;
        let plan = context.state().statement_to_plan(statement.0.clone()).await?;
        let reads =
            SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        reads
            .verify_plan(&plan)
            .map_err(|_| {
                Error::Query("the history is only read: select, describe, explain, show tables".into())
            })
            .map_err(Trouble::Ours)?;
        let frame = context.execute_logical_plan(plan).await?;
        let task = Arc::new(frame.task_ctx());
        let plan = frame.create_physical_plan().await?;
        let mut stream = execute_stream(Arc::clone(&plan), task)?;
        let (mut has_begun, mut glance) = (false, interval(GLANCE));
        loop {
            let next = tokio::select! {
                // However fast rows come.
                biased;
                _ = glance.tick() => {
                    if handed.answer.is_unwanted() {
                        return Err(Trouble::Ours(Error::Interrupted));
                    }
                    continue;
                }
                next = stream.next() => next,
            };
            let batch = next.transpose()?;
            // What may still fail has nothing to show yet.
            if !std::mem::replace(&mut has_begun, true) {
                handed.begin(&stream.schema())?;
            }
            match batch {
                Some(batch) => handed.rows(&batch)?,
                None => return Ok(plan),
            }
        }
    }

    fn context(&self, tables: &Arc<Tables>) -> std::result::Result<SessionContext, DataFusionError> {
        let mut config = SessionConfig::new()
            .with_target_partitions(threads())
            .with_create_default_catalog_and_schema(false)
            .with_default_catalog_and_schema("weir", "history");
        config.options_mut().execution.parquet.pushdown_filters = true;
        let mut context = SessionContext::new_with_config_rt(config, self.environment()?);
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema("history", Arc::clone(tables) as _)?;
        context.register_catalog("weir", Arc::new(catalog));
        context.register_expr_planner(Arc::new(Minus))?;
        Ok(context)
    }

    /// What sorts and groups more than it may hold goes through temporary files.
    fn environment(&self) -> std::result::Result<Arc<RuntimeEnv>, DataFusionError> {
        let pool = TrackConsumersPool::new(FairSpillPool::new(self.memory), NonZeroUsize::MIN);
        RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).build_arc()
    }
}

/// What has been handed on.
struct Handed<'a> {
    answer: &'a mut dyn Answer,
    rows: usize,
}

impl Handed<'_> {
    fn begin(&mut self, schema: &SchemaRef) -> std::result::Result<(), Trouble> {
        self.answer.begin(schema).map_err(|error| Trouble::Ours(Error::Answer(error)))
    }

    fn rows(&mut self, rows: &RecordBatch) -> std::result::Result<(), Trouble> {
        self.rows += rows.num_rows();
        self.answer.rows(rows).map_err(|error| Trouble::Ours(Error::Answer(error)))
    }
}

/// The segments whose bytes are not those that were written, and what is wrong with them.
fn damaged(tables: &Tables, answer: &dyn Answer) -> Result<BTreeMap<PathBuf, String>> {
    let (tables, mut found) = (tables.named(), BTreeMap::new());
    for segment in tables.iter().flat_map(|table| table.segments()) {
        if answer.is_unwanted() {
            return Err(Error::Interrupted);
        }
        if let Err(error) = segment.check() {
            found.insert(segment.path.clone(), error.to_string());
        }
    }
    Ok(found)
}

fn threads() -> usize {
    available_parallelism().map_or(1, NonZeroUsize::get)
}
