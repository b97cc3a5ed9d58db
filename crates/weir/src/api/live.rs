//! `GET /api/v1/flows/live`: what ends from now on, for as long as somebody listens.

use super::question::Flags;
use super::{LINES, Place, schemas, text};
use crate::flows::{Coming, GLANCE};
use crate::records::{Column, Row, json};
use serde_json::json;
use std::io::{self, Write};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use weir_server::{Asks, Endpoint, Load, Media, Method, Problem, Reply, Request, Who};

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
        media: vec![Media { name: LINES, schema: schemas::named("Flow") }, text(EVENTS)],
        asks: Box::new(Live { place, flags }),
    }
}

impl Asks for Live {
    fn answer(&self, request: &Request, reply: &mut Reply) -> Result<(), Problem> {
        let (_, asked) = self.flags.ask(request.parameters.iter())?;
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
            if rows.is_empty() && missed == 0 {
                if heard.elapsed() >= SILENCE {
                    heard = Instant::now();
                    breathe(reply).map_err(|_| reply.stopped())?;
                }
            } else {
                heard = Instant::now();
                tell_all(reply, &asked.fields, &rows, missed).map_err(|_| reply.stopped())?;
            }
            sleep(GLANCE);
        }
        Ok(())
    }
}

/// Says that it is still there.
fn breathe(reply: &mut Reply) -> io::Result<()> {
    reply.write_all(if reply.media() == EVENTS { b":\n\n" } else { b"\n" })?;
    reply.send()
}

/// What was missed comes before what was not.
fn tell_all(reply: &mut Reply, fields: &[Column], rows: &[Row], missed: u64) -> io::Result<()> {
    if missed > 0 {
        let line = json!({"type": "missed", "records": missed}).to_string();
        tell(reply, "missed", line.as_bytes())?;
    }
    for row in rows {
        let mut line = Vec::new();
        json::write(&mut line, fields, &row.record)?;
        tell(reply, "flow", &line)?;
    }
    reply.send()
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
