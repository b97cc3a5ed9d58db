//! Drops: each is forced, and held against the kernel's own counters and its own list of reasons.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::net::{TcpStream, UdpSocket};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;
use weir_tests::agent::{Agent, binary};
use weir_tests::control::status;
use weir_tests::flood::Flood;
use weir_tests::frames::{Ipv4, UDP, udp};
use weir_tests::inject::Injector;
use weir_tests::netns::succeed;
use weir_tests::pair::{INTERFACE, LEFT, Pair, RIGHT};
use weir_tests::shell::python;
use weir_tests::wait_for;
use weir_tests::witness::{nstat, settled};

const SOON: Duration = Duration::from_secs(20);
const LEFT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const RIGHT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// What the kernel calls its reasons, as its tracepoint prints them.
fn reasons_of_the_kernel() -> BTreeSet<String> {
    let format = "/sys/kernel/tracing/events/skb/kfree_skb/format";
    if !fs::exists(format).unwrap_or(false) {
        succeed(Command::new("mount").args(["-t", "tracefs", "tracefs", "/sys/kernel/tracing"]));
    }
    let text = fs::read_to_string(format).expect("the tracepoint is there");
    let list = text.split_once("__print_symbolic").expect("reasons").1;
    list.split('"').skip(1).step_by(2).map(Into::into).collect()
}

/// How often the agent has seen this reason in this one of the kernel's books.
fn seen(state: &Value, source: &str, reason: &str) -> u64 {
    let all = state["drops"]["reasons"].as_array().expect("reasons");
    let one = all.iter().find(|one| one["source"] == source && one["reason"] == reason);
    one.map_or(0, |one| one["packets"].as_u64().expect("a number"))
}

fn number(of: &Value, field: &str) -> u64 {
    of[field].as_u64().unwrap_or_else(|| panic!("no {field}: {of}"))
}

/// Stops the agent; its flow records as they are written.
fn records(agent: Agent) -> Vec<Value> {
    let lines = agent.stop_and_read();
    let lines = lines.iter().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.filter(|line| line["type"] == "flow").collect()
}

/// The records of what went to this port of the right host.
fn to_port(records: &[Value], port: u16) -> Vec<&Value> {
    records
        .iter()
        .filter(|one| one["destination_port"] == port && one["destination_address"] == RIGHT)
        .collect()
}

/// Datagrams from left to right, whatever comes back.
fn send(pair: &Pair, port: u16, count: u64) {
    let socket = pair.left.enter(|| UdpSocket::bind((LEFT, 0)).expect("a port"));
    for _ in 0..count {
        while socket.send_to(&[7; 100], (RIGHT, port)).is_err() {}
    }
}

/// A frame from left to right, with what `spoil` does to it.
fn frame(destination: [u8; 4], port: u16, spoil: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let ip = Ipv4 { source: [10, 77, 0, 1].into(), destination: destination.into(), ..Ipv4::default() };
    let mut frame = ip.frame(UDP, &udp(4000, port, &[0; 18]));
    frame[..6].copy_from_slice(&RIGHT_MAC);
    frame[6..12].copy_from_slice(&LEFT_MAC);
    spoil(&mut frame);
    frame
}

/// A drop that is made on purpose.
struct Forced {
    /// The port of the datagrams.
    port: u16,
    /// The kernel's word for it.
    reason: &'static str,
    /// How many there are, by another's count.
    count: u64,
}

#[test]
fn root_each_forced_drop_has_the_kernels_reason_and_number() {
    let pair = Pair::new();
    let right = &pair.right;
    right.run("nft", &["add table ip t; add chain ip t c { type filter hook input priority 0; }; add rule ip t c udp dport 7004 counter drop"]);
    right.sysctl("net/ipv4/ip_forward", "1");
    right.sysctl("net/ipv4/conf/all/rp_filter", "0");
    let agent = Agent::start_joined(right, &["-i", INTERFACE]);
    let injector = Injector::open(&pair.left, INTERFACE);
    let repeat = |count: u64, frame: &[u8]| (0..count).for_each(|_| injector.send(frame));

    send(&pair, 7001, 5);
    let reader = right.enter(|| UdpSocket::bind((RIGHT, 7002)).expect("a port"));
    send(&pair, 7002, 3_000);
    repeat(3, &frame([10, 77, 0, 2], 7003, |frame| frame[40..42].copy_from_slice(&[1, 2])));
    send(&pair, 7004, 7);
    repeat(4, &frame([10, 77, 0, 2], 7005, |frame| frame[24] ^= 0xff));
    repeat(6, &frame([10, 77, 0, 2], 7006, |frame| frame[5] = 9));
    repeat(2, &frame([192, 0, 2, 1], 7007, |_| ()));
    settled(right, INTERFACE);

    let no_socket = nstat(right, "UdpNoPorts");
    let full = nstat(right, "UdpRcvbufErrors");
    let rules = right.run("nft", &["-j", "list", "ruleset"]);
    let denied = rules.split_once("\"packets\": ").expect("a counter").1;
    let denied = denied.split(',').next().and_then(|number| number.trim().parse().ok()).expect("a number");
    assert_eq!((no_socket, denied), (5, 7), "the kernel's own");
    assert!(full > 100, "{full} without room");
    assert_eq!((nstat(right, "UdpInCsumErrors"), nstat(right, "IpExtInNoRoutes")), (3, 2));
    let forced = [
        Forced { port: 7001, reason: "NO_SOCKET", count: no_socket },
        Forced { port: 7002, reason: "SOCKET_RCVBUFF", count: full },
        Forced { port: 7003, reason: "UDP_CSUM", count: 3 },
        Forced { port: 7004, reason: "NETFILTER_DROP", count: denied },
        Forced { port: 7005, reason: "IP_CSUM", count: 4 },
        Forced { port: 7006, reason: "OTHERHOST", count: 6 },
        Forced { port: 7007, reason: "IP_INNOROUTES", count: 2 },
    ];
    let known = reasons_of_the_kernel();
    let state = wait_for("all of them are known", SOON, || {
        let state = status(&agent.socket());
        let are_there = forced.iter().all(|one| seen(&state, "kfree_skb", one.reason) >= one.count);
        are_there.then_some(state)
    });
    assert_eq!(number(&state["drops"], "lost_packets"), 0);
    for reason in state["drops"]["reasons"].as_array().expect("reasons") {
        let name = reason["reason"].as_str().expect("a word");
        assert!(reason["source"] != "kfree_skb" || known.contains(name), "{name} is none of {known:?}");
    }
    let records = records(agent);
    for Forced { port, reason, count } in forced {
        // Of what goes elsewhere the address is another.
        let of: Vec<_> = records.iter().filter(|one| one["destination_port"] == port).collect();
        let [record] = of[..] else { panic!("{port}: {of:#?}") };
        assert_eq!(
            (&record["drop_reasons"], number(record, "dropped_packets")),
            (&reason.into(), count),
            "{port}"
        );
        let each = if matches!(port, 7001 | 7002 | 7004) { 128 } else { 46 };
        assert_eq!(number(record, "dropped_bytes"), count * each, "{port}");
    }
    drop(reader);
}

#[test]
fn root_a_refused_connection_tells_why() {
    let pair = Pair::new();
    let agent = Agent::start_joined(&pair.left, &["-i", INTERFACE]);
    // It is dropped in the other namespace, which the agent does not watch: its record is here.
    for _ in 0..3 {
        pair.left.enter(|| TcpStream::connect((RIGHT, 81)).expect_err("nobody listens"));
    }
    settled(&pair.left, INTERFACE);
    assert_eq!(nstat(&pair.right, "TcpOutRsts"), 3);
    sleep(Duration::from_millis(1500));
    let records = records(agent);
    let refused = to_port(&records, 81);
    assert_eq!(refused.len(), 3, "{refused:#?}");
    for record in refused {
        assert_eq!((&record["drop_reasons"], number(record, "dropped_packets")), (&"NO_SOCKET".into(), 1));
    }
}

#[test]
fn root_the_end_of_a_connection_is_no_loss() {
    let pair = Pair::new();
    let server = "import socket; s=socket.socket(); s.bind(('10.77.0.2',83)); s.listen(64); print('ready',flush=True)\nwhile True:\n c=s.accept()[0]; c.recv(1); c.close()";
    let _server = python(&pair.right, "true", server, &[]);
    let agent = Agent::start_joined(&pair.left, &["-i", INTERFACE]);
    for _ in 0..20 {
        // Who closes first gets a FIN that nobody is there to read.
        drop(pair.left.enter(|| TcpStream::connect((RIGHT, 83)).expect("it listens")));
    }
    pair.left.enter(|| TcpStream::connect((RIGHT, 84)).expect_err("nobody listens"));
    let state = wait_for("what was dropped in the end", SOON, || {
        let state = status(&agent.socket());
        (seen(&state, "kfree_skb", "NO_SOCKET") == 1).then_some(state)
    });
    assert_eq!(seen(&state, "kfree_skb", "QUEUE_PURGE"), 0, "{}", state["drops"]);
    let records = records(agent);
    let ended = to_port(&records, 83);
    assert_eq!(ended.len(), 20, "{ended:#?}");
    // Where both ends close at once the kernel drops an ACK.
    let reasons: Vec<_> = ended.iter().filter_map(|one| one["drop_reasons"].as_str()).collect();
    assert!(!reasons.iter().any(|reasons| reasons.contains("QUEUE_PURGE")), "{reasons:?}");
}

#[test]
fn root_counters_tell_of_what_no_packet_does() {
    let pair = Pair::new();
    let (left, right) = (&pair.left, &pair.right);
    left.ip("link set weir0 txqueuelen 1000");
    left.run(
        "tc",
        &"qdisc add dev weir0 root tbf rate 1mbit burst 2000 limit 4000".split(' ').collect::<Vec<_>>(),
    );
    let listener = "import socket,time; s=socket.socket(); s.bind(('10.77.0.2',82)); s.listen(1); print('ready',flush=True); time.sleep(60)";
    let _listener = python(right, "true", listener, &[]);
    let at_left = Agent::start_joined(left, &["-i", INTERFACE]);
    let at_right = Agent::start_joined(right, &["-i", INTERFACE]);
    // The first look at a counter only begins.
    sleep(Duration::from_millis(2500));

    let burst = left.enter(|| UdpSocket::bind((LEFT, 0)).expect("a port"));
    for _ in 0..100 {
        let _ = burst.send_to(&[0; 1000], (RIGHT, 9));
    }
    let qdisc = || -> u64 {
        let text = left.run("tc", &["-s", "-j", "qdisc", "show", "dev", INTERFACE]);
        let json: Value = serde_json::from_str(&text).expect("JSON");
        json[0]["drops"].as_u64().expect("a number")
    };
    wait_for("the queue drops", SOON, || (qdisc() > 50).then_some(()));
    // What a queue has counted goes with it.
    sleep(Duration::from_millis(2500));
    let by_queue = qdisc();
    left.run("tc", &["qdisc", "replace", "dev", INTERFACE, "root", "pfifo"]);
    let connect = "import socket,time; a=[socket.socket() for _ in range(8)]; [s.setblocking(False) for s in a]; [s.connect_ex(('10.77.0.2',82)) for s in a]; print('ready',flush=True); time.sleep(60)";
    let clients = python(left, "true", connect, &[]);
    wait_for("the queue of the listener is full", SOON, || {
        (nstat(right, "TcpExtListenOverflows") > 3).then_some(())
    });
    drop(clients);
    sleep(Duration::from_millis(3500));
    let state = status(&at_right.socket());
    let full = nstat(right, "TcpExtListenOverflows");
    assert_eq!(seen(&state, "listen_queue", "ListenOverflows"), full, "{}", state["drops"]);
    assert_eq!(seen(&state, "listen_queue", "ListenDrops"), nstat(right, "TcpExtListenDrops"));
    let state = status(&at_left.socket());
    // The packets themselves tell, too, which is another book.
    let by_packets = seen(&state, "kfree_skb", "QDISC_OVERLIMIT") + seen(&state, "kfree_skb", "QDISC_DROP");
    let by_counter = seen(&state, "qdisc", "tbf");
    assert_eq!(by_counter, by_queue, "{}", state["drops"]);
    assert!(by_packets >= by_counter, "{}", state["drops"]);
}

/// The size of conntrack's table is the host's: it is given back whatever happens.
struct TableSize(String);

const TABLE_SIZE: &str = "/proc/sys/net/netfilter/nf_conntrack_max";

impl TableSize {
    fn set(size: &str) -> Self {
        let before = fs::read_to_string(TABLE_SIZE).expect("conntrack is there");
        fs::write(TABLE_SIZE, size).expect("root may");
        Self(before)
    }
}

impl Drop for TableSize {
    fn drop(&mut self) {
        let _ = fs::write(TABLE_SIZE, &self.0);
    }
}

#[test]
fn root_a_full_table_of_connections_is_told_of() {
    let pair = Pair::new();
    let right = &pair.right;
    right.run("nft", &["add table ip t; add chain ip t c { type filter hook input priority 0; }; add rule ip t c ct state established accept"]);
    let agent = Agent::start_joined(right, &["-i", INTERFACE]);
    sleep(Duration::from_millis(2500));
    {
        let _size = TableSize::set("8");
        // Each has a socket of its own, that it is another connection.
        (0..60).for_each(|_| send(&pair, 7100, 1));
    }
    let stat = |word: &str| -> u64 {
        let text = right.run("conntrack", &["-S"]);
        let values = text.split_whitespace().filter_map(|pair| pair.strip_prefix(word)?.strip_prefix('='));
        values.map(|value| value.parse::<u64>().expect("a number")).sum()
    };
    sleep(Duration::from_millis(2500));
    let state = status(&agent.socket());
    let (full, given_way) = (stat("drop"), stat("early_drop"));
    assert!(full + given_way > 20, "{full} dropped, {given_way} gave way");
    assert_eq!(seen(&state, "conntrack", "drop"), full, "{}", state["drops"]);
    assert_eq!(seen(&state, "conntrack", "early_drop"), given_way, "{}", state["drops"]);
}

/// What the kernel has counted of a flood for closed ports is what was told and what was lost.
fn flood(flows: u64, packets: u64) {
    let pair = Pair::new();
    let right = &pair.right;
    // Nothing else is thrown away: before UDP sees it, or of what answers.
    right.ip("address add 10.99.0.2/32 dev lo");
    right.ip("neighbour replace 10.77.7.1 lladdr 02:00:00:00:00:01 dev weir0 nud permanent");
    right.sysctl("net/ipv4/conf/all/rp_filter", "0");
    right.sysctl("net/ipv4/conf/weir0/rp_filter", "0");
    let agent = Agent::start_joined(right, &["-i", INTERFACE]);
    let injector = Injector::open(&pair.left, INTERFACE);
    let flood = Flood { packets, flows, mark: 7 };
    let ip = Ipv4 { source: [10, 77, 7, 1].into(), ..Ipv4::default() };
    let mut template = ip.frame(UDP, &udp(0, 0, &[0; 18]));
    template[..6].copy_from_slice(&RIGHT_MAC);
    template[6..12].copy_from_slice(&LEFT_MAC);
    injector.flood(&template, flood.packets, |number, frame| {
        let flow = number % flows;
        frame[34..36].copy_from_slice(&((1_024 + flow / 1_000) as u16).to_be_bytes());
        frame[36..38].copy_from_slice(&((20_000 + flow % 1_000) as u16).to_be_bytes());
    });
    settled(right, INTERFACE);
    let truth = nstat(right, "UdpNoPorts");
    assert!(truth > packets / 2, "{truth} came so far");
    sleep(Duration::from_millis(2500));
    let state = status(&agent.socket());
    let drops = &state["drops"];
    let told = seen(&state, "kfree_skb", "NO_SOCKET");
    let lost = number(drops, "lost_packets");
    assert!(told <= truth && truth <= told + lost, "{truth} by nstat, {told} told, {lost} lost: {drops}");
    println!("{flows} flows: {truth} by nstat, {told} told, {lost} lost, {drops}");
    let (packets_told, apart) = (number(drops, "packets"), number(drops, "unclaimed_packets"));
    let records = records(agent);
    let joined: u64 = records.iter().map(|one| number(one, "dropped_packets")).sum();
    assert_eq!(packets_told, joined + apart, "{drops}");
}

#[test]
fn root_a_flood_of_one_flow_is_counted_exactly() {
    flood(1, 300_000);
}

#[test]
fn root_a_flood_of_a_hundred_thousand_flows_is_counted_exactly() {
    flood(100_000, 300_000);
}

#[test]
fn root_trace_prints_drops_with_their_flow_reason_and_place() {
    let pair = Pair::new();
    let arguments =
        ["trace", "drop", "-o", "json", "--duration", "8s", "--filter", "destination_port == 7200"];
    let trace = pair.right.enter(|| {
        Command::new(binary())
            .args(arguments)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("weir starts")
    });
    sleep(Duration::from_secs(4));
    send(&pair, 7200, 20);
    let output = trace.wait_with_output().expect("it ends");
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(!events.is_empty() && events.len() < 20, "what is alike is one event: {text}");
    assert_eq!(events.iter().map(|event| number(event, "dropped_packets")).sum::<u64>(), 20);
    for event in &events {
        assert_eq!(
            (&event["type"], &event["drop_source"], &event["drop_reasons"]),
            (&"drop".into(), &"kfree_skb".into(), &"NO_SOCKET".into())
        );
        assert_eq!((&event["interface"], &event["netns"]), (&INTERFACE.into(), &pair.right.name().into()));
        assert_eq!((&event["source_address"], &event["direction"]), (&LEFT.into(), &"ingress".into()));
        assert!(
            event["drop_location"].as_str().is_some_and(|place| place.contains("udp4_lib_rcv+0x")),
            "{event}"
        );
    }
}

#[test]
fn root_without_the_probe_records_say_nothing_of_drops() {
    let pair = Pair::new();
    let agent = Agent::start_joined(&pair.right, &["-i", INTERFACE, "--drops", "off"]);
    send(&pair, 7300, 2);
    settled(&pair.right, INTERFACE);
    assert_eq!(status(&agent.socket())["drops"]["hooks"], "");
    let records = records(agent);
    let [record] = to_port(&records, 7300)[..] else { panic!("{records:#?}") };
    assert_eq!((&record["dropped_packets"], &record["drop_reasons"]), (&Value::Null, &Value::Null));
}
