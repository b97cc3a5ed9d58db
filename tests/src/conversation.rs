//! What a record says of the conversation: both directions, and who saw them.

use crate::output::{Count, boolean, count, field, number, optional, text};
use crate::workload::Workload;
use serde_json::Value;

/// Address and port, if there are any.
pub type End = (Option<String>, Option<u16>);

/// A flow record, as far as it is about a conversation.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "named as in the JSON")]
pub struct Conversation {
    pub flow_id: String,
    pub parent_id: Option<String>,
    pub sampling_rate: u32,
    /// `source_address`, and `source_port` if there is one.
    pub source: End,
    /// The other end.
    pub destination: End,
    /// What the source is behind a NAT.
    pub translated_source: End,
    /// What the destination is there.
    pub translated_destination: End,
    pub protocol: Option<String>,
    /// `packets` and `bytes`.
    pub count: Count,
    /// `reverse_packets` and `reverse_bytes`.
    pub reverse: Option<Count>,
    pub reverse_tcp_flags: Option<u16>,
    pub biflow_direction: Option<String>,
    pub biflow_evidence: Option<String>,
    pub tcp_state: Option<String>,
    pub community_id: Option<String>,
    pub flow_end_reason: String,
    pub interface: String,
    pub source_process: Option<Process>,
    pub destination_process: Option<Process>,
    pub source_names: Names,
    pub destination_names: Names,
    pub source_workload: Workload,
    pub destination_workload: Workload,
    pub observations: Vec<Observation>,
}

/// Who used the socket at one end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in the JSON")]
pub struct Process {
    pub process: String,
    /// 0 for the kernel.
    pub pid: u32,
    pub parent_pid: Option<u32>,
    pub process_start: Option<String>,
    pub user_id: Option<u32>,
    pub executable: Option<String>,
    pub arguments: Option<String>,
    pub cgroup: Option<String>,
    pub unit: Option<String>,
    pub container: Option<String>,
    pub container_runtime: Option<String>,
    pub container_name: Option<String>,
    pub container_image: Option<String>,
    pub container_labels: Option<String>,
    pub pod_uid: Option<String>,
}

/// What the address at one end is called, and where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in the JSON")]
pub struct Names {
    pub name: Option<String>,
    pub name_origin: Option<String>,
    pub label: Option<String>,
    pub country: Option<String>,
    pub city: Option<String>,
    pub as_number: Option<u32>,
    pub as_organization: Option<String>,
}

/// What one point saw of one direction.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "named as in the JSON")]
pub struct Observation {
    pub netns: String,
    pub interface: String,
    pub decapsulated: bool,
    pub direction: String,
    pub vlan: Option<u16>,
    pub translated: bool,
    pub reverse: bool,
    pub count: Count,
}

impl Conversation {
    /// Reads a line of `"type":"flow"`; panics with it if it is not what the specification says.
    pub fn read(line: &str) -> Self {
        let value: Value = serde_json::from_str(line).expect("JSON");
        Self::of(&value).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// The observation of one direction at one point.
    pub fn observed(&self, interface: &str, direction: &str, reverse: bool) -> Option<&Observation> {
        let wanted = (interface, direction, reverse);
        self.observations.iter().find(|seen| (&*seen.interface, &*seen.direction, seen.reverse) == wanted)
    }

    /// Packets of both directions.
    pub fn packets(&self) -> u64 {
        self.count.packets + self.reverse.unwrap_or_default().packets
    }

    fn of(value: &Value) -> Result<Self, String> {
        let end = |address: &str, port: &str| -> Result<_, String> {
            Ok((optional(value, address, text)?, optional(value, port, number)?))
        };
        let reverse = optional(value, "reverse_packets", number)?;
        let reverse_bytes = optional(value, "reverse_bytes", number)?;
        let observations = field(value, "observations")?.as_array().ok_or("observations: not an array")?;
        Ok(Self {
            flow_id: text(value, "flow_id")?,
            parent_id: optional(value, "parent_id", text)?,
            sampling_rate: number(value, "sampling_rate")?,
            source: end("source_address", "source_port")?,
            destination: end("destination_address", "destination_port")?,
            translated_source: end("translated_source_address", "translated_source_port")?,
            translated_destination: end("translated_destination_address", "translated_destination_port")?,
            protocol: optional(value, "protocol", text)?,
            count: count(value)?,
            reverse: reverse.zip(reverse_bytes).map(|(packets, bytes)| Count { packets, bytes }),
            reverse_tcp_flags: optional(value, "reverse_tcp_flags", number)?,
            biflow_direction: optional(value, "biflow_direction", text)?,
            biflow_evidence: optional(value, "biflow_evidence", text)?,
            tcp_state: optional(value, "tcp_state", text)?,
            community_id: optional(value, "community_id", text)?,
            flow_end_reason: text(value, "flow_end_reason")?,
            interface: text(value, "interface")?,
            source_process: Process::of(value, "source")?,
            destination_process: Process::of(value, "destination")?,
            source_names: Names::of(value, "source")?,
            destination_names: Names::of(value, "destination")?,
            source_workload: Workload::of(value, "source")?,
            destination_workload: Workload::of(value, "destination")?,
            observations: observations.iter().map(Observation::of).collect::<Result<_, _>>()?,
        })
    }
}

impl Process {
    fn of(value: &Value, end: &str) -> Result<Option<Self>, String> {
        let name = |field: &str| format!("{end}_{field}");
        let words = |field: &str| optional(value, &name(field), text);
        let Some(process) = words("process")? else { return Ok(None) };
        Ok(Some(Self {
            process,
            pid: optional(value, &name("pid"), number)?.unwrap_or(0),
            parent_pid: optional(value, &name("parent_pid"), number)?,
            process_start: words("process_start")?,
            user_id: optional(value, &name("user_id"), number)?,
            executable: words("executable")?,
            arguments: words("arguments")?,
            cgroup: words("cgroup")?,
            unit: words("unit")?,
            container: words("container")?,
            container_runtime: words("container_runtime")?,
            container_name: words("container_name")?,
            container_image: words("container_image")?,
            container_labels: words("container_labels")?,
            pod_uid: words("pod_uid")?,
        }))
    }
}

impl Names {
    fn of(value: &Value, end: &str) -> Result<Self, String> {
        let words = |field: &str| optional(value, &format!("{end}_{field}"), text);
        Ok(Self {
            name: words("name")?,
            name_origin: words("name_origin")?,
            label: words("label")?,
            country: words("country")?,
            city: words("city")?,
            as_number: optional(value, &format!("{end}_as_number"), number)?,
            as_organization: words("as_organization")?,
        })
    }
}

impl Observation {
    fn of(value: &Value) -> Result<Self, String> {
        Ok(Self {
            netns: text(value, "netns")?,
            decapsulated: boolean(value, "decapsulated")?,
            interface: text(value, "interface")?,
            direction: text(value, "direction")?,
            vlan: optional(value, "vlan", number)?,
            translated: boolean(value, "translated")?,
            reverse: boolean(value, "reverse")?,
            count: count(value)?,
        })
    }
}
