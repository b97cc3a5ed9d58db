//! Asks a store, in this process, which is there for nothing else and may be killed at any time.

use crate::catalog::listing;
use crate::error::is_of_reading;
use crate::minus::Minus;
use crate::objects::Objects;
use crate::report::Report;
use crate::statement::Statement;
use crate::tables::Tables;
use crate::{Error, Result};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, SchemaProvider};
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
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Instant;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use weir_store::Store;

/// How many times as much as in memory a query may hold in temporary files.
const FILES: u64 = 32;
/// Statements nest, and so do plans: memory that is only taken where they do.
const STACK: usize = 64 << 20;
/// Threads that read temporary files, each with its stack.
const BLOCKING: usize = 2;
/// Parts of an answer that wait to be handed on.
const PARTS: usize = 2;

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

    /// What is left out of the rows that follow, since it is damaged.
    fn without(&mut self, _damaged: &str) {}
}

/// What is asked.
#[derive(Debug)]
pub enum Source {
    /// The history of this host.
    History(Store),
    /// What exporters have brought together.
    Objects(Objects),
}

/// Asks.
pub struct Engine {
    source: Source,
    workers: Runtime,
    memory: usize,
}

/// A part of an answer.
enum Part {
    Columns(SchemaRef),
    Rows(RecordBatch),
}

/// Why there is no answer.
enum Trouble {
    Ours(Error),
    /// This may come of damage.
    Query(DataFusionError),
    /// So may this: the library takes some damage for impossible.
    Panic,
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl From<DataFusionError> for Trouble {
    fn from(error: DataFusionError) -> Self {
        if is_of_panic(&error) { Self::Panic } else { Self::Query(error) }
    }
}

/// Whether what reads for the engine has panicked in a task of its own: of that the layers above have tokio's words only.
fn is_of_panic(error: &DataFusionError) -> bool {
    is_of_reading(error) && error.to_string().contains(" panicked with message ")
}

impl Engine {
    /// This; a query may hold so many bytes in memory.
    ///
    /// # Errors
    /// There are no threads to be had.
    pub fn new(source: Source, memory: usize) -> Result<Self> {
        let workers = Builder::new_multi_thread()
            .worker_threads(threads())
            .max_blocking_threads(BLOCKING)
            .thread_name("weir-sql")
            .thread_stack_size(STACK)
            .enable_all()
            .build()
            .map_err(Error::Start)?;
        Ok(Self { source, workers, memory })
    }

    /// Hands the answer on, and says what was read for it. Segments that turn out to be damaged are left out, and named
    /// in the report, unless a part of the answer was handed on by then.
    ///
    /// # Errors
    /// The statement makes no sense, or needs too much memory; or the answer could not be handed on.
    pub fn ask(&self, statement: &Statement, answer: &mut dyn Answer) -> Result<Report> {
        let started = Instant::now();
        if let Some(listing) = listing(&statement.parsed, &self.source) {
            let rows = listing.map_err(Error::Query)?;
            answer.begin(&rows.schema()).and_then(|()| answer.rows(&rows)).map_err(Error::Answer)?;
            return Ok(Report { rows: rows.num_rows(), took: started.elapsed(), ..Report::default() });
        }
        let report = match &self.source {
            Source::History(store) => self.ask_history(store, statement, answer),
            Source::Objects(objects) => self.ask_objects(objects, statement, answer),
        };
        report.map(|report| Report { took: started.elapsed(), ..report })
    }

    /// What cannot be read of objects is nothing to be passed over: it may be there the next time.
    fn ask_objects(
        &self,
        objects: &Objects,
        statement: &Statement,
        answer: &mut dyn Answer,
    ) -> Result<Report> {
        let mut handed = Handed { answer, rows: 0 };
        match self.attempt(statement, Arc::new(objects.clone()), &mut handed) {
            Ok(plan) => Ok(Report { rows: handed.rows, ..Report::of(&plan, &[]) }),
            Err(Trouble::Ours(error)) => Err(error),
            Err(Trouble::Query(error)) => Err(Error::of(&error, self.memory)),
            Err(Trouble::Panic) => {
                Err(Error::Read("the query engine has failed: what it reads there may be damaged".into()))
            }
        }
    }

    fn ask_history(&self, store: &Store, statement: &Statement, answer: &mut dyn Answer) -> Result<Report> {
        let mut left_out = BTreeMap::new();
        loop {
            let tables = Arc::new(Tables::new(store.clone(), left_out.keys().cloned().collect()));
            let mut handed = Handed { answer, rows: 0 };
            let error = match self.attempt(statement, Arc::clone(&tables) as _, &mut handed) {
                Ok(plan) => {
                    let mut report = Report::of(&plan, &tables.named());
                    report.without(&left_out);
                    return Ok(Report { rows: handed.rows, ..report });
                }
                Err(Trouble::Ours(error)) => return Err(error),
                Err(Trouble::Query(error)) => Some(error),
                Err(Trouble::Panic) => None,
            };
            let may_be_damage = error.as_ref().is_none_or(is_of_reading);
            let found = if may_be_damage { damaged(&tables) } else { BTreeMap::new() };
            match (found.values().next(), error) {
                (None, Some(error)) => return Err(Error::of(&error, self.memory)),
                (None, None) => return Err(Error::Read("the query engine has failed".into())),
                (Some(what), _) if handed.rows > 0 => {
                    return Err(Error::Read(format!("{what}: the answer is not whole")));
                }
                (Some(_), _) => {
                    found.values().for_each(|what| handed.answer.without(what));
                    left_out.extend(found);
                }
            }
        }
    }

    /// Runs it on the workers, and hands on what comes of it here.
    fn attempt(
        &self,
        statement: &Statement,
        tables: Arc<dyn SchemaProvider>,
        handed: &mut Handed<'_>,
    ) -> std::result::Result<Arc<dyn ExecutionPlan>, Trouble> {
        let (tell, mut told) = mpsc::channel(PARTS);
        let task = self.workers.spawn(produce(self.context(tables)?, statement.parsed.clone(), tell));
        while let Some(part) = told.blocking_recv() {
            handed.take(part)?;
        }
        self.workers.block_on(task).unwrap_or(Err(Trouble::Panic))
    }

    fn context(
        &self,
        tables: Arc<dyn SchemaProvider>,
    ) -> std::result::Result<SessionContext, DataFusionError> {
        let mut config = SessionConfig::new()
            .with_target_partitions(threads())
            .with_create_default_catalog_and_schema(false)
            .with_default_catalog_and_schema("weir", "history");
        config.options_mut().execution.parquet.pushdown_filters = true;
        // What all objects say of themselves would be read before the first row.
        config.options_mut().execution.collect_statistics = false;
        let mut context = SessionContext::new_with_config_rt(config, self.environment()?);
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema("history", tables)?;
        context.register_catalog("weir", Arc::new(catalog));
        if let Source::Objects(objects) = &self.source {
            objects.register(&context)?;
        }
        context.register_expr_planner(Arc::new(Minus))?;
        Ok(context)
    }

    /// What sorts and groups more than it may hold goes through temporary files.
    fn environment(&self) -> std::result::Result<Arc<RuntimeEnv>, DataFusionError> {
        let pool = TrackConsumersPool::new(FairSpillPool::new(self.memory), NonZeroUsize::MIN);
        let files = (self.memory as u64).saturating_mul(FILES);
        RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(pool))
            .with_max_temp_directory_size(files)
            .build_arc()
    }
}

/// Plans a statement, runs it, and tells of what comes.
async fn produce(
    context: SessionContext,
    statement: datafusion::sql::parser::Statement,
    tell: mpsc::Sender<Part>,
) -> std::result::Result<Arc<dyn ExecutionPlan>, Trouble> {
    let plan = context.state().statement_to_plan(statement).await?;
    let reads = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    reads.verify_plan(&plan).map_err(|_| {
        Error::Query("the history is only read: select, describe, explain, show tables".into())
    })?;
    let frame = context.execute_logical_plan(plan).await?;
    let task = Arc::new(frame.task_ctx());
    let plan = frame.create_physical_plan().await?;
    let mut stream = execute_stream(Arc::clone(&plan), task)?;
    let gone = |_| Error::Interrupted;
    let mut has_begun = false;
    loop {
        let batch = stream.next().await.transpose()?;
        // What may still fail has nothing to show yet.
        if !std::mem::replace(&mut has_begun, true) {
            tell.send(Part::Columns(stream.schema())).await.map_err(gone)?;
        }
        match batch {
            Some(batch) => tell.send(Part::Rows(batch)).await.map_err(gone)?,
            None => return Ok(plan),
        }
    }
}

/// What has been handed on.
struct Handed<'a> {
    answer: &'a mut dyn Answer,
    rows: usize,
}

impl Handed<'_> {
    fn take(&mut self, part: Part) -> Result<()> {
        match part {
            Part::Columns(schema) => self.answer.begin(&schema),
            Part::Rows(rows) => {
                self.rows += rows.num_rows();
                self.answer.rows(&rows)
            }
        }
        .map_err(Error::Answer)
    }
}

/// The segments whose bytes are not those that were written, and what is wrong with them.
fn damaged(tables: &Tables) -> BTreeMap<PathBuf, String> {
    let tables = tables.named();
    let segments = tables.iter().flat_map(|table| table.segments());
    let damage =
        segments.filter_map(|segment| Some((segment.path.clone(), segment.check().err()?.to_string())));
    damage.collect()
}

fn threads() -> usize {
    available_parallelism().map_or(1, NonZeroUsize::get)
}
