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
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use weir_store::{SchemaVersion, Segment, Table};

/// A segment's path, and whose it is.
#[derive(Clone)]
struct Place(PathBuf, &'static Table);

/// What reports call a segment: its path in the store.
pub(crate) fn label(table: &Table, segment: &Segment) -> String {
    format!("{}/{}", table.name, segment.name.path().display())
}

/// A segment as a file to be read.
pub(crate) fn of_segment(table: &'static Table, segment: &Segment) -> PartitionedFile {
    PartitionedFile::new(label(table, segment), segment.bytes)
        .with_extension(Place(segment.path.clone(), table))
}

/// Opens them. What files say of themselves is read once, however many threads read a part of one.
#[derive(Debug, Default)]
pub(crate) struct Files {
    known: Arc<Mutex<HashMap<PathBuf, Arc<ParquetMetaData>>>>,
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
        let Place(path, table) =
            place.ok_or_else(|| DataFusionError::Internal(format!("{name} is no segment")))?;
        let opened = File::open(&path).map_err(|error| {
            DataFusionError::IoError(io::Error::new(
                error.kind(),
                format!("cannot open {}: {error}", path.display()),
            ))
        })?;
        Ok(Box::new(Reader { file: opened, path, table, metrics, known: Arc::clone(&self.known) }))
    }
}

/// Reads a file at once, on the thread that asks: it lies on a disk of this host.
struct Reader {
    file: File,
    path: PathBuf,
    table: &'static Table,
    metrics: ParquetFileMetrics,
    known: Arc<Mutex<HashMap<PathBuf, Arc<ParquetMetaData>>>>,
}

impl Reader {
    fn read(&self, range: &Range<u64>) -> Read<Bytes> {
        // What a damaged footer asks for may be more than any memory.
        let there = self.file.metadata().map_or(0, |about| about.len());
        if range.start > range.end || range.end > there {
            return Err(ParquetError::EOF(format!("{} ends before {}", self.path.display(), range.end)));
        }
        let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, range.start).map_err(|error| {
            ParquetError::General(format!("cannot read {}: {error}", self.path.display()))
        })?;
        self.metrics.bytes_scanned.add(length);
        Ok(bytes.into())
    }

    fn metadata(&self, options: Option<&ArrowReaderOptions>) -> Read<Arc<ParquetMetaData>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(&self.path) {
            return Ok(Arc::clone(known));
        }
        let read = ParquetMetaDataReader::new()
            .with_arrow_reader_options(options)
            .with_page_index_policy(PageIndexPolicy::Optional)
            .parse_and_finish(&self.file)?;
        let about = read.file_metadata();
        let schema = parquet_to_arrow_schema(about.schema_descr(), about.key_value_metadata())?;
        SchemaVersion::known(&schema, self.table, &self.path)
            .map_err(|error| ParquetError::External(Box::new(error)))?;
        let read = Arc::new(read);
        known.insert(self.path.clone(), Arc::clone(&read));
        Ok(read)
    }
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Read<Bytes>> {
        Box::pin(ready(self.read(&range)))
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Read<Arc<ParquetMetaData>>> {
        Box::pin(ready(self.metadata(options)))
    }
}
