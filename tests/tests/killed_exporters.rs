//! Agents that are killed while they export: what was settled before is at the peer in the end, and nothing is damaged.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use weir_tests::agent::Agent;
use weir_tests::bpffs::Bpffs;
use weir_tests::control::status;
use weir_tests::flood::Flood;
use weir_tests::folder::Folder;
use weir_tests::history::keeping;
use weir_tests::inject::Injector;
use weir_tests::meanwhile::meanwhile;
use weir_tests::pair::{INTERFACE, Pair};
use weir_tests::peer::peer;
use weir_tests::wait_for;

const SOON: Duration = Duration::from_secs(60);
const PORT: u16 = 9995;
const NAME: &str = "noc";
const KILLS: u8 = 6;
/// From this kill on the peer is there.
const BACK: u8 = 3;
/// Marks of what goes on while an agent is killed; those of what was settled before are below.
const UNDERWAY: u8 = 100;

/// What tells records apart, and what is compared of them.
type Records = BTreeMap<[String; 3], (String, u64)>;

fn records<'l>(lines: impl Iterator<Item = &'l str>) -> Records {
    let record = |line: &str| {
        let record: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        let packets = record["packets"].as_u64().unwrap_or_else(|| panic!("{record}"));
        (["flow_id", "start", "end"].map(text), (text("source_address"), packets))
    };
    lines.map(record).collect()
}

struct Killed {
    pair: Pair,
    folder: Folder,
}

impl Killed {
    fn agent(&self) -> Agent {
        let url = format!("http://127.0.0.1:{PORT}/?name={NAME}");
        let ends = ["--idle-timeout", "200ms", "--active-timeout", "300ms"];
        keeping(&self.pair, &self.folder, &[&["--export", &url][..], &ends].concat())
    }

    /// What the history has, of these marks.
    fn history(&self, condition: &str) -> Records {
        let statement =
            format!("SELECT flow_id, start, \"end\", source_address, packets FROM flows WHERE {condition}");
        let asked = ["sql", "--data-dir", &self.folder.path("history"), "-o", "json", &statement];
        let (status, lines, said) = Agent::run(&self.pair.left, &[], &asked);
        assert!(status.success(), "{said:?}");
        records(lines.iter().map(String::as_str))
    }

    /// Sends a flood, until the history has all of it, and whoever exports has taken as much.
    fn settle(&self, agent: &Agent, injector: &Injector, mark: u8) {
        let flood = Flood { packets: 900, flows: 300, mark };
        flood.send(injector);
        wait_for("the history has it", SOON, || {
            let kept = self.history(&format!("source_address = '{}'", source(mark)));
            (kept.values().map(|record| record.1).sum::<u64>() == flood.packets).then_some(())
        });
        let written = |name| sink(agent, name)["written_records"].as_u64();
        let kept = written("history");
        wait_for("the exporter has it", SOON, || (written(NAME) >= kept).then_some(()));
    }
}

fn source(mark: u8) -> String {
    format!("10.88.{mark}.1")
}

fn sink(agent: &Agent, name: &str) -> Value {
    let status = status(&agent.socket());
    let sinks = status["sinks"].as_array().expect("sinks");
    sinks.iter().find(|sink| sink["name"] == name).unwrap_or_else(|| panic!("{sinks:?}")).clone()
}

/// How many records wait on disk. None that did is damaged.
fn waiting(agent: &Agent) -> u64 {
    let peer = &sink(agent, NAME)["peer"];
    assert_eq!(peer["damaged_records"], 0, "{peer}");
    peer["spooled_records"].as_u64().expect("a number")
}

#[test]
fn root_what_was_settled_before_a_kill_arrives() {
    let (_bpffs, pair, folder) = (Bpffs::mounted(), Pair::new(), Folder::new("killed"));
    let (killed, out) = (Killed { pair, folder }, "out");
    let (injector, out) = (Injector::open(&killed.pair.left, INTERFACE), killed.folder.path(out));
    killed.folder.write("out.mode", "ok");
    let moment = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    let (mut server, mut before) = (None, 0);
    for kill in 0..KILLS {
        if kill == BACK {
            server = Some(peer(&killed.pair.left, &killed.folder, &format!("http {PORT} {out}")));
        }
        let agent = killed.agent();
        if server.is_none() {
            assert!(waiting(&agent) >= before, "{} of {before}", waiting(&agent));
        }
        killed.settle(&agent, &injector, kill + 1);
        let load = || {
            Flood { packets: 4_000, flows: 400, mark: UNDERWAY + kill }.send(&injector);
            sleep(Duration::from_millis(20));
        };
        meanwhile(load, || {
            // No two alike, and others each time it is run.
            sleep(Duration::from_millis(u64::from(moment.subsec_nanos() >> kill) % 900));
            before = waiting(&agent);
            agent.kill();
        });
    }
    let last = killed.agent();
    wait_for("everything was sent", SOON, || {
        (waiting(&last) == 0 && sink(&last, NAME)["queued_records"] == 0).then_some(())
    });
    last.stop();
    drop(server);

    let received = fs::read_to_string(&out).expect("it took something");
    let (received, kept) = (records(received.lines()), killed.history("true"));
    let sources: BTreeSet<_> = (1..=KILLS).map(source).collect();
    let settled = |records: &Records| -> Records {
        let of = records.iter().filter(|(_, record)| sources.contains(&record.0));
        of.map(|(id, record)| (id.clone(), record.clone())).collect()
    };
    assert!(settled(&kept).len() >= usize::from(KILLS) * 300);
    assert_eq!(settled(&received), settled(&kept));
    // Of what was underway either may have what the other has not, but not something else.
    let both = kept.iter().filter_map(|(id, record)| Some((record, received.get(id)?)));
    assert!(both.clone().count() > settled(&kept).len(), "something of what was underway arrives");
    both.for_each(|(kept, received)| assert_eq!(kept, received));
}
