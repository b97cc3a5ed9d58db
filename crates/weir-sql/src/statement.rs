//! Statements, as they were written.

use crate::{Error, Result};
use datafusion::sql::parser::{DFParser, Statement as Parsed};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use std::sync::Arc;

/// Words and signs of a text at most, values in lists apart: `1 + 1 + …` nests as deep as it is long, and is taken apart
/// by functions that call themselves.
const WORDS: usize = 2000;

/// One statement.
#[derive(Debug, Clone)]
pub struct Statement {
    pub(crate) parsed: Parsed,
    /// What it was written in, and which of the statements there it is.
    pub(crate) text: Arc<str>,
    pub(crate) place: usize,
}

impl Statement {
    /// All in a text, with semicolons between them.
    ///
    /// # Errors
    /// One is not SQL.
    pub fn all(text: &str) -> Result<Vec<Self>> {
        let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize().unwrap_or_default();
        let counts = |token: &&Token| {
            let is_value = matches!(token, Token::Number(..) | Token::SingleQuotedString(_) | Token::Comma);
            !is_value && !matches!(token, Token::Whitespace(_))
        };
        if tokens.iter().filter(counts).count() > WORDS {
            return Err(Error::Query(format!(
                "a statement has at most {WORDS} words and signs, values in lists apart"
            )));
        }
        let parsed = DFParser::parse_sql(text).map_err(|error| Error::of(&error, 0))?;
        let text: Arc<str> = text.into();
        let statement = |(place, parsed)| Self { parsed, text: Arc::clone(&text), place };
        Ok(parsed.into_iter().enumerate().map(statement).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_in_a_text() {
        let count = |text: &str| Statement::all(text).map(|all| all.len());
        assert!(matches!(count("select 1"), Ok(1)));
        assert!(matches!(count("select ';' ; -- ;\n select 2;"), Ok(2)));
        assert!(matches!(count(" -- nothing\n"), Ok(0)));
        assert!(matches!(count("selekt 1"), Err(Error::Query(_))));
        let sum = |terms: usize| format!("select 1{}", " + 1".repeat(terms));
        assert!(matches!(count(&sum(1000)), Ok(1)));
        assert!(matches!(count(&sum(30_000)), Err(Error::Query(_))));
        let list = format!("select 1 where 1 in (1{})", ", 1".repeat(20_000));
        assert!(matches!(count(&list), Ok(1)));
    }
}
