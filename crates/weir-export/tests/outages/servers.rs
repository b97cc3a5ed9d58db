//! Servers that say what they have taken: it is there once, since nothing that they have taken is kept from us.

use crate::common::collector::{Collector, USUAL, answers, taken};
use crate::common::flows::{self, START};
use crate::common::relay::{HOST, Plain, Relay};
use crate::common::sink::Sink;
use crate::{Numbers, Witness, counted, each_record_is_there, number};
use serde_json::Value;
use weir_tests::folder::Folder;
use weir_tests::free_port;

fn assert_once(has: &Numbers) {
    assert!(has.values().all(|times| *times == 1), "{has:?}");
}

/// gRPC's own server.
struct Called {
    folder: Folder,
    port: u16,
    collector: Option<Collector>,
    number: fn(&Value) -> u64,
}

impl Called {
    fn start(number: fn(&Value) -> u64) -> Self {
        let (folder, port) = (Folder::new("outages"), free_port());
        answers(&folder, "ok");
        let collector = Some(Collector::start(&folder, port, USUAL, &[]));
        Self { folder, port, collector, number }
    }
}

impl Witness for Called {
    fn starts_anew(&mut self) {
        drop(self.collector.take());
        self.collector = Some(Collector::start(&self.folder, self.port, USUAL, &[]));
    }

    fn has(&self) -> Numbers {
        counted(taken(&self.folder).iter().map(self.number))
    }
}

/// netobserv's flows have no number: each has times of its own.
fn by_times(flow: &Value) -> u64 {
    let [start, end] =
        ["time_flow_start", "time_flow_end"].map(|name| flow[name].as_u64().expect("nanoseconds"));
    let number = (start - START) / 1_000_003;
    assert_eq!((start, end), flows::times(number), "{flow}");
    number
}

#[test]
fn a_collector_of_netobservs_has_each_record() {
    let mut called = Called::start(by_times);
    let port = called.port;
    let url = format!("grpc://{HOST}:{port}");
    assert_once(&each_record_is_there(&mut called, &url, &|| Relay::start(port, Plain)));
}

#[test]
fn a_collector_of_opentelemetrys_has_each_record_by_grpc() {
    let mut called = Called::start(|log| number(&flows::id(log, ["id", "start", "end"])));
    let port = called.port;
    let url = format!("otlp+grpc://{HOST}:{port}");
    assert_once(&each_record_is_there(&mut called, &url, &|| Relay::start(port, Plain)));
}

impl Witness for Sink {
    fn starts_anew(&mut self) {
        self.starts_anew();
    }

    fn has(&self) -> Numbers {
        let id =
            |log: &Value| flows::id(&log["attributes"], ["weir.flow.id", "weir.flow.start", "weir.flow.end"]);
        counted(self.taken().iter().map(|log| number(&id(log))))
    }
}

#[test]
fn a_collector_of_opentelemetrys_has_each_record_by_http() {
    let mut sink = Sink::start();
    let port = sink.port;
    let url = format!("otlp+http://{HOST}:{port}");
    assert_once(&each_record_is_there(&mut sink, &url, &|| Relay::start(port, Plain)));
}
