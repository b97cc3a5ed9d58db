//! `ip` and `tc`, many lines at a time.

use anyhow::{Context, Result, bail};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

/// Runs lines of `ip` in a namespace, or for namespaces; all of them or none is not promised.
pub fn batch(namespace: Option<&str>, lines: &[String]) -> Result<()> {
    let mut arguments = namespace.map_or(vec![], |name| vec!["-n", name]);
    arguments.extend(["-batch", "-"]);
    run("ip", &arguments, &lines.join("\n")).map(drop)
}

/// As [`batch`], but goes on after a line that fails.
pub fn batch_on(lines: &[String]) {
    let _ = run("ip", &["-force", "-batch", "-"], &lines.join("\n"));
}

/// Runs `tc` in a namespace and returns what it printed.
pub fn tc(namespace: &str, arguments: &str) -> Result<String> {
    let mut words = vec!["-n", namespace];
    words.extend(arguments.split(' '));
    run("tc", &words, "")
}

fn run(program: &str, arguments: &[&str], input: &str) -> Result<String> {
    // A group of its own: Ctrl-C at the terminal must not stop the clearing up.
    let spawned = Command::new(program)
        .args(arguments)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = spawned.with_context(|| format!("cannot run {program}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // It reads all of it or says why not.
        let _ = stdin.write_all(input.as_bytes());
    }
    let Output { status, stdout, stderr } =
        child.wait_with_output().with_context(|| format!("cannot run {program}"))?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&stderr);
    let said = stderr.lines().next().unwrap_or("no word about why").trim_start_matches("Error: ");
    bail!("{program}: {}", said.trim_end_matches('.'))
}
