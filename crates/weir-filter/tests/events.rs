//! Filters of events: by who and where, as of records, and by what a kind alone has.

use std::net::SocketAddr;
use weir_filter::EventFilter;
use weir_record::{Connect, Dns, DnsAnswer, Event, EventKind, Happening};

fn kinds(names: &[&str]) -> Vec<&'static EventKind> {
    names.iter().map(|name| EventKind::named(name).unwrap_or_else(|| panic!("no kind {name}"))).collect()
}

fn event(happening: Happening) -> Event {
    let ends = ["10.0.0.1:40000", "10.0.0.2:53"].map(|end| end.parse::<SocketAddr>().expect("an end"));
    Event::between(("blue".into(), false), Some((17, ends)), happening)
}

fn exec() -> Event {
    Event::between(("blue".into(), false), None, Happening::Exec)
}

fn connect(error: Option<&'static str>) -> Event {
    event(Happening::Connect(Connect { error: error.map(Into::into), latency: 3_000 }))
}

fn lookup(code: u16) -> Event {
    let answer = DnsAnswer { code, latency: Some(25_000), records: "10.0.0.9".into(), is_truncated: true };
    let question = "www.example".into();
    event(Happening::Dns(Dns { question, kind: 28, class: 1, retries: 2, answer: Some(answer) }))
}

#[test]
fn what_a_kind_has_is_tested_with_its_type_and_unit() {
    let matches = |text: &str| {
        let filter = EventFilter::parse(text, &kinds(&["dns"])).unwrap_or_else(|one| panic!("{text}: {one}"));
        assert_eq!(EventFilter::parse(&filter.to_string(), &kinds(&["dns"])).as_ref(), Ok(&filter));
        filter.matches(&lookup(3))
    };
    for text in [
        "dns_response_code == NXDOMAIN",
        "dns_response_code in (SERVFAIL, NX*)",
        "dns_type != A and dns_question == *.example",
        "dns_latency > 20ms",
        "dns_latency in 25000us-1s",
        "dns_retries >= 2",
        "dns_truncated",
        "error == null",
        "port == 53 and host in 10.0.0.0/24 and not dns_latency > 26ms",
        "time == 1970-01-01T00:00:00Z",
    ] {
        assert!(matches(text), "{text}");
    }
    for text in
        ["dns_latency > 25ms", "not dns_truncated", "dns_answers == null", "destination_port == 40000"]
    {
        assert!(!matches(text), "{text}");
    }
}

/// As a field that does not apply to a record: null.
#[test]
fn what_a_kind_does_not_have_is_null() {
    let events = [lookup(3), lookup(0), connect(None), connect(Some("ECONNREFUSED")), exec()];
    let fitting = |text: &str| {
        let filter = EventFilter::parse(text, &kinds(&["dns", "connect", "exec"]));
        let filter = filter.unwrap_or_else(|one| panic!("{text}: {one}"));
        events.each_ref().map(|event| u8::from(filter.matches(event)))
    };
    assert_eq!(fitting("dns_response_code == NXDOMAIN"), [1, 0, 0, 0, 0]);
    assert_eq!(fitting("dns_response_code != NXDOMAIN"), [0, 1, 1, 1, 1]);
    assert_eq!(fitting("dns_response_code == null or dns_response_code == NXDOMAIN"), [1, 0, 1, 1, 1]);
    assert_eq!(fitting("dns_response_code == NXDOMAIN or error == ECONN*"), [1, 0, 0, 1, 0]);
    assert_eq!(fitting("error != null"), [0, 0, 0, 1, 0]);
    // What is blank in an event of another kind is not asked.
    assert_eq!(fitting("netns == blue"), [1, 1, 1, 1, 0]);
    assert_eq!(fitting("port != 1"), [1; 5]);
    assert_eq!(fitting("source_port >= 0"), [1, 1, 1, 1, 0]);
}

#[test]
fn a_name_that_no_kind_has_is_a_mistake() {
    let told =
        |text: &str, names: &[&str]| EventFilter::parse(text, &kinds(names)).expect_err(text).to_string();
    for (text, names, said) in [
        (
            "dns_tpye == A",
            &["dns"][..],
            "column 1: events of dns have no 'dns_tpye': did you mean 'dns_type'?",
        ),
        (
            "port == 1 and dns_type == A",
            &["connect", "exec"],
            "column 15: events of connect and exec have no 'dns_type': those of dns do",
        ),
        (
            "socket_state == listen",
            &["dns"],
            "column 1: events of dns have no 'socket_state': those of retransmit and tcp do",
        ),
        (
            "packets > 1",
            &["exec"],
            "column 1: events of exec have no 'packets': docs/events.md lists what they have",
        ),
        (
            "retransmitted == syn_akc",
            &["retransmit"],
            "column 18: retransmitted takes syn, syn_ack, data, not 'syn_akc': did you mean 'syn_ack'?",
        ),
        (
            "dns_latency > soon",
            &["dns"],
            "column 15: dns_latency takes a length of time such as 1500us, 20ms or 3s, not 'soon'",
        ),
        ("dns_truncated > 1", &["dns"], "column 15: dns_truncated takes == !=, not '>'"),
    ] {
        assert_eq!(told(text, names), said);
    }
}

/// So that a name means the same in each kind that has it.
#[test]
fn a_name_is_of_one_sort_in_all_kinds() {
    let columns: Vec<_> = EventKind::ALL.into_iter().flat_map(EventKind::columns).collect();
    for (one, other) in columns.iter().flat_map(|one| columns.iter().map(move |other| (one, other))) {
        let is_same = one.kind() == other.kind() && one.unit() == other.unit();
        assert!(is_same || one.name() != other.name(), "{}", one.name());
    }
}
