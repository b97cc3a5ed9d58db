//! What goes over the socket: one JSON line in, one JSON line out, then the agent closes.

use super::flows::{Flows, Wanted};
use crate::Status;
use crate::status::Entry;
use serde::{Deserialize, Serialize};

/// The version of the protocol: a request of another one is refused, and says so.
pub const PROTOCOL: u32 = 1;

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// The agent's state.
    Status,
    /// To read its configuration again.
    Reload,
    /// What has moved.
    Flows(Wanted),
}

/// A request as it stands on its line.
#[derive(Serialize, Deserialize)]
struct Asked<R> {
    protocol: u32,
    request: R,
}

impl Request {
    /// The line that asks it.
    pub fn line(self) -> String {
        let asked = Asked { protocol: PROTOCOL, request: self };
        let mut line = serde_json::to_string(&asked).unwrap_or_default();
        line.push('\n');
        line
    }

    /// Reads a line; an error is an answer too.
    pub(super) fn read(line: &[u8]) -> Result<Self, String> {
        let asked: Asked<serde_json::Value> = serde_json::from_slice(line).map_err(|_| {
            format!("not a request: write {{\"protocol\":{PROTOCOL},\"request\":\"status\"}} and a newline")
        })?;
        if asked.protocol != PROTOCOL {
            let theirs = asked.protocol;
            return Err(format!(
                "this agent speaks protocol {PROTOCOL}, the request is of {theirs}: use the weir of its version, {}",
                env!("CARGO_PKG_VERSION")
            ));
        }
        serde_json::from_value(asked.request)
            .map_err(|_| "unknown request: there are status, reload and flows".to_string())
    }
}

/// What is answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Answer<L = Entry> {
    /// To [`Request::Status`].
    Status(Box<Status<L>>),
    /// To [`Request::Reload`].
    Reloaded {
        /// What has changed.
        text: String,
    },
    /// To [`Request::Flows`].
    Flows {
        /// What has moved.
        flows: Box<Flows>,
    },
    /// To anything: why it was not done.
    Error {
        /// One line.
        error: String,
    },
}

/// An answer as it stands on its line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reply<A = Answer> {
    /// See [`PROTOCOL`].
    pub protocol: u32,
    /// What is answered.
    #[serde(flatten)]
    pub answer: A,
}

/// The line that says `answer`.
pub(super) fn line(answer: &Answer) -> Vec<u8> {
    let mut line = serde_json::to_vec(&Reply { protocol: PROTOCOL, answer }).unwrap_or_default();
    line.push(b'\n');
    line
}

/// What an answer to [`Request::Flows`] may be, read without a detour: [`Answer`] takes in all of it before it knows
/// what it is, and this one may be large.
#[derive(Deserialize)]
pub(super) struct FlowsReply {
    pub protocol: u32,
    pub error: Option<String>,
    pub flows: Option<Flows>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::flows::Mark;

    #[test]
    fn a_request_survives_the_wire() {
        let since = Some(Mark { drain: 7, ended: 9 });
        let flows = [None, since].map(|since| Request::Flows(Wanted { since, most: 10 }));
        for request in [Request::Status, Request::Reload].into_iter().chain(flows) {
            assert_eq!(Request::read(request.line().as_bytes()), Ok(request));
        }
        assert_eq!(Request::Status.line(), "{\"protocol\":1,\"request\":\"status\"}\n");
    }

    #[test]
    fn what_is_no_request_is_told_why() {
        let refused = |line: &str| Request::read(line.as_bytes()).expect_err(line);
        for garbage in ["", "GET / HTTP/1.1\r", "{", "[1]", "{\"request\":\"status\"}", "\u{0}\u{1}"] {
            assert!(refused(garbage).starts_with("not a request"), "{garbage}");
        }
        assert!(refused("{\"protocol\":2,\"request\":\"status\"}").contains("protocol 1"));
        assert!(refused("{\"protocol\":1,\"request\":\"stop\"}").starts_with("unknown request"));
        assert!(refused("{\"protocol\":1,\"request\":7}").starts_with("unknown request"));
    }
}
