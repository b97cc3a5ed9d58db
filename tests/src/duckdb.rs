//! DuckDB, which reads what Weir keeps.

use crate::agent::binary;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// The rows of an answer, each an array.
pub fn duckdb(sql: &str) -> Vec<Value> {
    const PROGRAM: &str = "import duckdb, json, sys\n\
        for row in duckdb.sql(sys.argv[1]).fetchall(): print(json.dumps(row, default=str))";
    let python = binary().ancestors().nth(2).map(|target| target.join("python/bin/python3"));
    let python = python.filter(|path| path.exists()).expect("scripts/setup test installs DuckDB");
    let output = Command::new(python).args(["-c", PROGRAM, sql]).output().expect("Python starts");
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The files of a table, as SQL names them.
pub fn table(directory: &Path, name: &str) -> String {
    format!("'{}/{name}/*/*.parquet'", directory.display())
}
