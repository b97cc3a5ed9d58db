//! A real Prometheus that samples are pushed to, and what it has.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;
use weir_tests::folder::Folder;
use weir_tests::shell::Shell;
use weir_tests::{free_port, wait_for};

/// Labels of a series and its samples: times in milliseconds, and values as they are shown.
pub type Series = BTreeMap<BTreeMap<String, String>, Vec<(i64, String)>>;

/// A server's directory, which stays while servers come and go.
pub struct Prometheus {
    folder: Folder,
    port: u16,
    running: Option<Shell>,
}

impl Prometheus {
    /// One that has nothing, and runs.
    pub fn start() -> Self {
        let folder = Folder::new("remote_write");
        folder.write("prometheus.yml", "global: {}\n");
        let mut prometheus = Self { folder, port: free_port(), running: None };
        prometheus.go_on();
        prometheus
    }

    /// Starts it on what it has, and waits until it answers.
    pub fn go_on(&mut self) {
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", self.folder.path("prometheus.yml")));
        command.arg(format!("--storage.tsdb.path={}", self.folder.path("data")));
        command.arg(format!("--web.listen-address=127.0.0.1:{}", self.port));
        command.args(["--web.enable-remote-write-receiver", "--log.level=error"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.running = Some(Shell(child.spawn().expect("prometheus is there: scripts/setup test")));
        wait_for("it is ready", Duration::from_secs(60), || {
            self.get("/-/ready", &[]).filter(|said| said.contains("Ready"))
        });
    }

    /// Ends it, as an operator does.
    pub fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        let mut server = self.running.take().expect("it runs");
        server.0.wait().expect("it is ours");
    }

    /// To the running server.
    pub fn signal(&self, signal: Signal) {
        let id = self.running.as_ref().expect("it runs").0.id();
        kill(Pid::from_raw(id.try_into().expect("an id")), signal).expect("it is ours");
    }

    /// Where to push to.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/api/v1/write", self.port)
    }

    /// All samples of the last ten minutes, those that say that a series has ended left out.
    pub fn samples(&self) -> Series {
        let found = self.query("{job=\"weir\"}[10m]");
        let time = |sample: &Value| (sample[0].as_f64().expect("a time") * 1000.0).round() as i64;
        let value = |sample: &Value| sample[1].as_str().expect("a number").to_owned();
        let samples = |one: &Value| {
            let samples = one["values"].as_array().expect("samples").iter();
            samples.map(|sample| (time(sample), value(sample))).collect()
        };
        found.iter().map(|one| (labels(&one["metric"]), samples(one))).collect()
    }

    /// The series of this expression that there are now.
    pub fn now(&self, expression: &str) -> Vec<BTreeMap<String, String>> {
        self.query(expression).iter().map(|one| labels(&one["metric"])).collect()
    }

    fn query(&self, expression: &str) -> Vec<Value> {
        let said = self.get("/api/v1/query", &["-G", "--data-urlencode", &format!("query={expression}")]);
        let found: Value = serde_json::from_str(&said.expect("an answer")).expect("JSON");
        assert_eq!(found["status"], "success", "{found}");
        found["data"]["result"].as_array().expect("series").clone()
    }

    fn get(&self, path: &str, more: &[&str]) -> Option<String> {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let output = Command::new("curl").args(["-sS", "-m", "10"]).args(more).arg(url).output();
        let output = output.expect("curl is there");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn labels(metric: &Value) -> BTreeMap<String, String> {
    let pairs = metric.as_object().expect("labels").iter();
    pairs.map(|(name, value)| (name.clone(), value.as_str().expect("text").to_owned())).collect()
}
