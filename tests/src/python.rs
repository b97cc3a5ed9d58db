//! The Python that `scripts/setup test` installs, with what else reads Parquet, and programs for Node.js.

use crate::agent::binary;
use serde_json::Value;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs a program, which prints a line of JSON for each row.
pub fn python(program: &str, argument: &str) -> Vec<Value> {
    let output = Command::new(interpreter()).args(["-c", program, argument]).output().expect("Python starts");
    assert!(output.status.success(), "{argument}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Where it is.
pub fn interpreter() -> PathBuf {
    installed("python/bin/python3")
}

/// Where this program for Node.js is.
pub fn node(program: &str) -> PathBuf {
    installed(&format!("node/node_modules/.bin/{program}"))
}

/// Beside what cargo builds, of which this test is a part.
fn installed(program: &str) -> PathBuf {
    let test = env::current_exe().expect("a test has a path");
    let place = |path: &Path, levels| Some(path.ancestors().nth(levels)?.join(program));
    let found = place(&test, 3).filter(|path| path.exists()).or_else(|| place(&binary(), 2));
    found.filter(|path| path.exists()).expect("scripts/setup test installs it")
}
