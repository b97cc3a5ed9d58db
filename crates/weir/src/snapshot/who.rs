//! What is said of a process, in the words of records.

use serde::Serialize;
use weir_agent::Socket;
use weir_record::{End, Process, Value};

/// Its fields: those of an end of a record, without `source_` and `destination_`.
#[derive(Serialize, Default)]
pub struct Who<'a> {
    pid: Option<u32>,
    process: Option<&'a str>,
    parent_pid: Option<u32>,
    process_start: Option<Value<'a>>,
    executable: Option<&'a str>,
    arguments: Option<&'a str>,
    cgroup: Option<&'a str>,
    unit: Option<&'a str>,
    container: Option<&'a str>,
    container_runtime: Option<&'a str>,
    container_name: Option<&'a str>,
    container_image: Option<&'a str>,
    pod_uid: Option<&'a str>,
    pod: Option<&'a str>,
    namespace: Option<&'a str>,
}

impl<'a> Who<'a> {
    /// Of nobody where there is no process.
    pub fn of(end: Option<&'a End>) -> Self {
        let Some((end, process)) = end.and_then(|end| Some((end, end.process.as_deref()?))) else {
            return Self::default();
        };
        let (container, details) = (process.container.as_ref(), end.container.as_deref());
        let workload = end.workload.as_deref();
        Self {
            pid: Some(process.pid),
            process: Some(&process.command),
            parent_pid: process.parent_pid,
            process_start: process.started.map(Value::Time),
            executable: process.executable.as_deref(),
            arguments: process.arguments.as_deref(),
            cgroup: process.cgroup.as_deref(),
            unit: process.unit.as_deref(),
            container: container.map(|container| &*container.id),
            container_runtime: container.map(|container| container.runtime.as_str()),
            container_name: details.and_then(|details| details.name.as_deref()),
            container_image: details.and_then(|details| details.image.as_deref()),
            pod_uid: process.pod_uid.as_deref(),
            pod: workload.and_then(|workload| workload.pod.as_deref()),
            namespace: workload.and_then(|workload| workload.namespace.as_deref()),
        }
    }
}

/// The processes that have a socket open, the one that has been there longest first.
pub fn holders(socket: &Socket) -> impl Iterator<Item = &Process> {
    socket.holders.iter().filter_map(|end| end.process.as_deref())
}

/// Where a process belongs, in a word: its pod, container or unit.
pub fn place(end: &End) -> Option<String> {
    let pod = || Some(end.workload.as_ref()?.pod.as_ref()?.to_string());
    pod().or_else(|| end.container_name()).or_else(|| end.process.as_ref()?.unit.clone())
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::sync::Arc;
    use weir_record::{Container, FIELDS, Runtime};

    /// A process of this number, in a container.
    pub fn end(pid: u32, command: &str) -> Arc<End> {
        let container = Some(Container { id: "4f1d2a7c9be3".repeat(5), runtime: Runtime::Docker });
        let process = Process { pid, command: command.into(), container, ..Process::default() };
        Arc::new(End { process: Some(Arc::new(process)), ..End::default() })
    }

    #[test]
    fn words_are_those_of_records() {
        let end = end(7, "nginx");
        let said = serde_json::to_value(Who::of(Some(&end))).expect("JSON");
        for name in said.as_object().expect("an object").keys() {
            let of_source = format!("source_{name}");
            assert!(FIELDS.iter().any(|field| field.name == of_source), "{name}");
        }
        assert_eq!((&said["pid"], &said["container_runtime"]), (&7.into(), &"docker".into()));
        let nobody = serde_json::to_value(Who::of(None)).expect("JSON");
        assert!(nobody.as_object().expect("an object").values().all(serde_json::Value::is_null));
    }

    #[test]
    fn a_place_is_a_word() {
        assert_eq!(place(&end(7, "nginx")).as_deref(), Some("4f1d2a7c9be3"));
        assert_eq!(place(&End::default()), None);
    }
}
