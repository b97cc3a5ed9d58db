//! A server of the test's own, and what it has.

use serde_json::Value;
use std::fs;
use std::process::Command;
use weir_tests::folder::Folder;
use weir_tests::python::interpreter;
use weir_tests::shell::{Shell, serving};

/// Running, and killed on drop.
pub struct Sink {
    pub folder: Folder,
    pub port: u16,
    _process: Shell,
}

impl Sink {
    /// Starts it; it takes everything.
    pub fn start() -> Self {
        let folder = Folder::new("otlp");
        folder.write("mode", "ok");
        let program = folder.write("sink.py", include_str!("sink.py"));
        let mut command = Command::new(interpreter());
        command.args([&program, &folder.place().display().to_string()]);
        let (process, port) = serving(&mut command);
        Self { folder, port, _process: process }
    }

    /// What it answers from now on.
    pub fn answers(&self, mode: &str) {
        // It never reads half of it.
        let new = self.folder.write("mode.new", mode);
        fs::rename(new, self.folder.path("mode")).expect("a file");
    }

    /// What it was sent and has taken.
    pub fn taken(&self) -> Vec<Value> {
        self.lines("taken")
    }

    /// What it was asked.
    pub fn requests(&self) -> Vec<Value> {
        self.lines("requests")
    }

    fn lines(&self, name: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path(name)).unwrap_or_default();
        // What follows the last end of a line is being written.
        let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        lines
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }
}
