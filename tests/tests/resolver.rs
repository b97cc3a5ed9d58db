//! unbound as a resolver: those who ask it, those whom it asks, and silence; held against dig and tshark on the same wire.

use serde_json::Value;
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;
use weir_tests::agent::binary;
use weir_tests::dig::{Answered, dig};
use weir_tests::duckdb::{duckdb, table};
use weir_tests::folder::Folder;
use weir_tests::history::keeping;
use weir_tests::lookups::{assert_on_wire, assert_on_wires, lookups, trace};
use weir_tests::netns::succeed;
use weir_tests::pair::{INTERFACE, LEFT, Pair, RIGHT};
use weir_tests::servers::unbound::Unbound;
use weir_tests::wait_for;
use weir_tests::wire::Wire;

/// Its own zone, one that it refuses, one that it asks for elsewhere by TCP, and one that nobody answers for.
fn zones() -> String {
    let long = vec![format!("\"{}\"", "x".repeat(200)); 8].join(" ");
    format!(
        " local-zone: example. static\n local-data: \"web.example. A 10.77.0.9\"\n\
         local-data: \"web.example. AAAA fd00::9\"\n local-data: \"example. MX 10 mail.example.\"\n\
         local-data: \"_http._tcp.example. SRV 0 0 80 web.example.\"\n\
         local-data-ptr: \"10.77.0.9 web.example\"\n local-data: 'big.example. TXT {long}'\n\
         local-zone: refused.elsewhere. refuse\n\
         forward-zone:\n name: beyond.elsewhere.\n forward-addr: {LEFT}\n forward-tcp-upstream: yes\n\
         forward-zone:\n name: silent.elsewhere.\n forward-addr: {LEFT}@5353\n"
    )
}

fn word<'a>(one: &'a Value, name: &str) -> &'a str {
    one[name].as_str().unwrap_or_default()
}

/// Question, type, protocol, response code, answers, and whether it was truncated.
type Told<'a> = [&'a str; 6];

fn told(one: &Value) -> [String; 6] {
    let words = ["dns_question", "dns_type", "protocol", "dns_response_code", "dns_answers", "dns_truncated"];
    words.map(|name| match &one[name] {
        Value::Bool(whether) => whether.to_string(),
        _ => word(one, name).to_owned(),
    })
}

#[test]
fn root_lookups_through_unbound_are_told_as_tshark_sees_them() {
    let pair = Pair::new();
    let trace = trace(&pair, &[]);
    let _server = Unbound::start(&pair.right, RIGHT, &zones());
    let wire = Wire::start_at_tc(&pair.left, INTERFACE);
    let questions: [(&[&str], Told<'_>); 10] = [
        (&["web.example", "A"], ["web.example", "A", "udp", "NOERROR", "10.77.0.9", "false"]),
        (&["+tcp", "web.example", "AAAA"], ["web.example", "AAAA", "tcp", "NOERROR", "fd00::9", "false"]),
        (&["example", "MX"], ["example", "MX", "udp", "NOERROR", "MX", "false"]),
        (&["_http._tcp.example", "SRV"], ["_http._tcp.example", "SRV", "udp", "NOERROR", "SRV", "false"]),
        (&["-x", "10.77.0.9"], ["9.0.77.10.in-addr.arpa", "PTR", "udp", "NOERROR", "PTR", "false"]),
        (&["web.example", "MX"], ["web.example", "MX", "udp", "NOERROR", "", "false"]),
        (&["none.example", "A"], ["none.example", "A", "udp", "NXDOMAIN", "", "false"]),
        (&["refused.elsewhere", "A"], ["refused.elsewhere", "A", "udp", "REFUSED", "", "false"]),
        // It does not fit: dig asks again by TCP, which is the next one.
        (&["big.example", "TXT"], ["big.example", "TXT", "udp", "NOERROR", "", "true"]),
        (&[], ["big.example", "TXT", "tcp", "NOERROR", "TXT", "false"]),
    ];
    for (arguments, _) in questions.iter().filter(|(arguments, _)| !arguments.is_empty()) {
        pair.left.run("dig", &[&["+tries=1", &format!("@{RIGHT}")], *arguments].concat());
    }
    let all = lookups(&trace, questions.len());
    for ((_, expected), one) in questions.iter().zip(&all) {
        assert_eq!(told(one), expected.map(str::to_owned), "{one:#}");
        assert_eq!(
            (word(one, "source_process"), word(one, "destination_process")),
            ("dig", "unbound"),
            "{one:#}"
        );
    }
    assert_on_wire(&all, wire);
}

/// One unbound asks another one by TCP, and a server that says nothing: each question has who asked it.
#[test]
fn root_what_unbound_asks_others_is_its_own() {
    let pair = Pair::new();
    let trace = trace(&pair, &["--dns-timeout", "2s"]);
    let _server = Unbound::start(&pair.right, RIGHT, &zones());
    let _beyond = Unbound::start(&pair.left, LEFT, " local-data: \"far.beyond.elsewhere. A 10.77.0.8\"\n");
    let silent = pair.left.enter(|| UdpSocket::bind((LEFT, 5353)).expect("port 5353"));
    let [near, far] = [&pair.left, &pair.right].map(|end| Wire::start_at_tc(end, INTERFACE));
    let at = format!("@{RIGHT}");
    let said = pair.left.run("dig", &[&at, "+short", "+tries=1", "far.beyond.elsewhere", "A"]);
    assert_eq!(said, "10.77.0.8\n");
    let all = lookups(&trace, 2);
    let [inner, outer] = &all[..] else { panic!("{all:#?}") };
    let words = ["source_process", "source_address", "destination_process", "protocol", "dns_answers"];
    let found = [inner, outer].map(|one| words.map(|name| word(one, name)));
    let expected =
        [["unbound", RIGHT, "unbound", "tcp", "10.77.0.8"], ["dig", LEFT, "unbound", "udp", "10.77.0.8"]];
    assert_eq!(found, expected, "{all:#?}");
    assert!(
        inner["dns_latency"].as_u64() <= outer["dns_latency"].as_u64(),
        "one waits for the other: {all:#?}"
    );
    // dig gives up; what nobody answers becomes an event by itself.
    let dig = ["+tries=1", "+time=1", "gone.silent.elsewhere", "A"];
    let gave_up =
        pair.left.enter(|| std::process::Command::new("dig").arg(&at).args(dig).output().expect("dig"));
    assert!(!gave_up.status.success(), "somebody has answered");
    let all = lookups(&trace, 4);
    let unanswered: Vec<_> =
        all.iter().filter(|one| word(one, "dns_question") == "gone.silent.elsewhere").collect();
    assert!(unanswered.iter().all(|one| word(one, "error") == "timeout" && one["dns_latency"].is_null()));
    let who = |name: &str| unanswered.iter().filter(|one| word(one, "source_process") == name).count();
    assert!(who("dig") == 1 && who("unbound") >= 1, "{unanswered:#?}");
    let asked = unanswered.iter().find(|one| word(one, "source_process") == "unbound").expect("there is one");
    assert_eq!(
        (word(asked, "source_address"), &asked["destination_port"]),
        (RIGHT, &5353.into()),
        "{asked:#}"
    );
    drop(silent);
    assert_on_wires(&lookups(&trace, 4), [(LEFT, near), (RIGHT, far)]);
}

/// What was kept of lookups below a name, as `weir sql` has it.
fn kept(folder: &Folder, below: &str) -> Vec<Answered> {
    let question = format!(
        "select dns_question, dns_type, dns_response_code, dns_answers, protocol from dns \
         where source_process = 'dig' and dns_question like '%{below}'"
    );
    let mut weir = Command::new(binary());
    weir.args(["sql", "-o", "json", "--data-dir", &folder.path("history"), &question]);
    let text = succeed(&mut weir);
    let mut all: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .map(|row| {
            let [question, kind, code, protocol] =
                ["dns_question", "dns_type", "dns_response_code", "protocol"]
                    .map(|name| word(&row, name).into());
            Answered { question, kind, code, answers: row["dns_answers"].as_str().map(Into::into), protocol }
        })
        .collect();
    all.sort();
    all
}

/// While the agent runs, from its log; and once it is gone, from the files, which DuckDB reads, too.
#[test]
fn root_lookups_that_are_kept_are_those_that_dig_printed() {
    let (pair, folder) = (Pair::new(), Folder::new("lookups"));
    // Others on this host may ask for other names.
    let zone = format!("zone{}.example", std::process::id());
    let data = |name: &str, record: &str| format!(" local-data: \"{name}{zone}. {record}\"\n");
    let host = |number: u8| {
        let name = format!("host{number}.");
        data(&name, &format!("A 10.77.1.{number}")) + &data(&name, &format!("AAAA fd00::1:{number}"))
    };
    let zones = [
        format!(" local-zone: {zone}. static\n local-zone: refused.{zone}. refuse\n"),
        (0..20).map(host).collect(),
        data("two.", "A 10.77.2.1") + &data("two.", "A 10.77.2.2"),
        data("", &format!("MX 10 host1.{zone}.")),
    ];
    let agent = keeping(&pair, &folder, &["--keep-events", "dns"]);
    let _server = Unbound::start(&pair.right, RIGHT, &zones.concat());
    let mut printed = Vec::new();
    for host in 0..20 {
        let name = format!("HOST{host}.{zone}");
        printed.push(dig(&pair.left, RIGHT, &[&name, if host % 2 == 0 { "A" } else { "AAAA" }]));
    }
    for (name, more) in [("two.", "A"), ("", "MX"), ("none.", "A"), ("refused.", "AAAA"), ("host1.", "TXT")] {
        let name = format!("{name}{zone}");
        printed.push(dig(&pair.left, RIGHT, &[&name, more]));
        printed.push(dig(&pair.left, RIGHT, &["+tcp", &name, more]));
    }
    printed.sort();
    let codes = |code: &str| printed.iter().filter(|one| one.code == code).count();
    assert_eq!([codes("NOERROR"), codes("NXDOMAIN"), codes("REFUSED")], [26, 2, 2]);
    wait_for("all are kept", Duration::from_secs(20), || {
        (kept(&folder, &zone).len() >= printed.len()).then_some(())
    });
    assert_eq!(kept(&folder, &zone), printed);
    agent.stop();
    assert_eq!(kept(&folder, &zone), printed);
    let files = table(&folder.place().join("history"), "dns");
    let question = format!(
        "select count(*), count(distinct dns_question) from {files} where dns_question like '%{zone}'"
    );
    assert_eq!(duckdb(&question), [serde_json::json!([printed.len(), 24])]);
}
