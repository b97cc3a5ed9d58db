//! `GET /api/v1/diff`: two periods against each other.

use super::question::{Flags, as_parameter};
use super::{JSON, Place, end, schemas};
use crate::diff::{self, Arguments};
use clap::{Args, Command};
use std::io::Write;
use std::sync::Arc;
use weir_server::{Asks, Endpoint, Load, Media, Method, Problem, Reply, Request, Who};

struct Comparing {
    place: Arc<Place>,
    flags: Flags,
}

pub fn endpoint(place: Arc<Place>) -> Endpoint {
    let command = Arguments::augment_args(Command::new("diff"));
    let flags = Flags::of(command, &["before", "after", "top"]);
    Endpoint {
        method: Method::Get,
        path: "/api/v1/diff",
        summary: "Two periods against each other: what is new, gone or changed",
        description: "`difference` is the object of `weir diff -o json`.",
        who: Who::Trusted,
        load: Load::Query,
        parameters: flags.parameters(),
        body: None,
        media: vec![Media { name: JSON, schema: schemas::named("Difference") }],
        asks: Box::new(Comparing { place, flags }),
    }
}

impl Asks for Comparing {
    fn answer(&self, request: &Request, reply: &mut Reply) -> Result<(), Problem> {
        let arguments: Arguments = self.flags.read(request.parameters.iter(), None)?;
        let periods = arguments.periods().map_err(|words| Problem::mistake(as_parameter(&words)))?;
        let mut sources = self.place.sources(reply)?;
        let found = diff::json(&mut sources, &arguments, periods);
        if sources.has_stopped() {
            return Err(reply.stopped());
        }
        let diff::Json { object, remarks } = found.map_err(|error| Problem::nothing(error.to_string()))?;
        let remarks: Vec<_> = sources.remarks().iter().chain(&remarks).cloned().collect();
        write!(reply, "{{\"difference\":")
            .and_then(|()| reply.write_all(object.trim_ascii_end()))
            .and_then(|()| end(reply, sources.is_whole(), &remarks))
            .map_err(|_| reply.stopped())
    }
}
