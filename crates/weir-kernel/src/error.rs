//! What can go wrong between user space and the kernel, as the user reads it.

use std::io;

/// Result of a call into the kernel.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A refusal by the kernel, or an object that is not what we built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// libbpf or the kernel refused `what`.
    #[error("{what}: {source}")]
    Kernel {
        /// What was asked for, with the name of the object it was asked of.
        what: String,
        /// The reason given.
        source: io::Error,
    },
    /// The BPF object lacks something that it was built with.
    #[error("the embedded BPF object has no {0}: this build is broken")]
    Missing(String),
    /// The system does not answer as documented.
    #[error("{0}")]
    Unexpected(String),
}

impl Error {
    /// A refusal of `what` for the reason in `source`.
    pub fn kernel(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Kernel { what: what.into(), source: source.into() }
    }

    /// A refusal of `what` for the reason in `errno`.
    pub fn last_os_error(what: impl Into<String>) -> Self {
        Self::kernel(what, io::Error::last_os_error())
    }

    /// The error number, where the kernel gave one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Kernel { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

/// libbpf-rs keeps the error number inside; its kind and its words are what comes out.
pub(crate) fn from_libbpf(what: impl Into<String>, error: &libbpf_rs::Error) -> Error {
    let kind = match error.kind() {
        libbpf_rs::ErrorKind::PermissionDenied => io::ErrorKind::PermissionDenied,
        libbpf_rs::ErrorKind::NotFound => io::ErrorKind::NotFound,
        libbpf_rs::ErrorKind::AlreadyExists => io::ErrorKind::AlreadyExists,
        libbpf_rs::ErrorKind::InvalidInput => io::ErrorKind::InvalidInput,
        _ => io::ErrorKind::Other,
    };
    Error::kernel(what, io::Error::new(kind, format!("{error:#}")))
}
