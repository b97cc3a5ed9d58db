//! Real servers: what is told of their connections, held against their own logs, `ss` at both ends, and tshark on the
//! same wire.

use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;
use weir_tests::agent::Agent;
use weir_tests::folder::Folder;
use weir_tests::netns::{Namespace, succeed};
use weir_tests::pair::{INTERFACE, Pair, RIGHT};
use weir_tests::path::{DEVICE, NEAR, Path, Terms};
use weir_tests::servers::Served;
use weir_tests::servers::nginx::{self, Nginx};
use weir_tests::servers::postgres::{self, Postgres};
use weir_tests::servers::redis::{self, Client, Redis};
use weir_tests::shell::shell;
use weir_tests::ss::Ss;
use weir_tests::wait_for;
use weir_tests::wire::{Wire, assert_times};

/// What is acknowledged late has been.
const REST: Duration = Duration::from_millis(500);

/// An agent that sees both ends of the pair.
fn agent(pair: &Pair) -> Agent {
    let netns = [pair.left.name(), pair.right.name()];
    Agent::start_joined(&pair.left, &["-i", INTERFACE, "--netns", netns[0], "--netns", netns[1]])
}

/// The records of connections to the port, by the client's.
fn connections(agent: Agent, port: u16) -> BTreeMap<u64, Value> {
    let lines = agent.stop_and_read();
    let all = lines.iter().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let mut found = BTreeMap::new();
    for one in all.filter(|one| one["type"] == "flow" && one["destination_port"] == port) {
        let client = one["source_port"].as_u64().expect("a port");
        assert!(found.insert(client, one).is_none(), "{client} twice");
    }
    found
}

/// What `weir why` says where both ends are.
fn why(ends: [&Namespace; 2], target: &str) -> Vec<Value> {
    let args = ["why", "-o", "json", target, "--netns", ends[0].name(), "--netns", ends[1].name()];
    let (status, printed, said) = Agent::run(ends[0], &[], &args);
    assert!(status.success() && said.is_empty(), "{status}: {said:?}");
    printed.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Handshakes as TCP beside the client has them, and as tshark sees them there.
fn assert_handshakes(connections: &BTreeMap<u64, Value>, port: u16, mut wire: Wire) {
    let answers = format!("tcp.srcport == {port} && tcp.flags.syn == 1 && tcp.flags.ack == 1");
    let answers = wire.read(&answers, &["tcp.dstport", "tcp.analysis.ack_rtt"]);
    assert_eq!(answers.len(), connections.len(), "{answers:?}");
    let told = answers.iter().map(|answer| {
        let [client, seconds] = &answer[..] else { panic!("{answer:?}") };
        let one = &connections[&client.parse().expect("a port")];
        let [source, destination] =
            ["source", "destination"].map(|end| one[format!("{end}_tcp_handshake_time")].as_u64());
        assert!(destination.is_some(), "{one:#}");
        (source.expect("there was one") as f64 / 1e6, seconds.parse().expect("a time"))
    });
    assert_times(&told.collect::<Vec<_>>());
}

/// Each connection was served by the process that the server's own log has for it.
fn assert_served(connections: &BTreeMap<u64, Value>, served: &Served, [client, server]: [&str; 2]) {
    let by_weir: Served = connections
        .iter()
        .map(|(port, one)| (*port, one["destination_pid"].as_u64().unwrap_or_default()))
        .collect();
    assert_eq!(&by_weir, served);
    for one in connections.values() {
        assert_eq!(
            (&one["source_process"], &one["destination_process"], &one["tcp_state"]),
            (&client.into(), &server.into(), &"closed".into()),
            "{one:#}"
        );
    }
}

#[test]
fn root_redis_and_a_client_that_stays() {
    let pair = Pair::new();
    let _server = Redis::start(&pair.right);
    let agent = agent(&pair);
    let commands: String =
        (0..500).map(|number| format!("SET key{number} {}\nGET key{number}\n", "x".repeat(1000))).collect();
    let client = Client::start(&pair.left, RIGHT, &commands);
    let said = why([&pair.left, &pair.right], &format!("{RIGHT}:{}", redis::PORT));
    sleep(REST);
    let near = Ss::of(&pair.left, &format!("dport = :{}", redis::PORT));
    let far = Ss::of(&pair.right, &format!("sport = :{}", redis::PORT));
    let connections = connections(agent, redis::PORT);
    let found: Vec<_> =
        connections.values().filter(|one| one["source_pid"] == u64::from(client.pid())).collect();
    assert_eq!(found.len(), 1, "{connections:#?}");
    near.assert_agrees(found[0], "source");
    far.assert_agrees(found[0], "destination");
    assert!(far.number("bytes_received") > 500_000, "it was used");
    assert_eq!(
        (&found[0]["source_process"], &found[0]["destination_process"], &found[0]["tcp_state"]),
        (&"redis-cli".into(), &"redis-server".into(), &"established".into())
    );
    // Nobody wants anything, which is up to those who would.
    assert_eq!(said.len(), 1, "{said:#?}");
    assert_eq!(
        (&said[0]["verdict"], &said[0]["source_process"]),
        (&"application".into(), &"redis-cli".into())
    );
}

#[test]
fn root_redis_and_many_clients_at_work() {
    let pair = Pair::new();
    let _server = Redis::start(&pair.right);
    let agent = agent(&pair);
    let wire = Wire::start_at_tc(&pair.left, INTERFACE);
    let bounded = ["-h", RIGHT, "-c", "12", "-n", "3000", "-t", "set", "-q"];
    let said = pair.left.run("redis-benchmark", &bounded);
    assert!(said.contains("requests per second"), "{said}");
    let connections = connections(agent, redis::PORT);
    assert!(connections.len() >= 12, "{connections:#?}");
    for one in connections.values() {
        assert_eq!(
            (&one["source_process"], &one["destination_process"]),
            (&"redis-benchmark".into(), &"redis-server".into()),
            "{one:#}"
        );
    }
    assert_handshakes(&connections, redis::PORT, wire);
    // A question, an answer, the next question: each end waits for what the other one has to say.
    let work = format!("exec redis-benchmark -h {RIGHT} -c 4 -n 9000000 -t get -q");
    let _working = shell(&pair.left, &work);
    wait_for("they are connected", Duration::from_secs(10), || {
        let shown = pair.left.run("ss", &["-tnHO", "state", "established", "dport = :6379"]);
        (shown.lines().count() >= 4).then_some(())
    });
    let said = why([&pair.left, &pair.right], &format!(":{}", redis::PORT));
    let at_work = said.iter().filter(|one| one["verdict"] == "application").count();
    assert!(at_work >= 4, "{said:#?}");
}

#[test]
fn root_each_worker_of_nginx_has_its_own_connections() {
    let pair = Pair::new();
    let server = Nginx::start(&pair.right);
    let agent = agent(&pair);
    let wire = Wire::start_at_tc(&pair.left, INTERFACE);
    for _ in 0..20 {
        pair.left.run("curl", &["-sf", "--max-time", "10", &format!("http://{RIGHT}/")]);
    }
    let connections = connections(agent, nginx::PORT);
    // It answers first.
    let served = wait_for("nginx has written of all", Duration::from_secs(10), || {
        Some(server.served()).filter(|served| served.len() == 20)
    });
    assert_served(&connections, &served, ["curl", "nginx"]);
    assert_handshakes(&connections, nginx::PORT, wire);
}

/// A process for each connection, which does not live longer than that.
#[test]
fn root_each_backend_of_postgresql_has_its_own_connection() {
    let pair = Pair::new();
    let server = Postgres::start(&pair.right);
    let agent = agent(&pair);
    let wire = Wire::start_at_tc(&pair.left, INTERFACE);
    let folder = Folder::new("pgbench");
    let script = folder.write("script.sql", "SELECT 1;\n");
    let mut pgbench = Command::new(postgres::program("pgbench"));
    pgbench
        .args(["-n", "-C", "-c", "2", "-t", "40", "-f", &script, "-h", RIGHT, "-U", "postgres", "postgres"]);
    let said = pair.left.enter(|| succeed(&mut pgbench));
    assert!(said.contains("transactions actually processed: 80/80"), "{said}");
    // A backend outlives the connection that its client has closed.
    wait_for("each backend has ended its connection", Duration::from_secs(10), || {
        let still = pair.right.run("ss", &["-tnHO", "state", "connected", "sport = :5432"]);
        still.lines().all(|line| line.starts_with("TIME-WAIT")).then_some(())
    });
    let connections = connections(agent, postgres::PORT);
    let served = server.served();
    assert!(served.len() >= 80, "{served:?}");
    // The server's last segment finds nobody who would read it, and is no loss for that.
    for one in connections.values() {
        let reasons = one["drop_reasons"].as_str().unwrap_or_default();
        assert!(!reasons.contains("QUEUE_PURGE"), "{one:#}");
    }
    assert_served(&connections, &served, ["pgbench", "postgres"]);
    assert_handshakes(&connections, postgres::PORT, wire);
}

/// A large result over a link that loses some of it.
#[test]
fn root_postgresql_over_a_lossy_link() {
    let path = Path::new(Terms { lossy: Some(30), ..Terms::far(8) });
    let _server = Postgres::start(&path.near);
    let netns = [path.near.name(), path.far.name()];
    let agent = Agent::start_joined(&path.near, &["-i", DEVICE, "--netns", netns[0], "--netns", netns[1]]);
    let mut wire = Wire::start(&path.near, DEVICE);
    let psql = postgres::program("psql");
    let folder = Folder::new("psql");
    let result = folder.path("result");
    let command = format!("exec {} -qAt -h {NEAR} -U postgres -o {result} postgres", psql.display());
    let client = shell(&path.far, &command);
    let rows = "SELECT repeat('x', 1000) FROM generate_series(1, 3000);\n";
    client.0.stdin.as_ref().expect("a pipe").write_all(rows.as_bytes()).expect("it reads");
    let connected = format!("dport = :{}", postgres::PORT);
    wait_for("psql is connected", Duration::from_secs(10), || {
        let shown = path.far.run("ss", &["-tnHO", "state", "established", &connected]);
        (!shown.is_empty()).then_some(())
    });
    let both = [&path.near, &path.far];
    let busy = why(both, &format!("port == {}", postgres::PORT));
    wait_for("the result is whole", Duration::from_secs(60), || {
        std::fs::metadata(&result).is_ok_and(|file| file.len() >= 3_003_000).then_some(())
    });
    sleep(REST);
    let idle = why(both, &format!("port == {}", postgres::PORT));
    let near = Ss::of(&path.near, &format!("sport = :{}", postgres::PORT));
    let far = Ss::of(&path.far, &connected);
    let connections = connections(agent, postgres::PORT);
    assert_eq!(connections.len(), 1, "{connections:#?}");
    let one = connections.values().next().expect("one");
    far.assert_agrees(one, "source");
    near.assert_agrees(one, "destination");
    // Nothing overtakes beside its sender: what tshark takes for that, since it comes soon, was sent again, too.
    let again = "(tcp.analysis.retransmission || tcp.analysis.out_of_order)";
    let again = format!("tcp.srcport == {} && {again}", postgres::PORT);
    let on_wire = wire.read(&again, &["tcp.seq"]).len() as u64;
    assert!(on_wire > 20, "it was lossy");
    assert_eq!(one["destination_tcp_retransmitted_segments"], on_wire);
    assert_eq!(busy[0]["verdict"], "loss", "{busy:#?}");
    assert_eq!(idle[0]["verdict"], "application", "{idle:#?}");
}
