//! The agent's own state and what the network does, for Prometheus.

use super::{Place, for_anyone, say, text};
use crate::metrics::{self, Point};
use crate::status::asked;
use std::sync::Arc;
use weir_agent::{Answer, Status};
use weir_server::{Endpoint, Load, Problem, Reply, Request};

pub fn endpoint(place: &Arc<Place>) -> Endpoint {
    let asked = Arc::clone(place);
    let metrics = move |_: &Request, reply: &mut Reply| {
        let text = metrics::open(state(&asked)?, asked.network.as_ref())
            .map_err(|error| Problem::failed(format!("{error:#}")))?;
        if reply.media() == metrics::OPEN { say(reply, &text) } else { say(reply, &metrics::classic(&text)) }
    };
    Endpoint {
        load: Load::Light,
        // The usual one is what everybody reads; Prometheus asks for the other.
        media: [metrics::CLASSIC, metrics::OPEN].map(text).into(),
        ..for_anyone(
            "/metrics",
            "The agent's own state and what the network does, for Prometheus",
            text(metrics::CLASSIC),
            metrics,
        )
    }
}

fn state(place: &Place) -> Result<Status<Point>, Problem> {
    let (socket, line) = place.status()?;
    match asked::<Point>(socket, &line) {
        Ok(Answer::Status(status)) => Ok(*status),
        Ok(_) => Err(Problem::failed("the agent answers something else")),
        Err(error) => Err(Problem::failed(format!("{error:#}"))),
    }
}
