//! Any bytes, and files that are damaged anywhere: never a panic, and the books balance.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use weir_record::Count;

fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    let Ok((records, report)) = imported(bytes) else { return Ok(()) };
    let mut sum = Count::default();
    for record in &records {
        prop_assert!(record.start <= record.end);
        sum += Count { packets: record.packets, bytes: record.bytes };
        sum += record.reverse.map_or_else(Count::default, |reverse| reverse.count);
        let mut seen = Count::default();
        record.observations.iter().for_each(|one| seen += one.count);
        let back = record.reverse.map_or(0, |reverse| reverse.count.packets);
        prop_assert_eq!(seen.packets, record.packets + back);
    }
    prop_assert_eq!((sum, records.len() as u64), (report.recorded, report.records));
    report.left_out.values().for_each(|left| sum += left.count);
    prop_assert_eq!(sum, report.read);
    Ok(())
}

/// Files of each kind, with frames of several.
fn samples() -> Vec<Vec<u8>> {
    let mut fragment = udp(5000, 53, 40);
    fragment[14 + 6] |= 0x20;
    let mut tagged = udp(5000, 53, 9);
    tagged.splice(12..12, [0x81, 0, 0, 5]);
    let mut extended = vec![0; 14 + 40];
    extended[12..21].copy_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 0]);
    extended.extend([
        44, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 1, 0, 0, 0, 7, 1, 2, 3, 4, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ]);
    let frames = [fragment, tagged, extended, tcp(false, 2), tcp(true, 18), udp(53, 5000, 1)];
    let packets: Vec<_> = frames.into_iter().zip(1..).map(|(frame, time)| (time * SECOND, frame)).collect();
    let mut pcapng = [&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
    pcapng = [
        block(false, 0x0a0d_0d0a, &pcapng),
        block(false, 1, &[1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0, 9, 0, 0, 0]),
    ]
    .concat();
    for (time, frame) in &packets {
        let words = [0, (time >> 32) as u32, *time as u32, frame.len() as u32, frame.len() as u32];
        pcapng.extend(block(false, 6, &[&words.map(u32::to_le_bytes).concat()[..], frame].concat()));
    }
    let mut files: Vec<_> =
        [1, 0, 101, 113, 276].into_iter().map(|link_type| pcap(link_type, &packets)).collect();
    let records = whole(&files[0]);
    files.extend([pcapng, nfcapd(0), nfcapd(3), ipfix(&records)]);
    files
}

fn ipfix(records: &[FlowRecord]) -> Vec<u8> {
    let mut file = weir_ipfix::Writer::new(Vec::new(), &[], 1_700_000_000).expect("memory");
    records.iter().for_each(|record| file.write(record).expect("memory"));
    file.end().expect("memory")
}

/// What Weir has written comes back as it was.
#[test]
fn records_survive_ipfix() {
    let before = whole(&samples()[0]);
    let (after, report) = imported(&ipfix(&before)).expect("it is read");
    assert_eq!((report.broken, report.records), (None, before.len() as u64));
    let told = |records: &[FlowRecord]| {
        let mut told: Vec<_> =
            records.iter().map(|r| format!("{:?}", (r.flow_id, r.key, r.reverse, r.end))).collect();
        told.sort();
        told
    };
    assert_eq!(told(&before), told(&after));
}

#[test]
fn samples_are_whole() {
    for sample in samples() {
        let (records, report) = imported(&sample).expect("it is read");
        assert_eq!((report.broken, records.is_empty()), (None, false));
        check(&sample).expect("its books balance");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(which: Index, bytes in vec(any::<u8>(), 0..400)) {
        check(&bytes)?;
        let samples = samples();
        let sample = which.get(&samples);
        check(&[&sample[..sample.len().min(40)], &bytes].concat())?;
    }

    #[test]
    fn damaged_files(which: Index, changes in vec((any::<Index>(), any::<u8>()), 0..8), cut: Index) {
        let samples = samples();
        let mut file = which.get(&samples).clone();
        let length = file.len();
        for (place, value) in changes {
            file[place.index(length)] = value;
        }
        check(&file)?;
        check(&file[..cut.index(length)])?;
    }
}
