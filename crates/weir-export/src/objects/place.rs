//! Where objects lie, and as whom.

use crate::login::secret;
use crate::trust::read;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Certificate, ClientOptions, ObjectStore, RetryConfig};
use std::fmt;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// For a connection to stand.
pub(super) const CONNECT: Duration = Duration::from_secs(5);
/// For a connection to be of use still.
const IDLE: Duration = Duration::from_secs(2);
/// Where nobody says another: what servers that are compatible with S3 want to hear.
const REGION: &str = "us-east-1";

/// Where they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// In a bucket, in names that begin so.
    Bucket(Bucket, Path),
    /// In a directory of this host.
    Directory(PathBuf),
}

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Who keeps it.
    pub provider: Provider,
    /// Its name.
    pub name: String,
    /// The URL of the server, where that is not the provider's own.
    pub endpoint: Option<String>,
    /// Authorities that are trusted beside the system's.
    pub authorities: Option<PathBuf>,
}

/// Whose protocol it is, and as whom: without a key as the environment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provider {
    /// S3, in this region.
    Amazon(Option<String>, Option<Key>),
    /// Google's, with this file of a service account.
    Google(Option<PathBuf>),
    /// Azure's, where the key's name is that of the account.
    Azure(Option<Key>),
}

/// The file is read again at each connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// What it is called.
    pub id: String,
    /// The file with its secret.
    pub secret: PathBuf,
}

impl Kept {
    /// The names of all objects begin with this.
    pub fn prefix(&self) -> Path {
        match self {
            Self::Bucket(_, prefix) => prefix.clone(),
            Self::Directory(_) => Path::default(),
        }
    }

    /// Reads the files that say who we are.
    ///
    /// # Errors
    /// They cannot be read, or what they hold is of no use.
    pub fn open(&self) -> io::Result<Arc<dyn ObjectStore>> {
        match self {
            Self::Bucket(bucket, _) => bucket.open(),
            Self::Directory(path) => {
                Ok(Arc::new(LocalFileSystem::new_with_prefix(path).map_err(io::Error::other)?))
            }
        }
    }

    /// Makes the directory, where it is one. A bucket is others' to make.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn make(&self) -> io::Result<()> {
        match self {
            Self::Directory(path) if path.is_dir() => Ok(()),
            // Who talks to whom is not for everybody.
            Self::Directory(path) => {
                DirBuilder::new().recursive(true).mode(0o750).create(path)?;
                // That it is there lasts, too.
                path.canonicalize()?.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
            }
            Self::Bucket(..) => Ok(()),
        }
    }

    /// Sees to it that an object is there after a loss of power. A server says that by its answer.
    pub fn make_last(&self, object: &Path) -> io::Result<()> {
        let Self::Directory(root) = self else { return Ok(()) };
        let path = root.join(object.as_ref());
        let mut names = path.ancestors().take_while(|path| path.starts_with(root));
        names.try_for_each(|path| File::open(path)?.sync_all())
    }

    /// Says of whom an error is.
    pub fn about(&self, error: &io::Error) -> io::Error {
        io::Error::other(format!("{self}: {error}"))
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bucket(bucket, prefix) => {
                let slash = if prefix.as_ref().is_empty() { "" } else { "/" };
                write!(out, "{}://{}{slash}{prefix}", bucket.provider.scheme(), bucket.name)
            }
            Self::Directory(path) => write!(out, "dir:{}", path.display()),
        }
    }
}

impl Provider {
    fn scheme(&self) -> &'static str {
        match self {
            Self::Amazon(..) => "s3",
            Self::Google(_) => "gs",
            Self::Azure(_) => "az",
        }
    }
}

impl Bucket {
    fn open(&self) -> io::Result<Arc<dyn ObjectStore>> {
        // What fails is tried again by who has it on disk.
        let retry = RetryConfig { max_retries: 0, ..RetryConfig::default() };
        let client = self.client()?;
        Ok(match &self.provider {
            Provider::Amazon(region, key) => {
                let mut builder = AmazonS3Builder::from_env().with_bucket_name(&self.name);
                let is_said =
                    ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().any(|name| std::env::var_os(name).is_some());
                if let Some(region) = region.as_deref().or((!is_said).then_some(REGION)) {
                    builder = builder.with_region(region);
                }
                if let Some(endpoint) = &self.endpoint {
                    builder = builder.with_endpoint(endpoint);
                }
                if let Some(key) = key {
                    builder = builder.with_access_key_id(&key.id).with_secret_access_key(key.read()?);
                }
                let built = builder.with_client_options(client).with_retry(retry).build();
                Arc::new(built.map_err(io::Error::other)?)
            }
            Provider::Google(account) => {
                let mut builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(&self.name);
                if let Some(endpoint) = &self.endpoint {
                    builder = builder.with_base_url(endpoint);
                }
                if let Some(account) = account {
                    let text = String::from_utf8(read(account)?).unwrap_or_default();
                    builder = builder.with_service_account_key(text);
                }
                let built = builder.with_client_options(client).with_retry(retry).build();
                // What its reader complains of may be a line of the key.
                Arc::new(built.map_err(|_| match account {
                    Some(path) => no(path, "service account of Google's (JSON)"),
                    None => io::Error::other("what the environment says of Google's account is of no use"),
                })?)
            }
            Provider::Azure(key) => {
                let mut builder = MicrosoftAzureBuilder::from_env().with_container_name(&self.name);
                if let Some(endpoint) = &self.endpoint {
                    builder = builder.with_endpoint(endpoint.clone());
                }
                if let Some(key) = key {
                    builder = builder.with_account(&key.id).with_access_key(key.read()?);
                }
                let built = builder.with_client_options(client).with_retry(retry).build();
                Arc::new(built.map_err(|error| {
                    io::Error::other(format!(
                        "{error}: user=ACCOUNT and password_file=PATH say whose container it is"
                    ))
                })?)
            }
        })
    }

    fn client(&self) -> io::Result<ClientOptions> {
        let mut client = ClientOptions::new()
            .with_connect_timeout(CONNECT)
            // Minutes pass between two objects: nobody sees that a connection has been closed.
            .with_pool_idle_timeout(IDLE)
            // Who asks has a limit of its own, which grows with what is sent.
            .with_timeout_disabled()
            .with_default_content_type("application/vnd.apache.parquet")
            .with_allow_http(self.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http:")));
        if let Some(path) = &self.authorities {
            let all = Certificate::from_pem_bundle(&read(path)?).unwrap_or_default();
            if all.is_empty() {
                return Err(no(path, "authority (PEM)"));
            }
            client = all.into_iter().fold(client, ClientOptions::with_root_certificate);
        }
        Ok(client)
    }
}

impl Key {
    fn read(&self) -> io::Result<String> {
        secret(&self.secret)?.ok_or_else(|| no(&self.secret, "secret"))
    }
}

fn no(path: &std::path::Path, what: &str) -> io::Error {
    io::Error::other(format!("{} holds no {what}", path.display()))
}
