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
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::registry::FunctionRegistry;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt;
use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::time::timeout;
use weir_store::Store;

/// How often it is asked whether the answer is still wanted.
const GLANCE: Duration = Duration::from_millis(50);
/// How many times as much as in memory a query may hold in temporary files.
const FILES: u64 = 32;
/// Statements nest, and so do plans: memory that is only taken where they do.
const STACK: usize = 64 << 20;
/// What makes large values of small ones makes them at once, whatever the limit is.
const WITHOUT: [&str; 7] =
    ["array_repeat", "array_resize", "generate_series", "lpad", "range", "repeat", "rpad"];
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

    /// Whether nobody wants it any more.
    fn is_unwanted(&self) -> bool;
}

/// Asks a store.
pub struct Engine {
    store: Store,
    workers: Workers,
    memory: usize,
}

/// The threads that run queries; nobody waits for them to end.
struct Workers(Option<Runtime>);

impl Drop for Workers {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(Runtime::shutdown_background);
    }
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
            .thread_stack_size(STACK)
            .build();
        Ok(Self { store, workers: Workers(Some(runtime.map_err(Error::Start)?)), memory })
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
            let error = match self.attempt(statement, &tables, &mut handed) {
                Ok(plan) => {
                    let mut report = Report::of(&plan, &tables.named());
                    report.without(&left_out);
                    return Ok(Report { rows: handed.rows, took: started.elapsed(), ..report });
                }
                Err(Trouble::Ours(error)) => return Err(error),
                Err(Trouble::Query(error)) => Some(error),
                Err(Trouble::Panic) => None,
            };
            let may_be_damage = error.as_ref().is_none_or(is_of_reading);
            let found = if may_be_damage { damaged(&tables, handed.answer)? } else { BTreeMap::new() };
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

    /// Runs it on the workers, and hands on what comes of it here. The clock is this thread's own: workers that are busy
    /// do not look at theirs.
    fn attempt(
        &self,
        statement: &Statement,
        tables: &Arc<Tables>,
        handed: &mut Handed<'_>,
    ) -> std::result::Result<Arc<dyn ExecutionPlan>, Trouble> {
        let Some(workers) = &self.workers.0 else { return Err(Error::Interrupted.into()) };
        let here = Builder::new_current_thread().enable_time().build().map_err(Error::Start)?;
        let (tell, mut told) = mpsc::channel(PARTS);
        let task = workers.spawn(produce(self.context(tables)?, statement.0.clone(), tell));
        let abort = task.abort_handle();
        let mut next = || here.block_on(async { timeout(GLANCE, told.recv()).await });
        let mut glance = Instant::now();
        let handed_on = loop {
            // However fast rows come.
            if glance.elapsed() >= GLANCE {
                glance = Instant::now();
                if handed.answer.is_unwanted() {
                    break Err(Error::Interrupted);
                }
            }
            // Who takes it may wait in a way of their own: that is not done inside of a runtime.
            match next() {
                Ok(Some(part)) => {
                    if let Err(error) = handed.take(part) {
                        break Err(error);
                    }
                }
                Ok(None) => break Ok(()),
                Err(_) => {}
            }
        };
        let outcome = handed_on.map(|()| here.block_on(task));
        // It ends where it next yields.
        abort.abort();
        outcome?.unwrap_or(Err(Trouble::Panic))
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
        WITHOUT.iter().for_each(|name| context.deregister_udf(name));
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
    let plan = yielding(frame.create_physical_plan().await?)?;
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

/// The library yields where it reads files. What makes many rows of few, as a join, would keep a thread for as long as it
/// takes, and could not be stopped.
fn yielding(plan: Arc<dyn ExecutionPlan>) -> std::result::Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    let wrapped = plan.transform_up(|plan| {
        let is_join = plan.children().len() > 1;
        Ok(if is_join {
            Transformed::yes(Arc::new(CooperativeExec::new(plan)) as _)
        } else {
            Transformed::no(plan)
        })
    });
    wrapped.map(|wrapped| wrapped.data)
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
