//! Questions to DNS and their answers, as `weir trace dns` tells of them: held against dnsmasq, those who ask it, and
//! tshark on the same wire.

use serde_json::Value;
use std::net::UdpSocket;
use std::thread::sleep;
use std::time::{Duration, Instant};
use weir_tests::dns::{forged, question_of};
use weir_tests::folder::Folder;
use weir_tests::lookups::{assert_on_wire, lookups, trace};
use weir_tests::netns::Namespace;
use weir_tests::pair::{INTERFACE, LEFT, Pair, RIGHT, RIGHT_IPV6};
use weir_tests::shell::{Shell, shell};
use weir_tests::trace::Trace;
use weir_tests::wait_for;
use weir_tests::wire::Wire;

const PATIENCE: Duration = Duration::from_secs(20);
/// What a lookup through the slow server takes, at least.
const DELAY: Duration = Duration::from_millis(40);

/// dnsmasq at the right end.
fn dnsmasq(right: &Namespace) -> Shell {
    let text = vec!["x".repeat(200); 8].join(",");
    let script = format!(
        "exec dnsmasq -k -C /dev/null --pid-file= --user=root --no-resolv --no-hosts --local=/example/ \
         --bind-interfaces --listen-address={RIGHT},{RIGHT_IPV6} --host-record=web.example,{RIGHT},{RIGHT_IPV6} \
         --cname=www.example,edge.example --cname=edge.example,web.example --txt-record=big.example,{text}"
    );
    let server = shell(right, &script);
    wait_for("dnsmasq listens", PATIENCE, || right.run("ss", &["-ulnH"]).contains(":53 ").then_some(()));
    server
}

/// Passes one question after the other on to dnsmasq, some time later, for as long as the test runs.
fn slow_server(right: &Namespace) {
    let (front, back) = right.enter(|| {
        let back = UdpSocket::bind((RIGHT, 0)).expect("a port");
        back.connect((RIGHT, 53)).expect("dnsmasq is there");
        (UdpSocket::bind((RIGHT, 5353)).expect("port 5353"), back)
    });
    front.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    std::thread::spawn(move || {
        let mut message = [0; 2048];
        while let Ok((length, from)) = front.recv_from(&mut message) {
            sleep(DELAY);
            let _ = back.send(&message[..length]);
            let Ok(length) = back.recv(&mut message) else { return };
            let _ = front.send_to(&message[..length], from);
        }
    });
}

/// Protocol, response code, answers, and whether it was truncated.
type Answered<'a> = (&'a str, &'a str, &'a str, &'a str);

#[test]
fn root_lookups_are_told_as_tshark_sees_them() {
    let pair = Pair::with_ipv6();
    let trace = trace(&pair, &[]);
    let _server = dnsmasq(&pair.right);
    slow_server(&pair.right);
    let wire = Wire::start_at_tc(&pair.left, INTERFACE);
    let at = [format!("@{RIGHT}"), format!("@{RIGHT_IPV6}")];
    let questions: [(&[&str], Answered<'_>); 8] = [
        (&[&at[0], "web.example", "A"], ("udp", "NOERROR", RIGHT, "false")),
        (&[&at[0], "WWW.example", "AAAA"], ("udp", "NOERROR", "edge.example, web.example, fd00::2", "false")),
        (&[&at[1], "web.example", "A"], ("udp", "NOERROR", RIGHT, "false")),
        (&[&at[0], "none.example", "A"], ("udp", "NXDOMAIN", "", "false")),
        (&[&at[0], "+tcp", "web.example", "AAAA"], ("tcp", "NOERROR", RIGHT_IPV6, "false")),
        (&[&at[0], "-p", "5353", "web.example", "A"], ("udp", "NOERROR", RIGHT, "false")),
        // It does not fit, and is asked for again by TCP.
        (&[&at[0], "+ignore", "big.example", "TXT"], ("udp", "NOERROR", "", "true")),
        (&[&at[0], "+tcp", "big.example", "TXT"], ("tcp", "NOERROR", "TXT", "false")),
    ];
    for (arguments, _) in &questions {
        pair.left.run("dig", arguments);
    }
    let told = lookups(&trace, questions.len());
    for ((arguments, expected), one) in questions.iter().zip(&told) {
        let word = |name: &str| one[name].as_str().unwrap_or_default();
        let truncated = one["dns_truncated"].to_string();
        let found = (word("protocol"), word("dns_response_code"), word("dns_answers"), truncated.as_str());
        assert_eq!(found, *expected, "{arguments:?}: {one}");
        assert_eq!(
            (word("source_process"), &one["dns_retries"], &one["error"]),
            ("dig", &Value::from(0), &Value::Null),
            "{one}"
        );
        // The slow one is the test itself.
        if !arguments.contains(&"5353") {
            assert_eq!(word("destination_process"), "dnsmasq", "{one}");
        }
    }
    assert!(told[5]["dns_latency"].as_u64() >= Some(DELAY.as_micros() as u64), "{}", told[5]);
    sleep(Duration::from_millis(300));
    assert_on_wire(&lookups(&trace, told.len()), wire);
}

/// Hundreds a second from a few ports, many at a time.
#[test]
fn root_none_of_many_lookups_is_missed() {
    let pair = Pair::with_ipv6();
    let trace = trace(
        &pair,
        &["--fields", "dns_question,dns_type,dns_latency,source_address,source_port,destination_address"],
    );
    let _server = dnsmasq(&pair.right);
    let wire = Wire::start_at_tc(&pair.left, INTERFACE);
    let names: String =
        (0..500).map(|number| format!("n{number}.example A\nn{number}.example AAAA\n")).collect();
    let folder = Folder::new("names");
    let names = folder.write("names", names);
    let said = pair.left.run("dnsperf", &["-s", RIGHT, "-d", &names, "-n", "1", "-Q", "1000", "-c", "4"]);
    assert!(said.contains("Queries completed:    1000"), "{said}");
    let told = lookups(&trace, 1000);
    assert_eq!(told.len(), 1000);
    assert_on_wire(&told, wire);
}

#[test]
fn root_silence_is_told_and_retries_are_counted() {
    let pair = Pair::new();
    let trace = trace(&pair, &[]);
    let server = pair.right.enter(|| UdpSocket::bind((RIGHT, 53)).expect("port 53"));
    server.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let client = pair.left.enter(|| UdpSocket::bind((LEFT, 0)).expect("a port"));
    client.connect((RIGHT, 53)).expect("an address");
    let [silent, slow] = [b"silent", b"slow-1"].map(|label| forged(&[label], [10, 77, 0, 3]));
    let begun = Instant::now();
    for (answer, times) in [(&silent, 3), (&slow, 2)] {
        for _ in 0..times {
            client.send(&question_of(answer).expect("a question")).expect("it is sent");
            server.recv_from(&mut [0; 512]).expect("it is received");
            sleep(Duration::from_millis(100));
        }
    }
    server.send_to(&slow, client.local_addr().expect("bound")).expect("it is sent");
    let told = lookups(&trace, 2);
    assert!(begun.elapsed() >= Duration::from_secs(5), "told too early");
    let [first, second] = &told[..] else { panic!("{told:?}") };
    assert_eq!((first["dns_question"].as_str(), first["dns_retries"].as_u64()), (Some("slow-1"), Some(1)));
    assert_eq!((&first["error"], first["dns_response_code"].as_str()), (&Value::Null, Some("NOERROR")));
    assert!(first["dns_latency"].as_u64() >= Some(200_000), "{first}");
    assert_eq!((second["dns_question"].as_str(), second["dns_retries"].as_u64()), (Some("silent"), Some(2)));
    assert_eq!((second["error"].as_str(), &second["dns_response_code"]), (Some("timeout"), &Value::Null));
    assert_eq!(second["source_pid"].as_u64(), Some(std::process::id().into()), "{second}");
}

/// A tracer for each filter, all at once; what is true of a lookup is what dig says of it.
#[test]
fn root_a_filter_tests_what_lookups_and_connections_tell() {
    let pair = Pair::with_ipv6();
    let _server = dnsmasq(&pair.right);
    slow_server(&pair.right);
    let of = |kinds: &[&str], test: &str| {
        let filter = format!("process in dig,bash and ({test})");
        Trace::start(&pair.left, &[kinds, &["--filter", &filter]].concat())
    };
    // Well between fast and slow: dig's clock is a coarse one.
    let between = DELAY / 2;
    let traces = [
        of(&["dns"], "dns_response_code == NXDOMAIN"),
        of(&["dns"], "dns_type == AAAA"),
        of(&["dns"], &format!("dns_latency >= {}ms", between.as_millis())),
        of(&["dns", "connect"], "dns_response_code == NXDOMAIN or error == ECONNREFUSED"),
        of(&["dns", "connect"], "dns_type == null or dns_type == AAAA"),
    ];
    let at = format!("@{RIGHT}");
    let questions: [&[&str]; 5] = [
        &["one.web.example", "A"],
        &["web.example", "A"],
        &["web.example", "AAAA"],
        &["two.web.example", "AAAA"],
        &["-p", "5353", "web.example", "A"],
    ];
    let said: Vec<_> = questions
        .iter()
        .map(|question| (question.join(" "), pair.left.run("dig", &[&[at.as_str()], *question].concat())))
        .collect();
    pair.left.run("bash", &["-c", &format!("! (exec 3<>/dev/tcp/{RIGHT}/6040) 2>/dev/null")]);
    let [unknown, aaaa, slow, refused_or_unknown, other_or_aaaa] = traces.map(|trace| {
        let mut told: Vec<_> = trace.stop().iter().map(what).collect();
        told.sort();
        told
    });
    let milliseconds = |answer: &str| -> u128 {
        let time = answer.split("Query time: ").nth(1).and_then(|rest| rest.split(' ').next());
        time.and_then(|time| time.parse().ok()).expect("dig says how long it took")
    };
    let truth = |fits: &dyn Fn(&str, &str) -> bool| {
        let fitting = said.iter().filter(|(question, answer)| fits(question, answer));
        let mut fitting: Vec<_> =
            fitting.map(|(question, _)| question.trim_start_matches("-p 5353 ").to_owned()).collect();
        fitting.sort();
        fitting
    };
    let with_refusal = |lookups: &[String]| [&["6040 ECONNREFUSED".to_owned()], lookups].concat();
    assert_eq!(unknown, truth(&|_, answer| answer.contains("status: NXDOMAIN")));
    assert_eq!(aaaa, truth(&|question, _| question.ends_with("AAAA")));
    assert_eq!(slow, truth(&|_, answer| milliseconds(answer) >= between.as_millis()));
    assert_eq!((unknown.len(), aaaa.len(), slow.len()), (2, 2, 1));
    assert_eq!((refused_or_unknown, other_or_aaaa), (with_refusal(&unknown), with_refusal(&aaaa)));
}

/// A lookup as dig was asked for it; a connection by its port and error.
fn what(event: &Value) -> String {
    let word = |name: &str| event[name].as_str().unwrap_or_default();
    match word("type") {
        "dns" => format!("{} {}", word("dns_question"), word("dns_type")),
        _ => format!("{} {}", event["destination_port"], word("error")),
    }
}
