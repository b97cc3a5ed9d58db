//! The JSON Schema of the file. What only a parser can know (whether `15x` is a time) it does not say.

use super::definition::{Definition, Key, Kind};
use serde_json::{Map, Value, json};

/// Draft 2020-12.
pub fn schema(definition: &Definition) -> Value {
    let properties: Map<_, _> =
        definition.keys().iter().map(|key| (key.name.clone(), property(key))).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Weir",
        "description": "Configuration of weir run",
        // An empty file is YAML's null.
        "type": ["object", "null"],
        "properties": properties,
        "additionalProperties": false,
    })
}

fn property(key: &Key) -> Value {
    let item = key.kind.schema();
    let mut property = match key.repeatable {
        true => json!({ "anyOf": [item, { "type": "array", "items": item }] }),
        false => item,
    };
    property["description"] = key.help.clone().into();
    let mut defaults = key.default.iter().map(|value| key.kind.json(value));
    if key.repeatable {
        property["default"] = defaults.collect();
    } else if let Some(default) = defaults.next() {
        property["default"] = default;
    }
    property
}

impl Kind {
    /// What its values may be.
    pub fn schema(&self) -> Value {
        match self {
            Self::Switch => json!({ "type": "boolean" }),
            Self::Choice(choices) => json!({ "enum": choices }),
            Self::Number(range) => {
                json!({ "type": "integer", "minimum": number(*range.start()), "maximum": number(*range.end()) })
            }
            // A number needs no quotes: it is taken as it is written.
            Self::Text(_) => json!({ "type": ["string", "number"] }),
        }
    }

    /// A value in JSON's types.
    pub fn json(&self, value: &str) -> Value {
        let typed = match self {
            Self::Switch => value.parse::<bool>().ok().map(Value::from),
            Self::Number(_) => value.parse::<i128>().ok().map(number),
            _ => None,
        };
        typed.unwrap_or_else(|| value.into())
    }
}

/// Nothing here is longer than 64 bits, with or without a sign.
fn number(value: i128) -> Value {
    match u64::try_from(value) {
        Ok(value) => value.into(),
        Err(_) => i64::try_from(value).map(Value::from).unwrap_or_default(),
    }
}
