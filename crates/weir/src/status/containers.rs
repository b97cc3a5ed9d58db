//! What the agent knows of containers, in a line.

use super::facts::cut;
use crate::table::ALARM;
use crate::text;
use weir_agent::ContainersState;

/// Nothing where there are none.
pub fn line(state: &ContainersState) -> Option<String> {
    if state.known == 0 && state.sources.is_empty() {
        return None;
    }
    let mut line = format!("{} of {} named", text::grouped(state.named), text::grouped(state.known));
    let well = state.sources.iter().filter(|source| source.problem.is_none());
    let mut names: Vec<_> = well.map(|source| source.runtime.as_str()).collect();
    names.dedup();
    if !names.is_empty() {
        line.push_str(&format!(" by {}", names.join(", ")));
    }
    let troubles = troubles(state);
    if troubles.is_empty() {
        return Some(cut(line));
    }
    Some(format!("{ALARM}{}{ALARM:#}", cut(format!("{line}; {}", troubles.join(", ")))))
}

fn troubles(state: &ContainersState) -> Vec<String> {
    let counted =
        [(state.evicted, "forgotten"), (state.unasked, "not asked for"), (state.failed, "not answered for")];
    let counted = counted.into_iter().filter(|(count, _)| *count > 0);
    let counted = counted.map(|(count, what)| format!("{} {what}", text::count(count)));
    let places = state
        .sources
        .iter()
        .filter_map(|source| Some(format!("{}: {}", source.place, source.problem.as_ref()?)));
    counted.chain(places).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_agent::SourceState;

    fn source(runtime: &str, place: &str, problem: Option<&str>) -> SourceState {
        SourceState { runtime: runtime.into(), place: place.into(), problem: problem.map(Into::into) }
    }

    #[test]
    fn is_said_where_there_are_containers_or_could_be() {
        assert_eq!(line(&ContainersState::default()), None);
        let sources = vec![
            source("docker", "/run/docker.sock", None),
            source("docker", "/var/lib/docker", None),
            source("containerd", "/run/containerd", None),
        ];
        let state = ContainersState { known: 14, named: 12, sources, ..ContainersState::default() };
        assert_eq!(line(&state).as_deref(), Some("12 of 14 named by docker, containerd"));
    }

    #[test]
    fn what_is_wrong_is_said_and_fits() {
        let sources = vec![source("docker", "/run/docker.sock", Some(&"no answer within 2s ".repeat(9)))];
        let state = ContainersState { known: 3, failed: 3, sources, ..ContainersState::default() };
        let line = anstream::adapter::strip_str(&line(&state).expect("a line")).to_string();
        assert!(line.starts_with("0 of 3 named; 3 not answered for, /run/docker.sock: no answer"), "{line}");
        assert_eq!(line.chars().count(), 66);
    }
}
