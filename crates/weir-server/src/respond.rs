//! From a request to its response.

use crate::reply::{Head, Pieces, Reply};
use crate::{Access, Endpoint, Load, Method, Problem, Request, Who, media};
use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Response, Version};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// Questions that are answered at once: a query may take its memory each time.
const QUERIES: usize = 2;
/// Those that wait for that.
const WAITING: usize = 32;
const STREAMS: usize = 16;
/// Bytes of a body.
const LONGEST: usize = 64 * 1024;
/// To send it.
const TIME_TO_ASK: Duration = Duration::from_secs(5);
/// What takes next to nothing may wait for an agent that is in a long drain.
const TIME_FOR_LITTLE: Duration = Duration::from_secs(20);
/// How much longer it is waited for an answer that shall end now.
const GRACE: Duration = Duration::from_millis(500);
/// Which says how long the answer may take.
pub(crate) const TIMEOUT: &str = "timeout";

pub(crate) type Answered = Response<Either<Pieces, Full<Bytes>>>;

/// What is served, and how much of it at once.
pub(crate) struct Room {
    endpoints: Vec<Endpoint>,
    access: Access,
    /// The longest that a query may take.
    patience: Duration,
    queries: Arc<Semaphore>,
    waiting: Semaphore,
    streams: Arc<Semaphore>,
    little: Arc<Semaphore>,
}

impl Room {
    pub(crate) fn new(endpoints: Vec<Endpoint>, access: Access, patience: Duration) -> Self {
        Self {
            endpoints,
            access,
            patience,
            queries: Arc::new(Semaphore::new(QUERIES)),
            waiting: Semaphore::new(WAITING),
            streams: Arc::new(Semaphore::new(STREAMS)),
            little: Arc::new(Semaphore::new(WAITING)),
        }
    }

    /// Answers.
    pub(crate) async fn respond(
        self: Arc<Self>,
        request: hyper::Request<Incoming>,
        ends: (SocketAddr, SocketAddr),
    ) -> Answered {
        let outcome = self.answer(request, ends).await;
        let mut response = outcome.unwrap_or_else(|problem| problem.response().map(Either::Right));
        let headers =
            [(CACHE_CONTROL, "no-store"), (HeaderName::from_static("x-content-type-options"), "nosniff")];
        for (name, value) in headers {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }

    async fn answer(
        self: Arc<Self>,
        request: hyper::Request<Incoming>,
        ends: (SocketAddr, SocketAddr),
    ) -> Result<Answered, Problem> {
        let (head, body) = request.into_parts();
        let place = self.find(&head.method, head.uri.path())?;
        let Endpoint { who, load, media: ref offered, .. } = self.endpoints[place];
        if who == Who::Trusted {
            self.access.admit(&head.headers, ends)?;
        }
        if head.version < Version::HTTP_11 && load != Load::Nothing {
            return Err(Problem::old_version());
        }
        let names: Vec<_> = offered.iter().map(|media| media.name).collect();
        let accept = joined(&head.headers, ACCEPT);
        let media = media::choose(&accept, &names).and_then(|place| names.get(place).copied());
        let media = media.ok_or_else(|| Problem::not_in_that_form(&names.join(", ")))?;
        let mut request = Request { parameters: parameters(head.uri.query()), body: read(body).await? };
        let patience = self.patience(load, &mut request)?;
        let deadline = patience.map(|patience| Instant::now() + patience);
        let permit = self.admit(load, patience).await?;
        let (reply, headed, pieces) = Reply::new(media, deadline);
        let room = Arc::clone(&self);
        spawn_blocking(move || {
            let mut reply = reply;
            let outcome = room.endpoints[place].asks.answer(&request, &mut reply);
            reply.end(outcome);
            drop(permit);
        });
        let headed = match deadline {
            Some(end) => {
                let left = end.saturating_duration_since(Instant::now()) + GRACE;
                timeout(left, headed).await.map_err(|_| Problem::late("no answer in time"))?
            }
            None => headed.await,
        };
        let head: Head = headed.map_err(|_| Problem::failed("the answer has failed: this is a bug"))?;
        head?;
        let mut response = Response::new(Either::Left(pieces));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
        Ok(response)
    }

    /// Which endpoint is meant.
    fn find(&self, method: &hyper::Method, path: &str) -> Result<usize, Problem> {
        let at = |one: &&Endpoint| one.path == path;
        let mut there = self.endpoints.iter().filter(at).peekable();
        if there.peek().is_none() {
            return Err(Problem::nothing(format!(
                "there is nothing at {path}: /api/openapi.json says what there is"
            )));
        }
        // The head of an answer is made like all of it: only where that is cheap.
        let is_meant = |one: &Endpoint| match *method {
            hyper::Method::HEAD => {
                one.method == Method::Get && matches!(one.load, Load::Nothing | Load::Light)
            }
            ref method => one.method.as_str() == method.as_str(),
        };
        let place = self.endpoints.iter().position(|one| at(&one) && is_meant(one));
        let allowed = || there.map(|one| one.method.as_str()).collect::<Vec<_>>().join(", ");
        place.ok_or_else(|| Problem::other_method(&allowed()))
    }

    /// How long it may take. A query may ask for less than the most, and is asked about nothing else here.
    fn patience(&self, load: Load, request: &mut Request) -> Result<Option<Duration>, Problem> {
        match load {
            Load::Stream => return Ok(None),
            Load::Nothing | Load::Light => return Ok(Some(TIME_FOR_LITTLE)),
            Load::Query => {}
        }
        let Some(place) = request.parameters.iter().position(|(name, _)| name == TIMEOUT) else {
            return Ok(Some(self.patience));
        };
        let (_, value) = request.parameters.remove(place);
        let most = self.patience.as_secs();
        match value.parse::<u64>() {
            Ok(seconds) if (1..=most).contains(&seconds) => Ok(Some(Duration::from_secs(seconds))),
            _ => Err(Problem::mistake(format!("timeout is a number of seconds, from 1 to {most}"))),
        }
    }

    /// Waits until there is room for one more, as long as there is room to wait.
    async fn admit(
        &self,
        load: Load,
        patience: Option<Duration>,
    ) -> Result<Option<OwnedSemaphorePermit>, Problem> {
        let room = match load {
            Load::Nothing => return Ok(None),
            Load::Light => &self.little,
            Load::Query => &self.queries,
            Load::Stream => &self.streams,
        };
        let crowded = |_| Problem::crowded();
        if let Ok(permit) = Arc::clone(room).try_acquire_owned() {
            return Ok(Some(permit));
        }
        if load == Load::Stream {
            return Err(Problem::crowded());
        }
        let _waiting = self.waiting.try_acquire().map_err(crowded)?;
        let permit = timeout(patience.unwrap_or(TIME_FOR_LITTLE), Arc::clone(room).acquire_owned());
        permit.await.map_err(|_| Problem::crowded())?.map(Some).map_err(|_| Problem::crowded())
    }
}

fn parameters(query: Option<&str>) -> Vec<(String, String)> {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect()
}

/// A header that may come in several lines.
fn joined(headers: &HeaderMap, name: HeaderName) -> String {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lines.collect::<Vec<_>>().join(",")
}

async fn read(body: Incoming) -> Result<Bytes, Problem> {
    match timeout(TIME_TO_ASK, Limited::new(body, LONGEST).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(Problem::too_much(format!("a question has at most {LONGEST} bytes")))
        }
        Ok(Err(error)) => Err(Problem::mistake(format!("the question could not be read: {error}"))),
        Err(_) => Err(Problem::late("the question did not come in time")),
    }
}
