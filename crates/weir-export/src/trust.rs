//! Whom TLS trusts, and as whom we come: certificates and keys in files (PEM).

use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::{AlertDescription, CertificateError, ClientConfig, Error, RootCertStore};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where distributions keep the authorities that they trust.
const AUTHORITIES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// The files. They are read at each connection, so that what was renewed is taken up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Security {
    /// Authorities that are trusted instead of the system's.
    pub authorities: Option<PathBuf>,
    /// As whom we come; as nobody without.
    pub identity: Option<Identity>,
}

/// A client's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its certificate, and those between it and an authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What is in the files.
pub struct Trust {
    /// Of whoever may vouch for the far end.
    pub authorities: Vec<CertificateDer<'static>>,
    /// A client's certificates, and its key as the file has it (PEM).
    pub identity: Option<(Vec<CertificateDer<'static>>, Vec<u8>)>,
    /// What both are to TLS.
    pub config: Arc<ClientConfig>,
}

impl Security {
    /// Reads them, and sees that they can be used.
    pub fn read(&self) -> io::Result<Trust> {
        let (path, authorities) = self.authorities()?;
        let mut roots = RootCertStore::empty();
        if roots.add_parsable_certificates(authorities.iter().cloned()).0 == 0 {
            return Err(io::Error::other(format!("{} holds no authority", path.display())));
        }
        let versions =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions();
        let config = versions.map_err(io::Error::other)?.with_root_certificates(roots);
        let identity = self.identity.as_ref().map(Identity::read).transpose()?;
        let config = match (&self.identity, &identity) {
            (Some(files), Some((chain, key))) => config
                .with_client_auth_cert(chain.clone(), files.key(key)?)
                .map_err(|error| files.do_not_fit(&error))?,
            _ => config.with_no_client_auth(),
        };
        Ok(Trust { authorities, identity, config: Arc::new(config) })
    }

    /// Those of a file, else those of the system.
    fn authorities(&self) -> io::Result<(&Path, Vec<CertificateDer<'static>>)> {
        let path = self.authorities_file()?;
        Ok((path, certificates(path)?))
    }

    /// Where they are.
    pub fn authorities_file(&self) -> io::Result<&Path> {
        match &self.authorities {
            Some(file) => Ok(file),
            None => AUTHORITIES.iter().map(Path::new).find(|path| path.exists()).ok_or_else(|| {
                io::Error::other("this host trusts no authorities: name a file with ca_file=PATH")
            }),
        }
    }
}

impl Identity {
    fn read(&self) -> io::Result<(Vec<CertificateDer<'static>>, Vec<u8>)> {
        Ok((certificates(&self.certificate)?, read(&self.key)?))
    }

    fn key(&self, pem: &[u8]) -> io::Result<PrivateKeyDer<'static>> {
        // What PEM's reader complains of may be a line of the key.
        PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
            io::Error::other(format!("{} holds no private key (PEM, not encrypted)", self.key.display()))
        })
    }

    fn do_not_fit(&self, error: &Error) -> io::Error {
        let (certificate, key) = (self.certificate.display(), self.key.display());
        io::Error::other(match error {
            Error::InconsistentKeys(_) => format!("the key in {key} is not that of {certificate}"),
            error => format!("{certificate} and {key} cannot be used: {error}"),
        })
    }
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(io::Error::other(format!("{} holds no certificate (PEM)", path.display()))),
    }
}

/// What is in a file that an option names.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path).map_err(|error| io::Error::other(format!("cannot read {}: {error}", path.display())))
}

/// What goes wrong in TLS, in words.
pub fn said(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(cause) => format!("its certificate {}", distrusted(cause)),
        Error::InvalidMessage(_) => "it does not speak TLS".into(),
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "it wants a certificate from us: name one with cert_file=PATH and key_file=PATH".into()
        }
        Error::AlertReceived(alert) => format!("it ends TLS with the alert {alert:?}"),
        error => format!("TLS: {error}"),
    }
}

/// The same, where it may be about TLS.
pub fn said_at_all(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    inner.map_or_else(|| error.to_string(), said)
}

fn distrusted(cause: &CertificateError) -> String {
    match cause {
        CertificateError::ExpiredContext { not_after, .. } => format!("has expired ({})", time(*not_after)),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("is not valid yet (from {} on)", time(*not_before))
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names: Vec<_> = presented.iter().map(|name| plain(name)).collect();
            let names = if names.is_empty() { "no name at all".into() } else { names.join(", ") };
            format!("is not for {}: it is for {names}", expected.to_str())
        }
        CertificateError::UnknownIssuer => {
            "is signed by nobody who is trusted here: name its authority, or itself if it has signed itself, with ca_file=PATH"
                .into()
        }
        // The type is of a crate that is not ours to know.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "is an authority's own, as those that sign themselves often are (CA:TRUE), and not a server's".into()
        }
        other => format!("cannot be trusted: {other}"),
    }
}

/// Names are told with what kind they are of: `DnsName("h")`, `IpAddress(::1)`.
fn plain(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

fn time(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(|| "at no time".into(), |time| time.to_string())
}
