//! Followers: a thread each, which lists all objects of a kind and then watches how they change.

use crate::access::{Access, Answers};
use crate::client::{Client, Stop};
use crate::error::Failure;
use crate::objects::{Facts, Maker, Metadata, Node, Object, PodElsewhere, PodHere, ServiceObject, Slice};
use crate::resource::Resource;
use crate::words::{Words, bounded};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;
use weir_record::{Pace, around};

/// A kubelet cannot be watched.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// How a follower waits until it tries again.
pub type Rest = Arc<dyn Fn(Duration) + Send + Sync>;

/// What a follower has to tell.
pub struct Heard {
    /// Of which kind.
    pub resource: Resource,
    /// What.
    pub news: News,
}

/// What can be told of a kind of object.
pub enum News {
    /// All of them come now.
    Listing,
    /// One is there, or has changed.
    Object(Facts),
    /// One is there no more.
    Gone(Arc<str>),
    /// Those were all.
    Listed,
    /// Changes will be told as they come.
    Following,
    /// Changes will not be told until it works again.
    Failed(Failure),
}

/// Starts them all. They end when nobody listens to them any more.
///
/// # Errors
/// There are no threads to be had.
pub fn start(access: Access, node: &str, tell: &SyncSender<Heard>, rest: &Rest) -> Result<(), Failure> {
    let resources = access.resources();
    let access = Arc::new(access);
    for &resource in resources {
        let (access, tell, rest) = (Arc::clone(&access), tell.clone(), Arc::clone(rest));
        let shared = Shared { access, node: node.to_owned(), resource, tell, rest };
        let follow = match resource {
            Resource::PodsHere => Follower::<PodHere>::run,
            Resource::PodsElsewhere => Follower::<PodElsewhere>::run,
            Resource::Services => Follower::<ServiceObject>::run,
            Resource::EndpointSlices => Follower::<Slice>::run,
            Resource::Nodes => Follower::<Node>::run,
            Resource::ReplicaSets | Resource::Jobs => Follower::<Maker>::run,
        };
        let thread = thread::Builder::new().name("kubernetes".into()).spawn(move || follow(shared));
        thread.map_err(|error| Failure::Configuration(format!("cannot start a thread: {error}")))?;
    }
    Ok(())
}

/// What does not depend on the kind of object.
struct Shared {
    access: Arc<Access>,
    node: String,
    resource: Resource,
    tell: SyncSender<Heard>,
    rest: Rest,
}

struct Follower<T> {
    shared: Shared,
    words: Words,
    pace: Pace,
    objects: PhantomData<T>,
}

/// What a line of a watch says.
#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Change<T> {
    object: T,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Bookmark {
    metadata: Metadata,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    code: u16,
}

/// Why a line is not followed.
enum Unread {
    Garbled(serde_json::Error),
    Ended(Stop),
}

impl From<serde_json::Error> for Unread {
    fn from(error: serde_json::Error) -> Self {
        Self::Garbled(error)
    }
}

impl<T: Object> Follower<T> {
    fn run(shared: Shared) {
        let mut follower =
            Self { shared, words: Words::default(), pace: Pace::default(), objects: PhantomData };
        // Where we are: nowhere at first.
        let mut version = String::new();
        loop {
            let wait = match follower.round(&mut version) {
                Ok(wait) => wait,
                Err(Stop::Closed) => return,
                Err(Stop::Gone) => {
                    version.clear();
                    follower.pace.wait()
                }
                Err(Stop::Failed(failure)) => {
                    if follower.tell(News::Failed(failure)).is_err() {
                        return;
                    }
                    follower.pace.wait()
                }
            };
            (follower.shared.rest)(wait);
        }
    }

    /// Until a watch has ended, or a kubelet has told all; then how long to wait.
    fn round(&mut self, version: &mut String) -> Result<Duration, Stop> {
        let access = Arc::clone(&self.shared.access);
        let client = Client::new(&access, self.shared.resource, &self.shared.node)?;
        if version.is_empty() {
            *version = self.list(&client)?;
        }
        if access.answers == Answers::Kubelet {
            version.clear();
            self.pace = Pace::default();
            self.tell(News::Following)?;
            return Ok(around(ASK_AGAIN));
        }
        let heard = self.watch(&client, version)?;
        Ok(if heard { Duration::ZERO } else { self.pace.wait() })
    }

    /// All objects, page by page. Where that leads to.
    fn list(&mut self, client: &Client<'_>) -> Result<String, Stop> {
        self.tell(News::Listing)?;
        let mut rest = String::new();
        loop {
            let page = client.page::<T>(&rest)?;
            for object in page.items.into_iter().flatten() {
                let facts = object.facts(&mut self.words);
                self.tell(News::Object(facts))?;
            }
            rest = page.metadata.rest;
            if rest.is_empty() {
                self.tell(News::Listed)?;
                return Ok(page.metadata.resource_version);
            }
        }
    }

    /// Changes, until the watch ends. Whether there were any.
    fn watch(&mut self, client: &Client<'_>, version: &mut String) -> Result<bool, Stop> {
        let mut lines = client.watch(version)?;
        self.tell(News::Following)?;
        let mut heard = false;
        while let Some(line) = lines.next() {
            if line.is_empty() {
                continue;
            }
            match self.change(line, version) {
                Ok(news) => news.map_or(Ok(()), |news| self.tell(news))?,
                Err(Unread::Ended(stop)) => return Err(stop),
                Err(Unread::Garbled(error)) => {
                    // There is no going on from here: who knows what was missed.
                    version.clear();
                    return Err(client.garbled(&error).into());
                }
            }
            if !std::mem::replace(&mut heard, true) {
                self.pace = Pace::default();
            }
        }
        Ok(heard)
    }

    /// What one line says, and where it leads to.
    fn change(&mut self, line: &[u8], version: &mut String) -> Result<Option<News>, Unread> {
        let Kind { kind } = serde_json::from_slice(line)?;
        if kind == "ERROR" {
            let Change { object } = serde_json::from_slice::<Change<Status>>(line)?;
            let (server, resource) = (self.shared.access.server.clone(), self.shared.resource.name());
            version.clear();
            return Err(Unread::Ended(match object.code {
                410 => Stop::Gone,
                status => Failure::Refused { server, resource, status }.into(),
            }));
        }
        if kind == "BOOKMARK" {
            let Change { object } = serde_json::from_slice::<Change<Bookmark>>(line)?;
            *version = object.metadata.resource_version;
            return Ok(None);
        }
        let Change { object } = serde_json::from_slice::<Change<T>>(line)?;
        version.clone_from(&object.metadata().resource_version);
        Ok(Some(match kind.as_str() {
            "DELETED" => News::Gone(bounded(&object.metadata().uid).into()),
            _ => News::Object(object.facts(&mut self.words)),
        }))
    }

    fn tell(&self, news: News) -> Result<(), Stop> {
        self.shared.tell.send(Heard { resource: self.shared.resource, news }).map_err(|_| Stop::Closed)
    }
}
