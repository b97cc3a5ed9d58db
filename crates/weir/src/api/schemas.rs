//! What answers look like, as JSON Schema, from the vocabulary.

use serde_json::{Map, Value, json};
use weir_record::{FIELDS, Field, Kind, Unit};

/// One of [`all`].
pub fn named(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// Those that endpoints refer to.
pub fn all() -> Value {
    let list = |item: Value| json!({"type": "array", "items": item});
    let remarks = list(json!({"type": "string"}));
    let whole = json!({"type": "boolean", "description": "Whether all that was asked for could be read; `remarks` say what not."});
    json!({
        "Flow": of_flow(),
        "Page": {
            "type": "object",
            "required": ["flows", "before", "is_whole", "remarks"],
            "properties": {
                "flows": list(named("Flow")),
                "open": list(named("Flow")),
                "before": {"type": ["string", "null"], "description": "For the next page; null where there is none."},
                "is_whole": whole,
                "remarks": remarks,
            },
        },
        "Sums": {
            "type": "object",
            "required": ["sums", "is_whole", "remarks"],
            "properties": {
                "sums": list(of_sum()),
                "is_whole": whole,
                "remarks": remarks,
            },
        },
        "Difference": {
            "type": "object",
            "required": ["difference", "is_whole", "remarks"],
            "properties": {
                "difference": {
                    "type": "object",
                    "required": ["type", "before", "after", "new", "vanished", "changed"],
                    "properties": {"type": {"const": "diff"}},
                },
                "is_whole": whole,
                "remarks": remarks,
            },
        },
        "Rows": {
            "type": "object",
            "required": ["columns", "rows", "has_more", "is_whole", "remarks"],
            "properties": {
                "columns": list(json!({
                    "type": "object",
                    "properties": {"name": {"type": "string"}, "type": {"type": "string"}},
                })),
                "rows": list(json!({"type": "object"})),
                "has_more": {"type": "boolean", "description": "Whether there were more than `limit`."},
                "is_whole": whole,
                "remarks": remarks,
            },
        },
    })
}

fn of_flow() -> Value {
    let property = |field: &Field| (field.name.to_owned(), of_field(field));
    let mut properties: Map<_, _> = FIELDS.iter().map(property).collect();
    properties.insert("type".into(), json!({"const": "flow"}));
    json!({
        "type": "object",
        "description": "A record; with `fields` only those that were chosen. docs/fields.md says more.",
        "required": ["type"],
        "properties": properties,
    })
}

fn of_field(field: &Field) -> Value {
    let (kind, more) = match field.kind {
        Kind::Time => ("string", json!({"format": "date-time"})),
        Kind::Text | Kind::Address => ("string", json!({})),
        Kind::Number => ("integer", json!({"minimum": 0})),
        Kind::Flag => ("boolean", json!({})),
        Kind::Bits => ("array", json!({"items": {"type": "integer"}})),
        Kind::Observations => ("array", json!({"items": {"type": "object"}})),
    };
    let mut schema = more;
    schema["type"] = if field.nullable { json!([kind, "null"]) } else { json!(kind) };
    let unit = match field.unit {
        Unit::None => String::new(),
        _ if field.kind == Kind::Time => String::new(),
        unit => format!(" In {}.", unit.as_str()),
    };
    schema["description"] = format!("{}{unit}", field.doc).into();
    schema
}

fn of_sum() -> Value {
    let number = |doc: &str| json!({"type": "integer", "minimum": 0, "description": doc});
    let time = |doc: &str| json!({"type": "string", "format": "date-time", "description": doc});
    json!({
        "type": "object",
        "description": "A group, with the fields that were summed by; or all others.",
        "properties": {
            "type": {"enum": ["sum", "others"]},
            "groups": number("How many groups the line stands for."),
            "conversations": number("Conversations that have ended or go on."),
            "records": number("Records."),
            "packets": number("Packets from the source."),
            "bytes": number("Bytes from the source."),
            "reverse_packets": number("Packets back."),
            "reverse_bytes": number("Bytes back."),
            "first": time("The first packet."),
            "last": time("The last packet."),
        },
    })
}
