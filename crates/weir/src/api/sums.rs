//! `GET /api/v1/flows/sums`: what flows add up to.

use super::question::Flags;
use super::{Place, end, list_of};
use crate::flows::{Asked, Cell, State, Sum, Sums, write_csv, write_json};
use crate::history::Sources;
use serde_json::json;
use std::io::Write;
use std::sync::Arc;
use weir_server::{Asks, Endpoint, Load, Media, Method, Problem, Reply, Request, Who};
use weir_store::FlowRows;

const CSV: &str = "text/csv";
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
        media: vec![
            Media { name: "application/json", schema: json!({"$ref": "#/components/schemas/Sums"}) },
            Media { name: CSV, schema: json!({"type": "string"}) },
        ],
        asks: Box::new(Summing { place, flags }),
    }
}

impl Asks for Summing {
    fn answer(&self, request: &Request, reply: &mut Reply) -> Result<(), Problem> {
        let (arguments, asked) = self.flags.ask(request.parameters.iter(), &["--output=json"])?;
        if asked.groups.is_empty() {
            return Err(Problem::mistake("sum_by is missing: sum_by=process,destination_name"));
        }
        let (sort, top) = arguments.order();
        let top = top.unwrap_or(USUAL);
        if top > MOST {
            return Err(Problem::mistake(format!("top is at most {MOST}")));
        }
        let mut sources = self.place.sources(reply)?;
        let groups = sum(&asked, &mut sources)?;
        if sources.has_stopped() {
            return Err(reply.stopped());
        }
        let (groups, order) = ((&asked.groups[..], groups), (sort, Some(top)));
        let written = if reply.media() == CSV {
            if !sources.is_whole() {
                return Err(Problem::failed(sources.remarks().join("; ")));
            }
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

fn sum(asked: &Asked, sources: &mut Sources) -> Result<Vec<(Vec<Cell>, Sum)>, Problem> {
    let mut sums = Sums::new(&asked.groups);
    let open: Vec<_> = asked.open(sources).cloned().collect();
    let open = FlowRows::default().batch(&open).map_err(|error| Problem::failed(error.to_string()))?;
    let added = sources.read(asked.question(), |batch| sums.add(batch, State::Kept));
    added.and_then(|()| sums.add(&open, State::Open)).map_err(Problem::too_much)?;
    Ok(sums.groups())
}
