//! What the tests of the binary share.

use std::process::{Command, Output};

/// The binary that was built with these tests.
pub const WEIR: &str = env!("CARGO_BIN_EXE_weir");

/// Runs a command to its end, whatever becomes of it.
pub fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Runs a command that has to succeed. What it printed.
pub fn succeed(command: &mut Command) -> String {
    let output = output(command);
    assert!(output.status.success(), "{command:?}: {}: {}", output.status, text(&output.stderr));
    text(&output.stdout)
}

/// What was printed, as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Fails the test rather than let it pass without having tested anything.
pub fn require_root() {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:")).expect("a process has a user");
    assert_eq!(uids.split_whitespace().nth(1), Some("0"), "this test needs root: run `make test`");
}
