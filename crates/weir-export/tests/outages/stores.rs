//! ClickHouse, and stores of objects: what comes twice is there once.

use crate::common::clickhouse::ClickHouse;
use crate::common::flows;
use crate::common::moto::Moto;
use crate::common::relay::{HOST, Plain, Relay};
use crate::common::stores::{ACCOUNT, KEY, azurite, google, google_account, rows};
use crate::{Numbers, Witness, counted, each_record_is_there};
use serde_json::Value;
use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};
use weir_record::FlowRecord;
use weir_tests::folder::Folder;
use weir_tests::free_port;

/// Each has bytes of its own, and has ended lately: older ones ClickHouse forgets.
fn records(numbers: Range<u64>) -> Vec<FlowRecord> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64;
    let lately = |record: FlowRecord| {
        let end = now - 1_000_000_000 - record.flow_id;
        FlowRecord { start: end - 7, end, bytes: 100 + record.flow_id, ..record }
    };
    flows::records(numbers).into_iter().map(lately).collect()
}

fn number(row: &Value) -> u64 {
    let number = u64::from_str_radix(row["flow_id"].as_str().expect("an id"), 16).expect("a number");
    assert_eq!(row["bytes"], 100 + number, "{row}");
    number
}

fn assert_once(has: &Numbers) {
    assert!(has.values().all(|times| *times == 1), "{has:?}");
}

impl Witness for ClickHouse {
    fn records(&self, numbers: Range<u64>) -> Vec<FlowRecord> {
        records(numbers)
    }

    fn starts_anew(&mut self) {
        self.stop();
        self.start();
    }

    fn has(&self) -> Numbers {
        counted(self.ask("SELECT flow_id, bytes FROM weir.flows").iter().map(number))
    }
}

#[test]
fn clickhouse_has_each_record() {
    let mut server = ClickHouse::new();
    server.start();
    let port = server.port();
    let url = format!("clickhouse://{HOST}:{port}/weir");
    assert_once(&each_record_is_there(&mut server, &url, &|| Relay::start(port, Plain)));
}

/// A store of objects, which would forget all if it were killed: only what is before it goes and comes back.
struct Store<F>(F);

impl<F: Fn() -> Vec<Value>> Witness for Store<F> {
    fn records(&self, numbers: Range<u64>) -> Vec<FlowRecord> {
        records(numbers)
    }

    fn starts_anew(&mut self) {}

    fn has(&self) -> Numbers {
        counted((self.0)().iter().map(number))
    }
}

#[test]
fn amazons_store_has_each_record() {
    let (folder, port) = (Folder::new("outages"), free_port());
    let moto = Moto::start(port);
    let secret = folder.write("secret", "s3cret\n");
    let endpoint = format!("http://{HOST}:{port}");
    let url = format!("s3://flows/a?endpoint={endpoint}&user=weir&password_file={secret}&size=1B");
    let has = each_record_is_there(&mut Store(|| moto.rows()), &url, &|| Relay::start(port, Plain));
    assert_once(&has);
}

#[test]
fn googles_store_has_each_record() {
    let (folder, port) = (Folder::new("outages"), free_port());
    let _server = google(port);
    let account = google_account(&folder);
    let url = format!("gs://flows/a?endpoint=http://{HOST}:{port}&credentials_file={account}&size=1B");
    let rows = || rows("google", &format!("http://127.0.0.1:{port}"));
    assert_once(&each_record_is_there(&mut Store(rows), &url, &|| Relay::start(port, Plain)));
}

#[test]
fn azures_store_has_each_record() {
    let (folder, port) = (Folder::new("outages"), free_port());
    let _server = azurite(port);
    let key = folder.write("secret", format!("{KEY}\n"));
    let endpoint = format!("http://{HOST}:{port}/{ACCOUNT}");
    let url = format!("az://flows/a?endpoint={endpoint}&user={ACCOUNT}&password_file={key}&size=1B");
    let rows = || rows("azure", &format!("http://127.0.0.1:{port}/{ACCOUNT}"));
    // Makes the container.
    assert!(rows().is_empty());
    assert_once(&each_record_is_there(&mut Store(rows), &url, &|| Relay::start(port, Plain)));
}
