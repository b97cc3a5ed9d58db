//! How the agent is: for whoever watches over it.

use super::Place;
use serde_json::json;
use std::io::Write;
use std::sync::Arc;
use weir_agent::{Request as Question, Wanted, ask, ask_flows};
use weir_server::{Asks, Endpoint, Load, Media, Method, Problem, Reply, Request, Who};

const TEXT: &str = "text/plain";

fn get(path: &'static str, summary: &'static str, media: Media, asks: impl Asks + 'static) -> Endpoint {
    Endpoint {
        method: Method::Get,
        path,
        summary,
        description: "",
        who: Who::Anyone,
        load: Load::Light,
        parameters: Vec::new(),
        body: None,
        media: vec![media],
        asks: Box::new(asks),
    }
}

fn text() -> Media {
    Media { name: TEXT, schema: json!({"type": "string"}) }
}

pub fn endpoints(place: &Arc<Place>) -> [Endpoint; 3] {
    let healthy = |_: &Request, reply: &mut Reply| say(reply, "ok\n");
    let (asked, other) = (Arc::clone(place), Arc::clone(place));
    let ready = move |_: &Request, reply: &mut Reply| {
        if let Some(socket) = &asked.socket {
            let nothing = Wanted { since: None, most: 0 };
            ask_flows(socket, nothing).map_err(|error| Problem::not_now(error.to_string()))?;
        }
        say(reply, "ready\n")
    };
    let state = move |_: &Request, reply: &mut Reply| {
        let Some(socket) = &other.socket else {
            return Err(Problem::not_now("the agent has no control socket, and cannot be asked"));
        };
        let line = ask(socket, Question::Status).map_err(|error| Problem::not_now(error.to_string()))?;
        say(reply, &format!("{line}\n"))
    };
    let status = Media { name: "application/json", schema: json!({"type": "object"}) };
    [
        Endpoint {
            who: Who::Trusted,
            ..get("/api/v1/status", "The agent's state, as `weir status -o json` says it", status, state)
        },
        Endpoint { load: Load::Nothing, ..get("/healthz", "Whether the process lives", text(), healthy) },
        get("/readyz", "Whether the agent counts and answers", text(), ready),
    ]
}

fn say(reply: &mut Reply, words: &str) -> Result<(), Problem> {
    reply.write_all(words.as_bytes()).map_err(|_| reply.stopped())
}
