//! `GET /api/v1/flows/live`: what ends from now on, for as long as somebody listens.

use super::question::Flags;
use super::{Place, schemas};
use crate::flows::{Coming, GLANCE};
use crate::records::json;
use serde_json::json;
use std::io::{self, Write};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use weir_server::{Asks, Endpoint, Load, Media, Method, Problem, Reply, Request, Who};

const LINES: &str = "application/x-ndjson";
const EVENTS: &str = "text/event-stream";
/// How often in a row the agent may fail to answer: it may be in a long drain.
const FAILURES: u32 = 5;
/// What is between two takes a silent connection for dead after a minute or so.
const SILENCE: Duration = Duration::from_secs(15);

struct Live {
    place: Arc<Place>,
    flags: Flags,
}

pub fn endpoint(place: Arc<Place>) -> Endpoint {
    let flags = Flags::of_flows(&["fields"]);
    Endpoint {
        method: Method::Get,
        path: "/api/v1/flows/live",
        summary: "Flows as they end, for as long as somebody listens",
        description: "A line, or an event, for each record. Where records ended faster than they could be told, it says how many, in an object of the type `missed`.",
        who: Who::Trusted,
        load: Load::Stream,
        parameters: flags.parameters(),
        body: None,
        media: vec![
            Media { name: LINES, schema: schemas::flow() },
            Media { name: EVENTS, schema: json!({"type": "string"}) },
        ],
        asks: Box::new(Live { place, flags }),
    }
}

impl Asks for Live {
    fn answer(&self, request: &Request, reply: &mut Reply) -> Result<(), Problem> {
        let (_, asked) = self.flags.ask(request.parameters.iter(), &["--output=json"])?;
        let mut sources = self.place.agent(reply)?;
        let Some(mut coming) = Coming::of(&asked, &mut sources) else {
            return Err(Problem::not_now("the agent has no control socket, and cannot be asked"));
        };
        let (mut heard, mut failures) = (Instant::now(), 0);
        reply.send().map_err(|_| reply.stopped())?;
        while !reply.is_unwanted() {
            let (rows, missed) = match coming.news() {
                Ok(news) => news,
                Err(error) => {
                    failures += 1;
                    if failures >= FAILURES {
                        return Err(Problem::failed(format!("{error:#}")));
                    }
                    sleep(GLANCE);
                    continue;
                }
            };
            failures = 0;
            let mut written = Ok(());
            if missed > 0 {
                let line = json!({"type": "missed", "records": missed}).to_string();
                written = tell(reply, "missed", line.as_bytes());
            }
            for row in &rows {
                let mut line = Vec::new();
                written = written
                    .and_then(|()| json::write(&mut line, &asked.fields, &row.record))
                    .and_then(|()| tell(reply, "flow", &line));
            }
            if !rows.is_empty() || missed > 0 {
                heard = Instant::now();
            } else if heard.elapsed() >= SILENCE {
                heard = Instant::now();
                written = reply.write_all(if reply.media() == EVENTS { b":\n\n" } else { b"\n" });
            }
            written.and_then(|()| reply.send()).map_err(|_| reply.stopped())?;
            sleep(GLANCE);
        }
        Ok(())
    }
}

/// One object.
fn tell(reply: &mut Reply, kind: &str, line: &[u8]) -> io::Result<()> {
    if reply.media() == EVENTS {
        write!(reply, "event: {kind}\ndata: ")?;
        reply.write_all(line)?;
        return reply.write_all(b"\n\n");
    }
    reply.write_all(line)?;
    reply.write_all(b"\n")
}
