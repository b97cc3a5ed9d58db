//! `POST /api/v1/sql`: a statement, and its answer.

use super::{CSV, JSON, LINES, Place, TEXT, end, list_of, schemas, text};
use crate::history;
use crate::sql::Lines;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::sync::Arc;
use weir_server::{Asks, Body, Endpoint, Load, Media, Method, Parameter, Problem, Reply, Request, Who};
use weir_sql::arrow::array::RecordBatch;
use weir_sql::arrow::datatypes::SchemaRef;
use weir_sql::{Answer, Apart, Error, Statement};

/// Rows of an answer in JSON where nobody says how many, and at most.
const USUAL: usize = 1000;
const MOST: usize = 100_000;

struct Sql {
    place: Arc<Place>,
    memory: usize,
}

pub fn endpoint(place: Arc<Place>, memory: u64) -> Endpoint {
    let memory = usize::try_from(memory).unwrap_or(usize::MAX);
    Endpoint {
        method: Method::Post,
        path: "/api/v1/sql",
        summary: "A statement in SQL about what was kept",
        description: "One statement that reads: select, describe, show tables. As JSON at most `limit` rows, and whether there were more; \
                      in the other forms all of them as a stream, which breaks off in the middle where something fails.",
        who: Who::Trusted,
        load: Load::Query,
        parameters: vec![Parameter {
            name: "limit".into(),
            doc: format!("How many rows an answer in JSON has at most; {USUAL} without this."),
            schema: json!({"type": "integer", "minimum": 1, "maximum": MOST}),
            is_repeatable: false,
        }],
        body: Some(Body {
            media: TEXT,
            schema: json!({"type": "string", "examples": ["select count(*) from flows"]}),
        }),
        media: vec![
            Media { name: JSON, schema: schemas::named("Rows") },
            Media { name: LINES, schema: json!({"type": "object"}) },
            text(CSV),
        ],
        asks: Box::new(Sql { place, memory }),
    }
}

impl Asks for Sql {
    fn answer(&self, request: &Request, reply: &mut Reply) -> Result<(), Problem> {
        let limit = limit(request)?;
        let text = std::str::from_utf8(&request.body)
            .map_err(|_| Problem::mistake("the body is the statement, as UTF-8 text"))?;
        let statements = Statement::all(text).map_err(problem)?;
        let [statement] = &statements[..] else {
            return Err(Problem::mistake("the body is one statement: select count(*) from flows"));
        };
        let Some(directory) = &self.place.data_dir else {
            return Err(Problem::not_now("this agent keeps no history: start it with --data-dir DIR"));
        };
        history::open(directory).map_err(|error| Problem::not_now(format!("{error:#}")))?;
        let engine = Apart::new(directory, self.memory);
        match reply.media() {
            LINES => stream(&engine, statement, reply, Lines::json),
            CSV => stream(&engine, statement, reply, Lines::csv),
            _ => page(&engine, statement, reply, limit),
        }
    }
}

fn limit(request: &Request) -> Result<usize, Problem> {
    let mut limit = USUAL;
    for (name, value) in &request.parameters {
        let number = value.parse().ok().filter(|number| (1..=MOST).contains(number));
        limit = match (name.as_str(), number) {
            ("limit", Some(number)) => number,
            ("limit", None) => {
                return Err(Problem::mistake(format!("limit is a number from 1 to {MOST}")));
            }
            _ => return Err(Problem::mistake(format!("there is no parameter {name}"))),
        };
    }
    Ok(limit)
}

fn problem(error: Error) -> Problem {
    match error {
        Error::Query(_) => Problem::mistake(error.to_string()),
        Error::Memory { .. } => {
            Problem::too_much(error.to_string().replace("--memory", "--query-memory of the agent"))
        }
        _ => Problem::failed(error.to_string()),
    }
}

/// All rows, as they come.
fn stream<'r>(
    engine: &Apart,
    statement: &Statement,
    reply: &'r mut Reply,
    form: fn(&'r mut Reply) -> Lines<&'r mut Reply>,
) -> Result<(), Problem> {
    let watch = reply.watch();
    let mut lines = form(reply);
    let report = match engine.ask(statement, &mut lines, || watch.is_unwanted()) {
        Ok(report) => report,
        Err(Error::Interrupted | Error::Answer(_)) => return Err(watch.stopped()),
        Err(error) => return Err(problem(error)),
    };
    lines.end().map_err(|_| watch.stopped())?;
    // What is missing at the end of a stream nobody would notice.
    if report.damaged.is_empty() { Ok(()) } else { Err(Problem::failed(without(&report.damaged).join("; "))) }
}

fn without(damaged: &[String]) -> Vec<String> {
    damaged.iter().map(|damaged| format!("{damaged}: the answer is without it")).collect()
}

/// Some rows, in memory: so many bytes at most.
const FULL: usize = 64 << 20;

struct Few {
    columns: Vec<Value>,
    lines: Lines<Vec<u8>>,
    left: usize,
    has_more: bool,
    is_full: bool,
    left_out: Vec<String>,
}

impl Answer for Few {
    fn begin(&mut self, schema: &SchemaRef) -> io::Result<()> {
        let column = |field: &Arc<weir_sql::arrow::datatypes::Field>| json!({"name": field.name(), "type": field.data_type().to_string()});
        self.columns = schema.fields().iter().map(column).collect();
        Ok(())
    }

    fn rows(&mut self, rows: &RecordBatch) -> io::Result<()> {
        let taken = rows.num_rows().min(self.left);
        self.left -= taken;
        self.lines.rows(&rows.slice(0, taken))?;
        self.has_more = taken < rows.num_rows();
        self.is_full = matches!(&self.lines, Lines::Json(lines) if lines.len() > FULL);
        if self.has_more || self.is_full {
            return Err(io::Error::other("enough"));
        }
        Ok(())
    }

    fn without(&mut self, damaged: &str) {
        self.left_out.push(damaged.into());
    }
}

fn page(engine: &Apart, statement: &Statement, reply: &mut Reply, limit: usize) -> Result<(), Problem> {
    let mut rows = Few {
        columns: Vec::new(),
        lines: Lines::json(Vec::new()),
        left: limit,
        has_more: false,
        is_full: false,
        left_out: Vec::new(),
    };
    let watch = reply.watch();
    let damaged = match engine.ask(statement, &mut rows, || watch.is_unwanted()) {
        Ok(report) => report.damaged,
        Err(Error::Answer(_)) if rows.is_full => {
            return Err(Problem::too_much(
                "an answer in JSON has at most 64 MiB: ask for fewer rows, or as a stream",
            ));
        }
        Err(Error::Answer(_)) if rows.has_more => rows.left_out,
        Err(Error::Interrupted | Error::Answer(_)) => return Err(reply.stopped()),
        Err(error) => return Err(problem(error)),
    };
    let Few { columns, lines, has_more, .. } = rows;
    let columns = Value::from(columns);
    let lines = match &lines {
        Lines::Json(lines) => list_of(lines),
        Lines::Csv(..) => list_of(&[]),
    };
    write!(reply, "{{\"columns\":{columns},\"rows\":{lines},\"has_more\":{has_more}")
        .and_then(|()| end(reply, damaged.is_empty(), &without(&damaged)))
        .map_err(|_| reply.stopped())
}
