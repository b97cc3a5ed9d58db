//! Questions to DNS and what became of them: as `weir trace dns` tells of them, and as tshark sees them on the wire.

use crate::pair::Pair;
use crate::trace::Trace;
use crate::wire::{Wire, assert_times};
use serde_json::Value;
use std::collections::BTreeMap;

/// `weir trace dns` of the pair's addresses.
pub fn trace(pair: &Pair, flags: &[&str]) -> Trace {
    Trace::start(&pair.left, &[&["dns", "--filter", "host in 10.77.0.0/16,fd00::/64"], flags].concat())
}

/// The lookups that went over the wire, once there are so many.
pub fn lookups(trace: &Trace, count: usize) -> Vec<Value> {
    trace.wait_for("the lookups are told", |events| {
        assert!(events.iter().all(|one| one["type"] == "dns"), "{events:?}");
        // A server may ask another one beside it.
        let over_wire = events.iter().filter(|one| one["source_address"] != one["destination_address"]);
        let all: Vec<_> = over_wire.cloned().collect();
        (all.len() >= count).then_some(all)
    })
}

const ANSWERS: &str = "dns.flags.response==1";

/// Each lookup once, though both ends of the wire are listened at; those that were answered with what tshark has for it
/// beside the one who asked. None that was answered is missing.
pub fn assert_on_wire(lookups: &[Value], wire: Wire) {
    assert_all(lookups, times(wire, ANSWERS));
}

/// The same of lookups that both ends have made, each with its address and the wire beside it.
pub fn assert_on_wires(lookups: &[Value], ends: [(&str, Wire); 2]) {
    let beside = |(asker, wire)| times(wire, &format!("{ANSWERS} && ip.dst=={asker}"));
    assert_all(lookups, ends.into_iter().flat_map(beside).collect());
}

/// By the asker's port, name and type.
type Times = BTreeMap<(u64, String, u64), f64>;

fn assert_all(lookups: &[Value], mut left: Times) {
    let answered = lookups.iter().filter(|one| !one["dns_latency"].is_null());
    let told = answered.map(|one| {
        let word = |name: &str| one[name].as_str().unwrap_or_default();
        let port = one["source_port"].as_u64().expect("a port");
        let key = (port, word("dns_question").to_owned(), number_of(word("dns_type")));
        let time = left.remove(&key).unwrap_or_else(|| panic!("not on the wire, or told twice: {one}"));
        (one["dns_latency"].as_u64().expect("a number") as f64 / 1e6, time)
    });
    assert_times(&told.collect::<Vec<_>>());
    assert!(left.is_empty(), "not told: {left:?}");
}

/// Seconds from question to answer, as tshark has it.
fn times(mut wire: Wire, answers: &str) -> Times {
    const FIELDS: [&str; 5] = ["udp.dstport", "tcp.dstport", "dns.qry.name", "dns.qry.type", "dns.time"];
    let times = wire.read(answers, &FIELDS).into_iter().map(|fields| {
        let [udp, tcp, name, kind, time] = &fields[..] else { panic!("{fields:?}") };
        let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("{fields:?}"));
        let port = number(if udp.is_empty() { tcp } else { udp });
        ((port, name.to_lowercase(), number(kind)), time.parse().unwrap_or_else(|_| panic!("{fields:?}")))
    });
    times.collect()
}

fn number_of(kind: &str) -> u64 {
    match kind {
        "A" => 1,
        "PTR" => 12,
        "MX" => 15,
        "TXT" => 16,
        "AAAA" => 28,
        "SRV" => 33,
        other => panic!("{other}"),
    }
}
