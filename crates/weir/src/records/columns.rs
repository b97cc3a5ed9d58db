//! What of a record is shown, or summed by: a field, or the same field of both ends.

use std::collections::BTreeSet;
use weir_record::{FIELDS, Field, FlowRecord, Kind, Text, Unit, Value};
use weir_store::{KEY, Table};

/// One of them.
#[derive(Clone, Copy)]
pub enum Column {
    /// A field.
    Field(&'static Field),
    /// That of either end: of both, with an arrow, where both have it.
    Ends {
        /// The name for both.
        name: &'static str,
        /// The source's and the destination's.
        fields: [&'static Field; 2],
    },
}

impl Column {
    /// By its name in docs/fields.md, without `source_` or `destination_` for either end.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn named(name: &str) -> Result<Self, String> {
        let field = |name: &str| FIELDS.iter().find(|field| field.name == name);
        if let Some(field) = field(name) {
            return Ok(Self::Field(field));
        }
        match (field(&format!("source_{name}")), field(&format!("destination_{name}"))) {
            (Some(source), Some(destination)) => {
                let name = source.name.strip_prefix("source_").unwrap_or(source.name);
                Ok(Self::Ends { name, fields: [source, destination] })
            }
            _ => Err(unknown(name)),
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Field(field) => field.name,
            Self::Ends { name, .. } => name,
        }
    }

    /// The fields it is made of.
    pub fn fields(&self) -> impl Iterator<Item = &'static Field> {
        let (first, second) = match *self {
            Self::Field(field) => (field, None),
            Self::Ends { fields: [source, destination], .. } => (source, Some(destination)),
        };
        std::iter::once(first).chain(second)
    }

    /// What its values are of.
    pub fn kind(&self) -> Kind {
        self.fields().next().map_or(Kind::Text, |field| field.kind)
    }

    /// What its numbers count.
    pub fn unit(&self) -> Unit {
        self.fields().next().map_or(Unit::None, |field| field.unit)
    }

    /// What a record holds.
    pub fn of<'r>(&self, record: &'r FlowRecord) -> Value<'r> {
        match self {
            Self::Field(field) => (field.read)(record),
            Self::Ends { fields: [source, destination], .. } => {
                joined((source.read)(record), (destination.read)(record))
            }
        }
    }
}

/// Of both ends: what one of them has, or both with an arrow.
pub fn joined<'v>(source: Value<'v>, destination: Value<'v>) -> Value<'v> {
    match (source, destination) {
        (one, Value::Absent) | (Value::Absent, one) => one,
        (source, destination) => {
            Value::Text(Text::Owned(format!("{} → {}", raw(&source), raw(&destination))))
        }
    }
}

/// A value without its unit, as programs read it; nothing where there is none.
pub fn raw(value: &Value<'_>) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(serde_json::Value::Array(numbers)) => {
            numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        }
        Ok(serde_json::Value::Null) | Err(_) => String::new(),
        Ok(other) => other.to_string(),
    }
}

/// Those of these names, or the mistake in them, with the flag that they are from.
pub fn named(flag: &str, names: &[String]) -> Result<Vec<Column>, String> {
    names.iter().map(|name| Column::named(name).map_err(|error| format!("{flag}: {error}"))).collect()
}

/// Whether the history has a column of it.
pub fn is_kept(name: &str) -> bool {
    Table::flows().columns.iter().any(|column| column.name == name)
}

/// What has to be read to show these.
pub fn read_for(fields: &[Column]) -> Option<Vec<&'static str>> {
    // What these follow from is nearly all that there is.
    let is_plain = |column: &Column| {
        column.kind() != Kind::Observations && column.fields().all(|field| is_kept(field.name))
    };
    if fields.is_empty() || !fields.iter().all(is_plain) {
        return None;
    }
    // A record is not one without its key and times.
    let always = ["flow_id", "start", "end"].into_iter().chain(KEY.iter().copied());
    let names: BTreeSet<_> =
        fields.iter().flat_map(Column::fields).map(|field| field.name).chain(always).collect();
    Some(names.into_iter().collect())
}

fn unknown(name: &str) -> String {
    let both = |field: &'static Field| field.name.strip_prefix("source_").into_iter().chain([field.name]);
    let nearest = FIELDS.iter().flat_map(both).min_by_key(|known| strsim::damerau_levenshtein(known, name));
    let meant = nearest.filter(|known| strsim::damerau_levenshtein(known, name) <= name.len() / 3);
    let meant =
        meant.map_or_else(|| "docs/fields.md lists them".into(), |known| format!("did you mean {known}?"));
    format!("there is no field {name}: {meant}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_by_their_names() {
        let named = |name: &str| {
            Column::named(name).map(|column| column.fields().map(|field| field.name).collect::<Vec<_>>())
        };
        assert_eq!(named("bytes"), Ok(vec!["bytes"]));
        assert_eq!(named("process"), Ok(vec!["source_process", "destination_process"]));
        assert_eq!(
            named("destnation_name"),
            Err("there is no field destnation_name: did you mean destination_name?".into())
        );
        assert_eq!(
            named("colour of money"),
            Err("there is no field colour of money: docs/fields.md lists them".into())
        );
    }

    #[test]
    fn both_ends_are_told_in_one() {
        let text = |text: &'static str| Value::Text(text.into());
        assert_eq!(joined(text("curl"), Value::Absent), text("curl"));
        assert_eq!(joined(Value::Absent, Value::Number(7)), Value::Number(7));
        assert_eq!(joined(text("curl"), text("nginx")), text("curl → nginx"));
        assert_eq!(joined(Value::Absent, Value::Absent), Value::Absent);
        assert_eq!((raw(&Value::Bits(0b101)), raw(&Value::Absent)), ("0 2".into(), String::new()));
    }
}
