//! A cluster, and what kcat has of it.

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use serde_json::Value;
use std::process::{Command, Stdio};

/// Brokers in this process, gone on drop.
pub struct Brokers(pub MockCluster<'static, DefaultProducerContext>);

/// What kcat tells of a message.
pub struct Read {
    pub partition: u32,
    pub milliseconds: u64,
    pub key: String,
    pub headers: String,
    pub body: Vec<u8>,
}

impl Brokers {
    /// So many, and a topic `flows` of so many partitions.
    pub fn start(brokers: i32, partitions: i32) -> Self {
        let cluster = MockCluster::new(brokers).expect("a cluster");
        cluster.create_topic("flows", partitions, brokers).expect("a topic");
        Self(cluster)
    }

    /// Host and port of each.
    pub fn places(&self) -> String {
        self.0.bootstrap_servers()
    }

    pub fn url(&self, options: &str) -> String {
        format!("kafka://{}/flows{options}", self.places())
    }

    pub fn port(&self) -> u16 {
        let places = self.places();
        places.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
    }

    /// All that there is, by partition and in its order there.
    pub fn read(&self) -> Vec<Read> {
        let mut kcat = Command::new("kcat");
        kcat.args(["-C", "-q", "-e", "-t", "flows", "-o", "beginning", "-b", &self.places()]);
        kcat.args(["-f", "%p %T %k %h %S\\n%s\\n"]).stdin(Stdio::null());
        let output = kcat.output().expect("scripts/setup test installs it");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut rest = output.stdout.as_slice();
        let mut all = Vec::new();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let head = std::str::from_utf8(&rest[..end]).expect("text");
            let [partition, milliseconds, key, headers, length] =
                head.split(' ').collect::<Vec<_>>().try_into().unwrap_or_else(|_| panic!("{head}"));
            let from = end + 1;
            let to = from + length.parse::<usize>().expect("a length");
            all.push(Read {
                partition: partition.parse().expect("a number"),
                milliseconds: milliseconds.parse().expect("a number"),
                key: key.to_owned(),
                headers: headers.to_owned(),
                body: rest[from..to].to_vec(),
            });
            rest = &rest[to + 1..];
        }
        all
    }

    /// The same, as JSON.
    pub fn objects(&self) -> Vec<Value> {
        let parse = |read: Read| serde_json::from_slice(&read.body).expect("JSON");
        self.read().into_iter().map(parse).collect()
    }
}
