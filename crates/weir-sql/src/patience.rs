//! A store that is not waited for without end: requests have no limit of their own, since large objects take their time.
//! Nothing in it is passed over.

use async_trait::async_trait;
use datafusion::object_store::path::Path;
use datafusion::object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use futures::StreamExt;
use futures::stream::{BoxStream, unfold};
use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// One of which nothing may come for so long.
#[derive(Debug)]
pub(crate) struct Patient {
    store: Arc<dyn ObjectStore>,
    patience: Duration,
}

impl Patient {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, patience: Duration) -> Self {
        Self { store, patience }
    }

    /// What is said of it when nothing comes.
    fn silence(&self) -> String {
        format!("{}: nothing comes for {} s", self.store, self.patience.as_secs_f32())
    }
}

impl fmt::Display for Patient {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(out)
    }
}

fn silent(why: String) -> Error {
    Error::Generic { store: "objects", source: Box::new(io::Error::new(ErrorKind::TimedOut, why)) }
}

/// DataFusion passes over what is empty: with an object that was never written whole records are missing.
fn some(found: ObjectMeta) -> Result<ObjectMeta> {
    if found.size == 0 && found.location.extension() == Some("parquet") {
        let source = format!("{} is empty", found.location).into();
        return Err(Error::Generic { store: "objects", source });
    }
    Ok(found)
}

/// What comes, and an error as its end where nothing comes for too long.
fn within<T: Send + 'static>(
    patience: Duration,
    silence: String,
    stream: BoxStream<'static, Result<T>>,
) -> BoxStream<'static, Result<T>> {
    unfold(Some((stream, silence)), move |going_on| async move {
        let (mut stream, silence) = going_on?;
        match timeout(patience, stream.next()).await {
            Ok(next) => next.map(|next| (next, Some((stream, silence)))),
            Err(_) => Some((Err(silent(silence)), None)),
        }
    })
    .boxed()
}

#[async_trait]
impl ObjectStore for Patient {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let got = timeout(self.patience, self.store.get_opts(location, options)).await;
        let got = got.map_err(|_| silent(self.silence()))??;
        let payload = match got.payload {
            GetResultPayload::Stream(stream) => {
                GetResultPayload::Stream(within(self.patience, self.silence(), stream))
            }
            file => file,
        };
        Ok(GetResult { payload, ..got })
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        within(self.patience, self.silence(), self.store.list(prefix))
            .map(|found| found.and_then(some))
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let listed = timeout(self.patience, self.store.list_with_delimiter(prefix)).await;
        listed.map_err(|_| silent(self.silence()))?
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(locations)
    }

    async fn put_opts(&self, location: &Path, what: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.store.put_opts(location, what, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(location, options).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::object_store::ObjectStoreExt;
    use datafusion::object_store::memory::InMemory;
    use datafusion::object_store::throttle::{ThrottleConfig, ThrottledStore};
    use futures::{TryStreamExt, stream};
    use tokio::runtime::Builder;

    const NEVER: Duration = Duration::from_secs(3600);

    fn run<T>(work: impl Future<Output = T>) -> T {
        Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
    }

    /// What is said of a store with one object, where this takes for ever.
    fn said(of: ThrottleConfig) -> Vec<String> {
        let (path, patience) = (Path::from("a"), Duration::from_millis(20));
        let inner = InMemory::new();
        run(async {
            inner.put(&path, "abc".into()).await.expect("it has room");
            let store = Patient::new(Arc::new(ThrottledStore::new(inner, of)), patience);
            let listed: Result<Vec<_>> = store.list(None).try_collect().await;
            let got = async { store.get(&path).await?.bytes().await }.await;
            let folders = store.list_with_delimiter(None).await;
            let errors = [listed.err(), got.err(), folders.err()].into_iter().flatten();
            errors.map(|error| error.to_string()).collect()
        })
    }

    #[test]
    fn nobody_waits_for_ever() {
        let none = ThrottleConfig::default();
        assert_eq!(said(none), Vec::<String>::new());
        for (of, count) in [
            (ThrottleConfig { wait_list_per_call: NEVER, ..none }, 1),
            (ThrottleConfig { wait_list_per_entry: NEVER, ..none }, 1),
            (ThrottleConfig { wait_get_per_call: NEVER, ..none }, 1),
            (ThrottleConfig { wait_get_per_byte: NEVER, ..none }, 1),
            (ThrottleConfig { wait_list_with_delimiter_per_call: NEVER, ..none }, 1),
        ] {
            let said = said(of);
            assert!(
                said.len() == count && said[0].ends_with("InMemory): nothing comes for 0.02 s"),
                "{of:?}: {said:?}"
            );
        }
    }

    #[test]
    fn what_is_empty_is_not_passed_over() {
        let listed = |name: &str| -> Result<Vec<_>> {
            run(async {
                let (store, path) = (InMemory::new(), Path::from(name));
                store.put(&path, "".into()).await.expect("it has room");
                Patient::new(Arc::new(store), NEVER).list(None).try_collect().await
            })
        };
        assert!(
            listed("flows/a.parquet")
                .is_err_and(|error| error.to_string().ends_with("flows/a.parquet is empty"))
        );
        assert_eq!(listed("flows/_SUCCESS").expect("no table").len(), 1);
    }

    /// What goes on takes its time.
    #[test]
    fn what_comes_is_waited_for() {
        let slow = stream::iter(0..15).then(|number| async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok(number)
        });
        let all: Result<Vec<i32>> =
            run(within(Duration::from_secs(1), String::new(), slow.boxed()).try_collect());
        assert_eq!(all.expect("it comes").len(), 15);
    }
}
