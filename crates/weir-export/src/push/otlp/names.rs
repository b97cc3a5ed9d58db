//! What OpenTelemetry calls families of metrics, their units, and their labels.

use super::super::page::Family;
use std::borrow::Cow;
use weir_record::FIELDS;

/// Families that have another name there than theirs with dots: as what is counted alike has one (`hw.network.io`,
/// `process.memory.usage`, in the semantic conventions).
const OTHERS: [(&str, &str); 4] = [
    ("weir_network_bytes", "weir.network.io"),
    ("weir_network_vanished_bytes", "weir.network.vanished.io"),
    ("process_cpu_seconds", "process.cpu.time"),
    ("process_resident_memory_bytes", "process.memory.usage"),
];

/// `weir.network.tcp_rtt` for `weir_network_tcp_rtt_seconds`: seconds are a unit there and no part of the name. Other units stay,
/// since without them two families would have one name.
pub fn metric(family: &Family) -> String {
    if let Some((_, name)) = OTHERS.iter().find(|(known, _)| *known == family.name) {
        return (*name).to_owned();
    }
    let name = family.name.strip_suffix("_seconds").unwrap_or(&family.name);
    name.splitn(3, '_').collect::<Vec<_>>().join(".")
}

/// In UCUM, where what is counted stands in braces.
pub fn unit(family: &Family) -> String {
    match family.unit.as_str() {
        "" => String::new(),
        "seconds" => "s".into(),
        "bytes" => "By".into(),
        counted => format!("{{{}}}", counted.strip_suffix('s').unwrap_or(counted)),
    }
}

/// A label that is a field of records has the name that this has; others are Weir's.
pub fn attribute(label: &str) -> Cow<'static, str> {
    match FIELDS.iter().find(|field| field.name == label) {
        Some(field) => field.otel.into(),
        None => format!("weir.{label}").into(),
    }
}
