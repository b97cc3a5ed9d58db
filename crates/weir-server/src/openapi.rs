//! The endpoints in OpenAPI 3.1.

use crate::respond::TIMEOUT;
use crate::{Endpoint, Load, Method, Parameter, Who};
use serde_json::{Map, Value, json};

/// What a description is of.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The API's name.
    pub title: &'a str,
    /// What it is for.
    pub description: &'a str,
    /// The program's version.
    pub version: &'a str,
}

/// The description. `schemas` are those that endpoints refer to as `#/components/schemas/NAME`.
pub fn description(about: About<'_>, endpoints: &[Endpoint], schemas: Value) -> Value {
    let mut paths = Map::new();
    for endpoint in endpoints {
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        path[endpoint.method.as_str().to_lowercase()] = operation(endpoint);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": about.title,
            "description": about.description,
            "version": about.version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": with_problem(schemas),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The content of --api-token-file. On the agent's own host root and the agent's user need none.",
                },
            },
        },
    })
}

fn operation(endpoint: &Endpoint) -> Value {
    let media = |media: &crate::Media| (media.name.to_owned(), json!({"schema": media.schema}));
    let mut operation = json!({
        "operationId": name_of(endpoint),
        "summary": endpoint.summary,
        "responses": {
            "200": {
                "description": "The answer.",
                "content": endpoint.media.iter().map(media).collect::<Map<_, _>>(),
            },
            "default": {
                "description": "Why there is none (RFC 9457).",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            },
        },
        "security": match endpoint.who {
            Who::Anyone => json!([]),
            Who::Trusted => json!([{}, {"token": []}]),
        },
    });
    if !endpoint.description.is_empty() {
        operation["description"] = endpoint.description.into();
    }
    let parameters: Vec<_> = endpoint.parameters.iter().map(parameter).chain(patience(endpoint)).collect();
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(body) = &endpoint.body {
        operation["requestBody"] =
            json!({"required": true, "content": {body.media: {"schema": body.schema}}});
    }
    operation
}

/// What all queries understand.
fn patience(endpoint: &Endpoint) -> Option<Value> {
    (endpoint.load == Load::Query).then(|| {
        json!({
            "name": TIMEOUT,
            "in": "query",
            "description": "How many seconds the answer may take, at most as many as --query-timeout of the agent.",
            "schema": {"type": "integer", "minimum": 1},
        })
    })
}

fn parameter(parameter: &Parameter) -> Value {
    let schema = match parameter.is_repeatable {
        true => json!({"type": "array", "items": parameter.schema}),
        false => parameter.schema.clone(),
    };
    json!({"name": parameter.name, "in": "query", "description": parameter.doc, "schema": schema})
}

/// `GET /api/v1/flows/sums` is `getFlowsSums`.
fn name_of(endpoint: &Endpoint) -> String {
    let words = endpoint.path.split(['/', '.']).filter(|word| !matches!(*word, "" | "api" | "v1"));
    let method = match endpoint.method {
        Method::Get => "get",
        Method::Post => "post",
    };
    words.fold(method.to_owned(), |name, word| {
        let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        name + &first.to_uppercase() + rest
    })
}

fn with_problem(mut schemas: Value) -> Value {
    schemas["Problem"] = json!({
        "type": "object",
        "required": ["title", "status", "detail"],
        "properties": {
            "title": {"type": "string", "description": "The status in words."},
            "status": {"type": "integer", "description": "The HTTP status."},
            "detail": {"type": "string", "description": "What is wrong, and what to do."},
        },
    });
    schemas
}
