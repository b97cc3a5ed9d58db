//! What can go wrong with a store.

use std::io;
use std::path::{Path, PathBuf};

/// What went wrong, where.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("cannot {what} {path}: {source}", path = path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A second writer.
    #[error("{path} is written by another agent{holder}: stop that one, or give this one a --data-dir of its own", path = path.display())]
    Taken {
        /// The store's directory.
        path: PathBuf,
        /// ` (process 123)`, where that is known.
        holder: String,
    },
    /// A file that is not what its name says.
    #[error("{path} is damaged: {what}", path = path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A file of a kind that this program does not know yet.
    #[error("{path} is from a later weir than this one ({what}): use that one", path = path.display())]
    Later {
        /// Which file.
        path: PathBuf,
        /// What is later of it.
        what: String,
    },
    /// Values that do not make a batch.
    #[error("cannot arrange records in columns: {0}")]
    Arrow(#[from] arrow_schema::ArrowError),
    /// Parquet could not be written, or not be read.
    #[error("cannot write or read Parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// Nothing more is taken: what there is could not be written for so long that memory is full of it.
    #[error("what waits for {path} is as much as memory may hold: see why it cannot be written", path = path.display())]
    Full {
        /// The table's directory.
        path: PathBuf,
    },
    /// What somebody else sends cannot be read.
    #[error("{0}")]
    Stream(io::Error),
    /// There is no thread to be had.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

/// Or what went wrong.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Whether the disk is full, or the user's share of it.
    pub fn is_no_space(&self) -> bool {
        let is_full = |error: &io::Error| {
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        };
        match self {
            Self::File { source, .. } => is_full(source),
            Self::Parquet(parquet::errors::ParquetError::External(inner)) => {
                inner.downcast_ref::<io::Error>().is_some_and(is_full)
            }
            _ => false,
        }
    }
}

/// Says on which file it was.
pub(crate) trait On<T> {
    fn on(self, what: &'static str, path: &Path) -> Result<T>;
}

impl<T> On<T> for io::Result<T> {
    fn on(self, what: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::File { what, path: path.to_owned(), source })
    }
}
