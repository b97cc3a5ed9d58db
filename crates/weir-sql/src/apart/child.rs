//! The process that answers.

use super::frame::{Failure, Frame, MOST, Request};
use super::limits;
use crate::engine::{Answer, Engine, Source};
use crate::report::Report;
use crate::{Error, Result};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::writer::StreamWriter;
use nix::sys::signal::{Signal, raise};
use std::io::{self, BufRead, ErrorKind, Stdout};
use std::panic;
use std::sync::Arc;
use std::thread;

/// Bytes of rows that are told at once, about: who asks has them in memory, and is an agent that shall stay small.
const PART: usize = 8 << 20;

/// Answers what is asked on standard input, on standard output, about what this opens.
///
/// # Errors
/// Nobody asked, or nobody reads.
pub fn serve(open: impl FnOnce() -> Result<Source>) -> io::Result<()> {
    // A panic is told as a failure; what the library has to say of it helps nobody.
    panic::set_hook(Box::new(|_| {}));
    limits::be_modest();
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let request: Request = serde_json::from_str(&line)?;
    thread::Builder::new().spawn(end_with_who_asks)?;
    let mut told = Told(io::stdout());
    let outcome = answer(open, &request, &mut told).map_err(Failure::from);
    Frame::End(outcome).write(&mut told.0)
}

/// Nobody waits for an answer any more.
fn end_with_who_asks() {
    let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
    let _ = raise(Signal::SIGKILL);
}

fn answer(open: impl FnOnce() -> Result<Source>, request: &Request, told: &mut Told) -> Result<Report> {
    let engine = Engine::new(open()?, request.memory)?;
    let statement = request.statement()?;
    limits::hold(request.memory).map_err(Error::Start)?;
    match engine.ask(&statement, told) {
        Err(Error::Answer(error)) if error.kind() == ErrorKind::FileTooLarge => {
            Err(Error::Memory { limit: request.memory >> 20, what: "a row of the answer".into() })
        }
        asked => asked,
    }
}

/// An answer, told to who asks.
struct Told(Stdout);

impl Told {
    fn tell(&mut self, schema: &SchemaRef, rows: Option<&RecordBatch>) -> io::Result<()> {
        let bytes = stream(schema, rows).map_err(io::Error::other)?;
        Frame::Arrow(bytes).write(&mut self.0)
    }
}

/// In Arrow's streaming format.
fn stream(schema: &SchemaRef, rows: Option<&RecordBatch>) -> std::result::Result<Vec<u8>, ArrowError> {
    let mut stream = StreamWriter::try_new(Vec::new(), schema)?;
    rows.map_or(Ok(()), |rows| stream.write(rows))?;
    stream.into_inner()
}

impl Answer for Told {
    fn begin(&mut self, schema: &SchemaRef) -> io::Result<()> {
        self.tell(schema, None)
    }

    fn rows(&mut self, rows: &RecordBatch) -> io::Result<()> {
        for part in parts(rows) {
            let part = part.map_err(io::Error::other)?;
            if part.get_array_memory_size() > MOST && part.num_rows() == 1 {
                return Err(ErrorKind::FileTooLarge.into());
            }
            self.tell(part.schema_ref(), Some(&part))?;
        }
        Ok(())
    }

    fn without(&mut self, damaged: &str) {
        // Who does not read this does not read what follows, either.
        let _ = Frame::Without(damaged.to_owned()).write(&mut self.0);
    }
}

/// The same rows, so many at a time that they are no larger than can be told.
fn parts(rows: &RecordBatch) -> impl Iterator<Item = std::result::Result<RecordBatch, ArrowError>> + '_ {
    let count = rows.num_rows();
    let parts = rows.get_array_memory_size().div_ceil(PART).clamp(1, count.max(1));
    let each = count.div_ceil(parts).max(1);
    (0..count).step_by(each).map(move |from| {
        let part = rows.slice(from, each.min(count - from));
        if parts == 1 { Ok(part) } else { compact(&part) }
    })
}

/// Without what other rows have: a view of texts is written with all that it could look at.
fn compact(rows: &RecordBatch) -> std::result::Result<RecordBatch, ArrowError> {
    let compact = |column: &ArrayRef| match column.data_type() {
        DataType::Utf8View => Arc::new(column.as_string_view().gc()) as ArrayRef,
        DataType::BinaryView => Arc::new(column.as_binary_view().gc()) as ArrayRef,
        _ => Arc::clone(column),
    };
    RecordBatch::try_new(rows.schema(), rows.columns().iter().map(compact).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::StringViewArray;
    use datafusion::arrow::compute::concat_batches;

    #[test]
    fn many_large_rows_are_told_in_parts() {
        let texts = (0..64).map(|row| Some(format!("{row}{}", "x".repeat(1 << 20))));
        let texts: ArrayRef = Arc::new(texts.collect::<StringViewArray>());
        let rows = RecordBatch::try_from_iter([("text", texts)]).expect("a batch");
        let parts = parts(&rows).collect::<std::result::Result<Vec<_>, _>>().expect("they are whole");
        assert!(parts.len() >= 8 && parts.iter().all(|part| part.get_array_memory_size() < 2 * PART));
        assert_eq!(concat_batches(&rows.schema(), &parts).expect("they are alike"), rows);
        assert_eq!(super::parts(&rows.slice(0, 0)).count(), 0);
    }
}
