//! Requests to the server.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, BufRead};

/// One request.
pub(super) struct Request {
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    /// As it came.
    pub target: String,
}

impl Request {
    /// Reads it; none where the client has gone.
    pub fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut line = || -> io::Result<String> {
            let mut line = String::new();
            from.read_line(&mut line)?;
            Ok(line.trim_end().to_owned())
        };
        let first = line()?;
        let Some(target) = first.strip_prefix("GET ").and_then(|rest| rest.split(' ').next()) else {
            return Ok(None);
        };
        let mut headers = BTreeMap::new();
        while let Some((name, value)) = line()?.split_once(':') {
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        };
        let query = query.split('&').filter(|pair| !pair.is_empty()).map(pair).collect();
        Ok(Some(Self { path: path.to_owned(), query, headers, target: target.to_owned() }))
    }

    pub fn number(&self, name: &str) -> Option<u64> {
        self.query.get(name)?.parse().ok()
    }

    /// Field selectors: of pods by their node only.
    pub fn selects(&self, object: &Value) -> bool {
        let Some(selector) = self.query.get("fieldSelector") else { return true };
        let node = object["spec"]["nodeName"].as_str().unwrap_or_default();
        match (selector.strip_prefix("spec.nodeName="), selector.strip_prefix("spec.nodeName!=")) {
            (Some(wanted), _) => node == wanted,
            (_, Some(unwanted)) => node != unwanted,
            _ => panic!("an unknown selector: {selector}"),
        }
    }

    /// As a whole, or its metadata, as the client accepts it.
    pub fn shape(&self, object: &Value) -> Value {
        let accept = self.headers.get("accept").map_or("", String::as_str);
        if accept.contains("as=PartialObjectMetadata") {
            let metadata = &object["metadata"];
            json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
        } else {
            object.clone()
        }
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = after;
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read() {
        let text =
            "GET /api/v1/pods?limit=5&fieldSelector=spec.nodeName%21%3Da HTTP/1.1\r\nAccept: x\r\n\r\n";
        let request = Request::read(&mut text.as_bytes()).expect("it reads").expect("one");
        assert_eq!((request.path.as_str(), request.number("limit")), ("/api/v1/pods", Some(5)));
        assert!(!request.selects(&json!({"spec": {"nodeName": "a"}})));
        assert!(request.selects(&json!({"spec": {"nodeName": "b"}})));
        assert_eq!(request.headers["accept"], "x");
    }
}
