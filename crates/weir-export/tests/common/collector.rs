//! A collector of the test's own, and what it has.

use super::read_protos;
use serde_json::Value;
use std::fs;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;
use weir_tests::folder::Folder;
use weir_tests::python::interpreter;
use weir_tests::shell::Shell;
use weir_tests::wait_for;

/// What gRPC takes unless it is told otherwise.
pub const USUAL: usize = 4 << 20;

/// Running, and killed on drop.
pub struct Collector(#[expect(dead_code, reason = "it is killed on drop")] Shell);

impl Collector {
    /// Starts it at this port of the loopback; within TLS where there are files for that.
    pub fn start(folder: &Folder, port: u16, largest: usize, tls: &[&str]) -> Self {
        let program = folder.write("collector.py", include_str!("collector.py"));
        read_protos(folder, &["rpc.proto"]);
        let mut command = Command::new(interpreter());
        command.args([
            &program,
            &folder.place().display().to_string(),
            &port.to_string(),
            &largest.to_string(),
        ]);
        let process = command.args(tls).stdin(Stdio::null()).spawn().expect("Python starts");
        let process = Shell(process);
        wait_for("it listens", Duration::from_secs(30), || TcpStream::connect(("127.0.0.1", port)).ok());
        Self(process)
    }
}

/// What it answers from now on.
pub fn answers(folder: &Folder, mode: &str) {
    // It never reads half of it.
    let new = folder.write("mode.new", mode);
    fs::rename(new, folder.path("mode")).expect("a file");
}

/// What it was sent and has taken.
pub fn taken(folder: &Folder) -> Vec<Value> {
    lines(folder, "taken")
}

/// What it was asked.
pub fn requests(folder: &Folder) -> Vec<Value> {
    lines(folder, "requests")
}

fn lines(folder: &Folder, name: &str) -> Vec<Value> {
    let text = fs::read_to_string(folder.path(name)).unwrap_or_default();
    // What follows the last end of a line is being written.
    let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}
