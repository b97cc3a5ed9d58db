//! Pages: from the newest back.

use crate::flows::{Asked, Before, newest_before, place};
use crate::history::Sources;
use crate::records::Row;
use serde_json::{Value, json};
use weir_server::{Parameter, Problem};

/// The parameter that says from where on.
pub const BEFORE: &str = "before";
/// Records on a page where nobody says how many, and at most.
pub const USUAL: usize = 100;
pub const MOST: usize = 10_000;

/// Some records, the newest first.
pub struct Page {
    pub rows: Vec<Row>,
    /// Where the next page goes on; none where there is no more.
    pub next: Option<Before>,
}

impl Page {
    /// The newest of what has ended, after what somebody has already.
    pub fn of(sources: &mut Sources, asked: &Asked, most: usize, before: Option<Before>) -> Self {
        let mut rows = newest_before(sources, asked, most + 1, before);
        rows.reverse();
        let is_last = rows.len() <= most;
        rows.truncate(most);
        let places: Vec<_> = rows.iter().map(|row| place(&row.record)).collect();
        let next = places.last().filter(|_| !is_last).map(|last| Before::after(*last, &places, before));
        Self { rows, next }
    }
}

/// As text that is handed back as it is.
pub fn write(before: Before) -> String {
    let Before { place: (end, start, flow_id), alike } = before;
    format!("{end}.{start}.{flow_id:016x}.{alike}")
}

/// What was handed out.
pub fn read(text: &str) -> Result<Before, Problem> {
    let parse = || {
        let mut parts = text.split('.');
        let mut number = || parts.next()?.parse::<u64>().ok();
        let (end, start) = (number()?, number()?);
        let flow_id = u64::from_str_radix(parts.next()?, 16).ok()?;
        let alike = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(Before { place: (end, start, flow_id), alike })
    };
    parse().ok_or_else(|| Problem::mistake("before: hand back what the page before says under `before`"))
}

pub fn parameter() -> Parameter {
    Parameter {
        name: BEFORE.into(),
        doc: "Go on after a page: what that one said under `before`. With all other parameters as they were."
            .into(),
        schema: json!({"type": "string"}),
        is_repeatable: false,
    }
}

/// Where the next page goes on, in JSON.
pub fn next(page: &Page) -> Value {
    page.next.map_or(Value::Null, |before| write(before).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_handed_out_comes_back(place in any::<(u64, u64, u64)>(), alike in any::<usize>()) {
            let before = Before { place, alike };
            prop_assert_eq!(read(&write(before)).ok(), Some(before));
        }

        #[test]
        fn anything_else_is_a_mistake(text in "[0-9a-f.-]{0,40}") {
            if let Ok(before) = read(&text) {
                prop_assert_eq!(read(&write(before)).ok(), Some(before));
            }
        }
    }
}
