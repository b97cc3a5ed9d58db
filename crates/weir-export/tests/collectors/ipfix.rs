//! IPFIX, as nfacctd, nfcapd and tshark read it, with what is told in records of options.

use crate::nfacctd::{Nfacctd, SOON};
use crate::nfcapd::Nfcapd;
use crate::records::{key, record, records};
use crate::{Sums, add, peer, random, read_by_tshark, said, waiting};
use serde_json::Value;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use weir_export::Target;
use weir_record::{Direction, FlowRecord};
use weir_tests::folder::Folder;
use weir_tests::wait_for;

/// Between two ends by their ports.
fn flow(port: u16) -> FlowRecord {
    record(key(["192.0.2.1", "192.0.2.2"], 17, Some((port, 2))), Direction::Ingress, [1, 100])
}

/// As far as a collector without a word for it knows them: those of the direction that a record has first.
fn wanted(records: &[FlowRecord]) -> Sums {
    let mut wanted = Sums::new();
    for record in records {
        let Some(ends) = record.key.addresses() else { continue };
        add(&mut wanted, ends, [record.packets, record.bytes]);
    }
    wanted
}

/// Of what is IP, and has any packets.
fn sums(flows: &[Value]) -> Sums {
    let mut sums = Sums::new();
    for flow in flows {
        let [source, destination] = ["ip_src", "ip_dst"].map(|name| flow[name].as_str()?.parse().ok());
        let (Some(source), Some(destination)) = (source, destination) else { continue };
        let counts = ["packets", "bytes"].map(|name| flow[name].as_u64().expect(name));
        add(&mut sums, (source, destination), counts);
    }
    sums.retain(|_, sum| *sum != [0, 0]);
    sums
}

/// Of both families, with ports and without.
#[test]
fn nfacctd_has_the_sums_of_records_at_random() {
    let folder = Folder::new("nfacctd");
    for scheme in ["ipfix+udp", "netflow9+udp"] {
        let nfacctd = Nfacctd::start(&folder, scheme);
        let mut records = random();
        records.retain(|record| record.key.addresses().is_some());
        // Of IPFIX it has one direction alone.
        records.iter_mut().for_each(|record| record.reverse = None);
        let mut peer = peer(&format!("{scheme}://127.0.0.1:{}", nfacctd.port));
        // It reads no more of a datagram than a network would bring: the loopback brings 64 KiB.
        for many in records.chunks(100) {
            many.chunks(2).for_each(|few| drop(peer.send(few).expect("sent")));
            let has_read = || (waiting(nfacctd.port)? == "00000000").then_some(());
            wait_for("nfacctd has read these", SOON, has_read);
        }
        let wanted = wanted(&records);
        wait_for(&format!("nfacctd has all that {scheme} sent"), SOON, || {
            (sums(&nfacctd.printed()) == wanted).then_some(())
        });
    }
}

/// With everything that Weir says of them.
#[test]
fn nfacctd_has_flows_of_all_kinds() {
    let folder = Folder::new("nfacctd");
    let nfacctd = Nfacctd::start(&folder, "kinds");
    let records: Vec<_> = records().into_iter().filter(|record| record.packets > 0).collect();
    peer(&format!("ipfix+udp://127.0.0.1:{}", nfacctd.port)).send(&records).expect("sent");
    let wanted = wanted(&records);
    wait_for("nfacctd has all of them", SOON, || (sums(&nfacctd.printed()) == wanted).then_some(()));
}

/// nfacctd knows nothing of a reverse direction: of what came back it has what leaves as a flow of its own, as in NetFlow 9
/// or with `--biflow off`. nfcapd has it in the same flow, as what went out.
#[test]
fn what_came_back_is_counted_where_it_is_known() {
    let (folder, both) = (Folder::new("back"), &records()[..1]);
    let one_way = FlowRecord { reverse: None, ..both[0].clone() };
    for (scheme, wanted) in [("ipfix+udp", vec![[10, 1500]]), ("netflow9+udp", vec![[10, 1500], [5, 7000]])] {
        let nfacctd = Nfacctd::start(&folder, scheme);
        let mut peer = peer(&format!("{scheme}://127.0.0.1:{}", nfacctd.port));
        peer.send(both).expect("sent");
        // Once it has this one it has all before it, though it may be printed first.
        peer.send(&[flow(9)]).expect("sent");
        let printed = wait_for("nfacctd has both", SOON, || {
            let printed = nfacctd.printed();
            let is_last = |flow: &Value| flow["port_src"] == 9;
            (printed.iter().any(is_last) && printed.len() > wanted.len()).then_some(printed)
        });
        let mut counts: Vec<_> = printed
            .iter()
            .filter(|flow| flow["port_src"] != 9)
            .map(|flow| ["packets", "bytes"].map(|name| flow[name].as_u64().expect(name)))
            .collect();
        counts.sort_unstable_by_key(|count| std::cmp::Reverse(*count));
        assert_eq!(counts, wanted, "{scheme}");
    }
    let nfcapd = Nfcapd::start(&folder, "nfcapd");
    peer(&format!("ipfix+udp://127.0.0.1:{}", nfcapd.port)).send(&[both[0].clone(), one_way]).expect("sent");
    let flows = nfcapd.stop_for("fmt:%ipkt,%ibyt,%opkt,%obyt");
    assert_eq!(flows, [["10", "1500", "5", "7000"], ["10", "1500", "0", "0"]]);
}

/// Templates come again for one that was started anew.
#[test]
fn nfacctd_knows_flows_after_it_was_started_anew() {
    let has = |nfacctd: &Nfacctd, ports: RangeInclusive<u64>| {
        wait_for("nfacctd has flows of these ports", SOON, || {
            let printed = nfacctd.printed();
            let known: BTreeSet<_> = printed.iter().filter_map(|flow| flow["port_src"].as_u64()).collect();
            ports.clone().all(|port| known.contains(&port)).then_some(())
        });
    };
    let folder = Folder::new("nfacctd");
    let first = Nfacctd::start(&folder, "first");
    let port = first.port;
    let mut peer = peer(&format!("ipfix+udp://127.0.0.1:{port}"));
    peer.send(&[flow(1)]).expect("sent");
    has(&first, 1..=1);
    drop(first);
    let second = Nfacctd::start_at(&folder, "second", port);
    peer.connect().expect("it listens");
    peer.send(&[flow(2)]).expect("sent");
    has(&second, 2..=2);
    drop(second);
    // Nobody has noticed this time: it waits for templates.
    let third = Nfacctd::start_at(&folder, "third", port);
    (3..=60).for_each(|port| drop(peer.send(&[flow(port)]).expect("sent")));
    has(&third, 54..=60);
}

/// Two that are sampled, of one interface, and one of another that is not.
fn sampled() -> Vec<FlowRecord> {
    let sampled = |port, sampling_rate| FlowRecord { sampling_rate, ..flow(port) };
    let mut other = flow(3);
    let mut interface = (*other.interface).clone();
    (interface.name, interface.index) = ("wan1".into(), 9);
    other.interface = interface.into();
    vec![sampled(1, 10), sampled(2, 100), sampled(4, 10), other]
}

/// Names of interfaces, selectors, and what was exported before.
#[test]
fn tshark_reads_every_option() {
    let text = read_by_tshark("ipfix+udp", &sampled());
    let numbers = |word| said(&text, word);
    // Each is told before the first flow that it has chosen.
    assert_eq!(numbers("Selector Id"), ["10", "10", "100", "100", "10"], "{text}");
    assert_eq!(numbers("Selector Algorithm"), ["Uniform probabilistic Sampling (4)"; 2], "{text}");
    assert_eq!(numbers("Sampling Probability"), ["0.1", "0.01"], "{text}");
    assert_eq!(numbers("Sampling interval"), ["10", "100", "10", "1"], "{text}");
    // Of both interfaces, each with its number, and of every flow.
    let names = ["eth0", "eth0", "eth0", "eth0", "wan1", "wan1"];
    assert_eq!((numbers("IfName"), numbers("InputInt").len()), (names.to_vec(), 6), "{text}");
    // The elements of our own were told in one message before.
    assert_eq!((numbers("PacketsExp"), numbers("FlowsExp")), (vec!["1"], vec!["0"]), "{text}");
    assert_eq!(numbers("Observation Domain Id"), ["258"; 4], "{text}");
    for what in ["Not Sent Flows", "Not Sent Packets", "Not Sent Octets"] {
        assert_eq!(numbers(what), ["0"], "{text}");
    }
}

/// It has each flow with what was counted.
#[test]
fn nfcapd_is_not_led_astray() {
    let folder = Folder::new("ipfix");
    let nfcapd = Nfcapd::start(&folder, "flows");
    peer(&format!("ipfix+udp://127.0.0.1:{}", nfcapd.port))
        .send(&[sampled(), records()].concat())
        .expect("sent");
    let flows = nfcapd.stop();
    let counts: Vec<_> = flows.iter().map(|flow| [1, 5, 6].map(|at| flow[at].as_str())).collect();
    assert_eq!(counts[..4], [["1", "1", "100"], ["2", "1", "100"], ["4", "1", "100"], ["3", "1", "100"]]);
    assert_eq!(counts.len(), 4 + records().len(), "{counts:?}");
}

/// Records by SCTP are for the virtual machines (scripts/kernels/run): where the kernel has none, that is said.
#[test]
fn without_sctp_or_without_a_listener() {
    let target: Target = "ipfix+sctp://127.0.0.1:1".parse().expect("a target");
    let said = target.test(0).expect_err("nobody listens").to_string();
    assert!(said.starts_with("cannot connect to 127.0.0.1:1: "), "{said}");
    assert!(said.contains("this kernel has no SCTP") || said.contains("refused"), "{said}");
}
