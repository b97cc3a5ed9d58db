//! Stores of objects, and how much goes there at once.

use super::Kind;
use super::options::{Options, is_loopback, path, uri};
use crate::objects::{Bucket, Kept, Key, Provider};
use crate::peer::Gather;
use bytesize::ByteSize;
use jiff::SignedDuration;
use object_store::path::Path;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Some hundred thousand records have room in memory when they are made an object.
const BYTES: u64 = 8 << 20;
const MOST: u64 = 64 << 20;
const EVERY: Duration = Duration::from_secs(60);
const SELDOMEST: Duration = Duration::from_secs(24 * 3600);

pub(super) fn objects(scheme: &str, base: &str, options: &mut Options) -> Result<Kind, String> {
    Ok(Kind::Objects(kept(scheme, base, options)?, gather(options)?))
}

impl FromStr for Kept {
    type Err = String;

    /// By a URL as that of an exporter, without what is only for who writes; or the path of a directory.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with(['/', '.']) {
            return Ok(Self::Directory(text.into()));
        }
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let mut options = Options::of(query);
        let scheme = base.split_once(':').map_or("", |(scheme, _)| scheme);
        let kept = kept(scheme, base, &mut options)?;
        options.none().map(|()| kept)
    }
}

fn kept(scheme: &str, base: &str, options: &mut Options) -> Result<Kept, String> {
    if scheme == "dir" {
        return Ok(Kept::Directory(path(base.trim_end_matches('/'))?));
    }
    let uri = uri(base)?;
    let provider =
        match scheme {
            "s3" => Provider::Amazon(options.take("region"), key(options)?),
            "gs" => Provider::Google(options.take("credentials_file").map(PathBuf::from)),
            "az" => Provider::Azure(key(options)?),
            _ => return Err(
                "objects are in s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or dir:PATH"
                    .into(),
            ),
        };
    if uri.port().is_some() {
        return Err(format!("{base}: a bucket, and no port: endpoint=URL says which server has it"));
    }
    let prefix = Path::from_url_path(uri.path()).map_err(|error| format!("{base}: {error}"))?;
    let endpoint = options.take("endpoint").map(|text| endpoint(&text)).transpose()?;
    let authorities = options.take("ca_file").map(PathBuf::from);
    if authorities.is_some() && endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http:")) {
        return Err("ca_file is of TLS: use an endpoint of https".into());
    }
    let name = uri.host().unwrap_or_default().to_owned();
    Ok(Kept::Bucket(Bucket { provider, name, endpoint, authorities }, prefix))
}

/// Who talks to whom does not go over a network in the clear.
fn endpoint(text: &str) -> Result<String, String> {
    let parsed = uri(text).map_err(|_| "endpoint: a URL, like https://minio.example:9000".to_owned())?;
    match parsed.scheme_str() {
        Some("http") if !is_loopback(&parsed) => {
            Err("endpoint: flows are not sent in the clear, except to this host: use https".into())
        }
        Some("http" | "https") => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err("endpoint: a URL, like https://minio.example:9000".into()),
    }
}

fn key(options: &mut Options) -> Result<Option<Key>, String> {
    match (options.take("user"), options.take("password_file")) {
        (Some(id), Some(secret)) => Ok(Some(Key { id, secret: secret.into() })),
        (None, None) => Ok(None),
        _ => Err("user and password_file: what a key is called, and a file with its secret; both or neither"
            .into()),
    }
}

fn gather(options: &mut Options) -> Result<Gather, String> {
    let size =
        options.take("size").map_or(Ok(BYTES), |text| text.parse().map(|size: ByteSize| size.as_u64()));
    let bytes =
        size.ok().filter(|size| (1..=MOST).contains(size)).ok_or("size: like 8MiB, and 64MiB at most")?;
    let every = options.take("every").map_or(Some(EVERY), |text| {
        text.parse::<SignedDuration>().ok().and_then(|every| every.try_into().ok())
    });
    let is_fine = |every: &Duration| (Duration::from_secs(1)..=SELDOMEST).contains(every);
    let every = every.filter(is_fine).ok_or("every: from 1s to 24h, like 5m")?;
    Ok(Gather { bytes, every })
}
