//! Statements, as they were written.

use crate::{Error, Result};
use datafusion::sql::parser::{DFParser, Statement as Parsed};

/// One statement.
#[derive(Debug, Clone)]
pub struct Statement(pub(crate) Parsed);

impl Statement {
    /// All in a text, with semicolons between them.
    ///
    /// # Errors
    /// One is not SQL.
    pub fn all(text: &str) -> Result<Vec<Self>> {
        let parsed = DFParser::parse_sql(text).map_err(|error| Error::of(&error, 0))?;
        Ok(parsed.into_iter().map(Self).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_in_a_text() {
        let count = |text| Statement::all(text).map(|all| all.len());
        assert!(matches!(count("select 1"), Ok(1)));
        assert!(matches!(count("select ';' ; -- ;\n select 2;"), Ok(2)));
        assert!(matches!(count(" -- nothing\n"), Ok(0)));
        assert!(matches!(count("selekt 1"), Err(Error::Query(_))));
    }
}
