//! What is written is read again, whatever the record and however long messages may be.

use proptest::prelude::*;
use std::sync::Arc;
use weir_filter::generate;
use weir_ipfix::{Cause, Decoder, Encoder, Reader, Writer};
use weir_record::{
    Container, ContainerDetails, Count, Dropped, End, Evidence, FIELDS, FlowRecord, Kind, Name, NameOrigin,
    Place, Process, Reverse, TcpFailure, TcpHealth, TcpState, Translation, Value, Workload, WorkloadOwner,
};

/// The last second that there is a time for.
const MOST_TIME: u64 = u32::MAX as u64 * 1_000_000_000;

fn text() -> BoxedStrategy<String> {
    prop_oneof![8 => "[a-z/ é\"]{1,12}", 1 => "x{254,256}", 1 => "y{3000}"].boxed()
}

fn maybe<T: std::fmt::Debug + 'static>(
    of: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Option<T>> {
    prop::option::of(of)
}

fn process() -> BoxedStrategy<Process> {
    let numbers = (1..u32::MAX, maybe(any::<u32>()), maybe(0..MOST_TIME), any::<u32>());
    let texts = (text(), maybe(text()), maybe(text()), maybe(text()), maybe(text()), maybe(text()));
    (numbers, texts, maybe(text()))
        .prop_map(|(numbers, texts, container)| {
            let (pid, parent_pid, started, user_id) = numbers;
            let (command, executable, arguments, cgroup, unit, pod_uid) = texts;
            let container = container.map(|id| Container { id, ..Container::default() });
            Process {
                pid,
                parent_pid,
                started,
                user_id,
                command,
                executable,
                arguments,
                cgroup,
                unit,
                container,
                pod_uid,
            }
        })
        .boxed()
}

fn tcp() -> BoxedStrategy<TcpHealth> {
    let times = (maybe(any::<u64>()), maybe(any::<u64>()), any::<u64>(), any::<bool>());
    (times, prop::sample::select(&TcpFailure::ALL[..]))
        .prop_map(|((handshake, rtt, bytes_sent, zero_window), failure)| {
            let failure = zero_window.then_some(failure);
            TcpHealth { handshake, rtt, bytes_sent, zero_window, failure, ..TcpHealth::default() }
        })
        .boxed()
}

fn end() -> BoxedStrategy<End> {
    let name =
        (text(), prop::sample::select(&NameOrigin::ALL[..])).prop_map(|(text, origin)| Name { text, origin });
    let place = (text(), any::<u32>()).prop_map(|(city, number)| Place {
        city: Some(city),
        as_number: Some(number),
        ..Place::default()
    });
    let workload = (text(), maybe(text())).prop_map(|(pod, zone)| {
        let owner = WorkloadOwner { kind: "job".into(), name: pod.as_str().into() };
        let zone = zone.map(Into::into);
        Workload { pod: Some(pod.into()), owner: Some(Arc::new(owner)), zone, ..Workload::default() }
    });
    let details =
        text().prop_map(|image| ContainerDetails { image: Some(image), ..ContainerDetails::default() });
    let one = (maybe(process()), maybe(name), maybe(place), maybe(workload));
    let other = (maybe(details), maybe(tcp()), maybe(any::<u64>()), maybe(text()));
    (one, other)
        .prop_map(|((process, name, place, workload), (container, tcp, handshake_rtt, label))| End {
            process: process.map(Arc::new),
            name: name.map(Arc::new),
            label: label.map(Into::into),
            place: place.map(Arc::new),
            workload: workload.map(Arc::new),
            container: container.map(Arc::new),
            tcp: tcp.map(Arc::new),
            handshake_rtt,
        })
        .boxed()
}

fn reverse() -> BoxedStrategy<Reverse> {
    let evidence = prop::sample::select(&Evidence::ALL[..]);
    (any::<(u64, u64)>(), 0..0x200_u16, any::<u32>(), evidence)
        .prop_map(|((packets, bytes), tcp_flags, sampling_rate, evidence)| Reverse {
            count: Count { packets, bytes },
            tcp_flags,
            sampling_rate,
            evidence,
        })
        .boxed()
}

fn records() -> BoxedStrategy<FlowRecord> {
    let ids = (any::<u64>(), maybe(any::<u64>()), any::<(u32, u32)>());
    let times = (0..MOST_TIME, 0..MOST_TIME);
    let dropped = (any::<(u64, u64)>(), maybe(text())).prop_map(|((packets, bytes), reasons)| Dropped {
        packets,
        bytes,
        reasons: reasons.map(Into::into),
    });
    let translation = any::<([u8; 4], u16, [u8; 16], u16)>().prop_map(|(source, from, destination, to)| {
        Translation { source: (source.into(), from), destination: (destination.into(), to) }
    });
    let state = maybe(prop::sample::select(&TcpState::ALL[..]));
    let more = (maybe(reverse()), maybe(translation), maybe(dropped), state, end(), end());
    (generate::records(), ids, times, more)
        .prop_map(|(record, ids, (start, end), more)| {
            let (flow_id, parent_id, length) = ids;
            let (reverse, translation, dropped, tcp_state, source, destination) = more;
            let record =
                FlowRecord { flow_id, parent_id, length, start, end, reverse, translation, ..record };
            FlowRecord { dropped, tcp_state, source, destination, ..record }
        })
        .boxed()
}

/// What a record says in every field that a message carries, and in what follows from these.
fn said(record: &FlowRecord) -> Vec<(&'static str, Value<'_>)> {
    let carried = FIELDS.iter().filter(|field| field.kind != Kind::Observations);
    carried.map(|field| (field.name, (field.read)(record))).collect()
}

fn decoded(messages: &[Vec<u8>]) -> (Vec<FlowRecord>, Decoder) {
    let (mut decoder, mut records) = (Decoder::new(), Vec::new());
    for message in messages {
        decoder.message(message, |record| records.push(record)).expect("a message");
    }
    (records, decoder)
}

fn encoded(records: &[FlowRecord], most: u16) -> (Vec<Vec<u8>>, usize) {
    let mut encoder = Encoder::new(7, most);
    let (mut messages, mut too_large) = (encoder.types().to_vec(), 0);
    for record in records {
        match encoder.add(record) {
            Ok(full) => messages.extend_from_slice(full),
            Err(_) => too_large += 1,
        }
    }
    messages.extend_from_slice(encoder.end());
    (messages, too_large)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn records_survive(records in prop::collection::vec(records(), 0..12)) {
        let mut writer = Writer::new(Vec::new(), &[], 1_700_000_000).expect("in memory");
        records.iter().for_each(|record| writer.write(record).expect("in memory"));
        prop_assert_eq!(writer.left_out(), 0);
        let file = writer.end().expect("in memory");
        let mut reader = Reader::new(&file[..]);
        let read: Vec<_> = reader.by_ref().collect::<Result<_, _>>().expect("a file");
        prop_assert_eq!(read.len(), records.len());
        for (read, record) in read.iter().zip(&records) {
            prop_assert_eq!(said(read), said(record));
        }
        // Nothing was passed over but what is not of flows: the types of our own elements.
        let causes: Vec<_> = reader.tally().causes().map(|(cause, _)| cause).collect();
        prop_assert!(causes.iter().all(|cause| *cause == Cause::Options), "{:?}", causes);
    }

    #[test]
    fn no_message_is_longer_than_it_may_be(records in prop::collection::vec(records(), 0..12), most in 600..4000_u16) {
        let (messages, too_large) = encoded(&records, most);
        prop_assert!(messages.iter().all(|message| message.len() <= most.into()));
        let (read, decoder) = decoded(&messages);
        prop_assert_eq!(read.len() + too_large, records.len());
        prop_assert_eq!((decoder.tally().of(Cause::Missing), decoder.tally().of(Cause::NoTemplate)), (0, 0));
    }

    /// A lost message is found by the sequence numbers of those after it.
    #[test]
    fn what_is_lost_is_counted(record in generate::records(), count in 20..60_usize) {
        let (mut messages, _) = encoded(&vec![record; count], 600);
        messages.remove(messages.len() - 2);
        let (read, decoder) = decoded(&messages);
        prop_assert!(read.len() < count);
        prop_assert_eq!(decoder.tally().of(Cause::Missing), (count - read.len()) as u64);
    }
}
