//! `GET /api/v1/flows`: records, a page at a time, or all of them as a stream.

use super::page::{self, Page};
use super::question::{Flags, as_parameter};
use super::{CSV, JSON, LINES, Place, end, schemas, whole};
use crate::flows::{Asked, Before, newest_before};
use crate::history::Sources;
use crate::records::{Format, Row, json, ordered};
use serde_json::json;
use std::io::{self, Write};
use std::sync::Arc;
use weir_server::{Asks, Endpoint, Load, Media, Method, Parameter, Problem, Reply, Request, Who};

/// What can be streamed, and what is in it.
const STREAMS: [(&str, Format); 4] = [
    (LINES, Format::Json),
    (CSV, Format::Csv),
    ("application/vnd.apache.parquet", Format::Parquet),
    ("application/ipfix", Format::Ipfix),
];

struct Flows {
    place: Arc<Place>,
    flags: Flags,
}

pub fn endpoint(place: Arc<Place>) -> Endpoint {
    let flags = Flags::of_flows(&["since", "until", "fields"]);
    let own = [last(), page::parameter()];
    Endpoint {
        method: Method::Get,
        path: "/api/v1/flows",
        summary: "Flows that were kept, and those that go on",
        description: "As JSON a page, the newest first: `flows` are records of what has ended, `before` leads to the next page, \
                      `open` (on the first page) is what goes on, each as its record would be if it ended now. \
                      In the other forms all that was asked for in one stream, the oldest first, without what goes on.",
        who: Who::Trusted,
        load: Load::Query,
        parameters: flags.parameters().into_iter().chain(own).collect(),
        body: None,
        media: media(),
        asks: Box::new(Flows { place, flags }),
    }
}

fn media() -> Vec<Media> {
    let binary = |name| Media { name, schema: json!({"type": "string", "format": "binary"}) };
    let page = Media { name: JSON, schema: schemas::named("Page") };
    let streams = STREAMS.iter().map(|(name, format)| match format {
        Format::Json => Media { name, schema: schemas::named("Flow") },
        _ => binary(name),
    });
    [page].into_iter().chain(streams).collect()
}

fn last() -> Parameter {
    Parameter {
        name: "last".into(),
        doc: format!(
            "So many, the newest; on a page {} without this. In a stream all without this.",
            page::USUAL
        ),
        schema: json!({"type": "integer", "minimum": 1, "maximum": page::MOST}),
        is_repeatable: false,
    }
}

/// What of it is wanted: parameters that `weir flows` has not, or not like this.
struct Own {
    last: Option<usize>,
    before: Option<Before>,
}

impl Own {
    fn is(name: &str) -> bool {
        matches!(name, "last" | page::BEFORE)
    }

    fn read(request: &Request) -> Result<Self, Problem> {
        let value =
            |wanted: &str| request.parameters.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
        Ok(Self {
            last: value("last").map(|text| count(text)).transpose()?,
            before: value(page::BEFORE).map(|text| page::read(text)).transpose()?,
        })
    }
}

impl Asks for Flows {
    fn answer(&self, request: &Request, reply: &mut Reply) -> Result<(), Problem> {
        let own = Own::read(request)?;
        let others = request.parameters.iter().filter(|(name, _)| !Own::is(name));
        let (_, asked) = self.flags.ask(others)?;
        let stream = STREAMS.iter().find(|(name, _)| *name == reply.media());
        let Some((_, format)) = stream else { return self.page(&asked, &own, reply) };
        format.fit(&asked.fields).map_err(|words| Problem::mistake(as_parameter(&words)))?;
        self.stream(*format, &asked, &own, reply)
    }
}

impl Flows {
    fn page(&self, asked: &Asked, own: &Own, reply: &mut Reply) -> Result<(), Problem> {
        let mut sources = self.place.sources(reply)?;
        let page = Page::of(&mut sources, asked, own.last.unwrap_or(page::USUAL), own.before);
        if sources.has_stopped() {
            return Err(reply.stopped());
        }
        write_page(reply, asked, &page, (&sources, own.before.is_none())).map_err(|_| reply.stopped())
    }

    /// The newest of it, or all.
    fn stream(&self, format: Format, asked: &Asked, own: &Own, reply: &mut Reply) -> Result<(), Problem> {
        if own.last.is_none() && own.before.is_some() {
            return Err(Problem::mistake("before: a stream has no pages without last"));
        }
        let (mut sources, watch) = (self.place.sources(reply)?, reply.watch());
        let mut shows = format.shows(&asked.fields, reply).map_err(failed)?;
        let shown = match own.last {
            Some(last) => shows.show(&newest_before(&mut sources, asked, last, own.before)),
            None => ordered(&mut sources, &asked.question(), |rows| shows.show(&rows)),
        };
        shown.map_err(|_| watch.stopped())?;
        // A file whose end was written is a whole one, and what is missing in a stream nobody would notice.
        if sources.has_stopped() {
            return Err(watch.stopped());
        }
        whole(&sources)?;
        shows.end().map_err(|_| watch.stopped())
    }
}

fn failed(error: anyhow::Error) -> Problem {
    Problem::failed(format!("{error:#}"))
}

fn count(text: &str) -> Result<usize, Problem> {
    let most = page::MOST;
    let count = text.parse().ok().filter(|count| (1..=most).contains(count));
    count.ok_or_else(|| Problem::mistake(format!("last is a number from 1 to {most}; before leads to more")))
}

fn write_page(
    out: &mut Reply,
    asked: &Asked,
    page: &Page,
    (sources, is_first): (&Sources, bool),
) -> io::Result<()> {
    out.write_all(b"{\"flows\":")?;
    list(out, asked, page.rows.iter())?;
    if is_first {
        let open = |record: &weir_record::FlowRecord| Row { record: record.clone(), is_open: true };
        let mut open: Vec<_> = asked.open(sources).map(open).collect();
        open.sort_by_key(|row| std::cmp::Reverse(row.record.end));
        out.write_all(b",\"open\":")?;
        list(out, asked, open.iter())?;
    }
    write!(out, ",\"before\":{}", page::next(page))?;
    end(out, sources.is_whole(), sources.remarks())
}

fn list<'r>(out: &mut impl Write, asked: &Asked, rows: impl Iterator<Item = &'r Row>) -> io::Result<()> {
    out.write_all(b"[")?;
    for (place, row) in rows.enumerate() {
        if place > 0 {
            out.write_all(b",")?;
        }
        json::write(&mut *out, &asked.fields, &row.record)?;
    }
    out.write_all(b"]")
}
