//! `show tables` and `describe`: what there is to ask.

use crate::tables::find;
use datafusion::arrow::array::{RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{ObjectName, Statement as Sql};
use std::sync::Arc;
use weir_record::Kind;
use weir_store::Table;

/// What a statement that asks for tables or columns is told; none where it asks for something else.
///
/// # Errors
/// There is no such table.
pub(crate) fn listing(statement: &Statement) -> Option<Result<RecordBatch, String>> {
    let Statement::Statement(statement) = statement else { return None };
    match &**statement {
        Sql::ShowTables { .. } => Some(Ok(tables())),
        Sql::ExplainTable { table_name, .. } => Some(described(table_name)),
        _ => None,
    }
}

fn tables() -> RecordBatch {
    let names = Table::all().map(|table| table.name.to_owned()).collect();
    texts(&[("table", names)])
}

fn described(name: &ObjectName) -> Result<RecordBatch, String> {
    let written = name.to_string();
    let name = written.rsplit('.').next().unwrap_or(&written).trim_matches('"').to_lowercase();
    let table = find(&name).ok_or_else(|| format!("there is no table {name}: show tables lists them"))?;
    let all = |text: fn(&weir_store::Column) -> String| table.columns.iter().map(text).collect();
    Ok(texts(&[
        ("column", all(|column| column.name.to_owned())),
        ("type", all(|column| type_of(column.kind).to_owned())),
        ("unit", all(|column| if column.kind == Kind::Time { "" } else { column.unit.as_str() }.to_owned())),
        ("meaning", all(|column| column.doc.to_owned())),
    ]))
}

fn type_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Time => "timestamp",
        Kind::Text | Kind::Address => "text",
        Kind::Number => "number",
        Kind::Flag => "boolean",
        Kind::Bits => "list of numbers",
        Kind::Observations => "list of structs",
    }
}

fn texts(columns: &[(&str, Vec<String>)]) -> RecordBatch {
    let fields: Vec<_> = columns.iter().map(|(name, _)| Field::new(*name, DataType::Utf8, false)).collect();
    let arrays =
        columns.iter().map(|(_, texts)| Arc::new(StringArray::from_iter_values(texts)) as _).collect();
    let schema = Arc::new(Schema::new(fields));
    RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap_or_else(|_| RecordBatch::new_empty(schema))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Statement;

    fn said(text: &str) -> Option<Result<RecordBatch, String>> {
        let statements = Statement::all(text).expect(text);
        listing(&statements.first().expect("one").parsed)
    }

    #[test]
    fn every_table_and_column_is_listed() {
        let tables = said("show tables").expect("a listing").expect("tables");
        assert_eq!(tables.num_rows(), Table::all().count());
        for table in Table::all() {
            let columns = said(&format!("describe {}", table.name)).expect("a listing").expect("columns");
            assert_eq!((columns.num_rows(), columns.num_columns()), (table.columns.len(), 4));
            assert!(table.columns.iter().all(|column| !column.doc.is_empty()), "{}", table.name);
        }
        assert!(said("describe history.\"flows\"").expect("a listing").is_ok());
        assert!(said("describe flow").expect("a listing").is_err());
        assert!(said("select 1").is_none());
    }
}
