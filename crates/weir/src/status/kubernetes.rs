//! What is known of Kubernetes, and how.

use super::facts::{cut, seconds};
use crate::table::ALARM;
use crate::text;
use weir_agent::KubernetesState;

/// Two lines; none where nobody is asked, as on most hosts.
pub fn facts(state: &KubernetesState) -> Vec<(&'static str, String)> {
    if state.server.is_empty() {
        return Vec::new();
    }
    vec![("kubernetes", known(state)), ("", server(state))]
}

fn known(state: &KubernetesState) -> String {
    let [pods, services, nodes] = [state.pods, state.services, state.nodes].map(text::grouped);
    let left_out = match state.left_out {
        0 => "none left out".into(),
        some => format!("{ALARM}{} left out{ALARM:#}", text::grouped(some)),
    };
    format!("pods: {pods}, services: {services}, nodes: {nodes}; {left_out}")
}

fn server(state: &KubernetesState) -> String {
    let since = seconds(state.since_seconds);
    if state.connected {
        return cut(format!("{}, told of changes for {since}", state.server));
    }
    let why = state.last_error.as_deref().unwrap_or("no answer yet");
    format!("{ALARM}{}{ALARM:#}", cut(format!("not told of changes for {since}: {why}")))
}
