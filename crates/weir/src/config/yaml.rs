//! YAML with line numbers: one flat mapping of keys to values or lists of values.
//!
//! Reads the parser's events rather than a tree: there is nothing to expand, so nothing that could explode.

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span};
use std::collections::HashMap;

/// What stands in a file, and what is wrong with it as YAML.
#[derive(Debug, Default)]
pub struct Document {
    pub entries: Vec<Entry>,
    pub mistakes: Vec<Mistake>,
}

#[derive(Debug)]
pub struct Entry {
    pub key: String,
    pub line: usize,
    pub value: Value,
}

#[derive(Debug)]
pub enum Value {
    One(Scalar),
    Many(Vec<Scalar>),
}

#[derive(Debug)]
pub struct Scalar {
    /// As it is written, without quotes.
    pub text: String,
    pub kind: ScalarKind,
    pub line: usize,
}

/// What YAML 1.2 takes a scalar for (core schema), as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScalarKind {
    Null,
    Boolean,
    Integer,
    Text,
}

#[derive(Debug)]
pub struct Mistake {
    pub line: usize,
    pub what: String,
}

/// Reads as much as can be read.
pub fn read(text: &str) -> Document {
    let options = granit_parser::options! { emit_comments: false };
    let events = Parser::new_from_str_with_options(text, options);
    let mut reader = Reader { events, line: 1, seen: HashMap::new(), found: Document::default() };
    if let Err(mistake) = reader.document() {
        reader.found.mistakes.push(mistake);
    }
    reader.found
}

struct Reader<I> {
    events: I,
    /// Where the last event began.
    line: usize,
    /// Every key so far, and its line.
    seen: HashMap<String, usize>,
    found: Document,
}

/// An error ends the reading; mistakes that leave the structure intact are noted on the way.
impl<'a, I: Iterator<Item = Result<(Event<'a>, Span), ScanError>>> Reader<I> {
    fn next(&mut self) -> Result<Event<'a>, Mistake> {
        match self.events.next() {
            Some(Ok((event, span))) => {
                self.line = span.start.line().max(1);
                Ok(event)
            }
            Some(Err(error)) => Err(Mistake { line: error.marker().line().max(1), what: error.info() }),
            None => Ok(Event::StreamEnd),
        }
    }

    fn mistake(&self, what: impl Into<String>) -> Mistake {
        Mistake { line: self.line, what: what.into() }
    }

    fn document(&mut self) -> Result<(), Mistake> {
        let mut documents = 0;
        loop {
            match self.next()? {
                Event::StreamStart | Event::DocumentEnd => {}
                Event::StreamEnd => return Ok(()),
                Event::DocumentStart(..) if documents == 1 => {
                    return Err(self.mistake("a second document begins here: only one is read"));
                }
                Event::DocumentStart(..) => documents += 1,
                Event::MappingStart(_, _, None) => self.mapping()?,
                Event::Scalar(text, ScalarStyle::Plain, _, None) if kind(&text) == ScalarKind::Null => {}
                _ => return Err(self.mistake("expected lines like `key: value`")),
            }
        }
    }

    fn mapping(&mut self) -> Result<(), Mistake> {
        loop {
            let key = match self.next()? {
                Event::MappingEnd => return Ok(()),
                Event::Scalar(text, _, _, None) => text.into_owned(),
                _ => return Err(self.mistake("expected a key: a word")),
            };
            let line = self.line;
            let value = self.value(&key)?;
            if let Some(first) = self.seen.insert(key.clone(), line) {
                let what = format!("{key}: given a second time, before on line {first}");
                self.found.mistakes.push(Mistake { line, what });
            } else if let Some(value) = value {
                self.found.entries.push(Entry { key, line, value });
            }
        }
    }

    fn value(&mut self, key: &str) -> Result<Option<Value>, Mistake> {
        match self.next()? {
            Event::SequenceStart(_, _, None) => self.list(key).map(|list| Some(Value::Many(list))),
            event => Ok(self.scalar(key, event)?.map(Value::One)),
        }
    }

    fn list(&mut self, key: &str) -> Result<Vec<Scalar>, Mistake> {
        let mut list = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(list),
                event => list.extend(self.scalar(key, event)?),
            }
        }
    }

    /// None, and a mistake noted, where something else stands in its place.
    fn scalar(&mut self, key: &str, event: Event<'a>) -> Result<Option<Scalar>, Mistake> {
        let line = self.line;
        let what = match event {
            Event::Scalar(text, style, _, None) => return Ok(Some(scalar(&text, style, line))),
            Event::Alias(_) => "an alias (*) is not followed: write the value out",
            Event::Scalar(..) => "a tag (!) is not understood: write the value without it",
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                self.skip()?;
                "expected a value or a list of values"
            }
            _ => return Err(self.mistake(format!("{key}: expected a value"))),
        };
        self.found.mistakes.push(Mistake { line, what: format!("{key}: {what}") });
        Ok(None)
    }

    /// To the end of the collection that has just begun.
    fn skip(&mut self) -> Result<(), Mistake> {
        let mut depth = 1;
        while depth > 0 {
            match self.next()? {
                Event::SequenceStart(..) | Event::MappingStart(..) => depth += 1,
                Event::SequenceEnd | Event::MappingEnd => depth -= 1,
                Event::StreamEnd => return Err(self.mistake("ends too early")),
                _ => {}
            }
        }
        Ok(())
    }
}

fn scalar(text: &str, style: ScalarStyle, line: usize) -> Scalar {
    let (text, kind) = match style {
        ScalarStyle::Plain => (text, kind(text)),
        // The line break that ends a block is its form, not its content.
        ScalarStyle::Literal | ScalarStyle::Folded => (text.trim_end_matches('\n'), ScalarKind::Text),
        _ => (text, ScalarKind::Text),
    };
    Scalar { text: text.to_string(), kind, line }
}

/// What a scalar without quotes is.
pub fn kind(plain: &str) -> ScalarKind {
    match plain {
        "" | "~" | "null" | "Null" | "NULL" => ScalarKind::Null,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => ScalarKind::Boolean,
        _ => {
            let digits = plain.strip_prefix(['-', '+']).unwrap_or(plain);
            let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            if is_integer { ScalarKind::Integer } else { ScalarKind::Text }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(document: &Document) -> Vec<String> {
        document.mistakes.iter().map(|mistake| format!("{}: {}", mistake.line, mistake.what)).collect()
    }

    #[test]
    fn values_keep_their_text_kind_and_line() {
        let document =
            read("# comment\na: 15s\n\nb:\n  - 1\n  - '2'\nc: |\n  two\n  lines\nd: [x, ~, true]\n");
        assert!(document.mistakes.is_empty(), "{document:?}");
        let scalars: Vec<_> = document
            .entries
            .iter()
            .flat_map(|entry| match &entry.value {
                Value::One(scalar) => std::slice::from_ref(scalar),
                Value::Many(scalars) => scalars,
            })
            .map(|scalar| (scalar.text.as_str(), scalar.kind, scalar.line))
            .collect();
        use ScalarKind::{Boolean, Integer, Null, Text};
        let expected = [("15s", Text, 2), ("1", Integer, 5), ("2", Text, 6), ("two\nlines", Text, 8)];
        assert_eq!(scalars[..4], expected);
        assert_eq!(scalars[4..], [("x", Text, 10), ("~", Null, 10), ("true", Boolean, 10)]);
        assert_eq!(document.entries.iter().map(|entry| entry.line).collect::<Vec<_>>(), [2, 4, 7, 10]);
    }

    #[test]
    fn nothing_is_fine() {
        for text in ["", "\n", "# only this\n", "---\n", "---\n...\n", "~", "{}", "\u{feff}", "\u{feff}a: 1"]
        {
            assert!(read(text).mistakes.is_empty(), "{text:?}: {:?}", read(text));
        }
    }

    #[test]
    fn all_mistakes_are_found_in_one_reading() {
        let document = read("a: {b: [c]}\nd: *x\n");
        assert_eq!(lines(&document)[0], "1: a: expected a value or a list of values");
        assert!(lines(&document)[1].starts_with("2: "), "{document:?}");
        let document = read("x: &x 1\na: *x\nx: 2\nb: !!str 3\nc: [[1], 2]\n");
        let expected = [
            "2: a: an alias (*) is not followed: write the value out",
            "3: x: given a second time, before on line 1",
            "4: b: a tag (!) is not understood: write the value without it",
            "5: c: expected a value or a list of values",
        ];
        assert_eq!(lines(&document), expected);
    }

    #[test]
    fn what_is_no_mapping_is_refused() {
        for (text, line) in [("- a\n", 1), ("\nword\n", 2), ("a: 1\n---\nb: 2\n", 2), ("? [a]\n: b\n", 1)] {
            let document = read(text);
            assert_eq!(document.mistakes.len(), 1, "{text:?}: {document:?}");
            assert_eq!(document.mistakes[0].line, line, "{text:?}: {document:?}");
        }
        for text in ["a: [1\n", "a: 'x\n", "a:\n\t- b\n", "a: b: c\n", "\u{0}", &"[".repeat(100_000)] {
            assert!(!read(text).mistakes.is_empty(), "{:?}", &text[..text.len().min(20)]);
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(text in r"(?s).{0,200}") {
            read(&text);
        }

        #[test]
        fn nearly_yaml_never_panics(text in r#"([a-c]|: |\n|- |  |\t|'|"|\[|\]|\{|\}|&a |\*a|!|!!str |\||>|#|%|---|\.\.\.|\? |,|~|<<|\\){0,60}"#) {
            let document = read(&text);
            let last = text.lines().count() + 1;
            prop_assert!(document.mistakes.iter().all(|m| (1..=last).contains(&m.line)), "{:?}", document);
        }
    }
}
