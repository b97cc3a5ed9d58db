//! `GET /api/v1/flows/sums`: what flows add up to.

use super::question::Flags;
use super::{CSV, JSON, Place, end, list_of, schemas, text, whole};
use crate::flows::{sum, write_csv, write_json};
use std::io::Write;
use std::sync::Arc;
use weir_server::{Asks, Endpoint, Load, Media, Method, Problem, Reply, Request, Who};

/// Groups that are told where nobody says how many, and at most.
const USUAL: usize = 1000;
const MOST: usize = 100_000;

struct Summing {
    place: Arc<Place>,
    flags: Flags,
}

pub fn endpoint(place: Arc<Place>) -> Endpoint {
    let flags = Flags::of_flows(&["since", "until", "sum_by", "top", "sort"]);
    Endpoint {
        method: Method::Get,
        path: "/api/v1/flows/sums",
        summary: "What flows add up to, by some of their fields",
        description: "Of what was kept and what goes on. The first `top` groups (1000 without it); all others are in one line of the type `others`, so that the sums of all lines are those of all flows.",
        who: Who::Trusted,
        load: Load::Query,
        parameters: flags.parameters(),
        body: None,
        media: vec![Media { name: JSON, schema: schemas::named("Sums") }, text(CSV)],
        asks: Box::new(Summing { place, flags }),
    }
}

impl Asks for Summing {
    fn answer(&self, request: &Request, reply: &mut Reply) -> Result<(), Problem> {
        let (arguments, asked) = self.flags.ask(request.parameters.iter())?;
        if asked.groups.is_empty() {
            return Err(Problem::mistake("sum_by is missing: sum_by=process,destination_name"));
        }
        let (sort, top) = arguments.order();
        let top = top.unwrap_or(USUAL);
        if top > MOST {
            return Err(Problem::mistake(format!("top is at most {MOST}")));
        }
        let mut sources = self.place.sources(reply)?;
        let groups = sum(&asked, &mut sources).map_err(Problem::too_much)?;
        if sources.has_stopped() {
            return Err(reply.stopped());
        }
        let (groups, order) = ((&asked.groups[..], groups), (sort, Some(top)));
        let written = if reply.media() == CSV {
            whole(&sources)?;
            write_csv(groups, order, &mut *reply)
        } else {
            let mut lines = Vec::new();
            write_json(groups, order, &mut lines).and_then(|()| {
                write!(reply, "{{\"sums\":{}", list_of(&lines))?;
                end(reply, sources.is_whole(), sources.remarks())
            })
        };
        written.map_err(|_| reply.stopped())
    }
}
