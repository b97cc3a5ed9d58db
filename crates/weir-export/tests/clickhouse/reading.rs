//! Flows asked back: the same as of a history that has the same records, and as ClickHouse itself counts them.

use crate::common::clickhouse::ClickHouse;
use crate::proxy::{Proxy, Trick};
use crate::{records, target};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use weir_export::{History, Source};
use weir_filter::{Filter, generate};
use weir_record::{FIELDS, Field, FlowRecord, Id, Kind, Value};
use weir_store::{Keeper, Opened, Question, Retention, Store, Table, flow_batch, flow_records};
use weir_tests::folder::Folder;

const RECORDS: u64 = 200;
/// What people ask, and how they would ask ClickHouse.
const TYPICAL: [(&str, &str); 16] = [
    ("protocol == tcp", "protocol = 'tcp'"),
    ("protocol == 2-60", "protocol IN ('tcp', 'udp', 'gre', 'ipv6-icmp', 'icmpv6') AND protocol != 'icmp'"),
    ("port == 443", "source_port = 443 OR destination_port = 443"),
    ("not port == 443", "NOT (ifNull(source_port = 443, 0) OR ifNull(destination_port = 443, 0))"),
    (
        "port in (1-100, 443)",
        "source_port BETWEEN 1 AND 100 OR destination_port BETWEEN 1 AND 100 OR source_port = 443 OR destination_port = 443",
    ),
    ("source_address in 10.0.0.0/30", "source_address IN ('10.0.0.1', '10.0.0.2')"),
    ("address in fd00::/8", "source_address LIKE 'fd%' OR destination_address LIKE 'fd%'"),
    ("source_address in ::/0", "source_address LIKE '%:%'"),
    ("source_address == null", "source_address IS NULL"),
    ("interface == eth*", "startsWith(interface, 'eth')"),
    ("interface == ?eth[0-3]", "match(interface, '^.eth[0-3]$')"),
    ("interface == *", "1"),
    ("bytes > 1000", "bytes > 1000"),
    ("fragmented and direction == egress", "fragmented AND direction = 'egress'"),
    ("dscp_seen has 1,2", "has(dscp_seen, 1) AND has(dscp_seen, 2)"),
    ("vlan == null or source_process == curl", "vlan IS NULL OR source_process = 'curl'"),
];

/// Something for every field that takes anything.
fn sample(field: &Field, seed: u64) -> Option<Value<'static>> {
    let is_told = !(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60).is_multiple_of(3);
    let takes_words = ["_kind", "_reason", "_evidence", "_state", "_runtime", "_origin", "_failure"];
    if !field.nullable || !is_told || takes_words.iter().any(|end| field.name.ends_with(end)) {
        return None;
    }
    Some(match (field.kind, field.name) {
        (_, "protocol" | "ethertype" | "icmp_type" | "icmp_code") => return None,
        (Kind::Text, name) if name.ends_with("_id") => Value::Id(Id(seed)),
        (Kind::Text, _) => Value::Text(["curl", "a'b\\\"é", "x_%*", "\u{1b}\n"][seed as usize % 4].into()),
        (Kind::Number, _) => Value::Number(seed % 63 + 1),
        (Kind::Flag, _) => Value::Flag(seed.is_multiple_of(2)),
        _ => return None,
    })
}

/// The same, with as much more to them as fits.
fn fuller(records: &[FlowRecord]) -> Vec<FlowRecord> {
    records.iter().map(full).collect()
}

fn full(record: &FlowRecord) -> FlowRecord {
    let mut full = record.clone();
    for (place, field) in FIELDS.iter().enumerate() {
        let more = sample(field, record.flow_id.wrapping_mul(131) + place as u64);
        let own =
            FIELDS.iter().filter(|one| one.kind != Kind::Observations).map(|one| (one, (one.read)(&full)));
        let told = more.and_then(|more| FlowRecord::from_values(own.chain([(field, more)])));
        full = told.unwrap_or(full);
    }
    FlowRecord { observations: full.by_one_point(), ..full }
}

fn keep(directory: &Path, records: &[FlowRecord]) {
    let opened = Keeper::open(directory, vec![Table::flows()], Retention::default(), Box::new(drop));
    let Opened { mut writers, keeper, .. } = opened.expect("a store");
    writers[0].append(flow_batch(records).expect("a batch")).expect("appended");
    writers[0].commit().expect("committed");
    writers[0].write_segment().expect("a segment");
    drop((writers, keeper));
}

/// As JSON has them, by their ids, each once.
type Told = BTreeMap<u64, serde_json::Value>;

fn told(records: impl Iterator<Item = FlowRecord>) -> Told {
    let mut told = Told::new();
    for record in records {
        let value = serde_json::to_value(&record).expect("JSON");
        assert!(told.insert(record.flow_id, value).is_none(), "twice: {record:?}");
    }
    told
}

fn kept(directory: &Path, question: &Question) -> Told {
    let snapshot = Store::open(directory).expect("a store").snapshot(Table::flows()).expect("a snapshot");
    let batches: Vec<_> = snapshot.scan(question.clone()).map(|batch| batch.expect("readable")).collect();
    told(batches.iter().flat_map(flow_records).map(|record| record.expect("a record")))
}

fn there(history: &History, question: &Question) -> Result<Told, String> {
    let mut records = Vec::new();
    for batch in history.scan(question.clone()).map_err(|error| error.to_string())? {
        let batch = batch.map_err(|error| error.to_string())?;
        records.extend(flow_records(&batch).map(|record| record.expect("a record")));
    }
    Ok(told(records.into_iter()))
}

fn source(url: &str) -> Source {
    url.parse().unwrap_or_else(|mistake| panic!("{url}: {mistake}"))
}

fn open(url: &str) -> History {
    source(url).open().unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn cannot_be_opened(url: &str) -> String {
    source(url).open().map(drop).expect_err(url).to_string()
}

fn of(filter: &str) -> Question {
    Question { filter: Some(Arc::new(filter.parse::<Filter>().expect(filter))), ..Question::default() }
}

/// A server with these records, sent twice: once with a repeat that it does not know.
fn filled(records: &[FlowRecord]) -> ClickHouse {
    let mut server = ClickHouse::new();
    server.start();
    let mut peer = target(&server.url("/weir")).peer();
    peer.connect().expect("it is there");
    peer.send(records).expect("it takes them");
    peer.send(&records[..50]).expect("it takes them");
    server
}

#[test]
fn answers_are_those_of_a_history() {
    let (sent, folder) = (fuller(&records(1, RECORDS)), Folder::new("clickhouse_reading"));
    keep(folder.place(), &sent);
    let server = filled(&sent);
    assert_eq!(server.rows("weir")[1], RECORDS);
    let history = open(&server.url("/weir?create=no"));
    let ends: Vec<_> = sent.iter().map(|record| record.end).collect();
    assert_eq!(history.times(), ends.iter().min().copied().zip(ends.iter().max().copied()));
    let check = |question: &Question| {
        let found = there(&history, question).unwrap_or_else(|error| panic!("{question:?}: {error}"));
        assert!(found == kept(folder.place(), question), "{question:?}");
        found.len() as u64
    };
    assert_eq!(check(&Question::default()), RECORDS);
    for (filter, sql) in TYPICAL {
        let counted = server.number(&format!("(SELECT count() FROM weir.flows FINAL WHERE {sql})"));
        assert_eq!(check(&of(filter)), counted, "{filter}");
    }
    let mut runner = TestRunner::deterministic();
    for at in 0..60 {
        let filter = generate::filters().new_tree(&mut runner).expect("a filter").current();
        let (one, other) = (ends[at % ends.len()], ends[at * 7 % ends.len()]);
        let times = if at % 3 == 0 { one.min(other)..=one.max(other) } else { 0..=u64::MAX };
        check(&Question { times, filter: Some(Arc::new(filter)), columns: None });
    }
    let columns = Some(vec!["flow_id", "start", "end", "bytes"]);
    check(&Question { columns, ..of("port == 443 or source_name == null") });
}

/// Records of several hosts, of one of them, and in tables that other versions and people have made.
#[test]
fn other_hosts_and_other_tables() {
    let sent = records(1, 60);
    let server = filled(&sent);
    server.ask("CREATE DATABASE two");
    server.ask("CREATE TABLE two.flows ENGINE = MergeTree ORDER BY `end` AS SELECT * FROM weir.flows FINAL UNION ALL SELECT * REPLACE('other' AS host, hex(1000 + packets) AS flow_id) FROM weir.flows FINAL WHERE packets <= 20");
    let found = |more: &str| there(&open(&server.url(more)), &Question::default()).expect("an answer").len();
    assert_eq!((found("/two"), found("/two?host=other"), found("/two?host=nobody,other")), (80, 20, 20));
    assert_eq!((found("/two?host=nobody"), open(&server.url("/two?host=nobody")).times()), (0, None));

    server.ask("CREATE DATABASE less");
    server.ask("CREATE TABLE less.flows ENGINE = MergeTree ORDER BY `end` AS SELECT * EXCEPT (vlan, dscp_seen, host) FROM two.flows");
    let less = open(&server.url("/less"));
    assert_eq!(there(&less, &of("vlan == null")).expect("an answer").len(), 80);
    assert_eq!(there(&less, &of("vlan == 22")).expect("an answer").len(), 0);
    server.ask("CREATE DATABASE odd");
    server.ask("CREATE TABLE odd.flows ENGINE = MergeTree ORDER BY `end` AS SELECT * REPLACE(toFloat64(bytes) AS bytes) FROM weir.flows");
    let said = there(&open(&server.url("/odd")), &Question::default()).expect_err("a number of another kind");
    assert!(said.contains("bytes") && said.contains("Float64"), "{said}");
    assert!(cannot_be_opened(&server.url("/nowhere")).contains("nowhere"));
}

/// What is not whole is never taken for an answer, however it ends.
#[test]
fn half_an_answer_is_none() {
    let sent = records(1, 300);
    let mut server = filled(&sent);
    let proxy = Proxy::before(&server);
    let history = open(&proxy.url("/weir"));
    let ask = || there(&history, &Question::default());
    assert_eq!(ask().expect("an answer").len(), 300);
    for (trick, wanted) in [
        (Trick::Cut, "its answer breaks off: ask again"),
        (Trick::Complaint, "Code: 241. DB::Exception: Memory limit (total) exceeded"),
        (Trick::Garbage, "its answer is no table of flows"),
        (Trick::Refusal, "403 Forbidden: Code: 516. DB::Exception: me: Authentication failed"),
    ] {
        proxy.next(trick);
        let said = ask().expect_err(wanted);
        assert!(said.contains(wanted), "{said}");
        assert_eq!(ask().expect("an answer").len(), 300);
    }
    proxy.next(Trick::Refusal);
    assert!(cannot_be_opened(&proxy.url("/weir")).contains("Authentication failed"));
    server.stop();
    let said = there(&history, &Question::default()).expect_err("it is gone");
    assert!(said.contains("breaks off") || said.contains("127.0.0.1"), "{said}");
    assert!(cannot_be_opened(&server.url("/weir")).contains("Connection refused"));
    server.start();
    assert_eq!(ask().expect("an answer").len(), 300);
}
