//! Segments as files that DataFusion reads, by their real paths: it has names of its own for objects in stores, in which
//! a directory cannot have every name.

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{ParquetFileMetrics, ParquetFileReaderFactory};
use datafusion::error::{DataFusionError, Result};
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::arrow::parquet_to_arrow_schema;
use datafusion::parquet::errors::{ParquetError, Result as Read};
use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::future::{BoxFuture, ready};
use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use weir_store::{Known, Segment, SegmentFile, Table};

/// A segment, and whose it is.
#[derive(Clone)]
struct Place(Segment, &'static Table);

/// What reports call a segment: its path in the store.
pub(crate) fn label(table: &Table, segment: &Segment) -> String {
    format!("{}/{}", table.name, segment.name.path().display())
}

/// A segment as a file to be read.
pub(crate) fn of_segment(table: &'static Table, segment: &Segment) -> PartitionedFile {
    PartitionedFile::new(label(table, segment), segment.bytes).with_extension(Place(segment.clone(), table))
}

/// Opens them. What files say of themselves is read once, and what is read of them compared once with its checksums,
/// however many threads read a part of one.
#[derive(Debug, Default)]
pub(crate) struct Files {
    known: Arc<Mutex<HashMap<PathBuf, File>>>,
}

/// What is known of a file that was opened.
#[derive(Debug)]
struct File {
    metadata: Arc<ParquetMetaData>,
    compared: Known,
}

impl ParquetFileReaderFactory for Files {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        _: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let name = file.object_meta.location.as_ref();
        let metrics = ParquetFileMetrics::new(partition, name, metrics);
        let place = file.extension::<Place>().cloned();
        let Place(segment, table) =
            place.ok_or_else(|| DataFusionError::Internal(format!("{name} is no segment")))?;
        Ok(Box::new(Reader { segment, table, opened: None, metrics, known: Arc::clone(&self.known) }))
    }
}

/// Reads a file at once, on the thread that asks: it lies on a disk of this host.
struct Reader {
    segment: Segment,
    table: &'static Table,
    opened: Option<SegmentFile>,
    metrics: ParquetFileMetrics,
    known: Arc<Mutex<HashMap<PathBuf, File>>>,
}

impl Reader {
    fn opened(&mut self) -> weir_store::Result<&SegmentFile> {
        let file = match self.opened.take() {
            Some(file) => file,
            None => {
                let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                self.segment.file(known.get(&self.segment.path).map(|file| &file.compared))?
            }
        };
        Ok(self.opened.insert(file))
    }

    fn read(&mut self, range: Range<u64>) -> Read<Bytes> {
        let bytes = self.opened().and_then(|file| file.read(range)).map_err(told)?;
        self.metrics.bytes_scanned.add(bytes.len());
        Ok(bytes)
    }

    fn metadata(&mut self, options: Option<&ArrowReaderOptions>) -> Read<Arc<ParquetMetaData>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = known.get(&self.segment.path) {
            return Ok(Arc::clone(&file.metadata));
        }
        let file = self.segment.file(None).map_err(told)?;
        let metadata = ParquetMetaDataReader::new()
            .with_arrow_reader_options(options)
            .with_page_index_policy(PageIndexPolicy::Optional)
            .parse_and_finish(&file)?;
        let about = metadata.file_metadata();
        let schema = parquet_to_arrow_schema(about.schema_descr(), about.key_value_metadata())?;
        file.version(&schema, self.table).map_err(told)?;
        let metadata = Arc::new(metadata);
        let now = File { metadata: Arc::clone(&metadata), compared: file.known() };
        known.insert(self.segment.path.clone(), now);
        self.opened = Some(file);
        Ok(metadata)
    }
}

fn told(error: weir_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Read<Bytes>> {
        Box::pin(ready(self.read(range)))
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Read<Arc<ParquetMetaData>>> {
        Box::pin(ready(self.metadata(options)))
    }
}
