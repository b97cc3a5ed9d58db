//! DuckDB, which reads what Weir keeps.

use crate::python::python;
use serde_json::Value;
use std::fs::File;
use std::path::Path;

/// The rows of an answer, each an array.
pub fn duckdb(sql: &str) -> Vec<Value> {
    const PROGRAM: &str = "import duckdb, json, sys\n\
        for row in duckdb.sql(sys.argv[1]).fetchall(): print(json.dumps(row, default=str))";
    python(PROGRAM, sql)
}

/// The files of a table, as SQL names them.
pub fn table(directory: &Path, name: &str) -> String {
    format!("'{}/{name}/*/*.parquet'", directory.display())
}

/// All files stay in their places while this is held: an agent that runs merges small ones from time to time.
pub fn in_their_places(directory: &Path) -> File {
    let readers = File::open(directory.join("readers")).expect("a history");
    readers.lock_shared().expect("a lock");
    readers
}
