//! What goes wrong, as people should read it.

use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::parquet::errors::ParquetError;
use std::io;
use thiserror::Error;

/// What goes wrong.
#[derive(Debug, Error)]
pub enum Error {
    /// The query makes no sense.
    #[error("{0}")]
    Query(String),
    /// It would need more memory than it may have.
    #[error(
        "the query needs more memory than the {limit} MiB it may have ({what}): ask for less at once, or allow more with --memory"
    )]
    Memory {
        /// What it may have.
        limit: usize,
        /// Which part of it asked for more.
        what: String,
    },
    /// What is on disk, or a temporary file, cannot be read or written.
    #[error("{0}")]
    Read(String),
    /// Somebody does not want the answer any more.
    #[error("interrupted")]
    Interrupted,
    /// The answer could not be handed on.
    #[error("cannot write the answer: {0}")]
    Answer(#[source] io::Error),
    /// The history cannot be read.
    #[error(transparent)]
    Store(#[from] weir_store::Error),
    /// There is no thread to be had, or the like.
    #[error("cannot start the query engine: {0}")]
    Start(#[source] io::Error),
}

/// What was wanted, or what went wrong.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Of a query that may have so many bytes.
    pub(crate) fn of(error: &DataFusionError, limit: usize) -> Self {
        let root = error.find_root();
        if let DataFusionError::ParquetError(error) = root
            && let Some(later) = later(error)
        {
            return Self::Read(later.to_string());
        }
        match root {
            DataFusionError::ResourcesExhausted(what) => {
                Self::Memory { limit: limit >> 20, what: who(what).to_owned() }
            }
            DataFusionError::SQL(error, _) => {
                let said = error.to_string();
                Self::Query(said.strip_prefix("sql parser error: ").unwrap_or(&said).trim().to_owned())
            }
            other if is_of_reading(other) => Self::Read(words(&other.strip_backtrace())),
            other => Self::Query(words(&other.strip_backtrace())),
        }
    }
}

/// That a file is from a later weir, which is no damage.
fn later(error: &ParquetError) -> Option<&weir_store::Error> {
    let ParquetError::External(inner) = error else { return None };
    inner.downcast_ref().filter(|error| matches!(error, weir_store::Error::Later { .. }))
}

/// Whether it is about files, and not about what was asked.
pub(crate) fn is_of_reading(error: &DataFusionError) -> bool {
    match error.find_root() {
        // What a filter finds wrong with its values comes through the reader.
        DataFusionError::ParquetError(error) => {
            later(error).is_none() && !error.to_string().contains("filter predicate")
        }
        DataFusionError::ArrowError(error, _) => matches!(
            **error,
            ArrowError::IoError(..)
                | ArrowError::ParquetError(_)
                | ArrowError::ExternalError(_)
                | ArrowError::IpcError(_)
        ),
        DataFusionError::External(_) | DataFusionError::IoError(_) | DataFusionError::ObjectStore(_) => true,
        _ => false,
    }
}

/// Without what only DataFusion's developers can use.
fn words(said: &str) -> String {
    const PREFIXES: [&str; 10] = [
        "Error during planning: ",
        "Execution error: ",
        "Schema error: ",
        "This feature is not implemented: ",
        "Arrow error: ",
        "External error: ",
        "External: ",
        "Compute error: ",
        "Object Store error: ",
        "Generic objects error: ",
    ];
    // Each layer through which it came says this once more.
    let said = said.replace("Parquet error: ", "");
    let said = PREFIXES.iter().fold(said.trim(), |said, prefix| said.strip_prefix(prefix).unwrap_or(said));
    // What a reader of files has been told by what it asked is in its error as Rust prints it.
    if let Some(said) = between(said, "CastError(\"", "\")") {
        return said.into();
    }
    if let Some(name) = between(said, "table 'weir.history.", "' not found") {
        return format!("there is no table {name}: show tables lists them");
    }
    // All columns that there are, 150 of them: docs/fields.md has them in order.
    said.split("\nValid fields are").next().unwrap_or(said).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Which part of a query asked for more memory.
fn who(said: &str) -> &str {
    between(said, "failed for ", " with ").map_or("it all", |name| name.split('[').next().unwrap_or(name))
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    text.split_once(before)?.1.split_once(after).map(|(between, _)| between)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_helps_is_said() {
        let said = words(
            "Schema error: No field named byts. Did you mean 'flows.bytes'?.\nValid fields are a, b, c.",
        );
        assert_eq!(said, "No field named byts. Did you mean 'flows.bytes'?.");
        let said = words(
            "Parquet error: External: Compute error: Error evaluating filter predicate: ArrowError(CastError(\"Cannot cast string 'a' to value of Int64 type\"), Some(\"\"))",
        );
        assert_eq!(said, "Cannot cast string 'a' to value of Int64 type");
        assert_eq!(
            words("Error during planning: table 'weir.history.flow' not found"),
            "there is no table flow: show tables lists them"
        );
        let said = "Additional allocation failed for FinalHashAggregateStream[1] with top memory consumers (across reservations) as:\n  x";
        assert_eq!((who(said), who("no more")), ("FinalHashAggregateStream", "it all"));
    }
}
