//! What there is to ask: for people at `/`, for programs at `/api/openapi.json`.

use super::schemas;
use serde_json::{Value, json};
use std::io::Write;
use weir_server::{About, Asks, Endpoint, Load, Media, Method, Problem, Reply, Request, Who, description};

const ABOUT: About<'_> = About {
    title: "Weir",
    description: "What a Linux host's network does, and what it did: the questions of `weir flows` and `weir sql`, over HTTP.",
    version: env!("CARGO_PKG_VERSION"),
};

/// A text that stays as it is.
struct Text(String);

impl Asks for Text {
    fn answer(&self, _: &Request, reply: &mut Reply) -> Result<(), Problem> {
        reply.write_all(self.0.as_bytes()).map_err(|_| reply.stopped())
    }
}

fn text(path: &'static str, summary: &'static str, (name, schema): (&'static str, Value)) -> Endpoint {
    Endpoint {
        method: Method::Get,
        path,
        summary,
        description: "",
        who: Who::Anyone,
        load: Load::Nothing,
        parameters: Vec::new(),
        body: None,
        media: vec![Media { name, schema }],
        asks: Box::new(Text(String::new())),
    }
}

/// Adds the two that tell of all of them.
pub fn add(endpoints: &mut Vec<Endpoint>) {
    endpoints.push(text("/", "This list", ("text/plain", json!({"type": "string"}))));
    endpoints.push(text(
        "/api/openapi.json",
        "The description of all this",
        ("application/json", json!({"type": "object"})),
    ));
    let (list, all) = (list(endpoints), format!("{:#}\n", describe(endpoints)));
    for endpoint in endpoints {
        match endpoint.path {
            "/" => endpoint.asks = Box::new(Text(list.clone())),
            "/api/openapi.json" => endpoint.asks = Box::new(Text(all.clone())),
            _ => {}
        }
    }
}

/// In OpenAPI.
pub fn describe(endpoints: &[Endpoint]) -> Value {
    description(ABOUT, endpoints, schemas::all())
}

fn list(endpoints: &[Endpoint]) -> String {
    let width = endpoints.iter().map(|one| one.path.len()).max().unwrap_or(0);
    let line = |one: &Endpoint| format!("{:4} {:width$}  {}\n", one.method.as_str(), one.path, one.summary);
    endpoints.iter().map(line).collect()
}
