//! ClickHouse, as chDB has it in a Python library.

use crate::python::python;
use serde_json::Value;
use std::path::Path;

/// The rows of an answer, each an array.
pub fn chdb(sql: &str) -> Vec<Value> {
    const PROGRAM: &str = "import chdb, sys\n\
        print(chdb.query(sys.argv[1], 'JSONCompactEachRow'), end='')";
    python(PROGRAM, &format!("{sql} settings output_format_json_quote_64bit_integers = 0"))
}

/// The files of a table, as its SQL names them.
pub fn table(directory: &Path, name: &str) -> String {
    format!("file('{}/{name}/*/*.parquet')", directory.display())
}
