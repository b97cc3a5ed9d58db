//! What addresses are called: held against what the test's own servers and files say.

mod names_parts;

use names_parts::{Resolver, hosts_of, local_port, names_to, source_names_of};
use nix::sys::signal::Signal;
use std::net::UdpSocket;
use std::thread::sleep;
use std::time::Duration;
use weir_tests::agent::{Agent, Outcome};
use weir_tests::api_server::{ApiServer, NODES, SERVICES, node, service};
use weir_tests::control;
use weir_tests::conversation::Names;
use weir_tests::dns::{answer, forged, question_of};
use weir_tests::folder::Folder;
use weir_tests::mmdb::{Value, database};
use weir_tests::pair::{INTERFACE, LEFT, Pair, RIGHT, RIGHT_IPV6};
use weir_tests::shell::shell;
use weir_tests::witness::settled;
use weir_tests::{TICKS, wait_for};

const PATIENCE: Duration = Duration::from_secs(10);
/// Files are looked at every second, and the machine may be busy.
const LATER: Duration = Duration::from_secs(4);

fn named(name: &str, origin: &str) -> Names {
    Names { name: Some(name.into()), name_origin: Some(origin.into()), ..Names::default() }
}

/// One datagram to this port of the right end.
fn send(pair: &Pair, port: u16) {
    let socket = pair.left.enter(|| UdpSocket::bind((LEFT, 0)).expect("a port"));
    socket.send_to(b"hello", (RIGHT, port)).expect("it is sent");
}

/// The agent with a hosts file of the test's own.
fn start(pair: &Pair, folder: &Folder, args: &[&str]) -> Agent {
    let hosts = hosts_of(folder);
    Agent::start_joined(&pair.left, &[&["-i", INTERFACE, "--hosts-file", &hosts], args].concat())
}

fn from_port(outcome: &Outcome, port: u16) -> &Names {
    let mut found = outcome.conversations.iter().filter(|one| one.source.1 == Some(port));
    &found.next().unwrap_or_else(|| panic!("none from {port}: {:?}", outcome.conversations)).destination_names
}

/// curl asks dnsmasq, as the C library does it, and goes where it is told.
#[test]
fn root_a_connection_has_the_name_that_was_asked_for() {
    let (pair, folder) = (Pair::with_ipv6(), Folder::new("dns"));
    let agent = start(&pair, &folder, &[]);
    let resolver = Resolver::start(
        &pair,
        &folder,
        &[
            &format!("--host-record=web.example,{RIGHT}"),
            &format!("--host-record=six.example,{RIGHT_IPV6}"),
            "--cname=www.example,edge.example",
            "--cname=edge.example,web.example",
        ],
    );
    let _server = shell(&pair.right, "exec busybox httpd -f -p 8000");
    wait_for("the server listens", PATIENCE, || {
        pair.right.run("ss", &["-tlnH"]).contains(":8000").then_some(())
    });
    let by_curl = ["www.example", "web.example", "six.example", "www.example"].map(|host| {
        let command = format!("curl -s -o /dev/null -w '%{{local_port}}' http://{host}:8000/");
        let port = local_port(&resolver.run(&pair, &command));
        // Which of two answers came before a flow cannot be told within a tick of the kernel's clock.
        sleep(TICKS);
        (host, port)
    });
    settled(&pair.left, INTERFACE);
    let status = control::status(&agent.socket());
    let outcome = agent.stop();
    for (host, port) in by_curl {
        assert_eq!(*from_port(&outcome, port), named(host, "dns"), "{host}");
    }
    let names = &status["identity"]["names"];
    let heard = names["dns_answers"].as_u64().expect("a number");
    assert!(heard >= 4, "{names}");
    for nothing in ["lost_dns_messages", "malformed_dns_messages", "dns_timeouts", "evicted_dns_addresses"] {
        assert_eq!(names[nothing], 0, "{names}");
    }
    // The other end has none.
    assert!(
        outcome
            .conversations
            .iter()
            .all(|one| one.source_names == Names::default() || one.source.0.as_deref() != Some(LEFT))
    );
}

/// One address is known to DNS, the cluster and the hosts file, one to the last two, one to the last alone.
#[test]
fn root_a_name_is_from_the_first_source_that_knows_one() {
    const ADDRESSES: [&str; 3] = [RIGHT, "10.77.0.3", "10.77.0.4"];
    let (pair, folder) = (Pair::new(), Folder::new("order"));
    let server = pair.left.enter(ApiServer::new);
    server.set(NODES, node("node-1", "zone-a"));
    for (address, name) in ADDRESSES.iter().zip(["first", "second"]) {
        server.set(SERVICES, service("shop", name, address));
    }
    let file = server.kubeconfig().display().to_string();
    let agent = start(&pair, &folder, &["--kubernetes", &file, "--kubernetes-node", "node-1"]);
    folder.write("hosts", ADDRESSES.map(|address| format!("{address} by-hand\n")).concat());
    wait_for("all sources have told", PATIENCE, || {
        let state = &control::status(&agent.socket())["identity"];
        (state["kubernetes"]["services"] == 2 && state["names"]["hosts"] == 3).then_some(())
    });
    answer(&pair, &[forged(&[b"asked", b"example"], [10, 77, 0, 2])]);
    for (address, port) in ADDRESSES.iter().zip(4001..) {
        pair.left.ip(&format!("neighbour replace {address} lladdr 02:00:00:00:00:02 dev {INTERFACE}"));
        let socket = pair.left.enter(|| UdpSocket::bind((LEFT, 0)).expect("a port"));
        socket.send_to(b"hello", (*address, port)).expect("it is sent");
    }
    settled(&pair.left, INTERFACE);
    let outcome = agent.stop();
    assert_eq!(*names_to(&outcome, 4001), named("asked.example", "dns"));
    assert_eq!(*names_to(&outcome, 4002), named("second.shop", "kubernetes"));
    assert_eq!(*names_to(&outcome, 4003), named("by-hand", "hosts"));
}

/// A table shows names; filters know them.
#[test]
fn root_tables_and_filters_know_names() {
    let (pair, folder) = (Pair::new(), Folder::new("table"));
    let hosts = hosts_of(&folder);
    folder.write("hosts", format!("{RIGHT} db.example db\n"));
    let args =
        ["run", "-o", "table", "-i", INTERFACE, "--hosts-file", &hosts, "--filter", "host in db.*,10.99.0.1"];
    let mut agent = Agent::start_command(&pair.left, &args);
    agent.read();
    send(&pair, 4001);
    settled(&pair.left, INTERFACE);
    let lines = agent.stop_and_read();
    assert!(lines.iter().any(|line| line.contains("db.example:4001")), "{lines:?}");
}

/// What changes while the agent runs: the file, and what networks are called.
#[test]
fn root_the_hosts_file_and_labels_are_followed() {
    let (pair, folder) = (Pair::new(), Folder::new("hosts"));
    let hosts = hosts_of(&folder);
    let configuration = |labels: &str| {
        format!(
            "interface: [{INTERFACE}]\noutput: json\ninterval: 100ms\nidle_timeout: 300ms\nhosts_file: {hosts}\nlabel: {labels}\n"
        )
    };
    folder.write("hosts", format!("{RIGHT} old.example\n"));
    let file = folder.write("weir.yaml", configuration("[10.77.0.0/16=lab, 10.0.0.0/8=all]"));
    let agent = {
        let mut agent = Agent::start_command(&pair.left, &["run", "--config", &file]);
        agent.read();
        agent
    };
    send(&pair, 4001);
    agent.wait_for_flow("the first one ends", PATIENCE, |flow| flow.destination_port == Some(4001));
    folder.write("hosts", format!("{RIGHT} new.example\n"));
    folder.write("weir.yaml", configuration("[10.77.0.2=server, 10.77.0.0/16=lab]"));
    agent.signal(Signal::SIGHUP);
    let said = agent.wait_for_line("reloaded", PATIENCE);
    assert!(said.contains("label (2, were 2)"), "{said}");
    sleep(LATER);
    send(&pair, 4002);
    settled(&pair.left, INTERFACE);
    let outcome = agent.stop();
    let labelled = |name: &str, label: &str| Names { label: Some(label.into()), ..named(name, "hosts") };
    assert_eq!(*names_to(&outcome, 4001), labelled("old.example", "lab"));
    assert_eq!(*names_to(&outcome, 4002), labelled("new.example", "server"));
    let source = source_names_of(&outcome, 4001);
    assert_eq!(*source, Names { label: Some("lab".into()), ..Names::default() });
}

/// Two databases say different things of an address; one is replaced, one comes late.
#[test]
fn root_places_come_from_databases() {
    let (pair, folder) = (Pair::new(), Folder::new("places"));
    let address = [10, 77, 0, 2];
    let city = |country, city| {
        let names = Value::Map(vec![("names", Value::Map(vec![("en", Value::Text(city))]))]);
        let country = Value::Map(vec![("iso_code", Value::Text(country))]);
        database(address, 32, &Value::Map(vec![("city", names), ("country", country)]))
    };
    let system = Value::Map(vec![
        ("autonomous_system_number", Value::Number(64_512)),
        ("autonomous_system_organization", Value::Text("Example \x1b[2J")),
    ]);
    let cities = folder.write("city.mmdb", city("ZA", "Cape Town"));
    let systems = folder.path("asn.mmdb");
    let agent = start(
        &pair,
        &folder,
        &["--geoip", &cities, "--geoip", &systems, "--interval", "100ms", "--idle-timeout", "300ms"],
    );
    agent.wait_for_line("asn.mmdb: No such file", PATIENCE);
    send(&pair, 4001);
    agent.wait_for_flow("the first one ends", PATIENCE, |flow| flow.destination_port == Some(4001));
    folder.write("asn.mmdb", database(address, 24, &system));
    folder.write("new", city("NZ", "Ōtautahi"));
    std::fs::rename(folder.path("new"), &cities).expect("replaced");
    sleep(LATER);
    send(&pair, 4002);
    settled(&pair.left, INTERFACE);
    let outcome = agent.stop();
    let place = |country: &str, city: &str| Names {
        country: Some(country.into()),
        city: Some(city.into()),
        ..Names::default()
    };
    assert_eq!(*names_to(&outcome, 4001), place("ZA", "Cape Town"));
    let both = Names {
        as_number: Some(64_512),
        as_organization: Some("Example \\u{1b}[2J".into()),
        ..place("NZ", "Ōtautahi")
    };
    assert_eq!(*names_to(&outcome, 4002), both);
    assert_eq!(*source_names_of(&outcome, 4001), Names::default(), "it is outside /32");
}

/// The agent asks dnsmasq by itself; the name is there for what comes afterwards.
#[test]
fn root_names_can_be_asked_for() {
    let (pair, folder) = (Pair::new(), Folder::new("reverse"));
    let resolver = Resolver::start(&pair, &folder, &["--ptr-record=2.0.77.10.in-addr.arpa,back.example"]);
    let hosts = hosts_of(&folder);
    let under = resolver.wrapper();
    let under: Vec<_> = under.iter().map(String::as_str).collect();
    let args = [
        "run",
        "-o",
        "json",
        "-i",
        INTERFACE,
        "--hosts-file",
        &hosts,
        "--interval",
        "100ms",
        "--idle-timeout",
        "300ms",
        "--reverse-dns",
        "on",
    ];
    let mut agent = Agent::start_under(&pair.left, &under, &args);
    agent.read();
    send(&pair, 4001);
    agent.wait_for_flow("the first one ends", PATIENCE, |flow| flow.destination_port == Some(4001));
    sleep(LATER);
    send(&pair, 4002);
    settled(&pair.left, INTERFACE);
    let outcome = agent.stop();
    assert_eq!(*names_to(&outcome, 4001), Names::default());
    assert_eq!(*names_to(&outcome, 4002), named("back.example", "reverse_dns"));
}

#[test]
fn root_hostile_names_break_nothing() {
    let (pair, folder) = (Pair::new(), Folder::new("hostile"));
    let agent = start(&pair, &folder, &[]);
    let good = forged(&[b"\x1b[2J\x07", b"a\nb\r\"", b"\xff\xfe", &[0x80; 63], b"Ok"], [10, 77, 0, 2]);
    let mut circle = good.clone();
    circle[12..14].copy_from_slice(b"\xc0\x0c");
    let mut greedy = good.clone();
    greedy[6..8].copy_from_slice(b"\xff\xff");
    answer(&pair, &[circle, greedy, vec![0xff; 4096], vec![0x80; 3], b"\0\0\x80\0".repeat(300), good]);
    send(&pair, 4001);
    settled(&pair.left, INTERFACE);
    let status = control::status(&agent.socket());
    let outcome = agent.stop();
    let name = names_to(&outcome, 4001).name.clone().expect("it has one");
    let start = r#"\027[2j\007.a\010b\013".\255\254.\128\128"#;
    assert!(name.starts_with(start) && name.ends_with('…') && name.chars().count() == 256, "{name}");
    let names = &status["identity"]["names"];
    assert_eq!(
        (names["malformed_dns_messages"].as_u64(), names["dns_answers"].as_u64()),
        (Some(5), Some(1)),
        "{names}"
    );
}

/// Whoever likes can send an answer: it gives no names unless it is one to what was asked, of whom, from where.
#[test]
fn root_only_answers_to_questions_count() {
    let (pair, folder) = (Pair::new(), Folder::new("unasked"));
    pair.right.ip(&format!("address add 10.77.0.66/16 dev {INTERFACE}"));
    let agent = start(&pair, &folder, &[]);
    let [evil, mine] = [&b"evil"[..], b"mine"].map(|label| forged(&[label, b"example"], [10, 77, 0, 2]));
    let [server, other, spoof] = [(RIGHT, 53), (RIGHT, 54), ("10.77.0.66", 53)]
        .map(|from| pair.right.enter(|| UdpSocket::bind(from).expect("a port")));
    let [client, bystander] =
        [0, 0].map(|port| pair.left.enter(|| UdpSocket::bind((LEFT, port)).expect("a port")));
    let to = client.local_addr().expect("bound");
    // Before anybody has asked.
    server.send_to(&evil, to).expect("it is sent");
    client.recv_from(&mut [0; 512]).expect("it is received");
    client.send_to(&question_of(&mine).expect("a question"), (RIGHT, 53)).expect("it is sent");
    server.recv_from(&mut [0; 512]).expect("it is received");
    let mut wrong_id = evil.clone();
    wrong_id[0] = 0x77;
    // Of another number, for another name, from another address; from another port it is no DNS at all.
    for (from, message) in [(&server, &wrong_id), (&server, &evil), (&spoof, &mine), (&other, &evil)] {
        from.send_to(message, to).expect("it is sent");
        client.recv_from(&mut [0; 512]).expect("it is received");
    }
    server.send_to(&mine, bystander.local_addr().expect("bound")).expect("it is sent");
    bystander.recv_from(&mut [0; 512]).expect("it is received");
    send(&pair, 4001);
    settled(&pair.left, INTERFACE);
    let names = control::status(&agent.socket())["identity"]["names"].clone();
    server.send_to(&mine, to).expect("it is sent");
    client.recv_from(&mut [0; 512]).expect("it is received");
    send(&pair, 4002);
    settled(&pair.left, INTERFACE);
    let outcome = agent.stop();
    let strays = &names["stray_dns_answers"];
    for cause in ["unasked", "wrong_id", "wrong_question", "wrong_server", "wrong_port"] {
        assert_eq!(strays[cause], 1, "{strays}");
    }
    assert_eq!(*names_to(&outcome, 4001), Names::default());
    assert_eq!(*names_to(&outcome, 4002), named("mine.example", "dns"));
}

#[test]
fn root_other_ports_can_be_listened_to_or_none() {
    let (pair, folder) = (Pair::new(), Folder::new("off"));
    let message = forged(&[b"web", b"example"], [10, 77, 0, 2]);
    for (args, expected) in [
        (&["--dns", "off"][..], Names::default()),
        (&["--dns-port", "5300"], Names::default()),
        (&["--dns-port", "5300", "--dns-port", "53", "--identity", "off"], named("web.example", "dns")),
    ] {
        let agent = start(&pair, &folder, args);
        answer(&pair, std::slice::from_ref(&message));
        send(&pair, 4001);
        settled(&pair.left, INTERFACE);
        assert_eq!(*names_to(&agent.stop(), 4001), expected, "{args:?}");
    }
}
