//! What a file is, and what of it is there.

use super::*;
use weir_record::{FlowEndReason, TcpState};

fn refusal(bytes: &[u8]) -> String {
    imported(bytes).expect_err("it is refused").to_string()
}

#[test]
fn what_is_not_read_is_refused_with_a_remedy() {
    assert!(refusal(b"").starts_with("it is no capture"));
    assert!(refusal(b"<html>").starts_with("it is no capture"));
    assert_eq!(refusal(b"\x1f\x8b\x08\x00"), "it is compressed: `zcat FILE | weir import -` reads it");
    assert!(refusal(b"(\xb5\x2f\xfd").contains("zstdcat"));
    assert!(refusal(&nfcapd(1)).contains("compressed by LZO, which is not read: `nfdump -J 0 -r FILE`"));
    assert!(refusal(&nfcapd(2)).contains("bzip2"));
    let mut old = nfcapd(0);
    old[2] = 1;
    assert!(refusal(&old).contains("in layout 1"));
}

#[test]
fn flows_of_nfcapd_are_records() {
    for compression in [0, 3] {
        let records = whole(&nfcapd(compression));
        let [tcp, udp] = &records[..] else { panic!("{records:?}") };
        let ends = |record: &FlowRecord| record.key.addresses().map(|(a, b)| format!("{a} {b}"));
        assert_eq!(ends(tcp).as_deref(), Some("10.0.0.1 10.0.0.2"));
        assert!(ends(udp).is_some_and(|ends| ends.starts_with("fdfd:") && ends.contains(" fefe:")));
        assert_eq!((tcp.key.ports(), udp.key.ports()), (Some((40_000, 80)), Some((5_000, 53))));
        assert_eq!((tcp.packets, tcp.bytes, tcp.dscp), (7, 700, 46));
        assert_eq!((tcp.start, tcp.end), (1_700_000_000 * SECOND, 1_700_000_001 * SECOND + SECOND / 2));
        assert_eq!(
            (tcp.tcp_state, tcp.end_reason),
            (Some(TcpState::Closed), FlowEndReason::EndOfFlowDetected)
        );
        assert_eq!((udp.tcp_state, tcp.reverse), (None, None));
    }
}

/// Wherever it is cut, what is whole is there and what is missing is said.
#[test]
fn of_a_file_that_is_cut_short_the_beginning_is_read() {
    let packets: Vec<_> = (0..3).map(|number| (SECOND, udp(5000 + number, 53, 10))).collect();
    let file = pcap(1, &packets);
    for length in 24..file.len() {
        let (records, report) = imported(&file[..length]).expect("it is read");
        let frames = (length - 24) / (16 + 52);
        assert_eq!(records.len(), frames, "{length}");
        let expected = format!("it ends within packet {}", frames + 1);
        let is_between = (length - 24) % (16 + 52) == 0;
        assert_eq!(report.broken, (!is_between).then_some(expected), "{length}");
    }
    let file = nfcapd(0);
    let (records, report) = imported(&file[..file.len() - 1]).expect("it is read");
    assert_eq!((records.len(), report.broken.as_deref()), (0, Some("it ends within block 1 of 1")));
}
