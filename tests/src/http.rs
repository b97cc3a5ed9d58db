//! curl, which asks over HTTP.

use crate::netns::Namespace;
use serde_json::Value;
use std::process::Command;

/// What came back.
#[derive(Debug)]
pub struct Response {
    /// 0 where there was none.
    pub status: u16,
    /// Whether all of it came.
    pub is_whole: bool,
    /// As text; see [`Response::json`].
    pub body: String,
}

impl Response {
    /// The answer to a question that made sense.
    pub fn json(&self) -> Value {
        assert!(self.status == 200 && self.is_whole, "{self:?}");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Lines of it.
    pub fn lines(&self) -> Vec<Value> {
        assert!(self.status == 200 && self.is_whole, "{self:?}");
        self.body.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Why there is no answer, and its number.
    pub fn problem(&self) -> (u16, String) {
        let problem: Value = serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"));
        assert_eq!(problem["status"], self.status);
        (self.status, problem["detail"].as_str().expect("a text").to_owned())
    }
}

/// Asks in a namespace, as root.
pub fn curl(namespace: &Namespace, args: &[&str]) -> Response {
    curl_as(namespace, &[], args)
}

/// Asks under a command that runs curl: one that makes another user of it.
pub fn curl_as(namespace: &Namespace, wrapper: &[&str], args: &[&str]) -> Response {
    const STATUS: &str = "\n%{http_code}";
    let words = [wrapper, &["curl", "-sS", "--max-time", "60", "--globoff", "-w", STATUS], args].concat();
    let output = namespace.enter(|| Command::new(words[0]).args(&words[1..]).output()).expect("curl starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap_or_else(|| panic!("{output:?}"));
    let status = status.parse().unwrap_or_else(|_| panic!("{output:?}"));
    Response { status, is_whole: output.status.success(), body: body.into() }
}
