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
    process: Option<Shell>,
}

impl Sink {
    /// Starts it; it takes everything.
    pub fn start() -> Self {
        let folder = Folder::new("otlp");
        folder.write("mode", "ok");
        folder.write("sink.py", include_str!("sink.py"));
        let (process, port) = Self::at(&folder, 0);
        Self { folder, port, process: Some(process) }
    }

    /// Kills it, and starts it at the same port, with what it has taken.
    pub fn starts_anew(&mut self) {
        drop(self.process.take());
        self.process = Some(Self::at(&self.folder, self.port).0);
    }

    fn at(folder: &Folder, port: u16) -> (Shell, u16) {
        let mut command = Command::new(interpreter());
        serving(command.args([folder.path("sink.py"), folder.path(""), port.to_string()]))
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
