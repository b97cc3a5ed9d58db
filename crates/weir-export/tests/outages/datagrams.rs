//! Datagrams, which nobody answers, and so nobody can answer wrongly: whoever reads late has them, and that nobody is there is
//! heard soon enough to send again what may have been lost.

use crate::common::courier;
use crate::common::flows::{self, parsed};
use crate::common::nfcapd::{Flow, Nfcapd};
use crate::common::rsyslog::{Input, Rsyslog};
use crate::common::udp::waiting;
use crate::{SOON, fails, go_on, numbers, settle, state};
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};
use weir_export::Courier;
use weir_record::{Addresses, FlowKey, FlowRecord};
use weir_tests::folder::Folder;
use weir_tests::wait_for;

fn write(courier: &mut Courier, records: &[FlowRecord]) {
    courier.write(records).expect("it is taken, or waits on disk");
}

fn until_something_waits(port: u16) {
    wait_for("something waits", SOON, || waiting(port).filter(|waiting| waiting != "00000000"));
}

#[test]
fn rsyslog_has_each_record_in_datagrams() {
    let folder = Folder::new("outages");
    let first = Rsyslog::start(&folder, &Input::Udp);
    let port = first.port;
    // So short that they fit into its kernel's buffer.
    let url = format!("syslog+udp://127.0.0.1:{port}?fields=flow_id,start,end");
    let mut courier = courier(&folder, &url);
    let until_it_has = |courier: &mut Courier, daemon: &Rsyslog, count: u64| {
        wait_for("all has arrived", SOON, || {
            go_on(courier);
            let text = daemon.received();
            let has = numbers(&parsed(&text[..text.rfind('\n').map_or(0, |end| end + 1)]));
            (has.keys().copied().collect::<Vec<_>>() == (0..count).collect::<Vec<_>>()).then_some(())
        });
    };
    write(&mut courier, &flows::records(0..40));
    until_it_has(&mut courier, &first, 40);
    first.rests(true);
    write(&mut courier, &flows::records(40..80));
    until_something_waits(port);
    first.rests(false);
    until_it_has(&mut courier, &first, 80);
    assert_eq!(state(&courier).failures, 0);

    // What it has not read is lost with it.
    first.rests(true);
    write(&mut courier, &flows::records(80..120));
    until_something_waits(port);
    drop(first);
    write(&mut courier, &flows::records(120..160));
    fails(&mut courier, 1);
    let second = Rsyslog::start_at(port, &folder, &Input::Udp);
    write(&mut courier, &flows::records(160..200));
    until_it_has(&mut courier, &second, 200);
    courier.finish().expect("it lasts");
    assert_eq!(state(&courier).refused_records, 0);
}

const FIRST_PORT: u16 = 10_000;

/// NetFlow has no numbers: each has a port of its own, and has ended lately.
fn records(numbers: Range<u64>) -> Vec<FlowRecord> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64;
    let with_port = |record: FlowRecord| {
        let addresses = Addresses::V4([192, 0, 2, 1].into(), [198, 51, 100, 1].into());
        let ports = Some((FIRST_PORT + record.flow_id as u16, 443));
        let key = FlowKey::Ip { vlan: None, addresses, protocol: 6, ports };
        FlowRecord { key, start: now - 6_000_000_000, end: now - 5_000_000_000, ..record }
    };
    flows::records(numbers).into_iter().map(with_port).collect()
}

fn number(flow: &Flow) -> u64 {
    let [from, port, to, other, _, packets, bytes] = &flow[..7] else { panic!("{flow:?}") };
    let rest = [from, to, other, packets, bytes].map(String::as_str);
    assert_eq!(rest, ["192.0.2.1", "198.51.100.1", "443", "1", "100"], "{flow:?}");
    port.parse::<u64>().expect("a port") - u64::from(FIRST_PORT)
}

/// It ends in order: it writes what it has read when it does. Each batch is one datagram: that nobody is there is heard when
/// all of it is sent.
fn nfcapd_has_each_record(scheme: &str) {
    let folder = Folder::new("outages");
    let first = Nfcapd::start(&folder, "first");
    let port = first.port;
    let mut courier = courier(&folder, &format!("{scheme}://127.0.0.1:{port}"));
    write(&mut courier, &records(0..20));
    settle(&mut courier);
    first.rests(true);
    write(&mut courier, &records(20..40));
    until_something_waits(port);
    first.rests(false);
    settle(&mut courier);
    assert_eq!(state(&courier).failures, 0);
    let before = first.stop();

    write(&mut courier, &records(40..60));
    fails(&mut courier, 1);
    write(&mut courier, &records(60..80));
    let second = Nfcapd::start_at(&folder, "second", port);
    settle(&mut courier);
    write(&mut courier, &records(80..100));
    courier.finish().expect("it lasts");
    let has: BTreeSet<_> = before.iter().chain(&second.stop()).map(number).collect();
    assert_eq!(has, (0..100).collect());
    let first: BTreeSet<_> = before.iter().map(number).collect();
    assert_eq!(first, (0..40).collect());
    assert_eq!(state(&courier).refused_records, 0);
}

#[test]
fn a_collector_has_each_record_by_ipfix() {
    nfcapd_has_each_record("ipfix+udp");
}

#[test]
fn a_collector_has_each_record_by_version_9() {
    nfcapd_has_each_record("netflow9+udp");
}

#[test]
fn a_collector_has_each_record_by_version_5() {
    nfcapd_has_each_record("netflow5+udp");
}
