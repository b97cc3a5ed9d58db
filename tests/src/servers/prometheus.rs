//! Prometheus: a server that scrapes, and promtool, which is particular about what it is given.

use crate::folder::Folder;
use crate::http::curl;
use crate::netns::Namespace;
use crate::shell::{Shell, shell};
use crate::wait_for;
use serde_json::Value;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Where it listens.
pub const PORT: u16 = 9090;

/// A running server that scrapes one target each second, and takes what is pushed.
pub struct Prometheus<'n> {
    namespace: &'n Namespace,
    _folder: Folder,
    _server: Shell,
}

impl<'n> Prometheus<'n> {
    /// Starts it.
    pub fn start(namespace: &'n Namespace, target: &str) -> Self {
        let folder = Folder::new("prometheus");
        let configuration = folder.write(
            "prometheus.yml",
            format!(
                "global: {{ scrape_interval: 1s }}\n\
                 scrape_configs: [ {{ job_name: weir, static_configs: [ {{ targets: ['{target}'] }} ] }} ]\n"
            ),
        );
        let server = shell(
            namespace,
            &format!(
                "exec prometheus --config.file={configuration} --storage.tsdb.path={} --web.listen-address=127.0.0.1:{PORT} \
                 --web.enable-remote-write-receiver --log.level=error 2>{}",
                folder.path("data"),
                folder.path("log")
            ),
        );
        // It listens before it has read what it keeps, and answers 503 so long.
        let is_ready = || curl(namespace, &[&format!("http://127.0.0.1:{PORT}/-/ready")]).status == 200;
        wait_for("Prometheus is ready", Duration::from_secs(60), || is_ready().then_some(()));
        Self { namespace, _folder: folder, _server: server }
    }

    /// The series of an expression: labels and value, in no order.
    pub fn query(&self, expression: &str) -> Vec<(Value, f64)> {
        let url = format!("http://127.0.0.1:{PORT}/api/v1/query");
        let found =
            curl(self.namespace, &["-G", "--data-urlencode", &format!("query={expression}"), &url]).json();
        assert_eq!(found["status"], "success", "{found}");
        let series = found["data"]["result"].as_array().expect("a vector").iter();
        let number = |one: &Value| one["value"][1].as_str().and_then(|text| text.parse().ok());
        series.map(|one| (one["metric"].clone(), number(one).expect("a number"))).collect()
    }

    /// Waits until the value of an expression that has one series is this.
    pub fn wait_for(&self, expression: &str, wanted: f64) {
        wait_for(expression, Duration::from_secs(30), || match &self.query(expression)[..] {
            [(_, value)] if *value == wanted => Some(()),
            _ => None,
        });
    }
}

/// What promtool has to say, and whether it is content.
pub fn promtool(args: &[&str], input: &str) -> (bool, String) {
    let mut command = Command::new("promtool");
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("promtool is there");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}
