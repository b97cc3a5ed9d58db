//! Where the server is, how it is recognised, and who we are.

use crate::error::Failure;
use crate::resource::Resource;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Where every pod finds its own account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Where the kubelet keeps the certificate that it has made for itself, with its CA.
pub const KUBELET_CERTIFICATE: &str = "/var/lib/kubelet/pki/kubelet.crt";
/// No certificate, key or token is larger.
const LARGEST: u64 = 1 << 20;

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// An API server: it knows everything and tells of changes.
    ApiServer,
    /// A kubelet: it knows its own pods, and has to be asked again.
    Kubelet,
}

/// A file, or what stands in one.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// Read each time it is needed: others renew it.
    File(PathBuf),
    /// As it is.
    Inline(Vec<u8>),
}

/// How we prove who we are. It is not to be printed.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// With a token.
    Token(Content),
    /// With a certificate and its key.
    Certificate(Content, Content),
}

/// All that is needed to ask.
#[derive(Clone)]
pub struct Access {
    /// `https://…`, without a slash at its end.
    pub server: String,
    /// Who that is.
    pub answers: Answers,
    /// Certificates of which one vouches for the server. Some may be missing, not all.
    pub authorities: Vec<Content>,
    /// Who we are.
    pub credentials: Credentials,
}

impl Access {
    /// What can be asked for.
    pub fn resources(&self) -> &'static [Resource] {
        match self.answers {
            Answers::ApiServer => &Resource::ALL,
            Answers::Kubelet => &[Resource::PodsHere],
        }
    }
}

impl Content {
    /// From base64.
    ///
    /// # Errors
    /// It is something else.
    pub fn of_base64(text: &str) -> Result<Self, String> {
        let compact: String = text.split_ascii_whitespace().collect();
        STANDARD
            .decode(compact)
            .map(Self::Inline)
            .map_err(|error| format!("data that is not base64: {error}"))
    }

    /// What it says now.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&self) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Inline(bytes) => Ok(bytes.clone()),
            Self::File(path) => file(path),
        }
    }
}

/// A whole file, unless it is far too large.
///
/// # Errors
/// It cannot be read.
pub fn file(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(bytes),
        Err(error) => Err(Failure::Configuration(format!("cannot read {}: {error}", path.display()))),
    }
}

/// As Kubernetes tells every pod; none outside of one.
pub fn in_cluster() -> Option<Access> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let host = variable("KUBERNETES_SERVICE_HOST")?;
    let port = variable("KUBERNETES_SERVICE_PORT").unwrap_or_else(|| "443".into());
    let account = Path::new(ACCOUNT);
    account.join("token").exists().then(|| of_account((&host, &port), account))
}

/// As the account in this folder allows, at this host and port.
pub fn of_account((host, port): (&str, &str), account: &Path) -> Access {
    Access {
        server: format!("https://{}:{port}", bracketed(host)),
        answers: Answers::ApiServer,
        authorities: vec![Content::File(account.join("ca.crt"))],
        credentials: Credentials::Token(Content::File(account.join("token"))),
    }
}

/// The kubelet of this node, as a pod with the right to read `nodes/proxy` sees it.
pub fn kubelet(node: &str, certificate: &Path) -> Access {
    let account = of_account((node, "10250"), Path::new(ACCOUNT));
    let authorities = [account.authorities, vec![Content::File(certificate.to_owned())]].concat();
    Access { answers: Answers::Kubelet, authorities, ..account }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_version_6_are_in_brackets() {
        let access = of_account(("fd00::1", "443"), Path::new("/account"));
        assert_eq!(access.server, "https://[fd00::1]:443");
        assert_eq!(kubelet("node-1", Path::new("/k.crt")).server, "https://node-1:10250");
    }
}
