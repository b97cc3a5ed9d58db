//! Who talks: the processes at both ends, as far as they are of this host.

use crate::field::{Field, Kind, Unit};
use crate::read::{known, set};
use crate::value::{Text, Value};
use crate::{Process, Runtime};
use std::sync::Arc;

fn text<'r>(process: &'r Option<Arc<Process>>, of: impl Fn(&'r Process) -> Option<&'r str>) -> Value<'r> {
    process.as_deref().and_then(of).map_or(Value::Absent, |text| Value::Text(Text::Borrowed(text)))
}

/// The kernel itself has no numbers.
fn number(process: &Option<Arc<Process>>, of: impl Fn(&Process) -> Option<u32>) -> Value<'_> {
    process.as_deref().filter(|process| process.pid != 0).and_then(of).into()
}

fn start(process: &Option<Arc<Process>>) -> Value<'_> {
    process.as_ref().and_then(|process| process.started).map_or(Value::Absent, Value::Time)
}

/// The same of either end: what differs is its name and where it lies in a record.
macro_rules! fields_of {
    ($end:ident) => {
        [
            end_field!($end, "_process", 1, "process.name", Kind::Text, "Name (comm) of the process that used the socket at this end, of those of this host; `kernel` for the kernel itself and its threads. Null where that is not known: the other end is another host, nothing has used the socket, or `--identity off`.", |record| {
                text(&record.$end.process, |process| Some(&process.command))
            }, |draft, value| set(&mut known(&mut draft.record.$end.process).command, value.text())),
            end_field!($end, "_pid", 2, "process.pid", Kind::Number, "Its number. Null for the kernel itself.", |record| {
                number(&record.$end.process, |process| Some(process.pid))
            }, |draft, value| set(&mut known(&mut draft.record.$end.process).pid, value.number())),
            end_field!($end, "_parent_pid", 3, "process.parent_pid", Kind::Number, "The number of the process whose child it was when it was heard of.", |record| {
                number(&record.$end.process, |process| process.parent_pid)
            }, |draft, value| set(&mut known(&mut draft.record.$end.process).parent_pid, value.number().map(Some))),
            Field {
                unit: Unit::Time,
                ..end_field!($end, "_process_start", 4, "process.creation.time", Kind::Time, "When it began.", |record| {
                    start(&record.$end.process)
                }, |draft, value| set(&mut known(&mut draft.record.$end.process).started, value.number().map(Some)))
            },
            end_field!($end, "_user_id", 5, "process.user.id", Kind::Number, "The user it runs as.", |record| {
                number(&record.$end.process, |process| Some(process.user_id))
            }, |draft, value| set(&mut known(&mut draft.record.$end.process).user_id, value.number())),
            end_field!($end, "_executable", 6, "process.executable.path", Kind::Text, "The file it runs. Null too where it had ended before it could be looked at: without `--processes`, or when the kernel's events were lost.", |record| {
                text(&record.$end.process, |process| process.executable.as_deref())
            }, |draft, value| set(&mut known(&mut draft.record.$end.process).executable, value.text().map(Some))),
            end_field!($end, "_arguments", 7, "process.command_line", Kind::Text, "Its command line, as long as `--process-arguments` allows, secrets replaced by `***`.", |record| {
                text(&record.$end.process, |process| process.arguments.as_deref())
            }, |draft, value| set(&mut known(&mut draft.record.$end.process).arguments, value.text().map(Some))),
            end_field!($end, "_cgroup", 8, "process.linux.cgroup", Kind::Text, "The path of its control group, of several the one that says most about its owner.", |record| {
                text(&record.$end.process, |process| process.cgroup.as_deref())
            }, |draft, value| set(&mut known(&mut draft.record.$end.process).cgroup, value.text().map(Some))),
            end_field!($end, "_unit", 9, "systemd.unit", Kind::Text, "The systemd unit it belongs to.", |record| {
                text(&record.$end.process, |process| process.unit.as_deref())
            }, |draft, value| set(&mut known(&mut draft.record.$end.process).unit, value.text().map(Some))),
            end_field!($end, "_container", 10, "container.id", Kind::Text, "The container it is in: its id, or its name where the runtime has no ids.", |record| {
                text(&record.$end.process, |process| Some(&process.container.as_ref()?.id))
            }, |draft, value| set(&mut known(&mut draft.record.$end.process).container.get_or_insert_default().id, value.text())),
            end_field!($end, "_container_runtime", 11, "container.runtime.name", Kind::Text, "Whose container that is: `docker`, `podman`, `containerd`, `cri-o`, `lxc`; `unknown` where its control group does not tell.", |record| {
                text(&record.$end.process, |process| Some(process.container.as_ref()?.runtime.as_str()))
            }, |draft, value| set(&mut known(&mut draft.record.$end.process).container.get_or_insert_default().runtime, value.word(&Runtime::ALL, Runtime::as_str))),
            end_field!($end, "_pod_uid", 12, "k8s.pod.uid", Kind::Text, "Uid of the Kubernetes pod it is in.", |record| {
                text(&record.$end.process, |process| process.pod_uid.as_deref())
            }, |draft, value| set(&mut known(&mut draft.record.$end.process).pod_uid, value.text().map(Some))),
        ]
    };
}

/// In the order of output.
pub const SOURCE: &[Field] = &fields_of!(source);
/// The same of the other end.
pub const DESTINATION: &[Field] = &fields_of!(destination);
