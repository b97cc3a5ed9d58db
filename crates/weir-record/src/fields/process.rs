//! Who talks: the processes at both ends, as far as they are of this host.

use super::joined;
use crate::Process;
use crate::field::{Field, Kind, Unit, Value};
use std::borrow::Cow;
use std::sync::Arc;

const OF_EACH_END: usize = 9;

/// In the order of output.
pub const FIELDS: &[Field] = &joined::<{ 2 * OF_EACH_END }>(&SOURCE, &DESTINATION);

fn text<'r>(process: &'r Option<Arc<Process>>, of: impl Fn(&'r Process) -> Option<&'r str>) -> Value<'r> {
    process.as_deref().and_then(of).map_or(Value::Absent, |text| Value::Text(Cow::Borrowed(text)))
}

fn number(process: &Option<Arc<Process>>, of: impl Fn(&Process) -> u32) -> Value<'_> {
    process.as_deref().map(of).into()
}

/// The same of either end: what differs is its name and where it lies in a record.
macro_rules! fields_of {
    ($end:literal, $process:ident) => {
        [
            field!($end, "_process", "process.name", Kind::Text, "Name (comm) of the process that used the socket at this end, of those of this host; `kernel` for the kernel's own. Null where that is not known: the other end is another host, nothing has used the socket, or `--identity off`.", |record| {
                text(&record.$process, |process| Some(&process.command))
            }),
            field!($end, "_pid", "process.pid", Kind::Number, "Its number.", |record| {
                number(&record.$process, |process| process.pid)
            }),
            field!($end, "_user_id", "process.user.id", Kind::Number, "The user it runs as.", |record| {
                number(&record.$process, |process| process.user_id)
            }),
            field!($end, "_executable", "process.executable.path", Kind::Text, "The file it runs. Null too where it had ended before it could be looked at.", |record| {
                text(&record.$process, |process| process.executable.as_deref())
            }),
            field!($end, "_arguments", "process.command_line", Kind::Text, "Its command line, as long as `--process-arguments` allows, secrets replaced by `***`.", |record| {
                text(&record.$process, |process| process.arguments.as_deref())
            }),
            field!($end, "_unit", "systemd.unit", Kind::Text, "The systemd unit it belongs to.", |record| {
                text(&record.$process, |process| process.unit.as_deref())
            }),
            field!($end, "_container", "container.id", Kind::Text, "The container it is in: its id, or its name where the runtime has no ids.", |record| {
                text(&record.$process, |process| Some(&process.container.as_ref()?.id))
            }),
            field!($end, "_container_runtime", "container.runtime.name", Kind::Text, "Whose container that is: `docker`, `podman`, `containerd`, `cri-o`, `lxc`; `unknown` where its control group does not tell.", |record| {
                text(&record.$process, |process| Some(process.container.as_ref()?.runtime.as_str()))
            }),
            field!($end, "_pod_uid", "k8s.pod.uid", Kind::Text, "Uid of the Kubernetes pod it is in.", |record| {
                text(&record.$process, |process| process.pod_uid.as_deref())
            }),
        ]
    };
}

macro_rules! field {
    ($end:literal, $name:literal, $otel:literal, $kind:expr, $doc:literal, $read:expr) => {
        Field {
            name: concat!($end, $name),
            kind: $kind,
            nullable: true,
            unit: Unit::None,
            otel: concat!($end, ".", $otel),
            ipfix: None,
            doc: $doc,
            read: $read,
        }
    };
}

const SOURCE: [Field; OF_EACH_END] = fields_of!("source", source_process);
const DESTINATION: [Field; OF_EACH_END] = fields_of!("destination", destination_process);
