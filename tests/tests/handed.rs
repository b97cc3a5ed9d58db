//! DNS as the agent hears it: one program for each direction counts a packet and hands it on, and misses none.

use serde_json::Value;
use std::net::UdpSocket;
use std::time::Duration;
use weir_tests::agent::Agent;
use weir_tests::control;
use weir_tests::dns::{forged, question_of};
use weir_tests::frames::{
    ACK, GRE, IPV4, Ipv4, Ipv6, MORE, SYN, TCP, UDP, VLAN, chain, ethernet, tcp, udp, vlan,
};
use weir_tests::frames_ipv6::{DESTINATION_OPTIONS, Extension};
use weir_tests::inject::Injector;
use weir_tests::pair::{INTERFACE, LEFT, Pair, RIGHT};
use weir_tests::wait_for;
use weir_tests::witness::{settled, tc_filters, tcx_links};

/// By this number the left interface is told from all others on the machine.
const INDEX: u32 = 70_031;
const PATIENCE: Duration = Duration::from_secs(10);
/// The first packet of a flow goes another way in the kernel than those after it.
const TIMES: u64 = 3;

fn question() -> Vec<u8> {
    question_of(&forged(&[b"web", b"example"], [10, 77, 0, 2])).expect("a question")
}

fn names_of(agent: &Agent) -> Value {
    control::status(&agent.socket())["identity"]["names"].clone()
}

/// So many messages, and no more.
fn assert_heard(agent: &Agent, wanted: u64, what: &str) {
    let messages = |names: &Value| names["dns_messages"].as_u64();
    wait_for(what, PATIENCE, || (messages(&names_of(agent)) >= Some(wanted)).then_some(()));
    let names = names_of(agent);
    let nothing = ["lost_dns_messages", "malformed_dns_messages"].map(|name| &names[name]);
    assert_eq!((messages(&names), nothing), (Some(wanted), [&Value::from(0); 2]), "{what}: {names}");
}

#[test]
fn root_one_program_for_each_direction_is_enough() {
    const QUESTIONS: u64 = 100;
    let pair = Pair::with_left_index(Some(INDEX));
    let server = pair.right.enter(|| UdpSocket::bind((RIGHT, 53)).expect("port 53"));
    let ask = || {
        let client = pair.left.enter(|| UdpSocket::bind((LEFT, 0)).expect("a port"));
        for _ in 0..QUESTIONS {
            client.send_to(&question(), (RIGHT, 53)).expect("it is sent");
            server.recv_from(&mut [0; 512]).expect("it is received");
        }
    };
    let ways: [(&[&str], _, _); 6] = [
        (&[], (2, 0), QUESTIONS),
        (&["--hook", "clsact"], (0, 2), QUESTIONS),
        (&["--attach", "tail"], (2, 0), QUESTIONS),
        // What rules leave out is heard all the same: names are for the flows that follow.
        (&["--filter", "port == 80"], (2, 0), QUESTIONS),
        (&["--decapsulate"], (2, 0), QUESTIONS),
        (&["--dns", "off"], (2, 0), 0),
    ];
    for (args, programs, messages) in ways {
        let agent = Agent::start(&pair.left, &[&["-i", INTERFACE, "-o", "json"], args].concat());
        assert_eq!((tcx_links(INDEX), tc_filters(&pair.left, INTERFACE)), programs, "{args:?}");
        ask();
        settled(&pair.left, INTERFACE);
        assert_heard(&agent, messages, &format!("{args:?}"));
        assert_eq!(names_of(&agent)["dns_interfaces"], u64::from(messages > 0), "{args:?}");
        agent.stop().assert_exact();
    }
}

/// Both ways at loopback.
#[test]
fn root_loopback_is_heard_twice() {
    let pair = Pair::new();
    let agent = Agent::start(&pair.left, &["-i", "lo", "-o", "json"]);
    let [server, client] =
        [53, 0].map(|port| pair.left.enter(|| UdpSocket::bind(("127.0.0.1", port)).expect("a port")));
    for _ in 0..TIMES {
        client.send_to(&question(), server.local_addr().expect("bound")).expect("it is sent");
    }
    assert_heard(&agent, 2 * TIMES, "both ways");
    agent.stop().assert_exact();
}

/// Segments of one stream: its SYN, and a question in each of those after it.
fn stream() -> Vec<Vec<u8>> {
    let segment = |flags, sequence: u32, payload: &[u8]| {
        let mut segment = tcp(1_006, 53, flags, &[], payload);
        segment[4..8].copy_from_slice(&sequence.to_be_bytes());
        Ipv4::default().frame(TCP, &segment)
    };
    let question = question();
    let message = [&(question.len() as u16).to_be_bytes()[..], &question].concat();
    let questions = (0..TIMES as u32).map(|number| segment(ACK, 2 + number * message.len() as u32, &message));
    [segment(SYN, 1, b"")].into_iter().chain(questions).collect()
}

/// What they are, the frames, and whether they are heard as they go out, and as they come in.
type Kind = (&'static str, Vec<Vec<u8>>, [bool; 2]);

/// Frames of each kind that takes another way through the flow probe.
fn frames() -> Vec<Kind> {
    let to = |source, port| udp(source, port, &question());
    let plain = Ipv4::default();
    let with_options = Ipv4 { options: vec![1; 8], ..Ipv4::default() };
    let fragment = |fragment| Ipv4 { fragment, id: 7, ..Ipv4::default() };
    let (next, behind_options) = chain(&[Extension::options(DESTINATION_OPTIONS, 16)], UDP, &to(1_009, 53));
    let frames = [
        ("a question", plain.frame(UDP, &to(1_001, 53)), [true; 2]),
        ("from a server", plain.frame(UDP, &to(53, 1_002)), [true; 2]),
        ("multicast DNS", plain.frame(UDP, &to(5_353, 5_353)), [true; 2]),
        ("another port", plain.frame(UDP, &to(1_003, 54)), [false; 2]),
        ("IPv4 options", with_options.frame(UDP, &to(1_004, 53)), [true; 2]),
        ("the first fragment", fragment(MORE).frame(UDP, &to(1_005, 53)), [true; 2]),
        ("a later fragment", fragment(10).frame(UDP, &to(1_005, 53)), [false; 2]),
        ("an ACK alone", plain.frame(TCP, &tcp(1_007, 53, ACK, &[], b"")), [false; 2]),
        ("IPv6", Ipv6::default().frame(UDP, &to(1_008, 53)), [true; 2]),
        ("an extension header", Ipv6::default().frame(next, &behind_options), [false; 2]),
        // The kernel takes the tag out of what comes in.
        ("VLAN", ethernet(VLAN, &vlan(7, IPV4, &plain.packet(UDP, &to(1_010, 53)))), [false, true]),
        ("no ports", plain.frame(GRE, &to(1_011, 53)), [false; 2]),
    ];
    let several = |(what, frame, is_heard)| (what, vec![frame; TIMES as usize], is_heard);
    frames.map(several).into_iter().chain([("TCP", stream(), [true; 2])]).collect()
}

#[test]
fn root_each_kind_of_packet_is_handed_on() {
    let pair = Pair::new();
    let injector = Injector::open(&pair.left, INTERFACE);
    for args in [&[][..], &["--filter", "port == 80"], &["--decapsulate"]] {
        let args = [&["-i", INTERFACE, "-o", "json"], args].concat();
        let agents = [&pair.left, &pair.right].map(|end| Agent::start(end, &args));
        let mut wanted = [0; 2];
        for (what, frames, is_heard) in frames() {
            frames.iter().for_each(|frame| injector.send(frame));
            settled(&pair.right, INTERFACE);
            for ((agent, wanted), is_heard) in agents.iter().zip(&mut wanted).zip(is_heard) {
                *wanted += TIMES * u64::from(is_heard);
                assert_heard(agent, *wanted, what);
            }
        }
        agents.into_iter().for_each(|agent| agent.stop().assert_exact());
    }
}
