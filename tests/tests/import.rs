//! What others have recorded, in a history: against what the agent made of the same packets, what tshark reads in the same
//! file, and what nfdump says of its own.

#[expect(dead_code, reason = "what the records must be is what the agent makes of the frames")]
mod cases;

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::net::UdpSocket;
use std::process::{Command, Output};
use weir_tests::agent::{Agent, binary};
use weir_tests::duckdb::{duckdb, table};
use weir_tests::folder::Folder;
use weir_tests::inject::Injector;
use weir_tests::iperf::iperf;
use weir_tests::netns::succeed;
use weir_tests::pair::{INTERFACE, Pair, RIGHT, RIGHT_IPV6};
use weir_tests::witness::Capture;

/// More than a packet has: what tcpdump does not know to be shorter has a slot of 256 KiB in its ring.
const WHOLE: &str = "2048";
fn weir(args: &[&str]) -> Output {
    Command::new(binary()).env("WEIR_DATA_DIR", "none").args(args).output().expect("weir starts")
}

/// What `weir import` said of these files, once it has taken them whole.
fn import(folder: &Folder, files: &[&str]) -> String {
    let output = weir(&[&["import", "--data-dir", &folder.path("history")], files].concat());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// Everything in the history, as JSON.
fn kept(folder: &Folder) -> Vec<Value> {
    let output = weir(&["flows", "--all", "-o", "json", "--data-dir", &folder.path("history")]);
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Packets and bytes of both directions in the files, as DuckDB adds them up.
fn summed(folder: &Folder) -> Value {
    let flows = table(&folder.place().join("history"), "flows");
    duckdb(&format!(
        "select sum(packets + coalesce(reverse_packets, 0))::bigint, sum(bytes + coalesce(reverse_bytes, 0))::bigint from {flows}"
    ))
    .remove(0)
}

/// All that a record says of its packets: not where, when, or by whom they were seen.
const TOLD: [&str; 29] = [
    "source_address",
    "source_port",
    "destination_address",
    "destination_port",
    "protocol",
    "ethertype",
    "vlan",
    "icmp_type",
    "icmp_code",
    "packets",
    "bytes",
    "tcp_flags",
    "reverse_packets",
    "reverse_bytes",
    "reverse_tcp_flags",
    "biflow_direction",
    "biflow_evidence",
    "tcp_state",
    "community_id",
    "dscp",
    "dscp_seen",
    "ecn_seen",
    "min_ttl",
    "max_ttl",
    "min_length",
    "max_length",
    "fragmented",
    "sampling_rate",
    "flow_end_reason",
];

fn told(records: &[Value]) -> Vec<String> {
    let told = |record: &Value| TOLD.map(|name| format!("{name}={}", record[name])).join(" ");
    let mut all: Vec<_> = records.iter().map(told).collect();
    all.sort();
    all
}

fn flows(lines: &[String]) -> Vec<Value> {
    let values = lines.iter().map(|line| serde_json::from_str(line).expect("JSON"));
    values.filter(|value: &Value| value["type"] == "flow").collect()
}

/// Every kind of packet that the probe is tested with: a capture of them makes the records that the agent made,
/// however it is written.
#[test]
fn root_a_capture_becomes_the_records_that_the_agent_made() {
    let (pair, folder) = (Pair::new(), Folder::new("import"));
    let injector = Injector::open(&pair.left, INTERFACE);
    let file = folder.path("trace.pcap");
    let capture = Capture::start_into(&pair.right, &file, &["-i", INTERFACE, "--nano"]);
    let agent = Agent::start_joined(&pair.right, &["-i", INTERFACE, "--dedup", "off"]);
    let cases = cases::all();
    let frames: Vec<_> = cases.iter().flat_map(|case| &case.frames).collect();
    frames.iter().for_each(|frame| injector.send(frame));
    assert_eq!(capture.stop(), frames.len() as u64);
    let truth = told(&flows(&agent.stop_and_read()));
    assert!(truth.len() > 50, "{truth:?}");

    let other = folder.path("trace.pcapng");
    succeed(Command::new("editcap").args(["-F", "pcapng", &file, &other]));
    let bytes: usize = frames.iter().map(|frame| frame.len()).sum();
    for (file, format) in [(&file, "pcap"), (&other, "pcapng")] {
        let folder = Folder::new("import");
        let said = import(&folder, &[file]);
        let expected =
            format!("({format}): {} records, {} packets, {bytes} bytes", truth.len(), frames.len());
        assert!(said.contains(&expected), "{said}");
        let found = told(&kept(&folder));
        let differ: Vec<_> = found.iter().zip(&truth).filter(|(found, truth)| found != truth).collect();
        assert!(found.len() == truth.len() && differ.is_empty(), "found, and the agent's: {differ:#?}");
        assert_eq!(summed(&folder), json!([frames.len(), bytes]));
    }
}

type Ends = [(String, String); 2];

fn ends(a: (&str, &str), b: (&str, &str)) -> Ends {
    let mut ends = [a, b].map(|(address, port)| (address.to_owned(), port.to_owned()));
    ends.sort();
    ends
}

/// Packets and bytes of each pair of ends, as tshark reads the file.
fn by_tshark(file: &str) -> BTreeMap<Ends, (u64, u64)> {
    let fields =
        ["ip.src", "ip.dst", "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport", "frame.len"];
    let mut command = Command::new("tshark");
    command.args(["-r", file, "-T", "fields", "-E", "occurrence=f"]);
    command.args(fields.iter().flat_map(|field| ["-e", field]));
    let mut sums: BTreeMap<Ends, (u64, u64)> = BTreeMap::new();
    for line in succeed(&mut command).lines() {
        let parts: Vec<_> = line.split('\t').collect();
        let port = |tcp: usize| if parts[tcp].is_empty() { parts[tcp + 2] } else { parts[tcp] };
        let sum = sums.entry(ends((parts[0], port(2)), (parts[1], port(3)))).or_default();
        *sum = (sum.0 + 1, sum.1 + parts[6].parse::<u64>().expect("a length"));
    }
    sums
}

/// The same in the history.
fn by_weir(folder: &Folder) -> BTreeMap<Ends, (u64, u64)> {
    let mut sums: BTreeMap<Ends, (u64, u64)> = BTreeMap::new();
    for record in kept(folder) {
        let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        let port = |name: &str| record[name].as_u64().map_or_else(String::new, |port| port.to_string());
        let number = |name: &str| record[name].as_u64().unwrap_or(0);
        let (source, destination) = (text("source_address"), text("destination_address"));
        let (from, to) = (port("source_port"), port("destination_port"));
        let sum = sums.entry(ends((&source, &from), (&destination, &to))).or_default();
        sum.0 += number("packets") + number("reverse_packets");
        sum.1 += number("bytes") + number("reverse_bytes");
    }
    sums
}

/// TCP in bulk and pings, without super-packets: whatever a capture holds of each packet and however it is framed.
#[test]
fn root_conversations_are_those_of_tshark() {
    let (pair, folder) = (Pair::new(), Folder::new("import"));
    ["tso", "gso", "gro"].iter().for_each(|feature| pair.offload(feature, false));
    let ways: [(&str, &[&str]); 4] = [
        ("whole", &["-i", INTERFACE, "-s", WHOLE]),
        ("cut", &["-i", INTERFACE, "-s", "60"]),
        ("cooked", &["-i", "any", "-s", WHOLE, "-y", "LINUX_SLL"]),
        ("cooked2", &["-i", "any", "-s", WHOLE, "-y", "LINUX_SLL2"]),
    ];
    let captures = ways.map(|(name, args)| (name, Capture::start_into(&pair.left, &folder.path(name), args)));
    let agent = Agent::start_joined(&pair.left, &["-i", INTERFACE]);
    iperf(&pair.left, &pair.right, RIGHT, "2M");
    pair.left.run("ping", &["-c", "5", "-i", "0.01", RIGHT]);
    let captured: Vec<_> = captures.into_iter().map(|(name, capture)| (name, capture.stop())).collect();
    let agents = flows(&agent.stop_and_read());
    let number = |name: &str| agents.iter().map(|flow| flow[name].as_u64().unwrap_or(0)).sum::<u64>();
    let seen = (number("packets") + number("reverse_packets"), number("bytes") + number("reverse_bytes"));

    let truth = by_tshark(&folder.path("whole"));
    assert_eq!(truth.values().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1)), seen);
    for (name, packets) in captured {
        assert_eq!(packets, seen.0, "{name}");
        let history = Folder::new("import");
        import(&history, &[&folder.path(name)]);
        assert_eq!(by_weir(&history), truth, "{name}");
        assert_eq!(summed(&history), json!([seen.0, seen.1]), "{name}");
    }
}

/// A capture of some traffic.
fn traffic(pair: &Pair, file: &str) {
    let capture = Capture::start_into(&pair.left, file, &["-i", INTERFACE, "-s", WHOLE]);
    iperf(&pair.left, &pair.right, RIGHT, "1M");
    pair.left.run("ping", &["-c", "3", "-i", "0.01", RIGHT]);
    capture.stop();
}

/// The files that nfpcapd makes of a capture.
fn nfpcapd(capture: &str, directory: &str) -> Vec<String> {
    fs::create_dir(directory).expect("a folder");
    succeed(Command::new("nfpcapd").args(["-r", capture, "-w", directory]));
    let entries = fs::read_dir(directory).expect("it is there").flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path().display().to_string()).collect();
    files.sort();
    files
}

/// A line for each flow of a file, as nfdump reads it.
fn by_nfdump(file: &str) -> Vec<String> {
    let format = "fmt:%sa,%sp,%da,%dp,%pr,%pkt,%byt,%flg";
    let text = succeed(Command::new("nfdump").args(["-q", "-N", "-6", "-r", file, "-o", format]));
    let mut lines: Vec<_> = text
        .lines()
        .filter(|line| line.contains(','))
        .map(|line| line.split(',').map(str::trim).take(7).collect::<Vec<_>>().join(","))
        .collect();
    lines.sort();
    lines
}

fn as_nfdump(record: &Value) -> String {
    let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
    let number = |name: &str| record[name].as_u64().unwrap_or(0);
    let to = match record["icmp_type"].as_u64() {
        Some(kind) => format!("{kind}.{}", number("icmp_code")),
        None => number("destination_port").to_string(),
    };
    let ends =
        format!("{},{},{},{to}", text("source_address"), number("source_port"), text("destination_address"));
    let protocol = match text("protocol").as_str() {
        "tcp" => 6,
        "icmp" => 1,
        other => panic!("{other}: there was none"),
    };
    format!("{ends},{protocol},{},{}", number("packets"), number("bytes"))
}

#[test]
fn root_flows_of_nfcapd_are_those_of_nfdump() {
    let (pair, folder) = (Pair::new(), Folder::new("import"));
    let capture = folder.path("trace.pcap");
    traffic(&pair, &capture);
    for plain in nfpcapd(&capture, &folder.path("flows")) {
        let truth = by_nfdump(&plain);
        assert!(truth.len() >= 4, "{truth:?}");
        for (number, method) in [("0", None), ("3", None), ("1", Some("LZO")), ("2", Some("bzip2"))] {
            let (history, packed) = (Folder::new("import"), folder.path(number));
            fs::copy(&plain, &packed).expect("it is there");
            succeed(Command::new("nfdump").args(["-J", number, "-r", &packed]));
            if let Some(method) = method {
                let output = weir(&["import", &packed, "--data-dir", &history.path("history")]);
                let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(output.status.code() == Some(1) && stderr.contains(method), "{stderr}");
                // The remedy is one.
                assert!(stderr.contains("`nfdump -J 0 -r FILE`"), "{stderr}");
                succeed(Command::new("nfdump").args(["-J", "0", "-r", &packed]));
            }
            import(&history, &[&packed]);
            let mut found: Vec<_> = kept(&history).iter().map(as_nfdump).collect();
            found.sort();
            assert_eq!(found, truth, "{number}");
        }
    }
}

/// One direction of a conversation; of ICMP without ports.
type Way = (String, String, String, String, u64);

/// Packets, bytes from the IP header on, and flags of TCP.
type Sum = (u64, u64, u64);

fn add(sums: &mut BTreeMap<Way, Sum>, way: Way, (packets, bytes, flags): Sum) {
    let sum = sums.entry(way).or_default();
    *sum = (sum.0 + packets, sum.1 + bytes, sum.2 | flags);
}

/// Each direction as tshark reads it in a capture, and when the first and the last packet came.
fn ways_by_tshark(file: &str) -> (BTreeMap<Way, Sum>, [f64; 2]) {
    const FIELDS: [&str; 11] = [
        "frame.time_epoch",
        "ip.src",
        "ip.dst",
        "ip.proto",
        "ip.len",
        "ipv6.src",
        "ipv6.dst",
        "ipv6.plen",
        "tcp.srcport",
        "tcp.dstport",
        "tcp.flags",
    ];
    let mut command = Command::new("tshark");
    command.args(["-r", file, "-T", "fields"]).args(FIELDS.iter().flat_map(|field| ["-e", field]));
    let (mut sums, mut times) = (BTreeMap::new(), Vec::new());
    for line in succeed(&mut command).lines() {
        let parts: Vec<_> = line.split('\t').map(str::to_owned).collect();
        let [time, v4 @ .., from_port, to_port, flags] = &parts[..] else { panic!("{line}") };
        let [source, destination, protocol, length, source6, destination6, payload] = v4 else {
            panic!("{line}")
        };
        let number = |text: &str| text.parse::<u64>().expect("a number");
        let flags = u64::from_str_radix(flags.trim_start_matches("0x"), 16).unwrap_or(0);
        let (ends, protocol, bytes) = match payload.as_str() {
            "" => ((source, destination), number(protocol), number(length)),
            payload => ((source6, destination6), if flags == 0 { 58 } else { 6 }, number(payload) + 40),
        };
        let way = (ends.0.clone(), from_port.clone(), ends.1.clone(), to_port.clone(), protocol);
        add(&mut sums, way, (1, bytes, flags));
        times.push(time.parse().expect("a time"));
    }
    let ends = [f64::INFINITY, f64::NEG_INFINITY];
    (sums, times.iter().fold(ends, |[first, last], time: &f64| [first.min(*time), last.max(*time)]))
}

/// The same as DuckDB reads it in a history.
fn ways_by_duckdb(folder: &Folder) -> (BTreeMap<Way, Sum>, [f64; 2]) {
    let flows = table(&folder.place().join("history"), "flows");
    let way = |from: &str, to: &str, reverse: &str| {
        let [from, to] = [from, to].map(|end| {
            format!("{end}_address, coalesce(case protocol when 'tcp' then {end}_port end::varchar, '')")
        });
        format!(
            "select {from}, {to}, case protocol when 'tcp' then 6 when 'icmp' then 1 when 'icmpv6' then 58 end, \
             {reverse}packets, {reverse}bytes, coalesce({reverse}tcp_flags, 0), \
             epoch(start::timestamptz), epoch(\"end\"::timestamptz) from {flows} where {reverse}packets > 0"
        )
    };
    let (forth, back) = (way("source", "destination", ""), way("destination", "source", "reverse_"));
    let rows = duckdb(&format!("{forth} union all {back}"));
    let (mut sums, mut times) = (BTreeMap::new(), [f64::INFINITY, f64::NEG_INFINITY]);
    for row in rows {
        let text = |at: usize| row[at].as_str().expect("text").to_owned();
        let number = |at: usize| row[at].as_u64().expect("a number");
        let time = |at: usize| row[at].as_f64().expect("a time");
        add(&mut sums, (text(0), text(1), text(2), text(3), number(4)), (number(5), number(6), number(7)));
        times = [times[0].min(time(8)), times[1].max(time(9))];
    }
    (sums, times)
}

/// The messages that softflowd sends of a capture, one after the other, which makes a file of them; and how many records
/// it says that they have.
fn softflowd(pair: &Pair, folder: &Folder, capture: &str, flags: &[&str]) -> (Vec<u8>, u64) {
    let collector = pair.left.enter(|| UdpSocket::bind("127.0.0.1:0").expect("a port"));
    let to = collector.local_addr().expect("bound").to_string();
    let mut softflowd = Command::new("timeout");
    // It may wait for somebody to control it.
    softflowd.args(["30", "softflowd", "-d", "-c", "none", "-p", &folder.path("pid")]);
    softflowd.args(["-r", capture, "-n", &to, "-v", "10"]).args(flags);
    let output = pair.left.enter(|| softflowd.output().expect("it starts"));
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let exported = said.split_once("Flows exported: ").and_then(|(_, rest)| rest.split([' ', '(']).nth(2));
    let records = exported.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{said}"));
    collector.set_nonblocking(true).expect("a socket");
    let (mut messages, mut message) = (Vec::new(), vec![0; 65_536]);
    while let Ok(length) = collector.recv(&mut message) {
        messages.extend_from_slice(&message[..length]);
    }
    (messages, records)
}

/// softflowd tells times by its uptime, which began after the packets came, or by the clock; and both directions in two
/// records or in one.
#[test]
fn root_what_softflowd_exports_is_what_tshark_counts() {
    let (pair, folder) = (Pair::with_ipv6(), Folder::new("import"));
    pair.left.ip("link set lo up");
    let capture = folder.path("trace.pcap");
    // Groups are reported for as long as there is IPv6.
    let hosts = format!("host {RIGHT} or host {RIGHT_IPV6}");
    let running = Capture::start_into(&pair.left, &capture, &["-i", INTERFACE, "-s", WHOLE, &hosts]);
    for address in [RIGHT, RIGHT_IPV6] {
        iperf(&pair.left, &pair.right, address, "1M");
        pair.left.run("ping", &["-c", "3", "-i", "0.01", address]);
    }
    running.stop();
    let (truth, seen) = ways_by_tshark(&capture);
    assert!(truth.len() >= 12, "{truth:?}");
    for flags in [&[][..], &["-A", "milli"], &["-b"]] {
        let history = Folder::new("import");
        let (messages, records) = softflowd(&pair, &history, &capture, flags);
        let said = import(&history, &[&history.write("softflowd.ipfix", messages)]);
        assert!(said.contains(&format!("(IPFIX): {records} records")), "{records}: {said}");
        let (found, times) = ways_by_duckdb(&history);
        assert_eq!(found, truth, "{flags:?}");
        for (found, truth) in times.iter().zip(seen) {
            assert!((found - truth).abs() < 0.01, "{flags:?}: {times:?} {seen:?}");
        }
    }
}

#[test]
fn root_where_an_agent_writes_nothing_is_imported() {
    let (pair, folder) = (Pair::new(), Folder::new("import"));
    let directory = folder.path("history");
    let agent = Agent::start(&pair.left, &["-i", INTERFACE, "--data-dir", &directory]);
    let file = folder.write("empty.pcap", [0xd4, 0xc3, 0xb2, 0xa1]);
    let output = weir(&["import", &file, "--data-dir", &directory]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let expected = format!("another process writes in {directory} (process {})", agent.pid());
    assert!(output.status.code() == Some(1) && stderr.contains(&expected), "{stderr}");
    agent.stop();
}

/// Two seconds of 2001 of one conversation, the second packet cut off: what is whole is kept, nothing of it is too old,
/// and the same twice has the same `flow_id`.
#[test]
fn what_is_whole_of_a_file_is_kept_whatever_its_age() {
    let folder = Folder::new("import");
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
    let frame = [vec![0xff; 12], vec![0x08, 0x06], vec![0; 46]].concat();
    let mut bytes = words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1]);
    for second in [1_000_000_000, 1_000_000_001] {
        bytes.extend(words(&[second, 0, 60, 60]));
        bytes.extend_from_slice(&frame);
    }
    bytes.pop();
    let (file, directory) = (folder.write("old.pcap", &bytes), folder.path("history"));
    for _ in 0..2 {
        let output = weir(&["import", &file, "/nosuch.pcap", "--data-dir", &directory]);
        let (said, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(1), "{said}{stderr}");
        assert!(said.contains("1 record, 1 packet, 60 bytes"), "{said}");
        assert!(said.contains("not whole: it ends within packet 2; what comes before is kept"), "{said}");
        assert!(stderr.contains("/nosuch.pcap: cannot read it: No such file"), "{stderr}");
    }
    let rows = duckdb(&format!(
        "select count(*), count(distinct flow_id), min(interface), min(netns), min(\"end\")::varchar from {}",
        table(&folder.place().join("history"), "flows")
    ));
    let time = rows[0][4].as_str().expect("a time");
    assert_eq!(rows[0], json!([2, 1, "old.pcap", "import:old.pcap", time]));
    assert!(time.starts_with("2001-09-09"), "{time}");
}
