//! What there is to ask: for people at `/`, for programs at `/api/openapi.json`.

use super::{JSON, TEXT, for_anyone, say, schemas, text};
use serde_json::{Value, json};
use weir_server::{About, Asks, Endpoint, Media, Problem, Reply, Request, description};

const ABOUT: About<'_> = About {
    title: "Weir",
    description: "What a Linux host's network does, and what it did: the questions of `weir flows` and `weir sql`, over HTTP.",
    version: env!("CARGO_PKG_VERSION"),
};

/// Adds the two that tell of all of them, themselves included.
pub fn add(mut endpoints: Vec<Endpoint>) -> Vec<Endpoint> {
    let own = |list: String, all: String| {
        let description = Media { name: JSON, schema: json!({"type": "object"}) };
        [
            for_anyone("/", "This list", text(TEXT), fixed(list)),
            for_anyone("/api/openapi.json", "The description of all this", description, fixed(all)),
        ]
    };
    let others = endpoints.len();
    endpoints.extend(own(String::new(), String::new()));
    let (list, all) = (list(&endpoints), format!("{:#}\n", describe(&endpoints)));
    endpoints.truncate(others);
    endpoints.extend(own(list, all));
    endpoints
}

/// A text that stays as it is.
fn fixed(text: String) -> impl Asks {
    move |_: &Request, reply: &mut Reply| -> Result<(), Problem> { say(reply, &text) }
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
