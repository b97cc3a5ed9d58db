//! What kcat has is what the records are.

use crate::brokers::Brokers;
use crate::{read_protos, target};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use weir_filter::generate;
use weir_record::{FlowKey, FlowRecord};
use weir_tests::folder::Folder;
use weir_tests::python::python;

/// Any records, the same ones each time; two in a row are of one conversation.
fn records(count: u64) -> Vec<FlowRecord> {
    let mut runner = TestRunner::deterministic();
    let mut record = |number: u64| {
        let record = generate::records().new_tree(&mut runner).expect("a record").current();
        let end = crate::flows::START + number * 1_000_003;
        FlowRecord {
            flow_id: number / 2,
            start: end - 7,
            end,
            packets: number,
            bytes: 100 * number,
            ..record
        }
    };
    (0..count).map(&mut record).collect()
}

fn send(brokers: &Brokers, options: &str, records: &[FlowRecord]) {
    let mut peer = target(&brokers.url(options)).peer();
    peer.connect().expect("it is there");
    let sent = peer.send(records).expect("it takes them");
    assert_eq!((sent.refused, sent.why), (0, None));
    peer.disconnect();
}

/// A message each, under the key of its conversation, at the time of its end; whatever makes them smaller.
#[test]
fn every_field_arrives() {
    let sent = records(400);
    for compression in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let brokers = Brokers::start(1, 4);
        send(&brokers, &format!("?compression={compression}"), &sent);
        let read = brokers.read();
        let mut found = BTreeMap::new();
        let mut partitions: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
        for message in &read {
            let body: Value = serde_json::from_slice(&message.body).expect("JSON");
            assert_eq!(message.headers, "content-type=application/json");
            assert_eq!(body["flow_id"], message.key.as_str());
            partitions.entry(message.key.clone()).or_default().insert(message.partition);
            found.insert(body["packets"].as_u64().expect("a number"), (message.milliseconds, body));
        }
        assert_eq!((read.len(), found.len()), (sent.len(), sent.len()));
        assert!(partitions.values().all(|of_one| of_one.len() == 1), "{partitions:?}");
        let all: BTreeSet<_> = partitions.values().flatten().collect();
        assert_eq!(all.len(), 4, "all partitions are used");
        for record in &sent {
            let (milliseconds, body) = &found[&record.packets];
            assert_eq!(*milliseconds, record.end / 1_000_000);
            assert_eq!(*body, serde_json::to_value(record).expect("JSON"), "{compression}");
        }
    }
}

/// Columns, as pyarrow reads them: sums and identities are those of the records, in as many messages as there have to be.
#[test]
fn columns_arrive() {
    let (brokers, folder, sent) = (Brokers::start(1, 4), Folder::new("kafka"), records(3000));
    send(&brokers, "?format=arrow", &sent);
    let read = brokers.read();
    assert!((3..100).contains(&read.len()), "{}", read.len());
    let host = std::process::Command::new("hostname").output().expect("hostname is there").stdout;
    let host = String::from_utf8_lossy(&host).trim().to_owned();
    for (number, message) in read.iter().enumerate() {
        assert_eq!(message.headers, "content-type=application/vnd.apache.arrow.stream");
        assert_eq!((message.partition, message.key.as_str()), (read[0].partition, host.as_str()));
        assert!(message.body.len() <= 512 * 1024, "{}", message.body.len());
        folder.write(&format!("{number:03}.arrow"), &message.body);
    }
    let program = "import glob, json, sys, pyarrow.ipc as ipc
for name in sorted(glob.glob(sys.argv[1] + '/*.arrow')):
    for row in ipc.open_stream(name).read_all().select(['host', 'flow_id', 'packets', 'bytes', 'source_process']).to_pylist():
        print(json.dumps(row))";
    let rows = python(program, &folder.place().display().to_string());
    let wanted: Vec<_> = sent
        .iter()
        .map(|record| {
            let whole = serde_json::to_value(record).expect("JSON");
            let mut row = serde_json::json!({ "host": host });
            for name in ["flow_id", "packets", "bytes", "source_process"] {
                row[name] = whole[name].clone();
            }
            row
        })
        .collect();
    assert_eq!(rows, wanted);
}

/// Some fields, under the host's name or nothing.
#[test]
fn fields_and_keys_are_chosen() {
    let (brokers, sent) = (Brokers::start(1, 4), records(40));
    let host = std::process::Command::new("hostname").output().expect("hostname is there").stdout;
    send(&brokers, "?fields=flow_id,start,end,bytes&key=host", &sent);
    let read = brokers.read();
    let keys: BTreeSet<_> = read.iter().map(|message| message.key.as_str()).collect();
    assert_eq!(keys, BTreeSet::from([String::from_utf8_lossy(&host).trim()]));
    let partitions: BTreeSet<_> = read.iter().map(|message| message.partition).collect();
    assert_eq!(partitions.len(), 1);
    let objects = brokers.objects();
    let names: BTreeSet<_> =
        objects.iter().flat_map(|one| one.as_object().expect("an object").keys()).collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["bytes", "end", "flow_id", "start", "type"]);
    let bytes: u64 = objects.iter().map(|one| one["bytes"].as_u64().expect("a number")).sum();
    assert_eq!(bytes, sent.iter().map(|record| record.bytes).sum::<u64>());

    let brokers = Brokers::start(1, 4);
    send(&brokers, "?key=none", &sent);
    let read = brokers.read();
    assert_eq!((read.len(), read.iter().filter(|message| message.key.is_empty()).count()), (40, 40));
}

/// As Google's runtime reads a `Record`.
const NETOBSERV: &str = "import glob, json, sys
from google.protobuf import descriptor_pb2, descriptor_pool, duration_pb2, message_factory, timestamp_pb2
pool = descriptor_pool.Default()
for file in descriptor_pb2.FileDescriptorSet.FromString(open(sys.argv[1] + '/descriptors', 'rb').read()).file:
    pool.AddSerializedFile(file.SerializeToString())
Record = message_factory.GetMessageClass(pool.FindMessageTypeByName('pbflow.Record'))
for name in sorted(glob.glob(sys.argv[1] + '/*.record')):
    one = Record.FromString(open(name, 'rb').read())
    end = one.time_flow_end.seconds * 10**9 + one.time_flow_end.nanos
    print(json.dumps({'end': end, 'bytes': one.bytes, 'packets': one.packets, 'ethertype': one.eth_protocol}))";

/// A message for each direction, which together are the record; what is not IP is refused.
#[test]
fn flows_of_netobserv_arrive() {
    let (brokers, folder) = (Brokers::start(1, 4), Folder::new("kafka"));
    let is_ip = |record: &FlowRecord| matches!(record.key, FlowKey::Ip { .. });
    let (sent, other): (Vec<_>, Vec<_>) = records(300).into_iter().partition(is_ip);
    let mut peer = target(&brokers.url("?format=protobuf")).peer();
    peer.connect().expect("it is there");
    let all = [sent.clone(), other.clone()].concat();
    let answer = peer.send(&all).expect("taken");
    assert!(!other.is_empty());
    assert_eq!((answer.refused, answer.why.is_some()), (other.len() as u64, true));
    let read = brokers.read();
    let mut heads = Vec::new();
    for (number, message) in read.iter().enumerate() {
        folder.write(&format!("{number:04}.record"), &message.body);
        assert_eq!(
            message.headers,
            format!("content-type=application/x-protobuf,weir-flow-id={}", message.key)
        );
        heads.push((message.key.clone(), message.milliseconds));
    }
    let mut sums: BTreeMap<(String, u64), [u64; 2]> = BTreeMap::new();
    read_protos(&folder, &[]);
    let rows = python(NETOBSERV, &folder.place().display().to_string());
    assert_eq!(rows.len(), read.len());
    for ((key, milliseconds), row) in heads.into_iter().zip(rows) {
        let number = |name: &str| row[name].as_u64().expect("a number");
        assert_eq!(number("end") / 1_000_000, milliseconds);
        assert!([0x0800, 0x86dd].contains(&number("ethertype")), "{row}");
        let sum = sums.entry((key, number("end"))).or_default();
        *sum = [sum[0].wrapping_add(number("packets")), sum[1].wrapping_add(number("bytes"))];
    }
    let wanted = sent.iter().map(|record| {
        let back = record.reverse.map(|reverse| reverse.count).unwrap_or_default();
        let sum = [record.packets.wrapping_add(back.packets), record.bytes.wrapping_add(back.bytes)];
        ((format!("{:016x}", record.flow_id), record.end), sum)
    });
    assert_eq!(sums, wanted.collect());
}
