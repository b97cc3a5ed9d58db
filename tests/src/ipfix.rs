//! What is in an IPFIX file, or a capture of messages on their way, as tshark reads it: each field by its name, and as the JSON of Weir has it.

use crate::netns::succeed;
use serde_json::{Map, Value, json};
use std::collections::{BTreeSet, HashMap};
use std::process::{Command, Stdio};

/// The fields of a flow.
pub type Flow = Map<String, Value>;

/// What tshark calls elements of IANA, what Weir calls the same, and of the reverse direction.
const NAMES: [(&str, &str, &str); 41] = [
    ("cflow.flow_id", "flow_id", ""),
    ("cflow.abstimestart", "start", ""),
    ("cflow.abstimeend", "end", ""),
    ("cflow.if_name", "interface", ""),
    ("cflow.inputint", "interface_index", ""),
    ("cflow.outputint", "interface_index", ""),
    ("cflow.direction", "direction", ""),
    ("cflow.srcaddr", "source_address", ""),
    ("cflow.srcaddrv6", "source_address", ""),
    ("cflow.srcport", "source_port", ""),
    ("cflow.dstaddr", "destination_address", ""),
    ("cflow.dstaddrv6", "destination_address", ""),
    ("cflow.dstport", "destination_port", ""),
    ("cflow.protocol", "protocol", ""),
    ("cflow.ethernet_type", "ethertype", ""),
    ("cflow.vlanid", "vlan", ""),
    ("cflow.icmp_ipv4_type", "icmp_type", ""),
    ("cflow.icmp_ipv4_code", "icmp_code", ""),
    ("cflow.icmp_ipv6_type", "icmp_type", ""),
    ("cflow.icmp_ipv6_code", "icmp_code", ""),
    ("cflow.packets", "packets", "reverse_packets"),
    ("cflow.layer2_octet_delta_count", "bytes", "reverse_bytes"),
    ("cflow.tcpflags", "tcp_flags", "reverse_tcp_flags"),
    ("cflow.biflow_direction", "biflow_direction", ""),
    ("cflow.ip_dscp", "dscp", ""),
    ("cflow.ttl_min", "min_ttl", ""),
    ("cflow.ttl_max", "max_ttl", ""),
    ("cflow.minimum_layer2_total_length", "min_length", ""),
    ("cflow.maximum_layer2_total_length", "max_length", ""),
    ("cflow.sampling_interval", "sampling_rate", "reverse_sampling_rate"),
    ("cflow.flow_end_reason", "flow_end_reason", ""),
    ("cflow.drop_packets", "dropped_packets", ""),
    ("cflow.drop_octets", "dropped_bytes", ""),
    ("cflow.post_natsource_ipv4_address", "translated_source_address", ""),
    ("cflow.post_nat_source_ipv6_address", "translated_source_address", ""),
    ("cflow.post_naptsource_transport_port", "translated_source_port", ""),
    ("cflow.post_natdestination_ipv4_address", "translated_destination_address", ""),
    ("cflow.post_nat_destination_ipv6_address", "translated_destination_address", ""),
    ("cflow.post_naptdestination_transport_port", "translated_destination_port", ""),
    ("cflow.srcas", "source_as_number", ""),
    ("cflow.dstas", "destination_as_number", ""),
];

/// Words that Weir has for numbers.
const WORDS: [(&str, u64, &[&str]); 3] = [
    ("direction", 0, &["ingress", "egress"]),
    ("biflow_direction", 0, &["arbitrary", "initiator"]),
    (
        "flow_end_reason",
        1,
        &["idle_timeout", "active_timeout", "end_of_flow_detected", "forced_end", "lack_of_resources"],
    ),
];

/// All flows of a file, in its order. Elements of ours are known by what the file itself says of them.
pub fn flows(file: &str) -> Vec<Flow> {
    let mut command = Command::new("tshark");
    // Usually it takes no more than 60 fields in a template.
    command.args(["-n", "-o", "cflow.max_template_fields:0", "-r", file, "-T", "pdml"]);
    let text = succeed(command.stderr(Stdio::null()));
    let mut own = HashMap::<String, [String; 3]>::new();
    let mut flows = Vec::<Flow>::new();
    for line in text.lines() {
        let Some(name) = attribute(line, "name") else { continue };
        let (show, value) = (attribute(line, "show").unwrap_or(""), attribute(line, "value").unwrap_or(""));
        assert!(!name.starts_with("_ws.malformed") && !name.starts_with("_ws.expert"), "{line}");
        match name {
            "" if show.starts_with("Flow ") => flows.push(Flow::new()),
            "cflow.enterprise_private_entry" => {
                let shown = attribute(line, "showname").expect("a name");
                let id =
                    shown.split("Type ").nth(1).and_then(|rest| rest.split(':').next()).expect("its number");
                let [name, kind, semantics] =
                    own.get(id).unwrap_or_else(|| panic!("the file does not say what {id} is"));
                let flow = flows.last_mut().expect("a flow");
                flow.insert(String::clone(name), own_value((name, kind, semantics), value));
            }
            _ if name.starts_with("cflow.information_element_")
                || name == "cflow.private_enterprise_number" =>
            {
                let kind = flows.last_mut().expect("a record");
                kind.insert(name.into(), show.into());
                if name == "cflow.information_element_name" {
                    let told = |what: &str| {
                        kind[&format!("cflow.information_element_{what}")].as_str().expect("text").to_owned()
                    };
                    own.insert(told("id"), ["name", "data_type", "semantics"].map(told));
                }
            }
            _ => take(flows.last_mut(), name, line, show),
        }
    }
    // What is told beside flows: elements, names of interfaces, selectors and statistics.
    let of_options = ["interface", "interface_index"];
    flows.retain(|flow| {
        !flow.contains_key("cflow.private_enterprise_number")
            && flow.keys().any(|name| !of_options.contains(&name.as_str()))
    });
    flows
}

/// Holds a flow against a record's JSON: each field that has an element is the same in both. Their names.
pub fn compare(ours: &Map<String, Value>, theirs: &Flow) -> BTreeSet<String> {
    let carried = |name: &str| !["type", "observations", "community_id"].contains(&name);
    let mut met = BTreeSet::new();
    for (name, value) in ours.iter().filter(|(name, value)| carried(name) && !value.is_null()) {
        let read = theirs.get(name).unwrap_or_else(|| panic!("no {name}: {theirs:?}"));
        let is_same = match (value, read) {
            // Only within its minute.
            (Value::String(value), Value::String(read)) if name.ends_with("process_start") => {
                value.ends_with(read)
            }
            (value, read) => value == read,
        };
        assert!(is_same, "{name}: {value} {read}");
        met.insert(name.clone());
    }
    let null = theirs.keys().find(|name| ours[*name].is_null());
    assert_eq!(null, None, "{ours:?}");
    met
}

fn take(flow: Option<&mut Flow>, name: &str, line: &str, show: &str) {
    let Some((_, forth, back)) = NAMES.iter().find(|(theirs, ..)| *theirs == name) else { return };
    let is_reverse = line.contains("(Reverse Type");
    let name = if is_reverse { *back } else { *forth };
    let value = match (WORDS.iter().find(|words| words.0 == name), show.parse::<u64>()) {
        (Some((_, first, words)), Ok(number)) => json!(words[(number - first) as usize]),
        (_, Ok(number)) if name == "flow_id" => json!(format!("{number:016x}")),
        (_, Ok(number)) if name == "protocol" => protocol(number),
        (_, Ok(number)) => json!(number),
        (_, Err(_)) if name.ends_with("tcp_flags") => {
            json!(u16::from_str_radix(show.trim_start_matches("0x"), 16).expect("flags"))
        }
        (_, Err(_)) if name == "start" || name == "end" => json!(rfc3339(show)),
        (_, Err(_)) => json!(show),
    };
    let before = flow.expect("a flow").insert(name.into(), value);
    assert_eq!(before, None, "twice: {line}");
}

fn protocol(number: u64) -> Value {
    let names = [(1, "icmp"), (6, "tcp"), (17, "udp"), (58, "icmpv6")];
    names
        .iter()
        .find(|(known, _)| *known == number)
        .map_or_else(|| json!(number.to_string()), |(_, name)| json!(name))
}

/// `Nov 27, 2026 15:42:39.368881071 UTC`
fn rfc3339(shown: &str) -> String {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let words: Vec<_> = shown.split_whitespace().collect();
    let [month, day, year, time, "UTC"] = words[..] else { panic!("{shown}") };
    let month = MONTHS.find(month).expect("a month") / 3 + 1;
    format!("{year}-{month:02}-{:0>2}T{time}Z", day.trim_end_matches(','))
}

/// By IANA's numbers of types and semantics (RFC 5610).
fn own_value((name, kind, semantics): (&str, &str, &str), hex: &str) -> Value {
    let bytes: Vec<u8> =
        (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hex")).collect();
    let number = || bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    match (kind, semantics) {
        ("13", _) => json!(String::from_utf8(bytes).expect("text")),
        ("11", _) => json!(number() == 1),
        ("4", "5") => json!((0..64).filter(|bit| number() >> bit & 1 == 1).collect::<Vec<_>>()),
        ("4", _) if name == "parent_id" => json!(format!("{:016x}", number())),
        ("4", _) => json!(number()),
        // Within its minute: seconds since 1900 and a fraction of 2^32.
        ("17", _) => {
            let seconds = (number() >> 32) % 60;
            json!(format!("{seconds:02}.{:09}Z", ((number() & 0xffff_ffff) * 1_000_000_000) >> 32))
        }
        other => panic!("{name} is of {other:?}"),
    }
}

/// What stands in `name="…"`.
fn attribute<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    let begin = format!(" {name}=\"");
    let rest = &line[line.find(&begin)? + begin.len()..];
    rest.split('"').next()
}
