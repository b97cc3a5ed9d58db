//! `show tables` and `describe`: what there is to ask.

use crate::engine::Source;
use crate::objects::{FOLDERS, Objects};
use datafusion::arrow::array::{RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{ObjectName, Statement as Sql};
use std::sync::Arc;
use weir_record::Kind;
use weir_store::{Column, Table};

/// What a statement that asks for tables or columns is told; none where it asks for something else.
///
/// # Errors
/// There is no such table.
pub(crate) fn listing(statement: &Statement, source: &Source) -> Option<Result<RecordBatch, String>> {
    let Statement::Statement(statement) = statement else { return None };
    match &**statement {
        Sql::ShowTables { .. } => Some(Ok(tables(source))),
        Sql::ExplainTable { table_name, .. } => Some(described(table_name, source)),
        _ => None,
    }
}

/// Those that there are in this place.
fn all(source: &Source) -> Vec<&'static Table> {
    match source {
        Source::History(_) => Table::all().collect(),
        Source::Objects(_) => Objects::tables().collect(),
    }
}

fn tables(source: &Source) -> RecordBatch {
    let names = all(source).into_iter().map(|table| table.name.to_owned()).collect();
    texts(&[("table", names)])
}

fn described(name: &ObjectName, source: &Source) -> Result<RecordBatch, String> {
    let written = name.to_string();
    let name = written.rsplit('.').next().unwrap_or(&written).trim_matches('"').to_lowercase();
    let table = all(source).into_iter().find(|table| table.name == name);
    let table = table.ok_or_else(|| format!("there is no table {name}: show tables lists them"))?;
    let unit = |column: &Column| if column.kind == Kind::Time { "" } else { column.unit.as_str() };
    let columns = table.columns.iter();
    let mut rows: Vec<_> =
        columns.map(|column| [column.name, type_of(column.kind), unit(column), column.doc]).collect();
    if let Source::Objects(_) = source {
        let kind = |kind: &DataType| if *kind == DataType::Utf8 { "text" } else { "date" };
        rows.extend(FOLDERS.iter().map(|(name, of, doc)| [name, kind(of), "", doc]));
    }
    let all = |at: usize| rows.iter().map(|row| row[at].to_owned()).collect();
    Ok(texts(&[("column", all(0)), ("type", all(1)), ("unit", all(2)), ("meaning", all(3))]))
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
    use weir_store::Store;
    use weir_tests::folder::Folder;

    fn said(text: &str) -> Option<Result<RecordBatch, String>> {
        let statements = Statement::all(text).expect(text);
        let folder = Folder::new("catalog");
        let source = Source::History(Store::open(folder.place()).expect("a store"));
        listing(&statements.first().expect("one").parsed, &source)
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
