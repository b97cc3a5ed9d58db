//! YAML as JSON knows it: what a kubeconfig file is made of. Every scalar is text.
//!
//! Aliases are refused, so that nothing expands.

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span};
use serde_json::{Map, Value};

/// How deep things may lie in one another.
const DEEPEST: usize = 32;

/// Reads one document.
///
/// # Errors
/// The line, and what is wrong there.
pub fn read(text: &str) -> Result<Value, String> {
    let options = granit_parser::options! { emit_comments: false };
    let mut reader = Reader { events: Parser::new_from_str_with_options(text, options), line: 1 };
    loop {
        match reader.next()? {
            Event::StreamStart | Event::DocumentStart(..) => {}
            Event::StreamEnd => return Ok(Value::Null),
            event => return reader.value(event, 0),
        }
    }
}

struct Reader<I> {
    events: I,
    line: usize,
}

impl<'a, I: Iterator<Item = Result<(Event<'a>, Span), ScanError>>> Reader<I> {
    fn next(&mut self) -> Result<Event<'a>, String> {
        match self.events.next() {
            Some(Ok((event, span))) => {
                self.line = span.start.line().max(1);
                Ok(event)
            }
            Some(Err(error)) => Err(format!("line {}: {}", error.marker().line().max(1), error.info())),
            None => Ok(Event::StreamEnd),
        }
    }

    fn value(&mut self, event: Event<'a>, depth: usize) -> Result<Value, String> {
        match event {
            _ if depth > DEEPEST => Err(format!("line {}: too deep", self.line)),
            Event::Scalar(text, ScalarStyle::Plain, ..) if matches!(&*text, "" | "~" | "null") => {
                Ok(Value::Null)
            }
            Event::Scalar(text, ..) => Ok(Value::String(text.into_owned())),
            Event::SequenceStart(..) => self.list(depth + 1),
            Event::MappingStart(..) => self.map(depth + 1),
            Event::Alias(_) => Err(format!("line {}: an alias (*) is not followed", self.line)),
            _ => Err(format!("line {}: expected a value", self.line)),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, String> {
        let mut list = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(Value::Array(list)),
                event => list.push(self.value(event, depth)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, String> {
        let mut map = Map::new();
        loop {
            match self.next()? {
                Event::MappingEnd => return Ok(Value::Object(map)),
                Event::Scalar(key, ..) => {
                    let event = self.next()?;
                    map.insert(key.into_owned(), self.value(event, depth)?);
                }
                _ => return Err(format!("line {}: expected a key", self.line)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_what_kubeconfig_files_are_made_of() {
        let text =
            "# by hand\napiVersion: v1\nusers:\n- name: me # this one\n  user: {token: 123, exec: ~}\n";
        let wanted =
            json!({"apiVersion": "v1", "users": [{"name": "me", "user": {"token": "123", "exec": null}}]});
        assert_eq!(read(text), Ok(wanted));
        assert_eq!(read(""), Ok(Value::Null));
        assert_eq!(read(r#"{"kind": "Config"}"#), Ok(json!({"kind": "Config"})));
    }

    #[test]
    fn says_where_it_stops_to_make_sense() {
        for text in ["a: [1\n", "a: 'x\n", "a: &b [1]\nc: *b\n", "a: b: c\n", &"[".repeat(100_000)] {
            let mistake = read(text).expect_err("refused");
            assert!(mistake.starts_with("line "), "{mistake}");
        }
    }
}
