//! The objects of a cluster, and their history.

use super::request::Request;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// By path of the kind, namespace and name.
type Key = (String, String, String);

/// One change.
struct Change {
    version: u64,
    path: String,
    old: Option<Arc<Value>>,
    new: Option<Arc<Value>>,
}

/// All objects.
#[derive(Default)]
pub(super) struct Store {
    pub version: u64,
    /// History up to here is forgotten.
    forgotten: u64,
    objects: BTreeMap<Key, Arc<Value>>,
    history: Vec<Change>,
    /// The next page that continues a list is too old.
    pub refuses_next_page: bool,
    /// Kinds that may not be read.
    pub forbidden: BTreeSet<String>,
    /// What was asked.
    pub requests: Vec<String>,
    /// Watches that go on now.
    pub watches: usize,
}

impl Store {
    pub fn set(&mut self, path: &str, mut object: Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
        let key = (path.to_owned(), text("namespace"), text("name"));
        let new = Arc::new(object);
        let old = self.objects.insert(key, Arc::clone(&new));
        self.history.push(Change { version: self.version, path: path.into(), old, new: Some(new) });
    }

    pub fn remove(&mut self, path: &str, namespace: &str, name: &str) {
        let key = (path.to_owned(), namespace.to_owned(), name.to_owned());
        let old = self.objects.remove(&key).expect("it is there");
        self.version += 1;
        self.history.push(Change { version: self.version, path: path.into(), old: Some(old), new: None });
    }

    /// As etcd does from time to time.
    pub fn forget(&mut self) {
        self.forgotten = self.version;
        self.history.clear();
    }

    /// A page of a list, or that the token for it is too old.
    pub fn list(&mut self, request: &Request) -> (u16, Value) {
        let limit = request.number("limit").unwrap_or(u64::MAX) as usize;
        let (version, after) = match request.query.get("continue").and_then(|token| token.split_once(' ')) {
            None => (self.version, String::new()),
            Some((version, after)) => (version.parse().expect("our own token"), after.to_owned()),
        };
        let is_refused = !after.is_empty() && std::mem::take(&mut self.refuses_next_page);
        if version < self.forgotten || is_refused {
            return (410, status(410));
        }
        let name = |key: &Key| format!("{}/{}", key.1, key.2);
        let of_kind = self.objects.iter().filter(|(key, object)| {
            key.0 == request.path && request.selects(object) && (after.is_empty() || name(key) > after)
        });
        let mut found: Vec<_> = of_kind.take(limit.saturating_add(1)).collect();
        let more = found.len() > limit;
        found.truncate(limit);
        let token = found.last().filter(|_| more).map(|(key, _)| format!("{version} {}", name(key)));
        // Go writes null where there are none.
        let items = match found.as_slice() {
            [] => Value::Null,
            _ => found.iter().map(|(_, object)| request.shape(object)).collect(),
        };
        let metadata = json!({"resourceVersion": version.to_string(), "continue": token.unwrap_or_default()});
        (200, json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items}))
    }

    /// What a watch that has come so far has to hear, and how far it has come then; nothing if that is forgotten.
    pub fn since(&self, request: &Request, version: u64) -> Option<(Vec<Value>, u64)> {
        if version < self.forgotten {
            return None;
        }
        let first = self.history.partition_point(|change| change.version <= version);
        let of_kind = self.history[first..].iter().filter(|change| change.path == request.path);
        let event = |change: &Change| {
            let selects =
                |object: &Option<Arc<Value>>| object.clone().filter(|object| request.selects(object));
            let (kind, object) = match (selects(&change.old), selects(&change.new)) {
                (None, None) => return None,
                (None, Some(new)) => ("ADDED", new),
                (Some(_), Some(new)) => ("MODIFIED", new),
                (Some(old), None) => ("DELETED", old),
            };
            let mut object = request.shape(&object);
            object["metadata"]["resourceVersion"] = json!(change.version.to_string());
            Some(json!({"type": kind, "object": object}))
        };
        Some((of_kind.filter_map(event).collect(), self.version))
    }
}

/// An error as the API writes it.
pub(super) fn status(code: u16) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "for a reason", "code": code})
}
