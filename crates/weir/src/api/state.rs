//! How the agent is: for whoever watches over it.

use super::{JSON, Place, TEXT, for_anyone, say, text};
use serde_json::json;
use std::sync::Arc;
use weir_agent::{Wanted, ask_flows};
use weir_server::{Endpoint, Load, Media, Problem, Reply, Request, Who};

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
        let (_, line) = other.status()?;
        say(reply, &format!("{line}\n"))
    };
    let status = Media { name: JSON, schema: json!({"type": "object"}) };
    [
        Endpoint {
            who: Who::Trusted,
            load: Load::Light,
            ..for_anyone(
                "/api/v1/status",
                "The agent's state, as `weir status -o json` says it",
                status,
                state,
            )
        },
        for_anyone("/healthz", "Whether the process lives", text(TEXT), healthy),
        Endpoint {
            load: Load::Light,
            ..for_anyone("/readyz", "Whether the agent counts and answers", text(TEXT), ready)
        },
    ]
}
