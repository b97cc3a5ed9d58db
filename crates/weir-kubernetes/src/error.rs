//! What goes wrong between us and the server, in one line each: what, where, what to do.

use crate::words::bounded;

/// Why something cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// What we need in order to ask cannot be read.
    #[error("{0}")]
    Configuration(String),
    /// Nobody answers.
    #[error("cannot reach {server}: {cause}")]
    Unreachable {
        /// Who was asked.
        server: String,
        /// What went wrong.
        cause: String,
    },
    /// The server is not who it should be.
    #[error(
        "{server} shows a certificate that our CA does not vouch for: {cause}. Give the CA of that cluster"
    )]
    Certificate {
        /// Who was asked.
        server: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The server does not know us.
    #[error("{server} does not accept our credentials (401): renew the token or the certificate")]
    Unauthorized {
        /// Who was asked.
        server: String,
    },
    /// We may not.
    #[error("not allowed to list and watch {resource} (403): grant it, as docs/kubernetes.md shows")]
    Forbidden {
        /// What was asked for.
        resource: &'static str,
    },
    /// Any other refusal.
    #[error("{server} does not tell {resource}: it answers {status}")]
    Refused {
        /// Who was asked.
        server: String,
        /// What was asked for.
        resource: &'static str,
        /// The answer.
        status: u16,
    },
    /// The answer makes no sense.
    #[error("what {server} tells of {resource} cannot be read: {cause}")]
    Garbled {
        /// Who was asked.
        server: String,
        /// What was asked for.
        resource: &'static str,
        /// Where it stops to make sense.
        cause: String,
    },
}

impl Failure {
    /// The request did not come to an answer.
    pub(crate) fn of_request(server: &str, error: &ureq::Error) -> Self {
        let server = server.to_owned();
        match certificate(error) {
            Some(cause) => Self::Certificate { server, cause: bounded(&cause) },
            None => Self::Unreachable { server, cause: bounded(&plain(error)) },
        }
    }
}

/// TLS tells of a certificate by itself or from within an error of the connection.
fn certificate(error: &ureq::Error) -> Option<String> {
    let tls = match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref::<rustls::Error>(),
        _ => None,
    };
    match tls? {
        rustls::Error::InvalidCertificate(cause) => Some(format!("{cause:?}")),
        _ => None,
    }
}

/// Without the library's word for where it comes from.
fn plain(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => error.to_string(),
        error => error.to_string(),
    }
}
