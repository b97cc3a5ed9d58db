//! The engine, and what is in it.

use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::Duration;
use weir_tests::folder::Folder;
use weir_tests::python::interpreter;
use weir_tests::shell::Shell;
use weir_tests::{free_port, wait_for};

const PROGRAM: &str = include_str!("clickhouse.py");

/// A server and its directory, which stays while servers come and go.
pub struct ClickHouse {
    folder: Folder,
    port: u16,
    running: Option<Shell>,
}

impl ClickHouse {
    /// One that has nothing.
    pub fn new() -> Self {
        let folder = Folder::new("clickhouse");
        folder.write("clickhouse.py", PROGRAM);
        Self { folder, port: free_port(), running: None }
    }

    /// Starts it, and waits until it answers.
    pub fn start(&mut self) {
        let mut command = Command::new(interpreter());
        command.args([&self.folder.path("clickhouse.py"), &self.port.to_string(), &self.folder.path("")]);
        let child = command.stdout(Stdio::piped()).spawn().expect("Python starts");
        self.running = Some(Shell(child).ready());
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes it die at its next insert, once that is done.
    pub fn dies_at_the_next_insert(&self) {
        self.folder.write("dies", "");
    }

    /// Does this until it has died, and lets the next one live.
    pub fn wait_for_death(&mut self, mut meanwhile: impl FnMut()) {
        let mut child = self.running.take().expect("it was started");
        wait_for("it dies", Duration::from_secs(30), || {
            meanwhile();
            child.0.try_wait().expect("it is ours")
        });
        std::fs::remove_file(self.folder.path("dies")).expect("it was told to die");
    }

    /// What to export to.
    pub fn url(&self, more: &str) -> String {
        format!("clickhouse://127.0.0.1:{}{more}", self.port)
    }

    /// The rows of an answer.
    pub fn ask(&self, sql: &str) -> Vec<Value> {
        let sql = format!(
            "{sql} FORMAT JSONEachRow SETTINGS output_format_json_quote_64bit_integers = 0, date_time_output_format = 'iso'"
        );
        let url = format!("http://127.0.0.1:{}/", self.port);
        let output = Command::new("curl")
            .args(["-sS", "-m", "30", "--data-binary", &sql, &url])
            .output()
            .expect("curl is there");
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{sql}: {text}")))
            .collect()
    }

    /// The number that is the answer.
    pub fn number(&self, sql: &str) -> u64 {
        let rows = self.ask(&format!("SELECT {sql} AS number"));
        rows[0]["number"].as_u64().unwrap_or_else(|| panic!("{sql}: {rows:?}"))
    }

    /// How often records are in a table that can be asked for it: of all rows, and with repeats replaced.
    pub fn rows(&self, database: &str) -> [u64; 2] {
        ["", "FINAL"].map(|all| self.number(&format!("(SELECT count() FROM {database}.flows {all})")))
    }
}
